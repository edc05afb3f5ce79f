"""N agents on this machine, drawn as one: each tells a shared file what happens, and the starter replays it to its observer.

The file holds frames (4 bytes of length, then msgpack of [word, arguments]), each appended by one write, so agents do not
tear each other's. Signals go on to every agent. Knows neither trials nor the hub.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click
import msgspec

from besom.agents.launch.local import Local
from besom.agents.loop import Observer, Outcome, Rules
from besom.cli.commands import FAILED, UNAVAILABLE, USAGE, code_of
from besom.core import exact
from besom.core.errors import BesomError, Unavailable, UsageError
from besom.core.wire import Command, Done, SweepView, TrialView

if TYPE_CHECKING:
    from besom.core.names import SweepPath
    from besom.settings import Settings

WORDS: dict[str, tuple[Any, ...]] = {
    "registered": (str, SweepView),
    "started": (Command,),
    "output": (str, str),
    "finished": (str, Done, float),
    "stopped": (str, str),
    "best": (TrialView,),
    "waiting": (str,),
    "progress": (int, int | None, int),
    "warning": (str,),
    "ended": (Outcome,),
}
"""What an observer is told, with the types of the arguments."""
PROBLEM = "problem"
"""One word more, for whoever started the agent: what it could not work for, and the exit code that stands for it."""
_LENGTH = struct.Struct(">I")
LOOK = 0.1
"""Seconds between two looks at the file."""


class Report(Observer):
    """Appends what an agent tells to the file at `path`."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))

    def tell(self, word: str, *arguments: Any) -> None:
        """Append one frame."""
        body = exact.encode([word, arguments])
        os.write(self._fd, _LENGTH.pack(len(body)) + body)


def _teller(word: str) -> Any:
    def tell(self: Report, *arguments: Any) -> None:
        self.tell(word, *arguments)

    return tell


for _word in WORDS:
    setattr(Report, _word, _teller(_word))


@contextmanager
def problems_to(report: Report) -> Iterator[None]:
    """Errors of besom inside are told instead of shown: N agents would all show the same. Ends with exit code 1."""
    try:
        yield
    except BesomError as error:
        report.tell(PROBLEM, str(error), code_of(error))
        raise click.exceptions.Exit(FAILED) from None


class Replay:
    """The other end: calls an observer for what has been appended since the last time."""

    def __init__(self, path: Path, observer: Observer) -> None:
        self._file = path.open("rb")
        self._rest = b""
        self._observer = observer
        self._told: set[Any] = set()
        self.outcomes: list[Outcome] = []
        self.problems: list[tuple[str, int]] = []

    def step(self) -> None:
        """Replay what is there now."""
        self._rest += self._file.read()
        while len(self._rest) >= 4 and len(self._rest) >= 4 + (size := _LENGTH.unpack_from(self._rest)[0]):
            word, given = exact.decode(self._rest[4 : 4 + size], list[Any])
            self._rest = self._rest[4 + size :]
            if word == PROBLEM:
                self.problems.append((given[0], given[1]))
                continue
            self._replay(word, [msgspec.convert(value, kind) for value, kind in zip(given, WORDS[word], strict=True)])

    def _replay(self, word: str, given: list[Any]) -> None:
        if word == "ended":
            self.outcomes.append(given[0])
            return
        once: Any = None  # every agent's own
        if word == "best":
            once = (given[0].run, given[0].value)
        elif word == "warning":
            once = given[0]
        if once is None or once not in self._told:
            self._told.add(once)
            getattr(self._observer, word)(*given)

    def close(self) -> None:
        """All agents have left: tell why, each reason once, and let go of the file."""
        for outcome in {outcome.reason: outcome for outcome in self.outcomes}.values():
            self._observer.ended(outcome)
        self._file.close()


def run(
    settings: Settings, path: SweepPath, parallel: int, limits: Rules, observer: Observer, gpus: Sequence[str] = ()
) -> list[Outcome]:
    """Start `parallel` agents and wait for them; their outcomes. `limits.count` is shared out among them.

    `gpus`: the device that each agent's trials see, dealt out in turn. Raises what an agent raised, and BesomError when one died.
    """
    launcher = Local()
    handles: list[str] = []
    env = {**os.environ, "BESOM_DIR": str(settings.dir.absolute())}
    with tempfile.TemporaryDirectory(prefix="besom-agents-") as folder:
        file = Path(folder) / "events"
        file.touch()
        replay = Replay(file, observer)
        try:
            with _signals_to(handles):
                for number, share in enumerate(shares(limits.count, parallel)):
                    argv = [*command(path, dataclasses.replace(limits, count=share)), "--events", str(file)]
                    seen = {"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if gpus else {}
                    handles += launcher.launch(argv, count=1, env=env | seen, cwd=os.getcwd())  # noqa: PTH109
                while any(code is None for code in launcher.states(handles)):
                    time.sleep(LOOK)
                    replay.step()
            replay.step()
        finally:
            launcher.stop(handles, grace=limits.kill_delay)
            replay.close()
    if replay.problems:
        message, code = replay.problems[0]
        raise {USAGE: UsageError, UNAVAILABLE: Unavailable}.get(code, BesomError)(message)
    if len(replay.outcomes) < len(handles):
        raise BesomError(
            f"{len(handles) - len(replay.outcomes)} of {len(handles)} agents died; their trials are given to others"
        )
    return replay.outcomes


def shares(count: int | None, parallel: int) -> list[int | None]:
    """`count` trials shared out among at most `parallel` agents; no limit for anyone when there is none.

    >>> shares(10, 4)
    [3, 3, 2, 2]
    """
    if count is None:
        return [None] * parallel
    return [part for i in range(parallel) if (part := count // parallel + (i < count % parallel))]


def command(path: SweepPath, limits: Rules) -> list[str]:
    """The command line of one agent."""
    argv = [sys.executable, "-m", "besom", "agent", str(path), "--term-timeout", str(limits.kill_delay)]
    if limits.count is not None:
        argv += ["--count", str(limits.count)]
    if limits.consecutive is not None:
        argv += ["--max-consecutive-failed-runs", str(limits.consecutive)]
    return argv


@contextmanager
def _signals_to(handles: Sequence[str]) -> Iterator[None]:
    """Signals to this process go on to every agent; `handles` may grow meanwhile."""

    def forward(number: int, _: FrameType | None) -> None:
        for handle in handles:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(int(handle.partition(":")[0]), number)

    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, forward) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
