"""One helper thread for all journals of a process: it reserves room ahead of the writers and makes writes durable.

It sleeps without a timeout while nothing is written, except for a touch of the files every TOUCH seconds. A journal
wakes it on the first append after a sync, and when its room runs low. A forked child starts its own.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol

SYNC = 1.0
"""Least seconds between two syncs of a journal: what a power failure may take."""
TOUCH = 15.0
"""Seconds between two touches of a journal, by which other hosts see that its writer lives."""


class Kept(Protocol):
    """What the keeper looks after."""

    def tend(self, now: float) -> float:
        """Grow, sync or touch as needed; `now` and the answer, when to come again, are on the monotonic clock."""


class Keeper:
    """The thread and the list of what it tends. Safe to call from any thread and from a signal handler."""

    def __init__(self) -> None:
        self._kept: dict[int, Kept] = {}
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, kept: Kept) -> None:
        self._kept[id(kept)] = kept
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="besom-journal", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no more threads, or the interpreter ends: writers then make room themselves
                return
            self._thread = thread
        self._wake.set()

    def remove(self, kept: Kept) -> None:
        self._kept.pop(id(kept), None)

    def wake(self) -> None:
        self._wake.set()

    def _run(self) -> None:
        due: float | None = None
        while True:
            self._wake.wait(None if due is None else max(due - time.monotonic(), 0.0))
            self._wake.clear()
            now = time.monotonic()
            times = [kept.tend(now) for kept in list(self._kept.values())]
            due = min(times, default=None)


keeper = Keeper()


def renew() -> None:
    """In a forked child: the parent's thread does not exist here."""
    keeper.__init__()  # type: ignore[misc]
