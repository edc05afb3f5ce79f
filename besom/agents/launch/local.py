"""N agents as processes of this machine. A handle is ``PID:BIRTH`` (seconds since the epoch), so a pid that came back as
another process is not taken for the agent. Output goes where this process's output goes."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Mapping, Sequence

import psutil

from besom.core.errors import UsageError


class Local:
    """launch.Launcher for this machine. Agents are process groups of their own and live on when this process ends."""

    def __init__(self) -> None:
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def launch(self, argv: Sequence[str], *, count: int, env: Mapping[str, str], cwd: str) -> list[str]:
        handles: list[str] = []
        try:
            for _ in range(count):
                popen = subprocess.Popen(
                    list(argv), env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, start_new_session=True
                )
                handle = f"{popen.pid}:{psutil.Process(popen.pid).create_time():.2f}"
                self._started[handle] = popen
                handles.append(handle)
        except OSError as error:
            self.stop(handles, grace=1.0)
            raise UsageError(
                f"the agent cannot be started as {argv[0]!r} in {cwd}: {error.strerror or error}"
            ) from None
        return handles

    def states(self, handles: Sequence[str]) -> list[int | None]:
        return [self._state(handle) for handle in handles]

    def stop(self, handles: Sequence[str], *, grace: float) -> None:
        living = [process for handle in handles if (process := _process(handle)) is not None]
        for process in living:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        until = time.monotonic() + grace
        while time.monotonic() < until and any(code is None for code in self.states(handles)):
            time.sleep(0.05)
        for process in living:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        while any(code is None for code in self.states(handles)):
            time.sleep(0.02)

    def _state(self, handle: str) -> int | None:
        popen = self._started.get(handle)
        if popen is not None:
            return popen.poll()
        return None if _process(handle) is not None else -1


def _process(handle: str) -> psutil.Process | None:
    """The agent that a handle means, None when it has ended."""
    pid, _, birth = handle.partition(":")
    try:
        process = psutil.Process(int(pid))
        same = abs(process.create_time() - float(birth)) < 0.1 and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ValueError):
        return None
    return process if same else None
