"""Where a run's records go: into its journal, or into memory when there is none.

Walk 1, first step: `append` is what the hot path of `log()` calls. Nothing here raises into a training: a record that
cannot be kept is counted under its reason and told once. `state()` folds what was written since the last call, so that
writing does no work for reading. Knows files only through `besom.journal`, and nothing of servers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from besom.core import codec
from besom.core import record as rec
from besom.core.batch import Batch
from besom.core.errors import BesomError, JournalFull
from besom.core.fold import RunState, fold
from besom.core.plain import as_text
from besom.journal import file as journals
from besom.journal.file import Journal
from besom.sdk import notice

FULL = "the disk is full"
CLOSED = "the run had finished"
NOWHERE = "no journal could be made"


class Writer:
    """The records of one stream. Safe from many threads.

    Nothing that may print runs under `lock`: a print of another thread is recorded, and would wait for it.
    """

    def __init__(self, journal: Journal | None, state: RunState | None = None, *, disabled: bool = False) -> None:
        self.lock = threading.RLock()
        self.journal = journal
        self.dropped: dict[str, int] = {}
        """Reason -> number of records that could not be kept: exact."""
        self.append: Callable[[bytes], object] = journal.append if journal is not None else self._remember
        self._disabled = disabled
        self._state = state or RunState()
        self._folded = 0

    def write(self, record: rec.Record) -> bool:
        """Keep one record; False when it was dropped (and counted)."""
        odd: list[str] = []
        try:
            self.append(codec.encode(record, odd))
        except Exception as error:  # whatever goes wrong, the training goes on
            self.drop(error)
            return False
        tell_odd(odd)
        return True

    def drop(self, error: Exception) -> None:
        """Count one record that could not be kept because of `error`, and say so the first time."""
        reason = FULL if isinstance(error, JournalFull) else as_text(error) or type(error).__name__
        with self.lock:
            self.dropped[reason] = self.dropped.get(reason, 0) + 1
        notice.warn(f"not recorded: {reason}. The script goes on; what is lost is counted.", f"drop {reason}")

    def state(self) -> RunState:
        """What the records written so far say of the run."""
        with self.lock:
            journal = self.journal
            while journal is not None:
                batch = self._read(journal)
                if batch.end <= self._folded:
                    break
                self._state = fold(self._state, batch.records).state
                self._folded = batch.end
            return self._state

    def close(self) -> None:
        """No record is kept from now on; each one that comes is counted. Idempotent."""
        with self.lock:
            self.append = _refuse
            if self.journal is not None:
                try:
                    self.journal.close()
                except OSError as error:
                    notice.warn(f"the journal could not be closed cleanly ({error}); its records are safe")

    def _read(self, journal: Journal) -> Batch:
        """The next records of our own file, which a reader moves to ``done`` after the run has ended."""
        for path in (journal.path, journal.path.parent / "done" / journal.path.name):
            try:
                return journals.read(path, self._folded)
            except (OSError, BesomError):
                continue
        return Batch(self._folded, self._folded)

    def _remember(self, payload: bytes) -> None:
        """Without a journal: only what the run says of itself is kept, not its rows."""
        with self.lock:
            self._state = fold(self._state, [codec.decode(payload)]).state
            if not self._disabled:
                self.dropped[NOWHERE] = self.dropped.get(NOWHERE, 0) + 1


class ChildWriter(Writer):
    """The writer of a forked child: opens a stream of its own with the first record, because the file is the parent's.

    The child's stream never begins and never ends the run: it starts with a Run record that is no start.
    """

    def __init__(self, open_journal: Callable[[], Journal | None], hello: rec.Run, *, disabled: bool) -> None:
        super().__init__(None, disabled=disabled)
        self._open = open_journal
        self._hello = hello
        self._begun = False
        self.append = self._first

    def _first(self, payload: bytes) -> None:
        with self.lock:
            if self._begun:  # by another thread, while this one waited
                append = self.append
            else:
                self._begun = True
                self.journal = self._open()
                append = self.journal.append if self.journal is not None else self._remember
                append(codec.encode(self._hello))
                self.append = append
        append(payload)


def tell_odd(odd: Iterable[str]) -> None:
    """Say once for each key that its values became text."""
    for key in dict.fromkeys(odd):
        notice.warn(f'"{key}" holds a value of a type that is not known here; its text is recorded', f"odd {key}")


def open_journal(folder: Path, run: str, entity: str, project: str) -> Journal | None:
    """The journal of a new stream; None, and a loud line, when it cannot be made: a full disk, a folder of others."""
    try:
        return Journal.create(folder, run=run, entity=entity, project=project)
    except (BesomError, OSError) as error:
        notice.say(f"NOTHING OF THIS RUN IS RECORDED: {error}. The script goes on; BESOM_DIR names another folder.")
        return None


def earlier(folder: Path, run: str) -> RunState | None:
    """What journals of earlier streams in `folder` say of `run`; None when there are none. Damaged ones are passed over."""
    found = []
    for path in (*folder.glob(f"{run}-*.besom"), *(folder / "done").glob(f"{run}-*.besom")):
        try:
            head = journals.header(path)
        except (OSError, BesomError):
            continue
        if head.run == run:
            found.append((head.created, path))
    state = RunState()
    for _, path in sorted(found):
        start = 0
        while True:
            try:
                batch = journals.read(path, start)
            except (OSError, BesomError):
                break
            if batch.end <= start:
                break
            state, start = fold(state, batch.records).state, batch.end
    return state if found else None


def _refuse(payload: bytes) -> None:
    raise BesomError(CLOSED)
