"""The guard: a small process beside an agent that ends what the agent's death would leave running.

It reads lines from a pipe that only the agent holds: ``+123`` watches process group 123, ``-123`` forgets it. When the pipe
closes the agent is gone, also by ``kill -9``, and the groups still watched are killed. The kernel's PR_SET_PDEATHSIG reaches
only the direct child; the guard reaches its workers, and systems that have no such call. Standard library only: this file
is also the program that runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import IO


class Guard:
    """The agent's side. Nothing here raises: without a guard the agent works as before, less safely."""

    def __init__(self) -> None:
        self._popen: subprocess.Popen[bytes] | None = None
        if os.name == "posix":
            with contextlib.suppress(OSError):
                self._popen = subprocess.Popen(
                    [sys.executable, "-I", "-S", __file__],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )

    def watch(self, group: int) -> None:
        """End this process group when the agent dies."""
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        """This process group has ended."""
        self._tell(f"-{group}\n")

    def let_go(self) -> None:
        """In a forked child: close the copy of the pipe, which would hide the agent's death."""
        if self._popen is not None and self._popen.stdin is not None:
            with contextlib.suppress(OSError):
                os.close(self._popen.stdin.fileno())
            self._popen = None

    def close(self) -> None:
        """The agent leaves in good order. Idempotent."""
        if self._popen is not None and self._popen.stdin is not None:
            with contextlib.suppress(OSError):
                self._popen.stdin.close()
            self._popen.wait()
            self._popen = None

    def _tell(self, line: str) -> None:
        if self._popen is not None and self._popen.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self._popen.stdin.write(line.encode())
                self._popen.stdin.flush()


def keep(lines: IO[str]) -> None:
    """The guard's side: watch until the pipe closes, then end what is left."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    watched: set[int] = set()
    for line in lines:
        (watched.add if line[0] == "+" else watched.discard)(int(line[1:]))
    for group in watched:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    keep(sys.stdin)
