"""Runs for the wandb client: create, change, resume, alert, and the fields that it reads of one.

`upsertBucket` writes what changed as records of the stream "wandb.run"; the run starts (again) with the first one that
comes from a process, which is the one that names its host or program.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from besom.core import record as rec
from besom.core.errors import UsageError
from besom.core.mongo import filter_text, order_text
from besom.core.names import RunPath, new_name
from besom.core.record import Record
from besom.core.wire import RunView
from besom.server.route import Permission
from besom.server.wandb import files, words
from besom.server.wandb.context import Context, Loose, run_path
from besom.server.wandb.graphql import Root

ROWS = 100_000
SLACK = 5.0
"""Seconds by which a run may have begun before we heard of it, without being one that was logged offline."""
FIELDS = {"displayName": "name", "groupName": "group", "jobType": "job_type", "notes": "notes"}
"""Their fields that are ours under another name."""


def upsert_bucket(context: Context, **given: Any) -> dict[str, Any]:
    """Create a run or change fields of it. What is not given stays."""
    path = run_path(given["id"]) if given.get("id") else context.path(
        given.get("entityName"), given.get("modelName"), given.get("name") or _missing())  # fmt: skip
    before = context.find(path)
    context.append(path, Loose("run", _changes(context, path, before, given)))
    return {"bucket": node(context, context.hub.run(path)), "inserted": before is None}


def _missing() -> str:
    raise UsageError("upsertBucket needs the id or the name of a run")


def _changes(context: Context, path: RunPath, before: RunView | None, given: dict[str, Any]) -> list[Record]:
    sent = words.mapping(given.get("config"))
    own = words.internal(sent)
    fields: dict[str, Any] = {ours: str(given[theirs]) for theirs, ours in FIELDS.items() if theirs in given}
    if "tags" in given:
        fields["tags"] = tuple(map(str, given["tags"]))
    if given.get("sweep"):
        fields["sweep"] = str(given["sweep"]).rpartition("/")[2]
    meta = words.meta(own)
    meta |= {ours: given[theirs] for theirs, ours in (("host", "host"), ("jobProgram", "program")) if given.get(theirs)}
    meta |= {
        ours: given[theirs]
        for theirs, ours in (("commit", "git_commit"), ("jobRepo", "git_remote"))
        if given.get(theirs)
    }
    process = "host" in given or "jobProgram" in given
    starts = before is None or (process and before.state in rec.ENDED)
    since = words.started(own)
    early = since is not None and before is not None and before.state == rec.RUNNING and since < before.created - SLACK
    if before is None:
        fields.setdefault("name", new_name())
    records: list[Record] = []
    changed = {name: value for name, value in fields.items() if before is None or getattr(before, name) != value}
    news = {key: value for key, value in meta.items() if before is None or before.meta.get(key) != value}
    if starts or early or changed or news:
        named = path._asdict() if before is None else {}
        # the time of what a person changes later must not make an ended run look alive
        time = context.now if starts or before is None or before.state == rec.RUNNING else before.seen
        records.append(
            rec.Run(since if early and since else time, **named, **changed, meta=news or None, starts=starts or early)
        )
    if sent:
        records += _config(words.config(sent), before.config if before else {})
        records += words.defines(own)
    if "summaryMetrics" in given:
        records.append(rec.Summary(words.flat(words.mapping(given["summaryMetrics"]))))
    return records


def _config(new: dict[str, Any], old: dict[str, Any]) -> list[Record]:
    update = {key: value for key, value in new.items() if key not in old or old[key] != value}
    gone = tuple(key for key in old if key not in new)
    return [rec.Config(update, gone)] if update or gone else []


def alert(context: Context, **given: Any) -> dict[str, Any]:
    """A message of a run for a person. `waitDuration`: milliseconds."""
    path = context.path(given.get("entityName"), given.get("projectName"), given.get("runName"))
    wait = (words.number(given.get("waitDuration")) or 0.0) / 1000
    title, text = str(given.get("title") or ""), str(given.get("text") or "")
    message = rec.Alert(context.now, title, text, str(given.get("severity", "INFO")), wait)
    context.append(path, Loose("alerts", [message]))
    return {"success": True}


def page(
    context: Context, entity: str, project: str, *, filters: str = "", order: str | None = None, first: int | None = None,
    after: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A page of runs. A cursor is the number of runs up to it."""
    offset = int(after or 0)
    found = context.hub.runs(
        entity,
        project,
        filter=_filter(filters),
        sort=order_text(order or "+created_at"),
        limit=first or 50,
        offset=offset,
    )
    edges = [{"node": node(context, view), "cursor": str(n)} for n, view in enumerate(found.runs, offset + 1)]
    end = edges[-1]["cursor"] if edges else None
    return {
        "edges": edges,
        "totalCount": found.matched,
        "pageInfo": {"endCursor": end, "hasNextPage": found.next is not None},
    }


