"""What an agent at work looks like: a live board in a terminal, plain lines elsewhere. Fed by the agent's Observer calls.

`Board` is the state and `Board.render` the picture; `Live` and `Plain` say when something is drawn. They know no client.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from besom.agents.loop import Observer
from besom.cli.chart import spark
from besom.cli.output import console, duration, number, state
from besom.core.errors import BesomError
from besom.core.wire import RunView

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from besom.agents.loop import Outcome
    from besom.core.wire import Command, Done, SweepView, TrialView

KEPT = 20
"""Lines of a trial's output that a failure shows at most."""


@dataclass
class Board:
    """What is known of a sweep and of the agents here. `target`: trials at which the bar is full, None when there is no end."""

    title: str = ""
    metric: str = ""
    began: float = field(default_factory=time.monotonic)
    running: dict[str, tuple[Command, float]] = field(default_factory=dict)
    finished: int = 0
    first: int | None = None
    """Ended trials of the sweep when the agents here began."""
    target: int | None = None
    best: TrialView | None = None
    values: list[float] = field(default_factory=list)
    """The best value so far, each time it changed."""
    waiting: str = ""
    ended: int = 0
    """Trials that ended here."""

    def eta(self, now: float) -> float | None:
        """Seconds until the target at the pace so far; None while nothing can be said."""
        done = self.finished - (self.first or 0)
        if self.target is None or done <= 0 or self.finished >= self.target:
            return None
        return (now - self.began) / done * (self.target - self.finished)

    def render(self, now: float, width: int) -> RenderableType:
        """The board as rich draws it."""
        from rich.console import Group
        from rich.text import Text

        lines = [Text(self.title, style="bold"), self._bar(now, width)]
        if self.best is not None and self.best.value is not None:
            curve = f"  {spark(self.values, 12)}" if len(self.values) > 1 else ""
            text = f"{self.metric} {number(self.best.value)}{curve}  {params(self.best.params)}  run {self.best.run}"
            lines.append(Text.assemble(("best     ", "bright_black"), (text, "bold yellow")))
        for command, since in self.running.values():
            lines.append(
                Text.assemble(
                    ("running  ", "bright_black"),
                    (_trial(command), "blue"),
                    f"  {params(command.params)}  {duration(now - since)}",
                )
            )
        if not self.running and self.waiting:
            lines.append(Text(f"waiting  {self.waiting}", style="bright_black"))
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        return Group(*lines)

    def _bar(self, now: float, width: int) -> Text:
        from rich.text import Text

        spent = duration(now - self.began)
        if self.target is None:
            return Text.assemble(f"{self.finished} done", (f"  {spent}  no end: Ctrl-C, or --count", "bright_black"))
        eta = self.eta(now)
        words = f"  {self.finished}/{self.target}  {spent}" + (
            f"  about {duration(eta)} left" if eta is not None else ""
        )
        columns = max(10, min(40, width - len(words)))
        full = min(columns, round(columns * self.finished / self.target)) if self.target else columns
        return Text.assemble(("━" * full, "green"), ("━" * (columns - full), "bright_black"), words)


def params(values: Mapping[str, Any]) -> str:
    """Parameters in one line."""
    return " ".join(f"{key}={number(value, 4)}" for key, value in values.items())


def _trial(command: Command) -> str:
    again = f", attempt {command.attempt}" if command.attempt > 1 else ""
    return f"#{command.number} {command.name or command.run}{again}"


Look = Callable[[str], RunView]
"""The run with this id, as it is kept now. Raises BesomError."""


