"""What a store owes the hub, as test classes to inherit: one for the states of runs, one for their curves.

A store of your own passes when ``class TestMine(RunsContract)`` does, with `open_store` giving an empty, migrated store
and `runs` and `series` giving its ports. The contracts in prose are those of besom/store/ports.py.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from besom.core.fold import Row, RunState
from besom.core.names import RunPath
from besom.core.record import Console
from besom.store.chunk import CHUNK, HEAD
from besom.store.database import Database
from besom.store.ports import Extension, Held, Points, Runs, Save, SeriesPort

PATH = RunPath("ann", "dkt", "r1")
ODD = (math.nan, math.inf, -math.inf, -0.0, 5e-324, 1e308, 0.1, 1 / 3)


class StoreContract:
    """What both contracts need. Inherit one of the two below."""

    def open_store(self, folder: Path) -> Database:
        """An empty store in `folder`."""
        raise NotImplementedError

    def runs(self) -> Runs:
        """The port under test."""
        raise NotImplementedError

    def series(self) -> SeriesPort:
        """The port under test."""
        raise NotImplementedError

    @pytest.fixture
    def database(self, tmp_path: Path) -> Iterator[Database]:
        """A fresh store for each test."""
        database = self.open_store(tmp_path / "contract")
        yield database
        database.close()

    def make(self, database: Database, path: RunPath = PATH, **fields: Any) -> Held:
        """A run that was saved once."""
        state = RunState(**path._asdict(), **fields)

        def work(c: sa.Connection) -> Held:
            self.runs().save(c, [Save(self.runs().create(c, path, state), state, 0, None)], self.runs().bump(c))
            return self.runs().load(c, [path])[path]

        return database.write(work)


class RunsContract(StoreContract):
    """States, stream positions and console come back as they were put in."""

    @pytest.mark.parametrize(
        "config",
        [
            {"lr": 0.1, "layers": [64, 64], "opt": {"name": "adam", "eps": 1e-8}, "none": None},
            {"nan": math.nan, "inf": -math.inf, "zero": -0.0},
            {"large": 2**53 + 1, "larger": 2**63, "huge": 10**400, "negative": -(10**30)},
            {"lone surrogate": "\udfff", "nul": "a\0b", "long": "x" * 70_000, "k" * 70_000: 1},
        ],
    )
    def test_a_state_comes_back_exactly(self, database: Database, config: dict[str, Any]) -> None:
        held = self.make(database, config=config, tags=("a", "b"), name="bold \ud800 elm")
        assert repr(held.state) == repr(
            RunState(**PATH._asdict(), config=config, tags=("a", "b"), name="bold \ud800 elm")
        )

    def test_runs_of_other_projects_are_not_found(self, database: Database) -> None:
        self.make(database)
        with database.read() as c:
            assert self.runs().load(c, [RunPath("ann", "other", "r1"), RunPath("bob", "dkt", "r1")]) == {}

    def test_positions_are_per_run_and_stream(self, database: Database) -> None:
        one, two = self.make(database), self.make(database, RunPath("ann", "dkt", "r2"))
        marks = {(one.pk, "a"): 10, (one.pk, "b"): 2**40, (two.pk, "a"): 30}
        database.write(lambda c: self.runs().advance(c, marks))
        database.write(lambda c: self.runs().advance(c, {(one.pk, "a"): 11}))
        with database.read() as c:
            found = self.runs().positions(c, [(one.pk, "a"), (one.pk, "b"), (two.pk, "a"), (two.pk, "none")])
        assert found == {**marks, (one.pk, "a"): 11}

    @pytest.mark.parametrize(
        ("texts", "lines"),
        [
            (["one\ntwo\n"], ["one", "two"]),
            (["wor", "ld\nnext"], ["world", "next"]),
            (["10%\r20%", "\r30%\ndone\n"], ["30%", "done"]),
            (["windows\r\nline\r\n"], ["windows", "line"]),
            (["\n\n"], ["", ""]),
            (["lone \ud800\n"], ["lone \\ud800"]),
        ],
    )
    def test_console_text_becomes_lines(self, database: Database, texts: list[str], lines: list[str]) -> None:
        pk = self.make(database).pk
        for i, text in enumerate(texts):
            database.write(lambda c, i=i, text=text: self.runs().add_text(c, pk, [Console(float(i), "out", text)]))  # type: ignore[misc]
        with database.read() as c:
            found, total = self.runs().lines(c, pk, 0, 100)
        assert [line.text for line in found] == lines
        assert [line.n for line in found] == list(range(total))

    def test_out_and_err_do_not_run_into_one_line(self, database: Database) -> None:
        pk = self.make(database).pk
        texts = [Console(0.0, "out", "a"), Console(1.0, "err", "b\n"), Console(2.0, "out", "c\n")]
        database.write(lambda c: self.runs().add_text(c, pk, texts))
        with database.read() as c:
            found, _ = self.runs().lines(c, pk, -2, 100)
        assert [(line.stream, line.text) for line in found] == [("out", "ac"), ("err", "b")]

    def test_what_is_deleted_leaves_nothing_behind(self, database: Database) -> None:
        pk = self.make(database, config={"a": 1}).pk
        rows = [Row(i, 0.0, {"x": 0.5, "s": "text"}) for i in range(HEAD + 1)]

        def work(c: sa.Connection) -> None:
            self.runs().advance(c, {(pk, "s"): 1})
            self.runs().add_text(c, pk, [Console(0.0, "out", "hello\n")])
            self.series().extend(c, [Extension(pk, 0, rows, lambda key: "minimize")])
            self.runs().delete(c, pk)

        database.write(work)
        with database.read() as c:
            assert self.runs().load(c, [PATH]) == {}
            assert list(self.series().points(c, [pk], None, frozenset())) == []
            assert self.series().things(c, pk, None) == []
            assert self.runs().lines(c, pk, 0, 10) == ([], 0)
            assert self.runs().positions(c, [(pk, "s")]) == {}

    def test_the_change_counter_grows(self, database: Database) -> None:
        numbers = [database.write(self.runs().bump) for _ in range(3)]
        assert numbers == sorted(set(numbers))

    def test_what_raises_in_a_write_leaves_no_trace(self, database: Database) -> None:
        def work(c: sa.Connection) -> None:
            self.runs().create(c, PATH, RunState(**PATH._asdict()))
            raise RuntimeError("the power went out")

        with pytest.raises(RuntimeError):
            database.write(work)
        with database.read() as c:
            assert self.runs().load(c, [PATH]) == {}


class SeriesContract(StoreContract):
    """Points come back bit for bit, however they were cut into appends."""

    def extend(self, database: Database, pk: int, first: int, rows: Sequence[Row], *, ended: bool = False) -> int:
        """Append rows; returns the number of the next one."""
        extension = Extension(pk, first, rows, lambda key: "minimize", ended=ended)
        database.write(lambda c: self.series().extend(c, [extension]))
        return first + len(rows)

    def read(self, database: Database, pk: int) -> dict[str, Points]:
        """All points of a run, by key."""
        with database.read() as c:
            return {p.key: p for p in self.series().points(c, [pk], None, frozenset(("steps", "rows", "times")))}

    @pytest.mark.parametrize("piece", [1, 7, HEAD, HEAD + 1, CHUNK, 3 * CHUNK])
    def test_points_come_back_in_the_order_logged(self, database: Database, piece: int) -> None:
        pk = self.make(database).pk
        total = {1: 300, 7: CHUNK + 77}.get(piece, 2 * CHUNK + 77)
        rows = [Row(i * 3, 1.7e9 + i / 7, {"a": ODD[i % 8], **({"b": i} if i % 10 == 0 else {})}) for i in range(total)]
        at = 0
        for start in range(0, total, piece):
            at = self.extend(database, pk, at, rows[start : start + piece])
        found = self.read(database, pk)
        for key in ("a", "b"):
            mine = [(i, row) for i, row in enumerate(rows) if key in row.data]
            assert found[key].rows.tolist() == [i for i, _ in mine]
            assert found[key].steps.tolist() == [row.step for _, row in mine]
            assert found[key].times.tolist() == [row.time for _, row in mine]
            assert list(map(bits, found[key].values.tolist())) == [bits(row.data[key]) for _, row in mine]
        assert (found["a"].whole, found["b"].whole) == (False, True)

    def test_packing_at_the_end_of_a_run_changes_no_point(self, database: Database) -> None:
        pk = self.make(database).pk
        at = self.extend(database, pk, 0, [Row(i, float(i), {"a": i / 3}) for i in range(50)])
        before = self.read(database, pk)["a"]
        at = self.extend(database, pk, at, [], ended=True)
        after = self.read(database, pk)["a"]
        assert after.values.tolist() == before.values.tolist()
        self.extend(database, pk, at, [Row(50, 50.0, {"a": 1.0, "late": 2.0})])  # the run is resumed
        again = self.read(database, pk)
        assert again["a"].values.tolist() == [*before.values.tolist(), 1.0]
        assert again["late"].rows.tolist() == [50]

    def test_aggregates_cover_all_points_and_pass_over_nan(self, database: Database) -> None:
        pk = self.make(database).pk
        values = [3.0, math.nan, 1.0, 2.0]
        for i, value in enumerate(values):
            self.extend(database, pk, i, [Row(10 - i, 0.0, {"loss": value, "lost": math.nan})])
        with database.read() as c:
            loss, lost = self.series().aggregates(c, [pk])
        assert (loss.count, loss.finite, loss.min, loss.max, loss.mean, loss.last, loss.best) == (4, 3, 1, 3, 2, 2, 1)
        assert loss.last_step == 10
        assert (lost.count, lost.finite) == (4, 0)
        assert all(map(math.isnan, (lost.min, lost.max, lost.mean, lost.last, lost.best)))

    def test_infinity_and_its_opposite_have_no_mean(self, database: Database) -> None:
        pk = self.make(database).pk
        self.extend(database, pk, 0, [Row(0, 0.0, {"a": math.inf}), Row(1, 0.0, {"a": -math.inf})])
        self.extend(database, pk, 2, [Row(2, 0.0, {"a": 1.0})])
        with database.read() as c:
            (found,) = self.series().aggregates(c, [pk])
        assert (found.min, found.max, found.last) == (-math.inf, math.inf, 1.0)
        assert math.isnan(found.mean)

    def test_values_that_are_no_float64_are_kept_as_they_are(self, database: Database) -> None:
        pk = self.make(database).pk
        odd = [True, "text", [1, {"a": None}], 2**53 + 1, 10**400, "\ud800"]
        self.extend(database, pk, 0, [Row(i, 0.0, {"v": value}) for i, value in enumerate(odd)])
        with database.read() as c:
            things = self.series().things(c, pk, ["v"])
        assert [thing.value for thing in things] == odd
        assert [type(thing.value) for thing in things] == [type(value) for value in odd]
        found = self.read(database, pk)["v"]
        assert found.values.tolist() == [float(2**53 + 1), math.inf]  # what a chart draws of the two integers
        assert found.rows.tolist() == [3, 4]

    def test_many_runs_in_one_append_do_not_mix(self, database: Database) -> None:
        pks = [self.make(database, RunPath("ann", "dkt", f"r{i}")).pk for i in range(3)]
        extensions = [
            Extension(pk, 0, [Row(s, 0.0, {"x": float(i * 1000 + s)}) for s in range(HEAD + i)], lambda key: "maximize")
            for i, pk in enumerate(pks)
        ]
        database.write(lambda c: self.series().extend(c, extensions))
        for i, pk in enumerate(pks):
            assert self.read(database, pk)["x"].values.tolist() == [i * 1000 + s for s in range(HEAD + i)]
        with database.read() as c:
            found = list(self.series().points(c, [pks[2], pks[0]], ["x", "none"], frozenset()))
            assert [p.run for p in found] == [pks[2], pks[0]]
            assert [a.best for a in self.series().aggregates(c, pks)] == [i * 1000 + HEAD + i - 1 for i in range(3)]

    def test_a_step_that_goes_back_is_kept(self, database: Database) -> None:
        pk = self.make(database).pk
        self.extend(database, pk, 0, [Row(s, 0.0, {"x": float(s)}) for s in (5, 6, 2, 5)])
        assert self.read(database, pk)["x"].steps.tolist() == [5, 6, 2, 5]


def bits(value: float) -> bytes:
    """The bytes of a float64, so that NaN equals itself and -0.0 does not equal 0.0."""
    return struct.pack("<d", value)
