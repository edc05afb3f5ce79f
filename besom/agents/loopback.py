"""A besom server of this machine for as long as a program needs one: for programs whose client speaks to an address only.

The walk it serves: an agent (or `besom run train.py`) without a server -> `Loopback` -> its address in the environment of
the program. It serves the same store on a free port of 127.0.0.1, and dies with the process that started it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from besom.core.errors import Unavailable

_ADDRESS = re.compile(r"http://\S+")


class Loopback:
    """The server's process. A context manager; `address` is what to give to a program."""

    def __init__(self, environment: Mapping[str, str], prepare: Callable[[], None] | None) -> None:
        """Start it. `prepare`: called in the new process, so that it dies with this one. Raises Unavailable."""
        posix: dict[str, Any] = {"process_group": 0, "preexec_fn": prepare} if os.name == "posix" else {}
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "besom", "server", "--port", "0"],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            **posix,
        )
        assert self._popen.stdout is not None
        found = _ADDRESS.search(self._popen.stdout.readline())
        if found is None:
            self.close()
            raise Unavailable("the besom server that the program needs did not start; besom server says why")
        self.address = found[0]

    def close(self) -> None:
        """End it, after what it is doing now."""
        self._popen.terminate()
        self._popen.wait()
        if self._popen.stdout is not None:
            self._popen.stdout.close()

    def __enter__(self) -> Loopback:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
