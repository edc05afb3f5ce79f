"""Curves as chunks: implements ports.SeriesPort over the tables metrics, axes, chunks and objects.

Walk 1 ends here (`extend`), every chart begins here (`points`). Knows no filters, grids or pages.

New points first wait in the head of their metric, a plain array that an append only grows. A head past HEAD points (or any
head when its run ends) is packed into the metric's last chunk until that one is full at CHUNK points. Metrics that were
logged in the same rows share one axis, so steps, times and row numbers are packed once for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from besom.core.codec import dump, load
from besom.core.plain import as_float
from besom.store import schema as t
from besom.store.chunk import (
    CHUNK,
    HEAD,
    POINT,
    pack_floats,
    pack_ints,
    pack_times,
    unpack_floats,
    unpack_ints,
    unpack_times,
)
from besom.store.meta import EXACT, batches, short
from besom.store.ports import Aggregate, Extension, Points, Thing

Heads = npt.NDArray[Any]
"""Points as an array of dtype POINT."""

FEW = 16
"""An ended run's head is packed only above this: a chunk row costs more than these points do."""


class _Column(NamedTuple):
    """What one batch adds to one metric: the index of the row of each value, and the value."""

    rows: list[int]
    values: list[float]
    whole: bool


@dataclass(slots=True)
class _Metric:
    """A row of `metrics` with the points that a batch adds."""

    row: dict[str, Any]
    new: Heads
    fresh: bool


