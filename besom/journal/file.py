"""The writer of a journal, and the public names of this room.

A `Journal` is one stream: made by `create`, written by one process, never opened for writing again. When `append`
returns, the record is in the page cache and survives `kill -9` of the whole job; a power failure takes at most the
last second. Where blocks can be reserved and mapped (Linux on ext4, xfs, tmpfs) an append is three copies in memory,
elsewhere one `write(2)`.

Knows no record and no network: payloads are bytes.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

from besom.core.errors import JournalForked, JournalFull, StoreError
from besom.core.names import check_id, new_id
from besom.journal import lock, reserve
from besom.journal.frame import (
    FIRST,
    HEAD,
    LONGEST,
    MAGIC_NUMBER,
    WORDS,
    Header,
    frame,
    pack_head_into,
    pack_word,
    preamble,
)
from besom.journal.keeper import SYNC, TOUCH, keeper, renew
from besom.journal.reader import alive, damaged, header, pread, read

__all__ = ["Header", "Journal", "alive", "damaged", "header", "read"]

_FOR_EVER = 1 << 62
_NO_RECORD = b"\xc1"  # a byte with which no msgpack begins
_RETRY = 0.25
"""Seconds between two questions whether a full disk has room again: asking can cost milliseconds."""


class Journal:
    """The writer of one journal. `append` is safe from any thread and from a signal handler.

    This class writes with `write(2)`; `create` gives a `_Mapped` where that is possible.
    """

    def __init__(self, fd: int, path: Path, head: Header, salt: int) -> None:
        self.path = path
        self.stream = head.stream
        self.position = FIRST
        """Offset of the next record."""
        self.trouble: OSError | None = None
        """Why the last sync failed, if it did. Records are then in the page cache only."""
        self._fd = fd
        self._salt = salt
        self._lock = threading.RLock()  # a signal handler may log while the main thread logs
        self._slow = threading.RLock()  # held while the descriptor is used at length, and to close it
        self._limit = _FOR_EVER
        self._call_at = 0
        """`append` calls `_claim` when a record ends behind it: 0 while the keeper sleeps, else the end of the room."""
        self._voids: dict[int, int] = {}
        """Stop -> start of places that were taken and given up, with others behind them."""
        self._state = "open"
        self._end = FIRST
        self._dirty = False
        self._synced = self._touched = time.monotonic()
        self._named = False
        self._full_until = 0.0
        self._key = lock.register(fd, self)

    @classmethod
    def create(cls, folder: Path, *, run: str, entity: str, project: str, mapped: bool | None = None) -> Journal:
        """Make ``folder/<run>-<stream>.besom`` and take its lock. `mapped` None: where it is possible and safe.

        Raises JournalFull when the disk has no room, StoreError when the folder cannot be written.
        """
        stream = new_id(12)
        path = folder / f"{check_id(run, 'run id')}-{stream}.besom"
        hidden = path.with_suffix(".new")  # readers see the file when it is whole and locked
        try:
            folder.mkdir(parents=True, exist_ok=True)
            fd = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        except OSError as error:
            raise StoreError(f"no journal can be made in {folder}: {error.strerror}") from error
        try:
            locked = lock.take(fd)
            head = Header(stream, run, entity, project, time.time(), lock.host(), os.getpid(), locked)
            salt = int.from_bytes(os.urandom(4), "big")
            _write(fd, preamble(head, salt), 0)
            room = None if mapped is False else _reserve(fd, bool(mapped))
            hidden.rename(path)
        except BaseException as error:
            os.close(fd)
            hidden.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise JournalFull(f"no journal can be made in {folder}: {error.strerror}") from error
            raise
        journal = Journal(fd, path, head, salt) if room is None else _kind()(fd, path, head, salt, room)
        keeper.add(journal)
        return journal

    def append(self, payload: bytes) -> int:
        """Write one record; returns its seq, the offset of its frame. `payload` has at least one byte.

        Raises JournalFull when the disk has no room (the file is as before), JournalForked in a forked child, and
        StoreError when the journal is closed.
        """
        size = len(payload)
        if not size:
            raise StoreError("a record has at least one byte")
        with self._lock:
            # A signal handler that logs from here on has its place behind this record.
            self.position = stop = (start := self.position) + size + HEAD
            try:
                if stop > self._call_at:
                    self._claim(size, stop)
                _write(self._fd, frame(payload, self._salt, start), start)
            except BaseException as error:
                self._settle(start, stop, payload, error)
                if isinstance(error, OSError):
                    self._try(lambda: os.ftruncate(self._fd, self.position))
                    raise JournalFull(f"{self.path} takes no more records: {error.strerror}") from error
                raise
        return start

    @property
    def mine(self) -> bool:
        """This process may write: it made the journal, did not close it, and is not a fork of the one that made it."""
        return self._state == "open"

    def sync(self) -> None:
        """Make all records durable now. Raises OSError when the disk refuses; `append` goes on regardless."""
        with self._slow:
            if self._state == "open":
                self._sync()

    def close(self) -> None:
        """Cut the reserve off, make all records durable and free the lock. Idempotent; harmless in a forked child."""
        with self._slow, self._lock:
            if self._state != "open":
                return
            self._end, self._state = self.position, "closed"
            self._limit = self._call_at = -1
            keeper.remove(self)
            lock.forget(self._key)
            try:
                os.ftruncate(self._fd, self._end)
                os.fsync(self._fd)
            except OSError as error:
                self.trouble = error
            self._release()

    def pread(self, offset: int, size: int) -> bytes | None:
        """Bytes of the file for a reader in this process; None when the journal is closed."""
        with self._slow:
            return pread(self._fd, offset, size) if self._state == "open" else None

    def tend(self, now: float) -> float:
        """The keeper's call: touch and sync as needed. `now` and the answer are seconds of the monotonic clock.

        Takes no lock that `append` holds: a signal handler may close the journal in the middle of one.
        """
        with self._slow:
            if self._state != "open":
                return now + TOUCH
            if now - self._touched >= TOUCH:
                self._touched = now
                self._try(lambda: os.utime(self._fd))
            if self._dirty and now - self._synced >= SYNC:
                self._try(self._sync)
            return self._synced + SYNC if self._dirty else self._touched + TOUCH

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
            self.trouble = None
        except OSError as error:  # the records are in the page cache; the next second tries again
            self.trouble = error

    def _sync(self) -> None:
        """Clean is said before the sync, so that what is appended meanwhile counts as dirty."""
        mark, self._synced = self.position, time.monotonic()
        self._dirty = False
        self._call_at = 0
        try:
            if not self._named:
                _sync_folder(self.path.parent)
                self._named = True
            (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(self._fd)
        except OSError:
            self._dirty = True
            raise
        if self.position != mark:
            self._dirty = True

    def _claim(self, size: int, stop: int) -> None:
        """More than a copy is to do for the record that ends at `stop`: see that there is room, and wake the keeper."""
        with self._lock:
            self._check_open()
            if size > LONGEST:
                raise StoreError(f"a record has at most {LONGEST} bytes, and this one has {size}")
            if stop > self._limit:
                self._make_room(stop)
                self._check_open()  # a signal handler may have closed it meanwhile
                self._fill_voids()
            self._call_at = self._next_call()
            self._dirty = True  # in this order: `_sync` does both the other way round
        keeper.wake()

    def _check_open(self) -> None:
        if self._state == "forked":
            raise JournalForked(f"{self.path} belongs to the process that made it; this is a fork of that one")
        if self._state != "open":
            raise StoreError(f"{self.path} is closed")

    def _settle(self, start: int, stop: int, payload: bytes, error: BaseException) -> None:
        """`append` failed. What came from outside (Ctrl-C) finds the record finished; else its place is given up."""
        with self._lock:
            if self._state != "open":
                self.position = self._end
            elif stop <= self._limit and not isinstance(error, Exception):
                self._put(start, frame(payload, self._salt, start))
            else:
                self._give_up(start, stop)

    def _give_up(self, start: int, stop: int) -> None:
        """The last place is free again; another one is a void until it is the last or can be filled."""
        self._voids[stop] = start
        last = True
        while last and self.position in self._voids:
            stop = self.position
            start = self._voids.pop(stop, stop)
            # In one statement without a call, as in `_Mapped.append`: other threads take places all the time.
            self.position, last = (start, True) if self.position == stop else (self.position, False)
            if not last:
                self._voids[stop] = start
        self._fill_voids()

    def _fill_voids(self) -> None:
        """Zeros would end a live file for its readers, so voids become records of no known kind, which they pass over."""
        for stop in [stop for stop in self._voids if stop <= self._limit]:
            start = self._voids.pop(stop)
            self._put(start, frame(_NO_RECORD * (stop - start - HEAD), self._salt, start))

    def _put(self, start: int, data: bytes) -> None:
        self._try(lambda: _write(self._fd, data, start))

    def _next_call(self) -> int:
        """The end of a record that is worth the next call of `_claim`."""
        return self._limit

    def _make_room(self, stop: int) -> None:
        raise NotImplementedError  # `write(2)` has no limit of its own

    def _release(self) -> None:
        fd, self._fd = self._fd, -1  # a writer that was interrupted by this must not reach another file by the number
        os.close(fd)

    def _orphan(self) -> None:
        """In a forked child: this copy never writes. The parent's lock is its own; closing here does not touch it."""
        self._state = "forked"
        self._limit = self._call_at = -1
        self._lock, self._slow = threading.RLock(), threading.RLock()
        self._release()


