"""Curves of metrics on one grid that all series share, computed over all points. Every chart of the page asks here.

A run's curve is thinned to buckets; a group's curve is the mean and deviation across its runs of each run's mean in the
bucket, so a run that logs more often does not weigh more. Knows no page and no pixels but a number of buckets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from besom.core.errors import UsageError
from besom.core.wire import Curves, Series
from besom.hub.facets import Group, Member, group_id, grouped, members
from besom.hub.where import matching
from besom.store import schema as t
from besom.store.chunk import Floats
from besom.store.database import Database
from besom.store.meta import short
from besom.store.ports import Points, SeriesPort
from besom.store.series import SqlSeries
from besom.store.thin import Grid, Numbers, Thinned, across, grid, thin

BUCKETS = 5000
_series: SeriesPort = SqlSeries()


class _Curve(NamedTuple):
    """All points of one metric of one run that lie in the window."""

    run: int
    key: str
    x: Numbers
    values: Floats


@dataclass(frozen=True, slots=True)
class _Axis:
    """What stands on the x axis, and which part of it is asked for (both ends inclusive)."""

    name: str
    low: float | None
    high: float | None

    @property
    def columns(self) -> frozenset[str]:
        """What is needed of the points."""
        known = {"_step": ("steps",), "_time": ("times",), "_relative": ("times",)}
        return frozenset(known.get(self.name, ("rows", "steps")))

    def cut(self, x: Numbers, values: Floats) -> tuple[Numbers, Floats]:
        """The points inside the window. x that are no finite numbers (a metric's) have no place on an axis."""
        keep = np.isfinite(x) if x.dtype.kind == "f" else None
        for bound, inside in ((self.low, np.greater_equal), (self.high, np.less_equal)):
            if bound is not None:
                mask = inside(x, bound)
                keep = mask if keep is None else keep & mask
        return (x, values) if keep is None or keep.all() else (x[keep], values[keep])


def curves(
    database: Database,
    entity: str,
    project: str,
    keys: Sequence[str],
    filter: str,
    runs: Sequence[str] | None,
    by: Sequence[str],
    x: str,
    buckets: int,
    low: float | None,
    high: float | None,
) -> Curves:
    """Curves of runs, in the order of `runs` or newest first; with `by`, of groups in the order of their keys."""
    if not 1 <= buckets <= BUCKETS:
        raise UsageError(f"buckets is 1 to {BUCKETS}, and {buckets} is not")
    keys = list(dict.fromkeys(short(key) for key in keys))
    axis = _Axis(short(x), low, high)
    with database.read() as c:
        conditions = matching(c, entity, project, filter)
        mine = members(c, conditions if runs is None else [*conditions, t.runs.c.id.in_(runs)])
        if runs is not None:
            by_id = {run.id: run for run in mine}
            mine = [by_id[id] for id in dict.fromkeys(runs) if id in by_id]
        groups = grouped(c, entity, project, by, mine) if by else None
        found = list(_points(c, mine, keys, axis))
    shared = grid([curve.x for curve in found], buckets, exact=axis.name not in ("_time", "_relative"))
    thinned = {(curve.run, curve.key): thin(shared.index(curve.x), curve.values, shared.count) for curve in found}
    points = sum(len(curve.values) for curve in found)
    used = np.zeros(shared.count, bool)
    for part in thinned.values():
        used |= part.n > 0
    if groups is None:
        series = [
            _of_run(run, key, thinned[run.pk, key], used) for run in mine for key in keys if (run.pk, key) in thinned
        ]
    else:
        series = [found for group in groups for key in keys for found in _of_group(group, key, thinned, used)]
    return Curves(_exact(shared, used), tuple(series), points)


def _exact(shared: Grid, used: npt.NDArray[np.bool_]) -> tuple[float, ...]:
    return tuple(shared.centres()[used].tolist())


def _points(c: sa.Connection, runs: Sequence[Member], keys: Sequence[str], axis: _Axis) -> Iterator[_Curve]:
    """The points of the runs' metrics, each with its x."""
    pks = [run.pk for run in runs]
    begun = {run.pk: run.created for run in runs}
    other: dict[int, Points] = {}
    if axis.name not in ("_step", "_time", "_relative"):
        other = {p.run: p for p in _series.points(c, pks, [axis.name], axis.columns)}
    for p in _series.points(c, pks, keys, axis.columns):
        values = p.values
        if axis.name == "_step":
            x: Numbers = p.steps
        elif axis.name == "_time":
            x = p.times
        elif axis.name == "_relative":
            x = p.times - begun[p.run]
        elif p.run in other:
            x, values = _against(other[p.run], p)
        else:
            continue
        x, values = axis.cut(x, values)
        if len(values):
            yield _Curve(p.run, p.key, x, values)


def _against(axis: Points, curve: Points) -> tuple[Numbers, Floats]:
    """The curve's values over another metric: that of the same row; where the two never share a row, of the same step."""
    for on_axis, on_curve in ((axis.rows, curve.rows), (axis.steps, curve.steps)):
        order = np.argsort(on_axis, kind="stable")
        place = np.searchsorted(on_axis[order], on_curve, side="right") - 1
        there = (place >= 0) & (on_axis[order][place] == on_curve)
        if there.any():
            return axis.values[order][place[there]], curve.values[there]
    return curve.values[:0], curve.values[:0]


def _of_run(run: Member, key: str, part: Thinned, used: npt.NDArray[np.bool_]) -> Series:
    mean, low, high, last = (_nullable(column[used]) for column in (part.mean, part.min, part.max, part.last))
    return Series(run.id, key, tuple(part.n[used].tolist()), mean, low, high, last)


def _of_group(
    group: Group, key: str, thinned: dict[tuple[int, str], Thinned], used: npt.NDArray[np.bool_]
) -> Iterator[Series]:
    """The group's curve; none when no run of it has points."""
    parts = [thinned[run.pk, key] for run in group.members if (run.pk, key) in thinned]
    if parts:
        of = across(np.stack([part.mean[used] for part in parts]))
        last = across(np.stack([part.last[used] for part in parts])).mean
        mean, low, high, final, std = (_nullable(column) for column in (of.mean, of.min, of.max, last, of.std))
        yield Series(group_id(group), key, tuple(of.n.tolist()), mean, low, high, final, std, runs=len(parts))


def _nullable(column: Floats) -> tuple[float | None, ...]:
    return tuple(None if value != value else value for value in column.tolist())
