"""Batches of records become what is kept: state, index, curves, console, files. The end of walk 1.

One transaction holds everything that a batch changes, and the position of its stream with it: so a batch that comes twice,
or half again, changes nothing, and after a crash the door simply ships again. Knows no HTTP and no journals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from besom.core import record as rec
from besom.core.batch import Batch, after
from besom.core.errors import GapError, NotFound, UsageError
from besom.core.fold import Row, RunState, fold
from besom.core.names import RunPath, check_id
from besom.core.record import Record
from besom.hub import artifacts
from besom.hub.goals import goals_of
from besom.store.database import Database
from besom.store.meta import SqlRuns
from besom.store.ports import Extension, Held, Runs, Save, SeriesPort
from besom.store.series import SqlSeries

SYSTEM = "system."
"""Prefix of the metrics that Stats records carry."""


class Delivery(NamedTuple):
    """A batch and where it belongs. `lease`: seconds that the run counts as alive without another word, or None."""

    path: RunPath
    stream: str
    batch: Batch
    lease: float | None = None


class Appended(NamedTuple):
    """What one delivery changed, told to watchers inside its transaction. `before` is None for a new run."""

    pk: int
    path: RunPath
    stream: str
    before: RunState | None
    after: RunState
    seqs: tuple[int, ...]
    records: tuple[Record, ...]


Watcher = Callable[[sa.Connection, Appended], None]


@dataclass(slots=True)
class _Work:
    """A run while its deliveries are folded. `held` is None until a first batch makes the run."""

    held: Held | None
    state: RunState
    rows: list[Row] = field(default_factory=list)
    lease: float | None = None
    defined: bool = False
    known: bool = True
    touched: bool = False


class Ingest:
    """The only writer of runs. `watchers` are called for every delivery that added records; what they raise undoes it."""

    def __init__(self, database: Database, clock: Callable[[], float], watchers: Sequence[Watcher] = ()) -> None:
        self._db = database
        self._clock = clock
        self._watchers = watchers
        self._runs: Runs = SqlRuns()
        self._series: SeriesPort = SqlSeries()

    def append(self, deliveries: Sequence[Delivery]) -> list[int]:
        """Keep what the deliveries add, in order, in one transaction. Returns the position of each one's stream, which lies
        below the batch's start where that left a gap (then nothing of that batch is kept). Raises UsageError for records that
        cannot be kept."""
        for path in {d.path for d in deliveries}:
            for part, what in zip(path, ("entity", "project", "run id"), strict=True):
                check_id(part, what)
        try:
            return self._db.write(lambda c: self.append_in(c, deliveries)) if deliveries else []
        except (OverflowError, ValueError, TypeError, sa.exc.IntegrityError) as error:
            # What our sdk never writes (a step of 2**70, a time that is NaN): wrong for ever, so nobody may try it again.
            runs = ", ".join(sorted({d.path.id for d in deliveries})[:3])
            raise UsageError(f"a record of {runs} cannot be kept: {error}") from error

    def append_in(self, c: sa.Connection, deliveries: Sequence[Delivery]) -> list[int]:
        """`append` inside a write transaction of the caller."""
        work = self._load(c, deliveries)
        known = {(w.held.pk, d.stream) for d in deliveries if (w := work[d.path]).held is not None}
        start = self._runs.positions(c, known)
        moved: dict[tuple[int, str], int] = {}
        answers: list[int] = []
        for path, stream, batch, lease in deliveries:
            held = work[path].held
            at = (held.pk, stream) if held is not None else None
            position = moved.get(at, start.get(at, 0)) if at else 0
            try:
                new = after(batch, position)
            except GapError:
                new = None
            if new is not None:
                position = new.end
                moved[self._take(c, work[path], path, stream, new, lease), stream] = position
            answers.append(position)
        self._runs.advance(c, moved)
        self._keep(c, work.values())
        return answers

    def position(self, path: RunPath, stream: str) -> int:
        """How far a stream is held; 0 when it is not known."""
        with self._db.read() as c:
            held = self._runs.load(c, [path]).get(path)
            return self._runs.positions(c, [(held.pk, stream)]).get((held.pk, stream), 0) if held else 0

    def patch(self, path: RunPath, **fields: Any) -> None:
        """Set fields of a run (name, notes, tags, group; None leaves one) as a record of the stream "page"."""

        def work(c: sa.Connection) -> None:
            held = self._existing(c, path)
            at = self._runs.positions(c, [(held.pk, "page")]).get((held.pk, "page"), 0)
            record = rec.Run(held.state.seen, **fields)  # its time must not make the run look alive
            self.append_in(c, [Delivery(path, "page", Batch(at, at + 1, (at,), (record,)))])

        self._db.write(work)

    def delete(self, path: RunPath) -> None:
        """Remove a run. Raises NotFound, or UsageError while it is running."""

        def work(c: sa.Connection) -> None:
            held = self._existing(c, path)
            if held.state.state == rec.RUNNING:
                raise UsageError(f"the run {path.id} is running; stop it first, then delete it")
            self._runs.delete(c, held.pk)
            self._runs.bump(c)

        self._db.write(work)

    def _existing(self, c: sa.Connection, path: RunPath) -> Held:
        held = self._runs.load(c, [path]).get(path)
        if held is None:
            raise NotFound(f"there is no run {path.id} in {path.entity}/{path.project}")
        return held

    def _load(self, c: sa.Connection, deliveries: Iterable[Delivery]) -> dict[RunPath, _Work]:
        paths = list(dict.fromkeys(d.path for d in deliveries))
        found = self._runs.load(c, paths)
        work: dict[RunPath, _Work] = {}
        for path in paths:
            held = found.get(path)
            state = held.state if held else RunState(**path._asdict())
            work[path] = _Work(held, state, lease=held.lease if held else None, known=held is not None)
        return work

    def _take(
        self, c: sa.Connection, work: _Work, path: RunPath, stream: str, batch: Batch, lease: float | None
    ) -> int:
        """Fold one batch into a run, and keep what is no state of it. Returns the run's pk."""
        before = work.state if work.known else None
        # A run is what its path says, whatever its records say; the fold sets the rest.
        folded = fold(work.state, batch.records)
        work.state = msgspec.structs.replace(folded.state, **path._asdict())
        if work.held is None:
            work.held = self._runs.create(c, path, work.state)
        work.known = work.touched = True
        work.rows += _with_stats(batch.records, folded.rows, before.last_step if before else -1)
        if lease is not None:
            work.lease = self._clock() + lease
        kinds = {type(record) for record in batch.records}
        work.defined |= rec.Define in kinds
        pk = work.held.pk
        if rec.Console in kinds:
            self._runs.add_text(c, pk, [r for r in batch.records if isinstance(r, rec.Console)])
        if rec.File in kinds or rec.Artifact in kinds:
            artifacts.keep(c, pk, batch.records)
        if batch.records:
            told = Appended(pk, path, stream, before, work.state, batch.seqs, batch.records)
            for watcher in self._watchers:
                watcher(c, told)
        return pk

    def _keep(self, c: sa.Connection, work: Iterable[_Work]) -> None:
        extensions, saves = [], []
        for w in work:
            if w.held is not None and w.touched:
                goals, ended = partial(goals_of, c, w.state), w.state.state in rec.ENDED
                extensions.append(Extension(w.held.pk, w.held.rows, w.rows, goals, w.defined, ended))
                saves.append(Save(w.held, w.state, w.held.rows + len(w.rows), w.lease))
        if saves:
            self._series.extend(c, extensions)
            self._runs.save(c, saves, self._runs.bump(c))


def _with_stats(records: Sequence[Record], rows: list[Row], step: int) -> list[Row]:
    """The history rows, and behind them the system metrics as rows at the step that history had then reached."""
    stats: list[Row] = []
    for record in records:
        if isinstance(record, rec.History):
            step = max(step, record.step)
        elif isinstance(record, rec.Stats):
            data = {key if key.startswith(SYSTEM) else SYSTEM + key: value for key, value in record.data.items()}
            stats.append(Row(max(step, 0), record.time, data))
    return [*rows, *stats] if stats else rows