class _Mapped(Journal):
    """Writes into a map of the file whose blocks are reserved ahead, by the keeper where it can.

    `append` takes no lock: its place in the file is taken in one statement without a call, in which CPython with its
    global lock changes neither threads nor runs signal handlers. `_kind` gives `_Guarded` where that lock is off.
    """

    def __init__(self, fd: int, path: Path, head: Header, salt: int, room: reserve.Reserve) -> None:
        super().__init__(fd, path, head, salt)
        self._room = room
        self._map = room.map
        self._limit = room.size
        """End of the bytes that are reserved, mapped and faulted in."""
        self._growing = threading.RLock()

    def append(self, payload: bytes) -> int:
        size = len(payload)
        if not size:
            raise StoreError("a record has at least one byte")
        check = crc32(payload, self._salt)
        self.position = stop = (start := self.position) + size + HEAD
        try:
            if stop > self._call_at:
                self._claim(size, stop)
            room = self._map
            room[start + HEAD : stop] = payload
            head = crc32(WORDS[size] if size < 1024 else pack_word(size), check ^ start)
            pack_head_into(room, start, MAGIC_NUMBER, size, check, head)
        except BaseException as error:
            self._settle(start, stop, payload, error)
            raise
        return start

    def _put(self, start: int, data: bytes) -> None:
        self._map[start : start + len(data)] = data

    def tend(self, now: float) -> float:
        with self._slow:
            if self._state == "open" and self._room.size - self.position < self._room.low():
                self._grow()
        return super().tend(now)

    def _next_call(self) -> int:
        low = self._limit - self._room.low()
        return low if self.position < low else self._limit

    def _grow(self) -> None:
        """From the keeper's thread: reserve, map and fault in the next step. No writer waits, but for the first part."""
        room = self._room
        if not self._growing.acquire(blocking=False):
            return  # a writer does it; waiting here, with `_slow` held, would block a handler that closes in its middle
        try:
            old = room.size
            room.grow(room.step())
        except OSError:  # `append` asks again when the room is used up, and reports it
            return
        finally:
            self._growing.release()
        for start in room.pieces(min(old, self._limit)):
            self._limit = max(self._limit, room.piece(start))
            time.sleep(0)  # lets a writer go on, which would else wait 5 ms for its turn
        self._call_at = 0
        room.release(self.position)

    def _make_room(self, stop: int) -> None:
        """The keeper was not in time, or could not: reserve here. A small disk gets a small step."""
        room = self._room
        with self._growing:
            need = stop - room.size
            if need > 0:
                now = time.monotonic()
                if now < self._full_until:
                    raise JournalFull(f"{self.path} takes no more records: the disk was full a moment ago")
                need += -need % reserve.PAGE
                try:
                    self._grow_by(max(need, room.step()), need)
                except OSError as error:
                    self._full_until = now + _RETRY
                    raise JournalFull(f"{self.path} takes no more records: {error.strerror}") from error
            while self._limit < stop:  # a piece at a time: faults that come together cost a tenth of one in each page
                self._limit = max(self._limit, room.piece(self._limit))

    def _grow_by(self, wish: int, need: int) -> None:
        try:
            self._room.grow(wish)
        except OSError:
            if wish == need:
                raise
            self._room.grow(need)

    def _release(self) -> None:
        self._room.fd = -1
        self._map.close()
        super()._release()