class SqlSeries:
    """ports.SeriesPort over the tables of schema.py."""

    def extend(self, c: sa.Connection, extensions: Sequence[Extension]) -> None:
        held = self._held(c, [e.pk for e in extensions if e.rows or e.regoal or e.ended])
        fresh: list[_Metric] = []
        grown: list[_Metric] = []
        things: list[dict[str, Any]] = []
        for extension in extensions:
            columns, odd = _columns(extension.rows)
            things += [_thing(extension, *found) for found in odd]
            mine = held.get(extension.pk, {})
            for key, new in _new_points(extension, columns):
                row = mine.get(key)
                if row is None:
                    fresh.append(_Metric(_first_row(extension, key), new, True))
                else:
                    grown.append(_Metric(row, new, False))
                _count(fresh[-1].row if row is None else row, new, columns[key].whole)
            grown += _touched(extension, mine, columns)
        if things:
            c.execute(t.objects.insert(), things)
        self._write(c, fresh, grown, {e.pk for e in extensions if e.ended})

    def _held(self, c: sa.Connection, runs: Sequence[int]) -> dict[int, dict[str, dict[str, Any]]]:
        """Rows of `metrics` without their heads, by run and key."""
        held: dict[int, dict[str, dict[str, Any]]] = {}
        columns = [column for column in t.metrics.c if column.name != "head"]
        for some in batches(runs):
            for row in c.execute(sa.select(*columns).where(t.metrics.c.run.in_(some))).mappings():
                held.setdefault(row["run"], {})[row["key"]] = dict(row)
        return held

    def _write(self, c: sa.Connection, fresh: list[_Metric], grown: list[_Metric], ended: set[int]) -> None:
        if fresh:
            rows = [{**m.row, "head": b"" if _full(m, ended) else m.new.tobytes()} for m in fresh]
            result = c.execute(t.metrics.insert().returning(t.metrics.c.pk, sort_by_parameter_order=True), rows)
            for metric, pk in zip(fresh, result.scalars(), strict=True):
                metric.row["pk"] = pk
        full = [m for m in (*fresh, *grown) if _full(m, ended)]
        if grown:
            stays = [m for m in grown if not _full(m, ended)]
            self._update(c, stays, append=True)
        if full:
            self._seal(c, full)

    def _update(self, c: sa.Connection, metrics: list[_Metric], *, append: bool) -> None:
        """Write aggregates and heads: `new` is added to the head, or replaces it."""
        if not metrics:
            return
        names = ("goal", "whole", "count", "finite", "sum", "min", "max", "last", "last_step", "sealed")
        rows = [{"b_pk": m.row["pk"], "tail": m.new.tobytes(), **{n: m.row[n] for n in names}} for m in metrics]
        tail = sa.bindparam("tail", type_=sa.LargeBinary)
        head = sa.cast(t.metrics.c.head.op("||")(tail), sa.LargeBinary) if append else tail
        update = t.metrics.update().where(t.metrics.c.pk == sa.bindparam("b_pk"))
        c.execute(update.values(head=head, **{n: sa.bindparam(n) for n in names}), rows)

    def _seal(self, c: sa.Connection, metrics: list[_Metric]) -> None:
        """Pack heads and new points into chunks, going on with a last chunk that is not full yet."""
        heads, lasts = self._open_ends(c, metrics)
        axes: dict[tuple[int, bytes], Heads] = {}
        chunks: list[tuple[tuple[int, bytes], dict[str, Any], Heads]] = []
        for metric in metrics:
            pk, run = metric.row["pk"], metric.row["run"]
            points = np.concatenate([part for part in (lasts.get(pk), heads.get(pk), metric.new) if part is not None])
            done = metric.row["sealed"] // CHUNK * CHUNK
            for start in range(0, len(points), CHUNK):
                piece = points[start : start + CHUNK]
                axis = (run, np.ascontiguousarray(piece["row"]).tobytes())  # a row has one step and one time
                axes.setdefault(axis, piece)
                chunks.append((axis, {"metric": pk, "number": (done + start) // CHUNK}, piece))
            metric.row["sealed"] = done + len(points)
            metric.new = points[:0]
        self._update(c, metrics, append=False)
        rows = [_axis(run, piece) for (run, _), piece in axes.items()]
        result = c.execute(t.axes.insert().returning(t.axes.c.pk, sort_by_parameter_order=True), rows)
        pks = dict(zip(axes, result.scalars(), strict=True))
        c.execute(t.chunks.insert(), [{**row, "axis": pks[axis], **_packed(piece)} for axis, row, piece in chunks])

    def _open_ends(self, c: sa.Connection, metrics: list[_Metric]) -> tuple[dict[int, Heads], dict[int, Heads]]:
        """Heads, and last chunks that are not full, by metric; those chunks are removed, with axes that served only them."""
        heads: dict[int, Heads] = {}
        lasts: dict[int, Heads] = {}
        for some in batches([m.row["pk"] for m in metrics if not m.fresh]):
            for pk, head in c.execute(sa.select(t.metrics.c.pk, t.metrics.c.head).where(t.metrics.c.pk.in_(some))):
                heads[pk] = np.frombuffer(head, POINT)
        for some in batches([m.row["pk"] for m in metrics if m.row["sealed"] % CHUNK]):
            where = (t.chunks.c.metric.in_(some), t.chunks.c.count < CHUNK)
            found = c.execute(sa.select(t.chunks.c.metric, t.chunks.c.axis, t.chunks.c.data).where(*where)).all()
            shared = self._axes(c, sorted({row.axis for row in found}), frozenset(("steps", "rows", "times")))
            for metric, axis, data in found:
                values = unpack_floats(data)
                points = lasts[metric] = np.empty(len(values), POINT)
                points["value"] = values
                points["step"], points["row"], points["time"] = shared[axis]
            c.execute(t.chunks.delete().where(*where))
            for part in batches(sorted(shared)):
                used = sa.exists().where(t.chunks.c.axis == t.axes.c.pk)
                c.execute(t.axes.delete().where(t.axes.c.pk.in_(part), ~used))
        return heads, lasts

    def _axes(
        self, c: sa.Connection, pks: Sequence[int], columns: frozenset[str]
    ) -> dict[int, tuple[npt.NDArray[Any], ...]]:
        """(steps, rows, times) by axis; empty arrays for columns not asked for."""
        opened: dict[int, tuple[npt.NDArray[Any], ...]] = {}
        if not columns:
            return opened
        kinds = (("steps", unpack_ints, np.int64), ("rows", unpack_ints, np.int64), ("times", unpack_times, np.float64))
        wanted = [t.axes.c[name] if name in columns else sa.null().label(name) for name, _, _ in kinds]
        for some in batches(pks):
            for pk, *blobs in c.execute(sa.select(t.axes.c.pk, *wanted).where(t.axes.c.pk.in_(some))):
                opened[pk] = tuple(
                    np.empty(0, dtype) if blob is None else unpack(blob)
                    for blob, (_, unpack, dtype) in zip(blobs, kinds, strict=True)
                )
        return opened

    def points(
        self, c: sa.Connection, runs: Sequence[int], keys: Sequence[str] | None, columns: frozenset[str]
    ) -> Iterator[Points]:
        for some in batches(runs, 200):
            yield from self._points(c, some, keys, columns)

    def _points(
        self, c: sa.Connection, runs: Sequence[int], keys: Sequence[str] | None, columns: frozenset[str]
    ) -> Iterator[Points]:
        m = t.metrics.c
        where = [m.run.in_(runs)] + ([] if keys is None else [m.key.in_([short(key) for key in keys])])
        metrics = c.execute(sa.select(m.pk, m.run, m.key, m.whole, m.head).where(*where)).all()
        chunks: dict[int, list[Any]] = {}
        for pks in batches([row.pk for row in metrics]):
            query = sa.select(t.chunks.c.metric, t.chunks.c.axis, t.chunks.c.data).where(t.chunks.c.metric.in_(pks))
            for row in c.execute(query.order_by(t.chunks.c.metric, t.chunks.c.number)):
                chunks.setdefault(row.metric, []).append(row)
        axes = self._axes(c, sorted({row.axis for rows in chunks.values() for row in rows}), columns)
        order = {run: i for i, run in enumerate(runs)}
        none = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64))
        for metric in sorted(metrics, key=lambda metric: (order[metric.run], metric.key)):
            sealed = chunks.get(metric.pk, [])
            head = np.frombuffer(metric.head, POINT)
            values = _joined([unpack_floats(chunk.data) for chunk in sealed], head["value"])
            parts = [axes.get(chunk.axis, none) for chunk in sealed]
            steps, numbers, times = (
                _joined([part[i] for part in parts], head[name] if f"{name}s" in columns else head[name][:0])
                for i, name in enumerate(("step", "row", "time"))
            )
            yield Points(metric.run, metric.key, metric.whole, values, steps, numbers, times)

    def things(self, c: sa.Connection, run: int, keys: Sequence[str] | None) -> list[Thing]:
        o = t.objects.c
        where = [o.run == run] + ([] if keys is None else [o.key.in_([short(key) for key in keys])])
        rows = c.execute(sa.select(o.key, o.row, o.step, o.time, o.data).where(*where).order_by(o.row, o.key))
        return [Thing(row.key, row.row, row.step, row.time, load(row.data)) for row in rows]

    def aggregates(self, c: sa.Connection, runs: Sequence[int], keys: Sequence[str] | None = None) -> list[Aggregate]:
        m = t.metrics.c
        columns = (m.run, m.key, m.goal, m.count.label("n"), m.finite, m.min, m.max, m.sum, m.last, m.last_step)
        found: list[Aggregate] = []
        for some in batches(runs):
            where = [m.run.in_(some)] + ([] if keys is None else [m.key.in_([short(key) for key in keys])])
            for r in c.execute(sa.select(*columns).where(*where).order_by(m.run, m.key)):
                mean = _number(r.sum) / r.finite if r.finite else math.nan
                found.append(
                    Aggregate(
                        r.run,
                        r.key,
                        r.goal,
                        r.n,
                        r.finite,
                        _number(r.min),
                        _number(r.max),
                        mean,
                        _number(r.last),
                        r.last_step,
                    )
                )
        return found

    def names(self, c: sa.Connection, runs: sa.Select[Any]) -> list[str]:
        m = t.metrics.c
        return list(c.execute(sa.select(m.key).where(m.run.in_(runs)).distinct().order_by(m.key)).scalars())


def _thing(extension: Extension, i: int, key: str, value: Any) -> dict[str, Any]:
    row = extension.rows[i]
    return {
        "run": extension.pk, "key": short(key), "row": extension.first + i, "step": row.step, "time": row.time,
        "data": dump(value),
    }  # fmt: skip


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _columns(rows: Sequence[Any]) -> tuple[dict[str, _Column], list[tuple[int, str, Any]]]:
    """Rows turned into columns of numbers, and (row, key, value) of what float64 cannot hold. The hot loop of ingest."""
    indexes: dict[str, tuple[list[int], list[float]]] = {}
    named: dict[str, tuple[list[int], list[float]]] = {}
    broken: set[str] = set()
    odd: list[tuple[int, str, Any]] = []
    for i, (_, _, data) in enumerate(rows):
        for key, value in data.items():
            kind = value.__class__
            if kind is float:
                broken.add(key)
            elif kind is int:
                if not -EXACT <= value <= EXACT:
                    odd.append((i, key, value))
                    value = as_float(value)
            else:
                if value is not None:
                    odd.append((i, key, value))
                continue
            column = indexes.get(key)
            if column is None:
                column = indexes[key] = named.setdefault(short(key), ([], []))
            column[0].append(i)
            column[1].append(value)
    fractions = {short(key) for key in broken}
    return {name: _Column(places, values, name not in fractions) for name, (places, values) in named.items()}, odd


def _new_points(extension: Extension, columns: dict[str, _Column]) -> Iterator[tuple[str, Heads]]:
    """(key, points) of each column."""
    if not columns:
        return
    rows = extension.rows
    base = np.empty(len(rows), POINT)
    base["row"] = np.arange(extension.first, extension.first + len(rows))
    base["step"] = [row.step for row in rows]
    base["time"] = [row.time for row in rows]
    for key, column in columns.items():
        points = base.copy() if len(column.rows) == len(rows) else base[column.rows]
        points["value"] = column.values
        yield key, points


def _first_row(extension: Extension, key: str) -> dict[str, Any]:
    """A metric that has no points yet."""
    return {
        "run": extension.pk, "key": key, "goal": extension.goals(key), "whole": True, "count": 0, "finite": 0, "sum": 0.0,
        "min": None, "max": None, "last": None, "last_step": 0, "sealed": 0,
    }  # fmt: skip


def _count(row: dict[str, Any], new: Heads, whole: bool) -> None:
    """Let the aggregates of `row` cover `new` too."""
    values = new["value"]
    numbers = values[~np.isnan(values)]
    row["last_step"] = max(int(new["step"].max()), row["last_step"] if row["count"] else -(2**63))
    row["count"] += len(values)
    row["whole"] = row["whole"] and whole
    last = float(values[-1])
    row["last"] = None if math.isnan(last) else last
    if len(numbers):
        low, high = float(numbers.min()), float(numbers.max())
        row["min"] = low if row["min"] is None else min(low, row["min"])
        row["max"] = high if row["max"] is None else max(high, row["max"])
        with np.errstate(over="ignore", invalid="ignore"):
            total = _number(row["sum"]) + float(numbers.sum())
        row["sum"] = None if math.isnan(total) else total
        row["finite"] += len(numbers)


def _touched(extension: Extension, mine: dict[str, dict[str, Any]], columns: dict[str, _Column]) -> list[_Metric]:
    """Metrics that got no points but a new goal, or whose run has ended so that their head may be packed."""
    if extension.regoal:
        for key, row in mine.items():
            row["goal"] = extension.goals(key)
    if not (extension.regoal or extension.ended):
        return []
    return [_Metric(row, np.empty(0, POINT), False) for key, row in mine.items() if key not in columns]


def _full(metric: _Metric, ended: set[int]) -> bool:
    waiting = int(metric.row["count"]) - int(metric.row["sealed"])
    return waiting > (FEW if metric.row["run"] in ended else HEAD)


def _axis(run: int, points: Heads) -> dict[str, Any]:
    return {
        "run": run,
        "steps": pack_ints(np.ascontiguousarray(points["step"])),
        "rows": pack_ints(np.ascontiguousarray(points["row"])),
        "times": pack_times(np.ascontiguousarray(points["time"])),
    }


def _packed(points: Heads) -> dict[str, Any]:
    values = np.ascontiguousarray(points["value"])
    numbers = values[~np.isnan(values)]
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(numbers.sum())
    last = float(values[-1])
    return {
        "count": len(points), "first_step": int(points["step"].min()), "last_step": int(points["step"].max()),
        "min": float(numbers.min()) if len(numbers) else None, "max": float(numbers.max()) if len(numbers) else None,
        "sum": None if math.isnan(total) else total, "last": None if math.isnan(last) else last,
        "data": pack_floats(values),
    }  # fmt: skip


def _joined(parts: list[npt.NDArray[Any]], tail: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if not len(tail):
        return parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else tail.copy()
    return np.concatenate([*parts, tail])
