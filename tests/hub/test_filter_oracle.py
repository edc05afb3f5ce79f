"""SQL means what plain Python means: random filters over random runs give the same answer by both."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from besom.core import record as rec
from besom.hub import where
from besom.hub.filter import And, Compare, In, IsSet, Key, Literal, Not, Or, holds, parse, resolve, to_text
from besom.hub.where import ProjectKeys
from besom.store.meta import SqlRuns, Value, indexed

NUMBERS = [
    0,
    1,
    -1,
    2,
    0.1,
    0.5,
    1.0,
    -0.0,
    1e-3,
    1e300,
    math.nan,
    math.inf,
    -math.inf,
    2**53,
    2**53 + 1,
    2**60,
    2.0**60,
    10**400,
]
TEXTS = ["a", "b", "ab", "1", "true", "NaN", "", "a b", "and", 'q"uote', "back\\slash", "é", "\U0001f600", "x" * 3000]
VALUES = st.sampled_from([*NUMBERS, *TEXTS, True, False, None, [1, 2], []])
NAMES = ["p", "q", "odd name", "val/loss", "a.b"]
CONFIGS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4)
RUNS = st.lists(
    st.tuples(
        CONFIGS,
        CONFIGS,
        st.sets(st.sampled_from(["t1", "t2", "a b"]), max_size=2),
        st.sampled_from(["a", "b", "1", ""]),
    ),
    min_size=6,
    max_size=10,
)

_keys = st.sampled_from(
    ["config.p", "config.q", "config.odd name", "summary.val/loss", "summary.p", "config.a.b", "p", "q", "tags", "state",
     "name", "created", "attempt", "metrics.val/loss.best", "metrics.val/loss.mean", "metrics.p.last", "metrics.p.count"]
).map(Key)  # fmt: skip
_literals = VALUES.filter(lambda v: not isinstance(v, list)).map(
    lambda v: Literal(v, v if isinstance(v, str) else repr(v))
)
_patterns = st.sampled_from(["a", "^a", "b$", "[ab]+", ".", "x{3}", "t[12]"]).map(lambda p: Literal(p, p))


def _compare(key: Key, op: str, literal: Literal) -> Compare:
    if op not in ("=", "!=") and (literal.value is None or isinstance(literal.value, bool)):
        op = "="
    if key.name == "created" and isinstance(literal.value, str):
        literal = Literal(1.0, "1.0")
    return Compare(key, op, literal)


_leaves = st.one_of(
    st.builds(_compare, _keys, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), _literals),
    st.builds(Compare, _keys.filter(lambda k: k.name != "created"), st.sampled_from(["~", "!~"]), _patterns),
    st.builds(
        In,
        _keys.filter(lambda k: k.name != "created"),
        st.lists(_literals, min_size=1, max_size=4).map(tuple),
    ),
    st.builds(IsSet, _keys),
)
FILTERS = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).map(tuple).map(And),
        st.lists(inner, min_size=2, max_size=3).map(tuple).map(Or),
    ),
    max_leaves=6,
)


class World:
    """Runs in a store, and what each of them is in plain Python."""

    def __init__(self, lab: Any, runs: list[Any]) -> None:
        self.lab = lab
        for i, (config, summary, tags, name) in enumerate(runs):
            rows = [{k: v for k, v in summary.items() if v is not None}, {"val/loss": 0.5 * i}] if i % 2 else []
            records = lab.records(f"r{i}", config, rows, tags=tuple(sorted(tags)), name=name, began=float(i % 3 + 1), state=("finished", "failed", "running")[i % 3])  # fmt: skip
            lab.hub.append(lab.path(f"r{i}"), "s", lab.batch([*records, rec.Summary(summary)]))
        paths = [lab.path(f"r{i}") for i in range(len(runs))]
        with lab.hub.database.read() as c:
            held = SqlRuns().load(c, paths)
        self.values = {path.id: self.plain(path, held[path].state) for path in paths}

    def plain(self, path: Any, state: Any) -> dict[str, Value]:
        values = dict(indexed(state))
        for key, stat in self.lab.hub.run(path).metrics.items():
            for what in ("best", "last", "mean", "count"):
                number = float(getattr(stat, what))
                values[f"metrics.{key}.{what}"] = Value("number", None if math.isnan(number) else number, None)
        return values

    def expected(self, node: Any) -> set[str]:
        with self.lab.hub.database.read() as c:
            meant = resolve(node, Anything(ProjectKeys(c, self.lab.entity, self.lab.project)))
        return {id for id, values in self.values.items() if holds(meant, values)}


class Anything:
    """Names of a project in which every key exists."""

    def __init__(self, names: Any) -> None:
        self.names = names
        self.matching = names.matching

    def has(self, key: str) -> bool:
        return key.startswith("metrics.") or self.names.has(key)

    def all(self) -> list[str]:
        return []

    def empty(self) -> bool:
        return True


@pytest.fixture
def lab_class(lab: Any) -> type:
    lab.hub.database.close()
    return type(lab)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(RUNS, st.lists(FILTERS, min_size=10, max_size=10))
def test_sql_and_python_agree(lab_class: Any, tmp_path: Path, place: Any, monkeypatch: pytest.MonkeyPatch, runs: list[Any], filters: list[Any]) -> None:  # fmt: skip
    """400 filters, ten on each of 40 sets of runs; half of them on PostgreSQL."""
    monkeypatch.setattr(where, "ProjectKeys", lambda *a: Anything(ProjectKeys(*a)))
    folder = tmp_path / f"world{len(list(tmp_path.iterdir()))}"
    folder.mkdir()
    place.again()
    lab = lab_class(place(folder))
    world = World(lab, runs)
    for node in filters if isinstance(lab.place, Path) else filters[:5]:  # a filter costs PostgreSQL twice as much
        text = to_text(node)
        assert parse(text) == node or "nan" in text, text
        found = {run.id for run in lab.runs(text).runs}
        assert found == world.expected(parse(text)), text
    lab.hub.database.close()
