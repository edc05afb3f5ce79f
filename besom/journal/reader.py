"""Reading a journal, while it is written or years after. Serves the shipper, the folder door and `besom journal cat`.

Readers never change a file and never raise for damage inside of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from besom.core.batch import Batch
from besom.core.codec import known
from besom.core.errors import JournalDamaged
from besom.journal import lock
from besom.journal.frame import FIRST, Header, Pread, read_header, read_salt, walk


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Pread, int, int | None]]:
    """(pread, size, descriptor) of a file; the descriptor is None when this process is its writer."""
    owner = lock.own(path)
    if owner is not None and owner.pread(0, 1) is not None:
        yield lambda offset, size: owner.pread(offset, size) or b"", path.stat().st_size, None
        return
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        yield lambda offset, size: pread(fd, offset, size), os.fstat(fd).st_size, fd
    finally:
        os.close(fd)


def pread(fd: int, offset: int, size: int) -> bytes:
    """At most `size` bytes from `offset`, fewer only at the end of the file."""
    if hasattr(os, "pread"):
        data = os.pread(fd, size, offset)
        while data and len(data) < size:
            more = os.pread(fd, size - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, size)


def header(path: Path) -> Header:
    """Who wrote the file. Raises JournalDamaged when that cannot be read, FileNotFoundError when there is no file."""
    with _opened(path) as (read_at, _, _):
        try:
            return read_header(read_at(0, FIRST))
        except JournalDamaged as error:
            raise JournalDamaged(f"{path}: {error}") from None


def read(path: Path, start: int = 0, limit: int = 4 << 20) -> Batch:
    """Records from byte `start` on (0: from the first), about `limit` bytes of payload, at least one record.

    Damage inside is stepped over. ``start == end`` means that nothing is there yet, or ever: see `alive`.
    Raises JournalDamaged for a file that is no journal.
    """
    with _opened(path) as (read_at, size, fd):
        if max(start, FIRST) >= size:
            return Batch(start, start)
        salt = _salt(path, read_at)
        found = walk(read_at, size, salt, max(start, FIRST), limit, lambda: _live(read_at, fd))
    if not found.seqs:
        return Batch(start, start)
    return Batch(start, found.end, *known(tuple(found.seqs), tuple(found.payloads)))


def alive(path: Path) -> bool:
    """A process still writes the file. On another host: it touched the file in the last 60 seconds."""
    try:
        with _opened(path) as (read_at, _, fd):
            return _live(read_at, fd)
    except FileNotFoundError:
        return False


def damaged(path: Path) -> int:
    """Records of the file that are known to be lost: each is one whose head was whole, or a gap between two records."""
    with _opened(path) as (read_at, size, fd):
        salt = _salt(path, read_at)
        at, lost = FIRST, 0
        live = _live(read_at, fd)
        while True:
            found = walk(read_at, size, salt, at, 4 << 20, lambda: live)
            if not found.seqs:
                return lost if live else lost + found.doubtful
            at, lost = found.end, lost + found.lost


def _salt(path: Path, read_at: Pread) -> int:
    try:
        return read_salt(read_at(0, FIRST))
    except JournalDamaged as error:
        raise JournalDamaged(f"{path}: {error}") from None


def _live(read_at: Pread, fd: int | None) -> bool:
    if fd is None:
        return True
    try:
        head = read_header(read_at(0, FIRST))
    except JournalDamaged:
        head = None
    return lock.held(fd, head)
