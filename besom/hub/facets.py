"""What runs have in common: the keys they can be filtered by with their values, and groups of runs that agree on keys.

Serves the page's query bar, Group, and the curves of groups. Knows the typed index, not points.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import sqlalchemy as sa

from besom.core.errors import UsageError
from besom.core.plain import as_float
from besom.core.wire import Groups, GroupView, Keys, KeyView
from besom.hub.filter import Key, find
from besom.hub.where import Condition, ProjectKeys, matching
from besom.store import schema as t
from besom.store.database import Database
from besom.store.meta import FIELDS, batches, short
from besom.store.series import SqlSeries

BINS, VALUES = 24, 50
"""Bins of a histogram, and values of a facet that are named."""
_ROOMS = ("config", "summary", "meta")
_series = SqlSeries()


def keys(database: Database, entity: str, project: str, filter: str) -> Keys:
    """Facets and histograms of every key of the runs that pass the filter, and the metrics they logged."""
    with database.read() as c:
        mine = sa.select(t.runs.c.pk).where(*matching(c, entity, project, filter))
        v = t.values.c
        # Counted here: as a GROUP BY it costs SQLite a sort of everything, several times as long.
        numbers: dict[str, list[float]] = {}
        others: dict[str, list[tuple[str, str | None]]] = {}
        for key, kind, number, text in c.execute(sa.select(v.key, v.kind, v.number, v.text).where(v.run.in_(mine))):
            if number is not None and text is None:
                numbers.setdefault(key, []).append(number)
            else:
                others.setdefault("tags" if key.startswith("tag.") else key, []).append((kind, text))
        tagged = c.execute(
            sa.select(sa.func.count(v.run.distinct())).where(v.run.in_(mine), v.key >= "tag.", v.key < "tag/")
        ).scalar_one()
        names = _series.names(c, mine)
    views = [_facet(key, numbers.get(key, []), others.get(key, [])) for key in numbers.keys() | others.keys()]
    views = [msgspec.structs.replace(view, n=tagged) if view.key == "tags" else view for view in views]
    return Keys(tuple(sorted(views, key=lambda view: _order(view.key))), tuple(names))


def _order(key: str) -> tuple[int, str]:
    """Config first, then summary, then own fields, then where it ran."""
    room = key.partition(".")[0]
    return {"config": 0, "summary": 1, "meta": 3}.get(room, 2) if "." in key else 2, key


def _facet(key: str, numbers: Sequence[float], others: Sequence[tuple[str, str | None]]) -> KeyView:
    """`numbers`: values that float64 holds. `others`: kind and text of all other values, as in the table."""
    x, counts = np.unique(np.array(numbers, np.float64), return_counts=True)
    most = np.lexsort((x, -counts))[:VALUES]
    common = [(plain_number(x[i].item()), int(counts[i])) for i in most]
    common += [(_plain(kind, None, text), n) for (kind, text), n in Counter(others).items()]
    common = sorted(common, key=lambda item: (-item[1], _rank(item[0])))[:VALUES]
    kinds = {"string" if kind == "list" else kind for kind, _ in others} | ({"number"} if len(x) else set())
    kind = kinds.pop() if len(kinds) == 1 else "mixed"
    total = len(numbers) + len(others)
    large = [as_float(int(text)) for kind, text in others if kind == "number" and text not in (None, "NaN")]
    x, counts = np.append(x, large), np.append(counts, np.ones(len(large), np.int64))
    finite = np.isfinite(x)
    if not finite.any():
        return KeyView(key, kind, total, tuple(common))
    low, high = float(x[finite].min()), float(x[finite].max())
    return KeyView(key, kind, total, tuple(common), low, high, histogram(x[finite], counts[finite], low, high))


def histogram(x: Any, weights: Any, low: float, high: float) -> tuple[int, ...]:
    """Counts of 24 bins of equal width over [low, high]; all in the first one when they are equal."""
    # Halves first, so that the widest range of float64 does not overflow.
    width = high / 2 - low / 2
    if width <= 0:
        return (int(weights.sum()), *([0] * (BINS - 1)))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        part = np.nan_to_num((x / 2 - low / 2) / width)
    place = np.clip((part * BINS).astype(np.int64), 0, BINS - 1)
    return tuple(np.bincount(place, weights, BINS).astype(int).tolist())


def _plain(kind: str, number: float | None, text: str | None) -> Any:
    """A value of the index: a number (whole ones as int), a bool, a text."""
    if kind == "bool":
        return text == "true"
    if kind != "number":
        return text
    if text is not None:
        return math.nan if text == "NaN" else int(text)
    return None if number is None else plain_number(number)


def plain_number(number: float) -> int | float:
    """A whole number as int."""
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _rank(value: Any) -> tuple[int, Any]:
    """An order over values of all kinds: numbers, then texts, then bools, then nothing."""
    if value is None:
        return (4, 0)
    if isinstance(value, bool):
        return (3, value)
    if isinstance(value, str):
        return (2, value)
    return (1, 0) if isinstance(value, float) and math.isnan(value) else (0, value)


class Member(NamedTuple):
    """A run as grouping sees it."""

    pk: int
    id: str
    state: str
    created: float


class Group(NamedTuple):
    """Runs that agree on the keys. `key`: full key -> value, None where they have none."""

    key: dict[str, Any]
    members: list[Member]


def members(c: sa.Connection, mine: Sequence[Condition]) -> list[Member]:
    """The runs that pass the conditions, newest first."""
    r = t.runs.c
    query = sa.select(r.pk, r.id, r.state, r.created).where(*mine).order_by(r.created.desc(), r.pk.desc())
    return [Member(*row) for row in c.execute(query)]


def grouped(c: sa.Connection, entity: str, project: str, by: Sequence[str], runs: Sequence[Member]) -> list[Group]:
    """`runs` by their values under the keys, in the order of those values. Raises FilterError for a key that no run has."""
    names = ProjectKeys(c, entity, project)
    full = [find(Key(name), names).name for name in by]
    for key in full:
        if key.startswith("metrics."):
            raise UsageError(f"runs are grouped by config, summary or own fields ({', '.join(FIELDS)}), not by {key}")
    held: dict[int, dict[str, Any]] = {}
    v = t.values.c
    tags = sa.and_(v.key >= "tag.", v.key < "tag/") if "tags" in full else sa.false()
    for some in batches([run.pk for run in runs]):
        where = (v.run.in_(some), sa.or_(v.key.in_(full), tags))
        for row in c.execute(sa.select(v.run, v.key, v.kind, v.number, v.text).where(*where).order_by(v.run, v.key)):
            mine = held.setdefault(row.run, {})
            if row.key.startswith("tag."):
                mine["tags"] = f"{mine['tags']}, {row.text}" if "tags" in mine else row.text
            else:
                mine[row.key] = _plain(row.kind, row.number, row.text)
    found: dict[tuple[Any, ...], Group] = {}
    for run in runs:
        agreed = {name: held.get(run.pk, {}).get(name) for name in full}
        place = tuple(_rank(value) for value in agreed.values())
        found.setdefault(place, Group(agreed, [])).members.append(run)
    return [found[place] for place in sorted(found)]


def groups(
    database: Database, entity: str, project: str, by: Sequence[str], filter: str, metric: str | None, use: str
) -> Groups:
    """Groups of runs, with mean and deviation of each run's best (or last) of a metric; the best group first."""
    if use not in ("best", "last"):
        raise UsageError(f"use is best or last, and {use!r} is neither")
    if not by:
        raise UsageError("groups need at least one key, as in by=config.lr")
    with database.read() as c:
        mine = matching(c, entity, project, filter)
        total = c.execute(sa.select(sa.func.count()).select_from(t.runs).where(*mine[:2])).scalar_one()
        runs = members(c, mine)
        found = grouped(c, entity, project, by, runs)
        stats = _series.aggregates(c, [run.pk for run in runs], [short(metric)]) if metric else []
    values = {a.run: a.best if use == "best" else a.last for a in stats}
    views = [_view(group, values) for group in found]
    if metric:
        sign = 1 if any(a.goal == "minimize" for a in stats) else -1
        views.sort(key=lambda view: (view.value is None, sign * (view.value or 0.0)))
    return Groups(tuple(views), total, len(runs))


def _view(group: Group, values: dict[int, float]) -> GroupView:
    states = Counter(run.state for run in group.members)
    ids = tuple(run.id for run in group.members)
    numbers = np.array([values[r.pk] for r in group.members if r.pk in values and not math.isnan(values[r.pk])])
    if not len(numbers):
        return GroupView(group.key, len(ids), ids, dict(states))
    with np.errstate(all="ignore"):
        std = float(numbers.std(ddof=1)) if len(numbers) > 1 else None
        mean = float(numbers.mean())
    return GroupView(
        group.key, len(ids), ids, dict(states), None if math.isnan(mean) else mean,
        None if std is None or math.isnan(std) else std, float(numbers.min()), float(numbers.max()),
    )  # fmt: skip


def group_id(group: Group) -> str:
    """A group's name in the answers: its key as JSON."""
    return json.dumps(group.key, ensure_ascii=False)
