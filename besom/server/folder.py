"""The folder door: journals on disk become runs in the hub. It is what server-less mode consists of.

Walk 1, second step: `Folder.catch_up` is called before every question and a few times a second by a server. It reads what
is new in each journal, hands all of it to the hub in few transactions, and ends the runs whose writer died without a word. A
mapped journal changes neither its size nor its time while it is written, so each one is peeked at; finished ones move
to ``done/`` and are not looked at again. Knows no HTTP; `Journals` is the part that a shipper to a server shares.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from besom.core.batch import Batch
from besom.core.errors import BesomError, JournalDamaged, NotFound, UsageError
from besom.core.names import RunPath
from besom.core.record import CRASHED, RUNNING, Exit, Record, Run
from besom.core.wire import RunView
from besom.hub.ingest import Delivery
from besom.journal.file import Header, alive, header, read

try:
    import fcntl
except ImportError:  # Windows: several processes may do the same work, which append makes harmless
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from besom.hub.hub import Hub

log = logging.getLogger("besom.server")
SUFFIX = ".besom"
ROOM = 16 << 20
"""Bytes of journals handed to the hub in one transaction."""
YOUNG = 10.0
"""Seconds in which a journal without a record may still be in the making."""
PATIENCE = 20.0
"""Seconds to wait for another process that is catching up the same folder."""
LOST = "the process ended without a word"


class Journals(ABC):
    """The journals of one folder on their way to where runs are kept. Used by one thread at a time."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self.clock = clock
        self.positions: dict[str, int] = {}
        self._headers: dict[str, Header] = {}
        self._exited: set[str] = set()
        self._refused: dict[str, str] = {}

    def look(self) -> list[Header]:
        """Carry what is new, end what died; returns the headers of the journals that are being written now."""
        found = {path: head for path in self._paths() if (head := self._header(path)) is not None}
        living = {path for path in found if alive(path)}  # asked before reading: what a dead writer wrote is all there
        self.carry({path: found[path] for path in found if path.name not in self._refused})
        going = {run_of(found[path]) for path in living}
        for path, head in found.items():
            if path not in living and path.name not in self._refused:
                self._finish(path, head, run_of(head) in going)
        return [found[path] for path in living]

    def living(self) -> list[Path]:
        """The journals that are being written now."""
        return [path for path in self._paths() if alive(path)]

    @abstractmethod
    def carry(self, journals: Mapping[Path, Header]) -> None:
        """Carry what is new in these journals."""

    @abstractmethod
    def send(self, head: Header, stream: str, batch: Batch) -> int:
        """Append one batch; returns the position held."""

    @abstractmethod
    def view(self, run: RunPath) -> RunView:
        """The run as kept. Raises NotFound."""

    def note(self, path: Path, records: Iterable[Record]) -> None:
        """Remember whether a journal has said its last word."""
        if any(type(record) is Exit for record in records):
            self._exited.add(path.name)

    def refuse(self, path: Path, error: Exception) -> None:
        """Leave a journal alone that can never be taken, and say so once."""
        self._refused[path.name] = str(error)
        log.warning("%s is left where it is: %s", path, error)

    def _paths(self) -> list[Path]:
        try:
            with os.scandir(self.folder) as entries:
                return sorted(Path(entry.path) for entry in entries if entry.name.endswith(SUFFIX))
        except FileNotFoundError:
            return []

    def _header(self, path: Path) -> Header | None:
        known = self._headers.get(path.name)
        if known is None:
            try:
                known = self._headers[path.name] = header(path)
            except FileNotFoundError:  # another process has finished with it
                return None
            except JournalDamaged as error:
                if path.name not in self._refused and self._age(path) > YOUNG:
                    self.refuse(path, error)
                return None
        return known

    def _age(self, path: Path) -> float:
        try:
            return self.clock() - path.stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def _finish(self, path: Path, head: Header, goes_on: bool) -> None:
        """Put a journal aside whose writer is gone; end its run when nobody else did and no other stream of it lives."""
        if self.positions.get(path.name, 0) == 0 and self._age(path) < YOUNG:
            return
        if not goes_on and path.name not in self._exited:
            self._end(path, head)
        done = self.folder / "done"
        done.mkdir(exist_ok=True)
        try:
            path.replace(done / path.name)
        except FileNotFoundError:  # another process did the same
            pass
        for memory in (self.positions, self._headers):
            memory.pop(path.name, None)
        self._exited.discard(path.name)

    def _end(self, path: Path, head: Header) -> None:
        try:
            run = self.view(run_of(head))
        except NotFound:
            return
        if run.state != RUNNING:
            return
        begun = 0.0
        for record in records(path):
            if type(record) is Exit:
                return
            if type(record) is Run and record.starts:
                begun = record.time
        if 0 < begun < run.started:  # a later attempt of it lives, elsewhere
            return
        last = Exit(max(run.seen, run.started), None, CRASHED, LOST, "reaper")
        self.send(head, f"{head.stream}.reaper", Batch(0, 1, (0,), (last,)))


