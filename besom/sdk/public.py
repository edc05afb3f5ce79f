"""`besom.Api()`: runs, sweeps and projects as Python objects, read through the client.

With a server it talks to it, without one to the application in this process over the user's own store; either way it
first sees all that was logged. Lists are lazy and load page by page. The names are those of W&B's API where scripts use
them. Nothing here is cached for long: `load()` asks again.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, overload

from besom import settings as settings_module
from besom.client import Client, connect
from besom.core import wire
from besom.core.contents import FileView
from besom.core.errors import NotFound, UsageError
from besom.core.mongo import filter_text, order_text
from besom.core.names import RunPath, parse_sweep_path
from besom.core.record import RUNNING
from besom.sdk import notice
from besom.sdk.identity import as_tags, page
from besom.sdk.kept import Kept, fetch, inside
from besom.settings import Settings

ROWS = 10_000
"""Rows of history that one call fetches."""


class Api:
    """The way to what was logged. Every argument is optional; `overrides` may name entity and project."""

    def __init__(
        self,
        overrides: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        api_key: str | None = None,
        settings: Settings | None = None,
    ) -> None:
        chosen = {key: value for key, value in (overrides or {}).items() if key in ("entity", "project")}
        self.settings = settings_module.load(settings, api_key=api_key, **chosen)
        self.client: Client = connect(self.settings) if timeout is None else connect(self.settings, patience=timeout)

    @property
    def default_entity(self) -> str:
        """Who is meant when no entity is named."""
        return self.settings.entity

    def projects(self, entity: str | None = None) -> list[Project]:
        """All projects (of `entity`), the latest first."""
        found = self.client.projects().projects
        return [Project(self, view) for view in found if entity in (None, view.entity)]

    def project(self, name: str, entity: str | None = None) -> Project:
        """One project. Raises NotFound."""
        owner, project = self._project(f"{entity}/{name}" if entity else name)
        found = next((p for p in self.projects(owner) if p.name == project), None)
        if found is None:
            raise NotFound(f"there is no project {owner}/{project}")
        return found

    def runs(
        self,
        path: str | None = None,
        filters: str | Mapping[str, Any] | None = None,
        order: str = "-created_at",
        per_page: int = 100,
        **_: Any,
    ) -> Runs:
        """Runs of PROJECT or ENTITY/PROJECT, the latest first. `filters`: besom's text (docs/filters.md), or a dictionary
        in the manner of Mongo. `order`: a key, "-" in front for descending, e.g. ``metrics.val_loss.best``."""
        return Runs(self, *self._project(path), filter_text(filters), order_text(order), per_page)

    def run(self, path: str) -> RunInfo:
        """One run: ENTITY/PROJECT/ID, PROJECT/ID or ID. Raises NotFound."""
        parts = [part for part in path.strip("/").split("/") if part != "runs"]
        if len(parts) == 1:
            return self._run_by_id(parts[0])
        if len(parts) > 3 or not all(parts):
            raise UsageError(f"a run is ENTITY/PROJECT/ID, PROJECT/ID or ID, and {path!r} is none of them")
        entity, project, id = parts if len(parts) == 3 else (self.settings.entity, *parts)
        return RunInfo(self, self.client.run(entity, project, id))

    def artifact(self, name: str, type: str = "unspecified") -> Kept:
        """A version of an artifact: NAME:ALIAS, PROJECT/NAME:ALIAS or ENTITY/PROJECT/NAME:ALIAS. Raises NotFound."""
        found = Kept(name, type, *self._project(None), lambda: nullcontext(self.client))
        found.view  # noqa: B018  # asks, so that what is not there is said here
        return found

    def sweep(self, path: str) -> Sweep:
        """One sweep: ENTITY/PROJECT/ID, PROJECT/ID or ID. Raises NotFound."""
        if "/" not in path.strip("/"):
            same = [view for view in self.client.sweeps().sweeps if view.id == path]
            if len(same) == 1:
                return Sweep(self, self.client.sweep(same[0].entity, same[0].project, path))
        found = parse_sweep_path(path, entity=self.settings.entity, project=self.settings.project)
        return Sweep(self, self.client.sweep(*found))

    def sweeps(self, path: str | None = None) -> list[Sweep]:
        """Sweeps of PROJECT or ENTITY/PROJECT (all of them without a path), the latest first."""
        entity, project = self._project(path) if path else (None, None)
        return [Sweep(self, view) for view in self.client.sweeps(entity, project).sweeps]

    def flush(self) -> None:
        """Nothing is held back; accepted for W&B's sake."""

    def _project(self, path: str | None) -> tuple[str, str]:
        parts = (path or self.settings.project).strip("/").split("/")
        if len(parts) > 2 or not all(parts):
            raise UsageError(f"a project is PROJECT or ENTITY/PROJECT, and {path!r} is neither")
        return (parts[0], parts[1]) if len(parts) == 2 else (self.settings.entity, parts[0])

    def _run_by_id(self, id: str) -> RunInfo:
        try:
            return RunInfo(self, self.client.run(self.settings.entity, self.settings.project, id))
        except NotFound:
            text = filter_text({"id": id})
            found = [
                run
                for project in self.client.projects().projects
                for run in self.client.runs(project.entity, project.project, filter=text, limit=1).runs
            ]
        if len(found) != 1:
            places = ", ".join(f"{run.entity}/{run.project}/{run.id}" for run in found)
            raise NotFound(f"{id} is a run in {places}: name one in full" if found else f"there is no run {id!r}")
        return RunInfo(self, found[0])


