"""A resolved filter, and sort keys, as SQL over the typed index. The meaning is that of filter.holds; tests hold both together.

Serves every query. Each comparison is one look-up in an index of `values`, so a filter costs what it selects. Knows the
tables, not the language's spelling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import sqlalchemy as sa

from besom.core.errors import FilterError
from besom.core.plain import as_float
from besom.hub.filter import ORDER, And, Compare, In, IsSet, Key, Literal, Node, Not, Or, find, parse, resolve
from besom.store.meta import EXACT, batches, cut, short
from besom.store.regex import search
from besom.store.schema import metrics, runs, values

Condition = sa.ColumnElement[bool]
Matches = Callable[[Condition, str], Condition]
"""(which rows of `values`, pattern) -> those of them whose text holds a match."""
_IS_TEXT = values.c.kind.in_(("string", "list"))
SORTS = 8
"""Most keys of a sort: SQLite 3.40 crashes, and the process with it, when more than 63 terms order joined tables."""


class ProjectKeys:
    """filter.Names of the runs of one project, looked up one by one; the whole list is read only to explain an error."""

    def __init__(self, c: sa.Connection, entity: str, project: str) -> None:
        self._c = c
        self._mine = (runs.c.entity == entity, runs.c.project == project)

    def has(self, key: str) -> bool:
        table, name = (metrics, key.partition(".")[2]) if key.startswith("metrics.") else (values, key)
        query = (
            sa.select(table.c.run).join(runs, runs.c.pk == table.c.run).where(table.c.key == short(name), *self._mine)
        )
        return self._c.execute(query.limit(1)).first() is not None

    def all(self) -> list[str]:
        found = []
        for table, prefix in ((values, ""), (metrics, "metrics.")):
            query = sa.select(table.c.key).join(runs, runs.c.pk == table.c.run).where(*self._mine).distinct()
            found += [prefix + key for key in self._c.execute(query).scalars()]
        return found

    def empty(self) -> bool:
        return self._c.execute(sa.select(runs.c.pk).where(*self._mine).limit(1)).first() is None

    def matching(self, rows: Condition, pattern: str) -> Condition:
        """Matches. SQLite asks RE2 about each row; for PostgreSQL, whose patterns mean other things, RE2 is asked first."""
        if self._c.dialect.name == "sqlite":
            return cast(Condition, sa.func.besom_match(pattern, values.c.text))
        query = sa.select(values.c.text).join(runs, runs.c.pk == values.c.run).where(*self._mine, rows, _IS_TEXT)
        found = [text for text in self._c.execute(query.distinct()).scalars() if search(pattern, text)]
        return values.c.text == sa.any_(sa.literal(found, sa.ARRAY(sa.Text)))


def matching(c: sa.Connection, entity: str, project: str, text: str) -> list[Condition]:
    """Conditions on `runs`: in the project, and passing the filter. Raises FilterError."""
    conditions: list[Condition] = [runs.c.entity == entity, runs.c.project == project]
    node = parse(text)
    if node is not None:
        names = ProjectKeys(c, entity, project)
        conditions.append(where(resolve(node, names), names.matching))
    return conditions


def where(node: Node, matches: Matches) -> Condition:
    """A resolved filter as a condition on `runs`."""
    match node:
        case And(nodes):
            return sa.and_(*(where(n, matches) for n in nodes))
        case Or(nodes):
            return sa.or_(*(where(n, matches) for n in nodes))
        case Not(inner):
            return sa.not_(where(inner, matches))
        case IsSet(key):
            return _some(key, sa.true())
        case In(key, literals):
            return _in(key, literals)
        case Compare(key, "!=", literal):
            return sa.not_(where(Compare(key, "=", literal), matches))
        case Compare(key, "!~", literal):
            return sa.not_(where(Compare(key, "~", literal), matches))
        case Compare(key, _, Literal(None)):
            return sa.not_(_some(key, sa.true()))
        case Compare(key, "~", literal) if not key.name.startswith("metrics."):
            return _some(key, sa.and_(_IS_TEXT, matches(_under(key), literal.text)))
        case Compare(key, op, literal):
            return _some(key, _test(key, op, literal))


def _some(key: Key, test: Condition) -> Condition:
    """Does one of the run's values under `key` pass the test?"""
    if key.name.startswith("metrics."):
        rows = sa.select(metrics.c.run).where(metrics.c.key == short(key.name[8:].rpartition(".")[0]), test)
    else:
        rows = sa.select(values.c.run).where(_under(key), test)
    return runs.c.pk.in_(rows)


def _under(key: Key) -> Condition:
    """The rows of `values` that stand under a key."""
    if key.name == "tags":
        return sa.and_(values.c.key >= "tag.", values.c.key < "tag/")
    return values.c.key == short(key.name)