class Plain(Observer):
    """A line for each thing that happens, as a log file wants it.

    `verbose`: the trials' own lines too. `look`: how to ask what value an ended trial came to; without it none is shown.
    """

    def __init__(self, *, count: int | None = None, verbose: bool = True, look: Look | None = None) -> None:
        self.board = Board()
        self._look = look
        self._goal = ""
        self.verbose = verbose
        self._count = count
        self._names: dict[str, Command] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def line(self, *parts: Any) -> None:
        """Print one line above whatever is drawn."""
        from rich.text import Text

        console().print(Text.assemble(*parts))

    def registered(self, agent: str, sweep: SweepView) -> None:
        board = self.board
        goal = f", {sweep.goal} {sweep.metric}" if sweep.metric else ""
        board.title = f"{sweep.entity}/{sweep.project}/{sweep.id}  {sweep.method}{goal}"
        board.metric, board.target = sweep.metric, sweep.budget
        self._goal = sweep.goal
        self.line(f"agent {agent} works on {board.title}")

    def started(self, command: Command) -> None:
        self.board.running[command.run] = (command, time.monotonic())
        self.board.waiting = ""
        self._names[command.run] = command
        self.line("started   ", _trial(command), f"  {params(command.params)}")

    def output(self, run: str, text: str) -> None:
        if self.verbose:
            number_ = f"#{self._names[run].number}" if run in self._names else run
            self.line((f"{number_:>4} ┆ ", "bright_black"), text)

    def finished(self, run: str, done: Done, seconds: float) -> None:
        self.board.running.pop(run, None)
        self.board.ended += 1
        command = self._names.pop(run, None)
        word = state(done.state)
        word.pad_right(max(0, 10 - len(word.plain)))
        name = f"{_trial(command)}  {params(command.params)}" if command else run
        came_to = self._value(run)
        value = f"  {self.board.metric} {number(came_to)}" if came_to is not None else ""
        reason = f"  {done.reason}" if done.reason and done.state != "finished" else ""
        self.line(
            word,
            " ",
            name,
            (value, "bold"),
            f"  {duration(seconds)}",
            (reason, "red" if done.state == "failed" else ""),
        )
        if done.state in ("failed", "crashed") and done.tail.strip() and not self.verbose:
            for text in done.tail.splitlines()[-KEPT:]:
                self.line(("     ┆ ", "bright_black"), (text, "red"))

    def _value(self, run: str) -> float | None:
        """The trial's best value, None when it has none or it cannot be asked now."""
        if self._look is None or not self.board.metric:
            return None
        try:
            stat = self._look(run).metrics.get(self.board.metric)
        except BesomError:  # it never began, or the server is away: the line goes without
            return None
        return None if stat is None else stat.max if self._goal == "maximize" else stat.min

    def stopped(self, run: str, reason: str) -> None:
        command = self._names.get(run)
        self.line("stopping  ", _trial(command) if command else run, f"  {reason}")

    def best(self, trial: TrialView) -> None:
        if trial.value is not None:
            self.board.values.append(trial.value)
            self.line(
                ("new best  ", "bold yellow"),
                f"{self.board.metric} {number(trial.value)}  {params(trial.params)}  run {trial.run}",
            )
        self.board.best = trial

    def waiting(self, reason: str) -> None:
        self.board.waiting = reason
        if reason:
            self.line((f"waiting   {reason}", "bright_black"))

    def progress(self, finished: int, budget: int | None, running: int) -> None:
        board = self.board
        board.first = finished if board.first is None else board.first
        board.finished = finished
        board.target = budget
        if self._count is not None:
            limit = board.first + self._count
            board.target = limit if budget is None else min(limit, budget)

    def warning(self, text: str) -> None:
        self.line(("Warning: ", "bold yellow"), text)

    def ended(self, outcome: Outcome) -> None:
        self.board.running.clear()
        self.line(("left      " if outcome.ok else "gave up   ", "" if outcome.ok else "bold red"), outcome.reason)


class Live(Plain):
    """The board at the foot of a terminal; ended trials scroll away above it. Use as a context manager."""

    def __init__(self, *, count: int | None = None, verbose: bool = False, look: Look | None = None) -> None:
        from rich.live import Live as Screen

        super().__init__(count=count, verbose=verbose, look=look)
        self._screen = Screen(
            get_renderable=lambda: self.board.render(time.monotonic(), console().width),
            console=console(),
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._screen.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._screen.stop()

    def registered(self, agent: str, sweep: SweepView) -> None:
        super().registered(agent, sweep)
        self._screen.refresh()

    def started(self, command: Command) -> None:
        self.board.running[command.run] = (command, time.monotonic())
        self.board.waiting = ""
        self._names[command.run] = command

    def best(self, trial: TrialView) -> None:
        if trial.value is not None:
            self.board.values.append(trial.value)
        self.board.best = trial

    def waiting(self, reason: str) -> None:
        self.board.waiting = reason