def count(context: Context, entity: str, project: str, *, filters: str = "") -> int:
    """How many runs pass the filter."""
    return context.hub.runs(entity, project, filter=_filter(filters), limit=0).matched


def _filter(filters: str) -> str:
    return filter_text(_by_id(words.mapping(filters)))


def _by_id(value: Any) -> Any:
    """The name of a run is its id in that client's filters."""
    if isinstance(value, dict):
        return {"id" if key == "name" else key: _by_id(item) for key, item in value.items()}
    return [_by_id(item) for item in value] if isinstance(value, list) else value


def delete(context: Context, *, id: str, **_: Any) -> dict[str, Any]:
    """Delete a run."""
    context.hub.delete(run_path(id))
    return {"success": True}


# What it reads of a run


def node(context: Context, view: RunView) -> dict[str, Any]:
    """The fields of a run. Those that need another question of the hub are functions."""
    path = RunPath(view.entity, view.project, view.id)
    asked = _Asked(context, path, view)
    return {
        "id": "/".join(path),
        "projectId": "1",
        "name": view.id,
        "displayName": view.name,
        "notes": view.notes,
        "description": view.notes,
        "tags": list(view.tags),
        "group": view.group or None,
        "groupName": view.group or None,
        "jobType": view.job_type or None,
        "sweepName": view.sweep or None,
        "commit": view.meta.get("git_commit"),
        "host": view.meta.get("host"),
        "readOnly": False,
        "state": view.state,
        "createdAt": words.iso(view.created),
        "heartbeatAt": words.iso(view.seen),
        "user": {"id": view.entity, "name": view.entity, "username": view.entity},
        "project": {"id": f"{view.entity}/{view.project}", "name": view.project, "entity": {"id": view.entity, "name": view.entity}},
        "config": words.dumps(words.shown_config(view.config)),
        "wandbConfig": words.dumps({"t": {}}),
        "summaryMetrics": words.dumps(summary(view)),
        "systemMetrics": "{}",
        "exitcode": view.exit_code,
        "running": view.state == rec.RUNNING,
        "failed": view.state in (rec.FAILED, rec.CRASHED),
        "stopped": view.state == rec.KILLED,
        "shouldStop": False,
        "historyLineCount": lambda info: asked.lines("history"),
        "eventsLineCount": lambda info: asked.lines("events"),
        "logLineCount": lambda info: asked.lines("output") // 2,
        "historyTail": lambda info: words.dumps([words.dumps(row) for row in asked.rows(since=view.last_step)][-1:]),
        "eventsTail": "[]",
        "historyKeys": lambda info: asked.keys(),
        "history": asked.history,
        "events": lambda info, **_: [],
        "sampledHistory": asked.sampled,
        "parquetHistory": asked.parquet,
        "files": lambda info, **wanted: files.page(context, path, **wanted),
        "fileCount": lambda info: len(context.hub.files(path).files),
        "logLines": asked.log_lines,
    }  # fmt: skip


def summary(view: RunView) -> dict[str, Any]:
    """The summary with the keys that the client keeps in it beside the metrics."""
    own = {"_step": view.last_step, "_timestamp": view.seen, "_runtime": max(0.0, view.seen - view.created)}
    return words.nested(view.summary.items()) | (own if view.last_step >= 0 else {})


