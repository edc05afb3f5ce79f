"""Questions about runs one by one: lists, rows, console. Charts are in curves.py, facets and groups in facets.py.

Each question reads one snapshot. Knows the ports and the index, not how points are packed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from besom.core.errors import NotFound, UsageError
from besom.core.names import RunPath
from besom.core.wire import Console, MetricStat, Projects, ProjectView, Rows, RunPage, RunView
from besom.hub.ingest import SYSTEM
from besom.hub.where import matching, sorted_by
from besom.store import schema as t
from besom.store.database import Database
from besom.store.meta import SqlRuns, batches, held_of, short
from besom.store.ports import Aggregate, Held, Points, Runs, SeriesPort, Thing
from besom.store.series import SqlSeries

PAGE, ROWS = 1000, 100_000
"""Most runs, and most rows, of one answer."""
DAY, DAYS = 86400, 30

_runs: Runs = SqlRuns()
_series: SeriesPort = SqlSeries()


def projects(database: Database, now: float) -> Projects:
    """All projects with runs or sweeps, latest activity first."""
    r, s = t.runs.c, t.sweeps.c
    today = int(now // DAY)
    day = (sa.cast(r.created, sa.BigInteger) // sa.literal_column(str(DAY), sa.BigInteger)).label("day")
    with database.read() as c:
        states = c.execute(
            sa.select(
                r.entity, r.project, r.state, sa.func.count().label("n"), sa.func.max(r.seen).label("last")
            ).group_by(r.entity, r.project, r.state)
        ).all()
        days = c.execute(
            sa.select(r.entity, r.project, day, sa.func.count().label("n"))
            .where(r.created >= (today - DAYS + 1) * DAY, r.created < (today + 1) * DAY)
            .group_by(r.entity, r.project, day)
        ).all()
        sweeps = c.execute(
            sa.select(s.entity, s.project, sa.func.count().label("n"), sa.func.max(s.created).label("last")).group_by(
                s.entity, s.project
            )
        ).all()
    found: dict[tuple[str, str], dict[str, Any]] = {}

    def of(row: Any) -> dict[str, Any]:
        new = {"states": {}, "sweeps": 0, "last": 0.0, "per_day": [0] * DAYS}
        return found.setdefault((row.entity, row.project), new)

    for row in (*states, *sweeps):
        of(row)["last"] = max(of(row)["last"], row.last)
    for row in states:
        of(row)["states"][row.state] = row.n
    for row in sweeps:
        of(row)["sweeps"] = row.n
    for row in days:
        if row.day <= today:  # a cast may round up
            of(row)["per_day"][row.day - today - 1] = row.n
    views = [
        ProjectView(*path, sum(p["states"].values()), p["states"], p["sweeps"], p["last"], tuple(p["per_day"]))
        for path, p in found.items()
    ]
    return Projects(tuple(sorted(views, key=lambda view: (-view.last, view.entity, view.project))))


def runs(database: Database, entity: str, project: str, filter: str, sort: str, limit: int, offset: int) -> RunPage:
    """A page of the runs that pass the filter, in the order of the sort keys."""
    limit, offset = _page(limit, offset, PAGE)
    with database.read() as c:
        mine = matching(c, entity, project, filter)
        count = sa.select(sa.func.count()).select_from(t.runs)
        total = c.execute(count.where(*mine[:2])).scalar_one()
        matched = c.execute(count.where(*mine)).scalar_one() if len(mine) > 2 else total
        query = sorted_by(c, entity, project, sort, sa.select(t.runs.c.pk).where(*mine))
        pks = list(c.execute(query.limit(limit).offset(offset)).scalars())
        views = _views(c, pks)
    after = offset + len(pks)
    return RunPage(tuple(views), total, matched, after if after < matched else None)


def run(database: Database, path: RunPath) -> RunView:
    """One run."""
    with database.read() as c:
        return _views(c, [existing(c, path).pk])[0]


def existing(c: sa.Connection, path: RunPath) -> Held:
    """The run at `path`. Raises NotFound."""
    held = _runs.load(c, [path]).get(path)
    if held is None:
        raise NotFound(f"there is no run {path.id} in {path.entity}/{path.project}; besom runs lists those there are")
    return held


def _views(c: sa.Connection, pks: Sequence[int]) -> list[RunView]:
    held: dict[int, Held] = {}
    for some in batches(pks):
        held.update((row.pk, held_of(row)) for row in c.execute(sa.select(t.runs).where(t.runs.c.pk.in_(some))))
    stats: dict[int, dict[str, MetricStat]] = {pk: {} for pk in pks}
    for found in _series.aggregates(c, pks):
        if not found.key.startswith(SYSTEM):
            stats[found.run][found.key] = _stat(found)
    return [view(held[pk], stats[pk]) for pk in pks]


def view(held: Held, stats: dict[str, MetricStat]) -> RunView:
    """A run as the API shows it."""
    s = held.state
    shared = {name: getattr(s, name) for name in RunView.__struct_fields__ if name not in ("metrics", "name")}
    return RunView(**shared, name=s.name or s.id, metrics=stats)


def _stat(a: Aggregate) -> MetricStat:
    return MetricStat(a.last, a.min, a.max, a.mean, a.best, a.goal, a.count, a.last_step)


def console(database: Database, path: RunPath, start: int, limit: int) -> Console:
    """Lines of what the run's process wrote."""
    limit, _ = _page(limit, 0, ROWS)
    with database.read() as c:
        lines, total = _runs.lines(c, existing(c, path).pk, start, limit)
        return Console(tuple(lines), total)