class Project:
    """A project in a list."""

    def __init__(self, api: Api, view: wire.ProjectView) -> None:
        self._api = api
        self.view = view
        self.name, self.entity = view.project, view.entity
        self.path = [view.entity, view.project]

    @property
    def id(self) -> str:
        """ENTITY/PROJECT."""
        return f"{self.entity}/{self.name}"

    def runs(self, **arguments: Any) -> Runs:
        """As `Api.runs`, of this project."""
        return self._api.runs(self.id, **arguments)

    def sweeps(self) -> list[Sweep]:
        """Its sweeps."""
        return self._api.sweeps(self.id)

    def __repr__(self) -> str:
        return f"<project {self.id}, {self.view.runs} runs>"


class Runs(Sequence["RunInfo"]):
    """Runs that pass a filter, in order; loaded page by page as they are asked for."""

    def __init__(self, api: Api, entity: str, project: str, filter: str, sort: str, per_page: int) -> None:
        self._api = api
        self._where = (entity, project)
        self._filter, self._sort, self._per_page = filter, sort, max(1, min(per_page, 1000))
        self._loaded: list[RunInfo] = []
        self._matched: int | None = None

    def __len__(self) -> int:
        if self._matched is None:
            self._more()
        return self._matched or 0

    @overload
    def __getitem__(self, index: int) -> RunInfo: ...
    @overload
    def __getitem__(self, index: slice) -> list[RunInfo]: ...
    def __getitem__(self, index: int | slice) -> RunInfo | list[RunInfo]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        at = index + len(self) if index < 0 else index
        while len(self._loaded) <= at and self._more():
            pass
        if not 0 <= at < len(self._loaded):
            raise IndexError(f"there are {len(self)} runs, and {index} is not one of them")
        return self._loaded[at]

    def __iter__(self) -> Iterator[RunInfo]:
        at = 0
        while at < len(self._loaded) or self._more():
            yield self._loaded[at]
            at += 1

    def _more(self) -> bool:
        """Load the next page; False when there is none."""
        if self._matched is not None and len(self._loaded) >= self._matched:
            return False
        answer = self._api.client.runs(
            *self._where, filter=self._filter, sort=self._sort, limit=self._per_page, offset=len(self._loaded)
        )
        self._loaded += [RunInfo(self._api, view) for view in answer.runs]
        self._matched = answer.matched if answer.runs else len(self._loaded)
        return bool(answer.runs)

    def __repr__(self) -> str:
        return f"<runs of {'/'.join(self._where)}, {len(self)} of them>"


class Flat(dict[str, Any]):
    """A summary: flat with dotted keys, and nested for reading: ``s["best.acc"]`` and ``s["best"]["acc"]`` are the same."""

    def __missing__(self, key: str) -> Flat:
        inner = Flat({name[len(key) + 1 :]: value for name, value in self.items() if name.startswith(f"{key}.")})
        if not inner:
            raise KeyError(key)
        return inner

    def __getattr__(self, name: str) -> Any:
        if name == "_json_dict":
            return dict(self)
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the summary has no {name!r}") from None


