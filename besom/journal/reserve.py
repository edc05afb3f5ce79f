"""A file mapped into memory, with its blocks reserved ahead. What the mapped journal writes into.

`posix_fallocate` before the map: a full disk is an error of this call and never a SIGBUS of a store into memory. Only
on filesystems that overwrite reserved blocks in place; a copy-on-write one may need new room for every store.
"""

from __future__ import annotations

import mmap
import os
import sys
from contextlib import suppress
from pathlib import Path

PAGE = mmap.PAGESIZE
START = 256 << 10
"""Bytes reserved for a new file."""
LEAST, MOST = 1 << 20, 16 << 20
"""Bounds of one step of growth: it doubles the file between them."""
_POPULATE_WRITE = 23
"""MADV_POPULATE_WRITE of Linux 5.14, not yet named by Python: pages are made writable before the first store."""
_PIECE = 64 << 10
_IN_PLACE = frozenset({"ext4", "xfs", "tmpfs"})
_kinds: dict[int, bool] = {}


def possible(fd: int) -> bool:
    """The filesystem of `fd` keeps the promise in the module's docstring. Asked once for each filesystem."""
    if not sys.platform.startswith("linux"):
        return False
    device = os.fstat(fd).st_dev
    if device not in _kinds:
        _kinds[device] = _overwrites_in_place(fd, device)
    return _kinds[device]


def _overwrites_in_place(fd: int, device: int) -> bool:
    try:
        mounts = Path("/proc/self/mountinfo").read_text(errors="replace")
    except OSError:
        return False
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        if left.split()[2] == wanted:
            kind = right.split()[0]
            # An overlay (containers) passes on the figures of what lies below; btrfs counts no files.
            return kind in _IN_PLACE or (kind == "overlay" and os.fstatvfs(fd).f_files > 0)
    return False


class Reserve:
    """The map of a file whose first `size` bytes are reserved. Not thread-safe; the journal's lock guards it.

    `map` keeps a descriptor of its own; it is never closed before the journal is, because that would free the lock.
    """

    def __init__(self, fd: int) -> None:
        """Raises OSError when there is no room for START bytes, or the filesystem cannot reserve."""
        os.posix_fallocate(fd, 0, START)
        self.fd = fd
        self.size = START
        self.map = mmap.mmap(fd, START)
        self._released = 0
        self.fault(0, START)

    def step(self) -> int:
        """Bytes to grow by next."""
        return min(max(self.size, LEAST), MOST)

    def low(self) -> int:
        """Bytes that should be left when the next step is asked for."""
        return min(self.size, self.step()) // 2

    def grow(self, step: int) -> None:
        """Reserve and map the next `step` bytes. Raises OSError and gives back what it got of them.

        Only one thread at a time; but a signal handler may come in between and grow the file itself.
        """
        size = self.size
        try:
            os.posix_fallocate(self.fd, size, step)
        except OSError:
            if self.size == size:
                os.ftruncate(self.fd, size)
            raise
        if self.size == size:
            self.map.resize(size + step)  # sets the length of the file too, so it must be exactly what was reserved
            self.size = size + step

    def fault(self, start: int, stop: int) -> None:
        """Make pages ready for stores, so that `append` does not wait for them. Contents do not change."""
        try:
            self.map.madvise(_POPULATE_WRITE, start - start % PAGE, stop - start + start % PAGE)
        except (
            OSError,
            ValueError,
        ):  # an older kernel: the first store of each page takes the fault; or closed meanwhile
            pass

    def pieces(self, start: int) -> range:
        """Starts of the pieces in which the helper thread calls `fault`, each a few microseconds."""
        return range(start, self.size, _PIECE)

    def piece(self, start: int) -> int:
        """Fault one piece in; returns its end."""
        stop = min(start + _PIECE, self.size)
        self.fault(start, stop)
        return stop

    def release(self, position: int) -> None:
        """Written pages leave the memory of the process; the page cache keeps them."""
        stop = max(position - LEAST, 0) // LEAST * LEAST
        if stop > self._released:
            with suppress(OSError):  # memory that is locked (mlockall) stays
                self.map.madvise(mmap.MADV_DONTNEED, self._released, stop - self._released)
            self._released = stop