def metric_values(database: Database, path: RunPath, key: str) -> list[float]:
    """All values of a metric in the order logged."""
    with database.read() as c:
        held = _runs.load(c, [path]).get(path)
        found = list(_series.points(c, [held.pk], [key], frozenset())) if held else []
        return found[0].values.tolist() if found else []


def rows(
    database: Database, path: RunPath, keys: Sequence[str] | None, offset: int, limit: int, since: int | None = None
) -> Rows:
    """Rows of history joined by the row they were logged in, in order of step."""
    limit, offset = _page(limit, offset, ROWS)
    wanted = None if keys is None else [key for key in dict.fromkeys(keys) if key not in ("_step", "_time")]
    with database.read() as c:
        pk = existing(c, path).pk
        points = list(_series.points(c, [pk], wanted, frozenset(("steps", "rows", "times"))))
        things = _series.things(c, pk, wanted)
    if wanted is None:
        points = [p for p in points if not p.key.startswith(SYSTEM)]
        things = [thing for thing in things if not thing.key.startswith(SYSTEM)]
        wanted = sorted({p.key for p in points} | {thing.key for thing in things})
    return _joined(points, things, wanted, offset, limit, since)


def _joined(
    points: Sequence[Points],
    things: Sequence[Thing],
    keys: Iterable[str],
    offset: int,
    limit: int,
    since: int | None,
) -> Rows:
    odd = np.array([(thing.row, thing.step) for thing in things], np.int64).reshape(-1, 2)
    odd_times = np.array([thing.time for thing in things], np.float64)
    numbers, first = np.unique(np.concatenate([*(p.rows for p in points), odd[:, 0]]), return_index=True)
    steps = np.concatenate([*(p.steps for p in points), odd[:, 1]])[first]
    times = np.concatenate([*(p.times for p in points), odd_times])[first]
    order = np.lexsort((numbers, steps))  # a step logged twice keeps both rows, in the order logged
    before = 0 if since is None else int(np.searchsorted(steps[order], since))
    offset += before
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    page = order[offset : offset + limit]
    columns: dict[str, list[Any]] = {"_step": steps[page].tolist(), "_time": times[page].tolist()}
    columns.update((key, [None] * len(page)) for key in keys)
    asked = {short(key): key for key in columns}
    for p in points:
        at = place[np.searchsorted(numbers, p.rows)] - offset
        inside = (at >= 0) & (at < len(page))
        values = p.values[inside].tolist()
        column = columns[asked[p.key]]
        for i, value in zip(at[inside].tolist(), values, strict=True):
            column[i] = int(value) if p.whole and math.isfinite(value) else value
    for thing, where in zip(things, place[np.searchsorted(numbers, odd[:, 0])] - offset, strict=True):
        if 0 <= where < len(page):
            columns[asked[thing.key]][int(where)] = thing.value
    after = offset + len(page)
    return Rows(columns, after - before if after < len(order) else None)


def _page(limit: int, offset: int, most: int) -> tuple[int, int]:
    if limit < 0 or offset < 0:
        raise UsageError(f"limit and offset are 0 or more, and limit={limit}, offset={offset} are not both")
    return min(limit, most), offset