class Folder(Journals):
    """The journals of the user's store, and its hub. Safe from many threads, and from several processes."""

    def __init__(self, hub: Hub, folder: Path, clock: Callable[[], float] = time.time) -> None:
        super().__init__(folder, clock)
        self._hub = hub
        self._mutex = threading.Lock()
        self._begun = self._done = 0
        self._living: list[Header] = []
        self._lock = FileLock(folder / ".lock")

    def catch_up(self) -> list[Header]:
        """Everything logged before this call is in the hub when it returns. Gives the journals that are being written.

        Calls that wait for one another share one look: a look that began after a call was made serves it.
        """
        wanted = self._begun + 1
        with self._mutex:
            if self._done < wanted:
                self._begun += 1
                if self.folder.exists():
                    with self._lock.held(PATIENCE):  # after that long, append makes the same work twice harmless
                        self._living = self.look()
                else:
                    self._living = []
                self._done = self._begun  # not when it raised: those who waited look for themselves
            return self._living

    def close(self) -> None:
        """Let go of the lock's file. Idempotent."""
        with self._mutex:
            self._lock.close()

    def carry(self, journals: Mapping[Path, Header]) -> None:
        queue = deque(journals)
        while queue:
            taken: dict[Path, Batch] = {}
            size = 0
            while queue and size < ROOM:
                path = queue.popleft()
                batch = self._batch(path, journals[path])
                if batch is not None:
                    taken[path] = batch
                    size += batch.end - batch.start
            for path, held in self._append(taken, journals).items():
                self.positions[path.name] = held
                self.note(path, taken[path].records)
                if held != taken[path].start:  # it went on (there may be more), or back (there was a gap)
                    queue.append(path)

    def _batch(self, path: Path, head: Header) -> Batch | None:
        """What is new in a journal; None when nothing is."""
        known = self.positions.get(path.name)
        try:
            if known is not None:
                batch = read(path, known)
                if batch.end <= batch.start:
                    return None
            held = self._hub.position(run_of(head), head.stream)  # another process may have been here
            if known is None or held != known:
                self.positions[path.name] = held
                batch = read(path, held)
        except FileNotFoundError:
            return None
        except JournalDamaged as error:
            self.refuse(path, error)
            return None
        return batch if batch.end > batch.start else None

    def _append(self, taken: Mapping[Path, Batch], journals: Mapping[Path, Header]) -> dict[Path, int]:
        """Hand batches to the hub: all in one transaction, or one by one to find the one it refuses."""
        deliveries = [
            Delivery(run_of(journals[path]), journals[path].stream, batch, None) for path, batch in taken.items()
        ]
        if not deliveries:
            return {}
        try:
            return dict(zip(taken, self._hub.append_many(deliveries), strict=True))
        except UsageError as error:
            if len(taken) == 1:
                self.refuse(next(iter(taken)), error)
                return {}
        held: dict[Path, int] = {}
        for path, batch in taken.items():
            held |= self._append({path: batch}, journals)
        return held

    def send(self, head: Header, stream: str, batch: Batch) -> int:
        return self._hub.append(run_of(head), stream, batch)

    def view(self, run: RunPath) -> RunView:
        return self._hub.run(run)


class FileLock:
    """A lock between processes, by a file that stays. One object for each file and process; not for threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def take(self, patience: float = 0.0) -> bool:
        """Try for `patience` seconds to get the lock."""
        if fcntl is None:
            return True
        if self._fd is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        end = time.monotonic() + patience
        while True:
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except (BlockingIOError, PermissionError):
                if time.monotonic() >= end:
                    return False
                time.sleep(0.01)
            except OSError as error:  # no locks on this filesystem
                log.debug("no lock on %s: %s", self._path, error)
                return True

    def free(self) -> None:
        """Let another process have it."""
        if fcntl is not None and self._fd is not None:
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_UN)
            except OSError:  # there was none
                pass

    def close(self) -> None:
        """Free it, and let go of its file. Idempotent."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @contextmanager
    def held(self, patience: float) -> Iterator[bool]:
        """Whether the lock was got; it is freed at the end."""
        got = self.take(patience)
        try:
            yield got
        finally:
            if got:
                self.free()


def run_of(head: Header) -> RunPath:
    """The run that a journal belongs to."""
    return RunPath(head.entity, head.project, head.run)


def records(path: Path) -> Iterator[Record]:
    """All records of a journal, in order; none when it is gone or no journal."""
    position = 0
    while True:
        try:
            batch = read(path, position)
        except (BesomError, FileNotFoundError):
            return
        yield from batch.records
        if batch.end <= position:
            return
        position = batch.end