class _Asked:
    """Questions about one run that are asked when a query names them."""

    def __init__(self, context: Context, path: RunPath, view: RunView) -> None:
        self.context, self.path, self.view = context, path, view

    def lines(self, stream: str) -> int:
        return self.context.hub.position(self.path, f"wandb.{stream}")

    def rows(
        self, keys: Sequence[str] | None = None, since: int | None = None, until: float = math.inf
    ) -> list[dict[str, Any]]:
        """Rows in order of step, each with the metrics it has; `since` and `until` are steps, the last one not included."""
        found: list[dict[str, Any]] = []
        offset: int | None = 0
        limit = min(ROWS, max(1, until - (since or 0)))
        while offset is not None:
            page = self.context.hub.rows(self.path, keys=keys, offset=offset, limit=int(limit), since=since)
            names, columns = list(page.columns), list(page.columns.values())
            for values in zip(*columns, strict=True):
                row = {name: value for name, value in zip(names, values, strict=True) if value is not None}
                time = row.pop("_time")
                found.append({**row, "_timestamp": time, "_runtime": time - self.view.created})
            offset = page.next
            if found and found[-1]["_step"] >= until:
                return [row for row in found if row["_step"] < until]
        return found

    def parquet(self, info: Any, **_: Any) -> dict[str, Any]:
        """No files of whole columns: the client asks for rows, from the first step to the last, that it reads here."""
        first = self.context.hub.rows(self.path, limit=1).columns["_step"]
        return {"parquetUrls": [], "liveData": [{"_step": step} for step in [*first, self.view.last_step] if first]}

    def keys(self) -> dict[str, Any]:
        keys = {
            name: {"typeCounts": [{"type": "number", "count": stat.count}], "monotonic": False, "previousValue": words.bare(stat.last)}
            for name, stat in self.view.metrics.items()
        }  # fmt: skip
        own = {name: {"typeCounts": [{"type": "number", "count": 1}], "monotonic": True} for name in words.OWN[:3]}
        return {"sets": [], "keys": {**keys, **own}, "lastStep": self.view.last_step}

    def history(
        self, info: Any, *, samples: int | None = None, minStep: Any = None, maxStep: Any = None, **_: Any
    ) -> list[str]:
        """Rows as JSON lines: all of [minStep, maxStep), or about `samples` of the whole evenly spread."""
        if minStep is not None:
            return [
                words.dumps(row)
                for row in self.rows(since=int(minStep), until=math.inf if maxStep is None else int(maxStep))
            ]
        return [words.dumps(row) for row in _spread(self.rows(), samples)]

    def sampled(self, info: Any, *, specs: Any = (), **_: Any) -> list[Any]:
        """One list of rows for each spec {keys, samples, minStep, maxStep (inclusive)}: those that hold all keys."""
        answers = []
        for spec in map(words.mapping, [specs] if isinstance(specs, str) else specs):
            keys = [str(key) for key in spec.get("keys") or ()]
            since, until = spec.get("minStep"), spec.get("maxStep", math.inf) + 1
            rows = self.rows([key for key in keys if key not in words.OWN] or None, since, until) if keys else []
            whole = [{key: row[key] for key in keys} for row in rows if all(key in row for key in keys)]
            answers.append(words.bare(_spread(whole, spec.get("samples"))))
        return answers

    def log_lines(
        self, info: Any, *, first: int | None = None, last: int | None = None, after: str | None = None, **_: Any
    ) -> Any:
        start = -last if last else int(after) + 1 if after else 0
        page = self.context.hub.console(self.path, start=start, limit=last or first or 1000)
        edges = [
            {"node": {"number": line.n, "timestamp": words.iso(line.time), "line": line.text,
                      "level": "error" if line.stream == "err" else None}}
            for line in page.lines
        ]  # fmt: skip
        end = page.lines[-1].n if page.lines else -1
        return {"edges": edges, "pageInfo": {"endCursor": str(end), "hasNextPage": 0 <= end < page.total - 1}}


def _spread(rows: list[dict[str, Any]], most: Any) -> list[dict[str, Any]]:
    """At most `most` of the rows, evenly spread, the first and last among them."""
    if not isinstance(most, int) or most < 2 or len(rows) <= most:
        return rows
    return [rows[round(i * (len(rows) - 1) / (most - 1))] for i in range(most)]


ROOTS = (
    Root("upsertBucket", Permission.WRITE, upsert_bucket),
    Root("deleteRun", Permission.WRITE, delete),
    Root("notifyScriptableRunAlert", Permission.WRITE, alert),
)
