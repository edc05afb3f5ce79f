"""Who writes a journal: the lock that proves that a writer lives.

A POSIX lock belongs to a process, so it ends with `kill -9` even when a forked DataLoader worker lives on (one made by
`flock` would stay). Its trap: a process loses it as soon as it closes *any* descriptor of the file. So a process that
reads a journal which it also writes must not open it again; `own` finds the writer's own descriptor.

Where there is no `lockf` (Windows, some network filesystems) the process id in the header stands in.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Protocol

from besom.journal.frame import Header

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LEASE = 60.0
"""Seconds after which a writer on another host that did not touch its file counts as dead."""


class Owner(Protocol):
    """A writer of this process."""

    def pread(self, offset: int, size: int) -> bytes | None:
        """Bytes of the file through the writer's descriptor; None when it is closed."""


_owners: dict[tuple[int, int], Owner] = {}


def host() -> str:
    """The name of this machine, as headers hold it."""
    return socket.gethostname()[:128]


def take(fd: int) -> bool:
    """Lock the file for as long as this process lives. False where the filesystem has no locks."""
    if fcntl is None:
        return False
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # ENOLCK, EOPNOTSUPP: nobody else can hold a file made a moment ago
        return False
    return True


def held(fd: int, header: Header | None) -> bool:
    """A process holds the file behind `fd`, which is not one of `own`. Closing `fd` is harmless."""
    if fcntl is not None:
        try:
            fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return True
        except OSError:  # no locks on this filesystem: the header decides
            pass
        else:
            fcntl.lockf(fd, fcntl.LOCK_UN)
    if header is None:
        return False
    if header.host != host():
        return time.time() - os.fstat(fd).st_mtime < LEASE
    return not header.locked and _exists(header.pid, fd)


def _exists(pid: int, fd: int) -> bool:
    """The process lives. Windows has no harmless `os.kill`; there the writer's touch of its file must do."""
    if fcntl is None:
        return time.time() - os.fstat(fd).st_mtime < LEASE
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def own(path: Path) -> Owner | None:
    """The writer of `path` in this process, if there is one. Raises FileNotFoundError when there is no such file."""
    if not _owners:
        return None
    status = path.stat()
    return _owners.get((status.st_dev, status.st_ino))


def register(fd: int, owner: Owner) -> tuple[int, int]:
    """Remember the writer of the file behind `fd`. Returns the key that `forget` takes."""
    status = os.fstat(fd)
    key = (status.st_dev, status.st_ino)
    _owners[key] = owner
    return key


def forget(key: tuple[int, int]) -> None:
    """The writer closed its file."""
    _owners.pop(key, None)


def forget_all() -> list[Owner]:
    """In a forked child: none of the parent's writers is its own. Returns them."""
    owners = list(_owners.values())
    _owners.clear()
    return owners