class _Guarded(_Mapped):
    """For a Python without the global lock."""

    def append(self, payload: bytes) -> int:
        with self._lock:
            return super().append(payload)


def _kind() -> type[_Mapped]:
    return _Mapped if getattr(sys, "_is_gil_enabled", lambda: True)() else _Guarded


def _write(fd: int, data: bytes, offset: int) -> None:
    """All of `data` at `offset`. Raises OSError with a part of it written."""
    while data:
        if hasattr(os, "pwrite"):
            done = os.pwrite(fd, data, offset)
        else:
            os.lseek(fd, offset, os.SEEK_SET)
            done = os.write(fd, data)
        data, offset = data[done:], offset + done


def _reserve(fd: int, asked: bool) -> reserve.Reserve | None:
    """The mapped reserve of a new file; None where `write(2)` has to do."""
    if not reserve.possible(fd):
        if asked:
            raise StoreError("this filesystem cannot reserve blocks and overwrite them in place")
        return None
    try:
        return reserve.Reserve(fd)
    except OSError:  # too full for the reserve, or a filesystem that cannot: small writes may still work
        os.ftruncate(fd, FIRST)
        return None


def _sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable. Windows has no such call, and needs none."""
    if os.name != "posix":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _forked() -> None:
    renew()
    for owner in lock.forget_all():
        if isinstance(owner, Journal):
            owner._orphan()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