class RunInfo:
    """A run as it was kept. Change `name`, `notes`, `tags` or `group` and call `update()` to change the run itself."""

    def __init__(self, api: Api, view: wire.RunView) -> None:
        self._api = api
        self._take(view)

    def _take(self, view: wire.RunView) -> None:
        self.view = view
        self.id, self.entity, self.project, self.state = view.id, view.entity, view.project, view.state
        self.name, self.notes, self.tags, self.group = view.name, view.notes, list(view.tags), view.group
        self.job_type = view.job_type
        self.config: dict[str, Any] = dict(view.config)
        self.summary = Flat(view.summary)
        self.metadata: dict[str, Any] = dict(view.meta)
        self.metrics = view.metrics
        """Aggregates of each metric over all its points: last, min, max, mean, best."""

    @property
    def rawconfig(self) -> dict[str, Any]:
        """The config; nothing is added to it here."""
        return self.config

    @property
    def path(self) -> list[str]:
        """[entity, project, id]."""
        return [self.entity, self.project, self.id]

    @property
    def url(self) -> str | None:
        """The run's page; None without a server."""
        server = self._api.settings.server
        return page(server, "/".join(self.path)) if server else None

    @property
    def created_at(self) -> str:
        """When it began, ISO 8601 in UTC."""
        return datetime.datetime.fromtimestamp(self.view.created, datetime.UTC).isoformat()

    @property
    def lastHistoryStep(self) -> int:
        """The last step logged; -1 when there is none."""
        return self.view.last_step

    @property
    def sweep_name(self) -> str | None:
        """The id of its sweep, or None."""
        return self.view.sweep or None

    @property
    def sweep(self) -> Sweep | None:
        """Its sweep, or None."""
        if not self.view.sweep:
            return None
        return Sweep(self._api, self._api.client.sweep(self.entity, self.project, self.view.sweep))

    def scan_history(
        self, keys: Sequence[str] | None = None, page_size: int = ROWS, min_step: int = 0, max_step: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """All rows, as dictionaries, in order of step: with `keys`, those and ``_step`` of the rows that have all of them.

        Rows of one step that share no key are one row. Steps are from `min_step` (included) to `max_step` (not included).
        """
        for row in _merged(self._rows(keys, max(1, page_size))):
            if row["_step"] < min_step or (max_step is not None and row["_step"] >= max_step):
                continue
            if keys is None:
                yield {**row, "_timestamp": row["_time"]}
            elif all(key in row or key == "_timestamp" for key in keys):
                yield {"_step": row["_step"], **{key: row["_time" if key == "_timestamp" else key] for key in keys}}

    def history(
        self,
        samples: int = 500,
        keys: Sequence[str] | None = None,
        x_axis: str = "_step",
        pandas: bool = True,
        stream: str = "default",
    ) -> Any:
        """At most `samples` rows, evenly spaced. A pandas (else polars) frame when one is installed, else columns as a
        dictionary of lists; with ``pandas=False`` a list of dictionaries. `scan_history` gives all rows."""
        wanted = list(dict.fromkeys([*keys, *([] if x_axis == "_step" else [x_axis])])) if keys else None
        rows = _spaced(list(self.scan_history(wanted)), samples)
        return _frame(rows) if pandas else rows

    def console(self, start: int = 0, limit: int = 10_000) -> list[str]:
        """Lines of what its process wrote; `start` below 0 counts from the end."""
        return [line.text for line in self._api.client.console(*self._path, start=start, limit=limit).lines]

    def files(self, names: Sequence[str] = ()) -> list[FileInfo]:
        """Its files (those of `names`), by name."""
        found = self._api.client.files(*self._path).files
        return [FileInfo(self._api, view) for view in found if not names or view.path in names]

    def file(self, name: str) -> FileInfo:
        """One of its files. Raises NotFound."""
        found = self.files([name])
        if not found:
            raise NotFound(f"the run {self.id} has no file {name!r}")
        return found[0]

    def update(self) -> None:
        """Write changed `name`, `notes`, `tags` and `group`; config and summary belong to the run's own process."""
        if self.config != self.view.config or self.summary != self.view.summary:
            notice.warn("config and summary of an ended run cannot be changed yet; the rest is written", "api update")
        tags = as_tags(self.tags)
        self._take(
            self._api.client.patch(
                *self._path, name=self.name, notes=self.notes or "", tags=tags, group=self.group or ""
            )
        )

    def load(self, force: bool = True) -> RunInfo:
        """Ask again."""
        self._take(self._api.client.run(*self._path))
        return self

    def delete(self, delete_artifacts: bool = False) -> None:
        """Delete the run and all that it logged."""
        self._api.client.delete(*self._path)

    def wait_until_finished(self, every: float = 2.0) -> None:
        """Return when the run has ended."""
        while self.load().state == RUNNING:
            time.sleep(every)

    @property
    def _path(self) -> RunPath:
        return RunPath(self.entity, self.project, self.id)

    def _rows(self, keys: Sequence[str] | None, size: int) -> Iterator[dict[str, Any]]:
        """Rows without what they lack."""
        asked = [key for key in keys or () if key not in ("_step", "_time", "_timestamp")]
        offset: int | None = 0
        while offset is not None:
            answer = self._api.client.rows(*self._path, keys=asked, offset=offset, limit=size)
            names = list(answer.columns)
            for values in zip(*answer.columns.values(), strict=True):
                yield {name: value for name, value in zip(names, values, strict=True) if value is not None}
            offset = answer.next

    def __repr__(self) -> str:
        return f"<run {self.name} ({'/'.join(self.path)}), {self.state}>"


class FileInfo:
    """A file of a run."""

    def __init__(self, api: Api, view: FileView) -> None:
        self._api = api
        self.name, self.size, self.digest = view.path, view.size, view.digest

    def read(self) -> bytes:
        """Its content. Raises NotFound."""
        return b"".join(self._api.client.content(self.digest))

    def download(self, root: str = ".", replace: bool = False, **_: Any) -> str:
        """Write it below `root` under its own name; the path. Raises UsageError where a file is already."""
        target = inside(Path(root), self.name)
        if target.exists() and not replace:
            raise UsageError(f"{target} is there already; download(replace=True) writes over it")
        fetch(self._api.client, self.digest, target)
        return str(target)

    def __repr__(self) -> str:
        return f"<file {self.name}, {self.size} bytes>"


class Sweep:
    """A sweep as it was kept. `view` holds everything, trials too when it was asked for by itself."""

    def __init__(self, api: Api, view: wire.SweepView) -> None:
        self._api = api
        self.view = view
        self.id, self.entity, self.project, self.name = view.id, view.entity, view.project, view.name or view.id
        self.config: dict[str, Any] = dict(view.config)
        self.state = view.state

    @property
    def path(self) -> list[str]:
        """[entity, project, id]."""
        return [self.entity, self.project, self.id]

    @property
    def url(self) -> str | None:
        """The sweep's page; None without a server."""
        server = self._api.settings.server
        return f"{server}/{self.entity}/{self.project}/sweeps/{self.id}" if server else None

    @property
    def order(self) -> str:
        """The sort key that puts its best run first."""
        if not self.view.metric:
            return "-created"
        return f"{'-' if self.view.goal == 'maximize' else ''}summary.{self.view.metric}"

    @property
    def expected_run_count(self) -> int | None:
        """Runs until it ends; None when it has no end."""
        return self.view.budget

    @property
    def runs(self) -> Runs:
        """Its runs, the latest first."""
        return self._api.runs(f"{self.entity}/{self.project}", {"sweep": self.id})

    def best_run(self, order: str | None = None) -> RunInfo | None:
        """The run with the best value of the metric (or the first in `order`); None when there is none."""
        if order is not None:
            ordered = self._api.runs(f"{self.entity}/{self.project}", {"sweep": self.id}, order=order)
            return ordered[0] if len(ordered) else None
        best = self._api.client.sweep(self.entity, self.project, self.id).best
        return self._api.run(f"{self.entity}/{self.project}/{best.run}") if best is not None else None

    def load(self, force: bool = True) -> Sweep:
        """Ask again."""
        self.__init__(self._api, self._api.client.sweep(self.entity, self.project, self.id))  # type: ignore[misc]
        return self

    def __repr__(self) -> str:
        return f"<sweep {'/'.join(self.path)}, {self.state}>"


def _merged(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Neighbours of one step that share no key, as one row: `log(a, step=5)`, then `log(b, step=5)`."""
    held: dict[str, Any] | None = None
    for row in rows:
        if held is not None and held["_step"] == row["_step"] and held.keys() & row.keys() <= {"_step", "_time"}:
            held |= row
            continue
        if held is not None:
            yield held
        held = row
    if held is not None:
        yield held


def _spaced(rows: list[dict[str, Any]], samples: int) -> list[dict[str, Any]]:
    """At most `samples` of `rows`, evenly spaced, the first and the last among them."""
    if len(rows) <= samples or samples < 1:
        return rows
    if samples == 1:
        return rows[-1:]
    return [rows[round(i * (len(rows) - 1) / (samples - 1))] for i in range(samples)]


def _frame(rows: list[dict[str, Any]]) -> Any:
    names = list(dict.fromkeys(["_step", *(name for row in rows for name in row)]))
    columns = {name: [row.get(name) for row in rows] for name in names}
    try:
        import pandas

        return pandas.DataFrame(columns)
    except ImportError:
        pass
    try:
        import polars

        return polars.DataFrame(columns, strict=False)
    except ImportError:
        return columns
