"""The fold: what a run is, computed from its records and nothing else.

`fold(state, records)` is pure and incremental: ``fold(fold(s, a), b) == fold(s, a + b)``. The hub keeps the state of
each run and folds new batches into it; the SDK folds on read, so that `log()` does no work for the summary.
`Folded.rows` are the complete history rows that came out on the way, for the series store.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from besom.core import record as rec
from besom.core.names import goal_of
from besom.core.plain import as_float
from besom.core.record import Record

_RANK = {"reaper": 0, "run": 1, "agent": 2}


class Row(NamedTuple):
    """One complete row of history. `data` is flat."""

    step: int
    time: float
    data: dict[str, Any]


class Metric(msgspec.Struct, frozen=True):
    """What `define_metric` said of a metric (or of a pattern that ends in ``*``)."""

    step_metric: str | None = None
    summary: tuple[str, ...] = ()
    goal: str | None = None
    hidden: bool = False


class RunState(msgspec.Struct, frozen=True):
    """Everything about a run but its curves and its console. `config` is nested, `summary` is flat (dotted keys)."""

    id: str = ""
    entity: str = ""
    project: str = ""
    name: str = ""
    group: str = ""
    job_type: str = ""
    tags: tuple[str, ...] = ()
    notes: str = ""
    sweep: str = ""
    attempt: int = 1
    meta: dict[str, Any] = {}
    state: str = rec.RUNNING
    reason: str = ""
    exit_code: int | None = None
    exit_by: str = ""
    created: float = 0.0
    started: float = 0.0
    """Start of the present attempt; `created` is the start of the first one."""
    seen: float = 0.0
    """Time of the latest record."""
    ended: float | None = None
    preempting: bool = False
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    metrics: dict[str, Metric] = {}
    last_step: int = -1
    open: tuple[int, float, dict[str, Any]] | None = None
    """The row that `commit=False` has begun: (step, time, data)."""


class Folded(NamedTuple):
    """The new state, and the history rows completed by the records folded."""

    state: RunState
    rows: list[Row]


def fold(state: RunState, records: Iterable[Record]) -> Folded:
    """Fold `records`, in order, into `state`. Neither argument is changed."""
    fields: dict[str, Any] = {name: getattr(state, name) for name in RunState.__struct_fields__}
    fields["config"], fields["summary"], fields["metrics"] = (
        dict(state.config),
        dict(state.summary),
        dict(state.metrics),
    )
    rows: list[Row] = []
    for record in records:
        _STEPS[type(record)](fields, record, rows)
        fields["seen"] = max(fields["seen"], getattr(record, "time", 0.0))
    return Folded(RunState(**fields), rows)


def define_for(metrics: dict[str, Metric], key: str) -> Metric | None:
    """The definition that holds for `key`: its own, else the longest matching pattern, else None."""
    if key in metrics:
        return metrics[key]
    patterns = [name for name in metrics if name.endswith("*") and fnmatch.fnmatchcase(key, name)]
    return metrics[max(patterns, key=len)] if patterns else None


def _run(f: dict[str, Any], r: rec.Run, rows: list[Row]) -> None:
    attempt = f["attempt"]
    for name in ("id", "entity", "project", "name", "group", "job_type", "tags", "notes", "sweep", "attempt"):
        value = getattr(r, name)
        if value is not None:
            f[name] = value
    if r.meta is not None:
        f["meta"] = {**f["meta"], **r.meta}
    if r.starts:
        _close(f, rows)
        f["created"] = min(f["created"] or r.time, r.time)
        if f["exit_by"] == "agent" and f["ended"] is not None and r.time <= f["ended"] and (r.attempt or 1) <= attempt:
            return  # it arrives after the agent's word on its end, and does not bring the run back to life
        f.update(started=r.time, state=rec.RUNNING, reason="", exit_code=None, exit_by="", ended=None, preempting=False)


def _config(f: dict[str, Any], r: rec.Config, rows: list[Row]) -> None:
    f["config"].update(r.update)
    for key in r.remove:
        f["config"].pop(key, None)


def _history(f: dict[str, Any], r: rec.History, rows: list[Row]) -> None:
    _revive(f, r.time)
    step, time, data = r.step, r.time, r.data
    if f["open"] is not None:
        if f["open"][0] == step:
            data = {**f["open"][2], **data}
            f["open"] = None
        else:
            _close(f, rows)
    f["last_step"] = max(f["last_step"], step)
    if r.partial:
        f["open"] = (step, time, data)
    else:
        _emit(f, Row(step, time, data), rows)


def _close(f: dict[str, Any], rows: list[Row]) -> None:
    if f["open"] is not None:
        row = Row(*f["open"])
        f["open"] = None
        _emit(f, row, rows)


def _emit(f: dict[str, Any], row: Row, rows: list[Row]) -> None:
    rows.append(row)
    summary: dict[str, Any] = f["summary"]
    metrics: dict[str, Metric] = f["metrics"]
    if not metrics:
        summary.update(row.data)
        return
    for key, value in row.data.items():
        metric = define_for(metrics, key)
        if metric is None or not metric.summary or "copy" in metric.summary:
            summary[key] = value
            if metric is None or not metric.summary:
                continue
        for rule in metric.summary:
            _aggregate(summary, key, value, rule, metric)


def _aggregate(summary: dict[str, Any], key: str, value: Any, rule: str, metric: Metric) -> None:
    """Keep `key.rule` of the summary up to date. Means are kept as (mean, count) under two keys."""
    if rule in ("none", "copy"):
        return
    name = f"{key}.{rule}"
    if rule == "last":
        summary[name] = value
        return
    if not _is_number(value):
        return
    old = summary.get(name)
    if isinstance(old, bool) or not isinstance(old, (int, float)):  # a script may have put anything there
        old = None
    if rule == "first":
        summary.setdefault(name, value)
    elif rule == "mean":
        counted = summary.get(f"{key}.count")
        count = counted + 1 if old is not None and isinstance(counted, int) else 1
        mean, new = as_float(old or 0.0), as_float(value)
        summary[name] = mean + (new - mean) / count if math.isfinite(mean) else mean + new  # Inf stays Inf
        summary[f"{key}.count"] = count
    else:
        smaller = rule == "min" or (rule == "best" and goal_of(key, metric.goal) == "minimize")
        if old is None or (value < old if smaller else value > old):
            summary[name] = value


def _is_number(value: Any) -> bool:
    """A number that can be compared: no bool, no NaN."""
    return value.__class__ is int or (isinstance(value, float) and not math.isnan(value))


def _summary(f: dict[str, Any], r: rec.Summary, rows: list[Row]) -> None:
    f["summary"].update(r.update)
    for key in r.remove:
        f["summary"].pop(key, None)


def _define(f: dict[str, Any], r: rec.Define, rows: list[Row]) -> None:
    f["metrics"][r.name] = Metric(r.step_metric, r.summary, r.goal, r.hidden)


def _preempt(f: dict[str, Any], r: rec.Preempt, rows: list[Row]) -> None:
    f["preempting"] = True


def _exit(f: dict[str, Any], r: rec.Exit, rows: list[Row]) -> None:
    _close(f, rows)
    if _RANK.get(r.by, 1) < _RANK.get(f["exit_by"], -1):
        return
    state = r.state
    if f["preempting"] and state in (rec.FAILED, rec.CRASHED):
        state = rec.PREEMPTED
    # what the reaper guessed is not the reason when another knows better
    held = "" if f["exit_by"] == "reaper" else f["reason"]
    f.update(state=state, reason=r.reason or held, exit_code=r.code, exit_by=r.by, ended=r.time)


def _revive(f: dict[str, Any], time: float) -> None:
    """A run that writes after the reaper gave it up (its host was cut off, its clock stood still) was never dead."""
    if f["exit_by"] == "reaper" and f["ended"] is not None and time > f["ended"]:
        f.update(state=rec.RUNNING, reason="", exit_code=None, exit_by="", ended=None)


def _sign_of_life(f: dict[str, Any], r: rec.Stats | rec.Console, rows: list[Row]) -> None:
    """Stats and console do not change what a run is, but that it is; the hub stores them elsewhere."""
    _revive(f, r.time)


def _nothing(f: dict[str, Any], r: Record, rows: list[Row]) -> None:
    """Files, artifacts and alerts do not change what a run is; the hub stores them elsewhere."""


_STEPS: dict[type, Any] = {
    rec.Run: _run,
    rec.Config: _config,
    rec.History: _history,
    rec.Summary: _summary,
    rec.Define: _define,
    rec.Preempt: _preempt,
    rec.Exit: _exit,
    rec.Stats: _sign_of_life,
    rec.Console: _sign_of_life,
    rec.File: _nothing,
    rec.Artifact: _nothing,
    rec.Alert: _nothing,
}