def _in(key: Key, literals: Sequence[Literal]) -> Condition:
    """As many texts and numbers as one statement can carry go into one look-up."""
    tests = [_test(key, "=", literal) for literal in literals if literal.value is not None]
    missing = [sa.not_(_some(key, sa.true()))] if any(literal.value is None for literal in literals) else []
    pieces = [_some(key, sa.or_(*some)) for some in batches(tests, 200)]
    return sa.or_(*pieces, *missing)


def _test(key: Key, op: str, literal: Literal) -> Condition:
    if key.name.startswith("metrics."):
        return _number_test(aggregate(key.name.rpartition(".")[2]), sa.null(), op, literal)
    wanted = literal.value
    if isinstance(wanted, bool):
        return sa.and_(values.c.kind == "bool", values.c.text == str(wanted).lower())
    if isinstance(wanted, str):
        text = cut(wanted)
        test: Condition = values.c.text == text if op == "=" else ORDER[op](values.c.text, text)
        return sa.and_(_IS_TEXT, test)
    return _number_test(values.c.number, values.c.text, op, literal)


def _number_test(number: Any, text: Any, op: str, literal: Literal) -> Condition:
    wanted = literal.value
    if isinstance(wanted, (bool, str)) or wanted is None:
        return sa.false()
    near = wanted if isinstance(wanted, float) else as_float(wanted)
    if op in ORDER:
        return sa.false() if math.isnan(near) else ORDER[op](number, near)
    if math.isnan(near):
        test: Condition = sa.and_(number.is_(None), text == "NaN", values.c.kind == "number")
        return sa.false() if isinstance(text, sa.Null) else test
    if isinstance(wanted, int) and abs(wanted) > EXACT:
        exact = sa.and_(text.is_(None), number == near) if near == wanted else sa.false()
        return exact if isinstance(text, sa.Null) else sa.or_(text == str(wanted), exact)
    return cast(Condition, number == near)


def aggregate(name: str, table: Any = metrics) -> Any:
    """An aggregate of a metric (a row of `table`) as a column expression; NULL where it is NaN."""
    m = table.c
    best = sa.case((m.goal == "minimize", m.min), else_=m.max)
    few = sa.func.abs(m.sum) < 1e-290  # PostgreSQL refuses to divide what would become 0
    mean = sa.case((m.finite == 0, sa.null()), (few, 0.0), else_=m.sum / m.finite)
    return {
        "best": best,
        "last": m.last,
        "min": m.min,
        "max": m.max,
        "mean": mean,
        "count": sa.cast(m.count, sa.Float),
    }[name]


def sorted_by(c: sa.Connection, entity: str, project: str, sort: str, query: sa.Select[Any]) -> sa.Select[Any]:
    """`query` over runs in the order of the sort keys: "-" in front descends, missing values and NaN come last, numbers
    stand before texts; then the newest first. Raises FilterError for a key that no run has."""
    names = ProjectKeys(c, entity, project)
    order: list[Any] = []
    items = _items(sort)
    if len(items) > SORTS:
        raise FilterError(
            f"runs are sorted by at most {SORTS} keys, and these are {len(items)}", position=items[SORTS][0]
        )
    for at, item in items:
        down = item.startswith("-")
        key = find(Key(item.lstrip("+-"), at + down), names)
        columns, query = _sort_columns(key, query)
        for column in columns:
            order += [column.is_(None), column.desc() if down else column]
    return query.order_by(*order, runs.c.created.desc(), runs.c.pk.desc())


def _items(sort: str) -> list[tuple[int, str]]:
    """(position, key) of a comma list; a key with a comma is put in backticks."""
    items, at = [], 0
    pieces = sort.split("`")
    if len(pieces) % 2 == 0:
        raise FilterError("a backtick in the sort keys has no end", position=sort.rindex("`"))
    current, start = "", 0
    for i, piece in enumerate(pieces):
        for j, part in enumerate(piece.split(",") if i % 2 == 0 else [piece]):
            if j:
                items.append((start, current.strip()))
                current, start = "", at
            current += part
            at += len(part) + 1
    return [(begin, item) for begin, item in [*items, (start, current.strip())] if item.strip("+-")]


def _sort_columns(key: Key, query: sa.Select[Any]) -> tuple[list[Any], sa.Select[Any]]:
    if key.name.startswith("metrics."):
        m = metrics.alias()
        name, _, what = key.name[8:].rpartition(".")
        query = query.outerjoin(m, sa.and_(m.c.run == runs.c.pk, m.c.key == short(name)))
        return [aggregate(what, m)], query
    v = values.alias()
    if key.name == "tags":
        tags = sa.select(sa.func.min(v.c.text)).where(v.c.run == runs.c.pk, v.c.key >= "tag.", v.c.key < "tag/")
        return [tags.scalar_subquery()], query
    query = query.outerjoin(v, sa.and_(v.c.run == runs.c.pk, v.c.key == key.name))
    text = sa.case((v.c.kind != "number", v.c.text))
    return [v.c.number, text], query
