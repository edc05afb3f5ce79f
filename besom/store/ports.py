"""What the hub asks of a store, in prose and types. Implementations inherit the tests of besom/testing/store.py.

The walks: ingest loads runs, folds, and saves them with their points in one transaction; queries read states,
aggregates and points. A port knows no folding, no filter language and no HTTP.

Common to all methods: the caller owns the connection and its transaction, nothing is committed or rolled back here, and a
write port is called inside `Database.write` only. Reads of one connection see one snapshot. Methods hold no state of their
own, so they are safe from every thread that has its own connection. Texts may hold any character that Python can: what a
database cannot keep (lone surrogates) is kept escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import sqlalchemy as sa

from besom.core.fold import Row, RunState
from besom.core.names import RunPath
from besom.core.record import Console
from besom.core.wire import Line
from besom.store.chunk import Floats, Ints


@dataclass(frozen=True, slots=True)
class Held:
    """A run as kept. `pk`: its number in this store. `rows`: history rows so far. `lease`: seconds since the epoch, or None."""

    pk: int
    path: RunPath
    state: RunState
    rows: int = 0
    lease: float | None = None
    change: int = 0


class Save(NamedTuple):
    """A run after a batch: `held` as it was loaded, and what it is now."""

    held: Held
    state: RunState
    rows: int
    lease: float | None


class Runs(Protocol):
    """The states of runs, with a typed index of every config key, summary key and field of theirs."""

    def load(self, c: sa.Connection, paths: Iterable[RunPath]) -> dict[RunPath, Held]:
        """Those of `paths` that exist."""

    def create(self, c: sa.Connection, path: RunPath, state: RunState) -> Held:
        """Keep a new run. IntegrityError when it exists. It is indexed by `save` only."""

    def save(self, c: sa.Connection, saves: Sequence[Save], change: int) -> None:
        """Keep new states and bring the index up to date with them. A run comes once in `saves`."""

    def delete(self, c: sa.Connection, pk: int) -> None:
        """Remove a run and everything kept of it, in every table that names it."""

    def positions(self, c: sa.Connection, streams: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int]:
        """How far each (run, stream) is held; those not known are left out."""

    def advance(self, c: sa.Connection, positions: Mapping[tuple[int, str], int]) -> None:
        """Set how far each (run, stream) is held, in bytes of its journal."""

    def add_text(self, c: sa.Connection, pk: int, texts: Iterable[Console]) -> None:
        """Append console text: split into lines, a line that is still open goes on with the next text of its stream,
        and what a carriage return overwrites is dropped (progress bars)."""

    def lines(self, c: sa.Connection, pk: int, start: int, limit: int) -> tuple[list[Line], int]:
        """Lines in order of number from `start` on (negative: from the end), and how many there are."""

    def bump(self, c: sa.Connection) -> int:
        """The next number of the change counter. It grows strictly; a reader that sees it sees the changes up to it."""


@dataclass(frozen=True, slots=True)
class Extension:
    """New history of one run. Row i has the number `first` + i; numbers are never used twice.

    `goals`: goal by metric key, asked once for each new key, and for all keys when `regoal`. `ended`: the run has ended, so that its points may be packed.
    """

    pk: int
    first: int
    rows: Sequence[Row]
    goals: Any
    regoal: bool = False
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Points:
    """Points of one metric of one run, in the order logged. Arrays of one length; empty ones where not asked for.

    `steps`, `rows`: int64; rows grow strictly, steps need not. `times`: seconds since the epoch. `values`: float64.
    """

    run: int
    key: str
    whole: bool
    values: Floats
    steps: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    rows: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    times: Floats = field(default_factory=lambda: np.empty(0, np.float64))


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One metric of one run over all its points. `min`, `max`, `mean` pass over NaN and are NaN when there is nothing else."""

    run: int
    key: str
    goal: str
    count: int
    finite: int
    min: float
    max: float
    mean: float
    last: float
    last_step: int

    @property
    def best(self) -> float:
        """`min` or `max`, by the goal."""
        return self.min if self.goal == "minimize" else self.max


class Thing(NamedTuple):
    """A history value that is no number, or a whole number that float64 cannot hold, with its row."""

    key: str
    row: int
    step: int
    time: float
    value: Any


class SeriesPort(Protocol):
    """The curves of runs. Every value comes back bit for bit: NaN, -0.0, Inf, and integers as integers."""

    def extend(self, c: sa.Connection, extensions: Sequence[Extension]) -> None:
        """Append rows. Numbers become points, everything else things; aggregates cover the points. A run comes once."""

    def points(
        self, c: sa.Connection, runs: Sequence[int], keys: Sequence[str] | None, columns: frozenset[str]
    ) -> Iterator[Points]:
        """Points of the runs' metrics (None: all), ordered by run as given and then by key. `columns`: of steps, rows, times."""

    def things(self, c: sa.Connection, run: int, keys: Sequence[str] | None) -> list[Thing]:
        """Things of one run, in order of row."""

    def aggregates(self, c: sa.Connection, runs: Sequence[int], keys: Sequence[str] | None = None) -> list[Aggregate]:
        """Aggregates of the runs' metrics (None: all), in order of run and key. Opens no chunk."""

    def names(self, c: sa.Connection, runs: sa.Select[Any]) -> list[str]:
        """Keys of all metrics that the runs selected (by one column, their pk) have logged, sorted."""
