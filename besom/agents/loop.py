"""The agent's loop: heartbeat, commands, trials that start and end, and the rules by which an agent gives up.

The walk it serves: `besom agent` / `besom.agent` -> `Session.beat` -> hub -> commands -> a program or a function -> `Done`
with the next heartbeat. A `Session` is what an agent and the hub know of each other, and is safe from several threads;
`work` drives it for trials that are processes. It draws nothing: an `Observer` is told.

Laws: what ended is reported until the hub has answered; a command that comes twice is obeyed once; a hub that is out of
reach ends nothing. Signals (SIGINT, SIGTERM, SIGHUP, SIGQUIT) go on to the trials, which are given back to the sweep; the
second one ends them with SIGTERM, the third with SIGKILL. SIGUSR1 and SIGUSR2 only go on to the trials.
"""

from __future__ import annotations

import glob
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from besom.client import Client
from besom.core.errors import BesomError, NotFound, Unavailable
from besom.core.names import SweepPath, machine
from besom.core.wire import Beat, Command, Done, Orders, SweepView, TrialView

BEAT = 2.0
"""Seconds between two heartbeats; the hub's lease is 60 s."""
FLAPPING, FLAPPING_SECONDS = 3, 60.0
MOST_INITIAL = 5
KILL_DELAY = 30.0
LEAVING = 15.0
"""Seconds in which an agent that leaves tries to report what ended."""
DELIVERY = 10.0
"""Seconds to wait, with a server, until a trial's last records have arrived there before its end is reported."""


class Observer:
    """What an agent tells whoever started it. Every method does nothing here; override those you draw.

    Called from the agent's threads, one call at a time. `run` is a run's id.
    """

    def registered(self, agent: str, sweep: SweepView) -> None:
        """The hub knows this agent now."""

    def started(self, command: Command) -> None:
        """A trial begins: command.run, .name, .number, .attempt, .params."""

    def output(self, run: str, text: str) -> None:
        """A line that the trial's program wrote, without its end."""

    def finished(self, run: str, done: Done, seconds: float) -> None:
        """A trial ended: done.state, .code, .reason, and .tail (its last lines) when it failed."""

    def stopped(self, run: str, reason: str) -> None:
        """A trial was told to stop."""

    def best(self, trial: TrialView) -> None:
        """There is a new best trial of the sweep: trial.run, .value, .params."""

    def waiting(self, reason: str) -> None:
        """Nothing to do now, and why; "" when there is work again."""

    def progress(self, finished: int, budget: int | None, running: int) -> None:
        """Ended trials of the whole sweep, its budget (None: no end), and this agent's running ones. For an ETA."""

    def warning(self, text: str) -> None:
        """Something is wrong that does not end the agent. Each text is told once."""

    def ended(self, outcome: Outcome) -> None:
        """The agent leaves."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When an agent stops by itself.

    `count`: after so many trials. `consecutive`: after so many failures in a row. `initial`: after so many failures, when
    at most as many trials went well. `flapping`: whether three failures and no success within its first minute end it.
    `kill_delay`: seconds between asking a trial to end and killing it.
    """

    count: int | None = None
    consecutive: int | None = None
    initial: int = MOST_INITIAL
    flapping: bool = True
    kill_delay: float = KILL_DELAY
    beat: float = BEAT


@dataclass(frozen=True, slots=True)
class Outcome:
    """Why an agent left. `ok`: for a reason that is no fault (the sweep is over, the count reached, told to leave)."""

    reason: str
    ok: bool
    finished: int
    failed: int
    state: str
    best: TrialView | None = None


@dataclass(slots=True)
class Tally:
    """What this agent's trials came to. `failed`: exit code above 0, or an exception of a function."""

    began: float
    done: int = 0
    finished: int = 0
    failed: int = 0
    in_a_row: int = 0
    early: int = 0

    def add(self, done: Done, at: float) -> None:
        """Count a trial that ended at monotonic time `at`."""
        if done.state == "preempted":
            return
        self.done += 1
        if done.state == "failed":
            self.failed += 1
            self.in_a_row += 1
            self.early += at - self.began < FLAPPING_SECONDS
        else:
            self.in_a_row = 0
            self.finished += done.state in ("finished", "stopped")

    def verdict(self, rules: Rules) -> str:
        """Why the agent must give up, or ""."""
        if rules.flapping and self.early >= FLAPPING and not self.finished:
            return (
                f"the first {self.failed} trials failed within a minute: is the program right?"
                " (BESOM_AGENT_DISABLE_FLAPPING=true goes on all the same)"
            )
        if rules.consecutive is not None and self.in_a_row >= rules.consecutive:
            return f"{self.in_a_row} trials failed in a row"
        if self.failed >= rules.initial and self.failed >= self.finished:
            return f"{self.failed} trials failed and only {self.finished} went well (BESOM_AGENT_MAX_INITIAL_FAILURES sets the limit)"
        return ""


class Session:
    """One agent at one sweep. `beat` asks and reports; the other methods say what happened here."""

    def __init__(self, client: Client, path: SweepPath, observer: Observer, rules: Rules) -> None:
        self.path, self.observer, self.rules = path, observer, rules
        self.over = ""
        """Why no further trial is taken; "" while one may be."""
        self.ok = True
        self.state = "running"
        self.tally = Tally(time.monotonic())
        self.running: dict[str, Command] = {}
        self._client = client
        self._done: list[Done] = []
        self._lock = threading.RLock()
        self._began: dict[str, float] = {}
        self._best: TrialView | None = None
        self._told: set[str] = set()
        self._waiting = ""
        self.agent, self.sweep = self._register()

    def _register(self) -> tuple[str, SweepView]:
        answer = self._client.register(str(self.path), machine(), os.getpid())
        self.observer.registered(answer.id, answer.sweep)
        for text in answer.sweep.warnings:
            self.warn(text)
        return answer.id, answer.sweep

    @property
    def pending(self) -> bool:
        """There are ends of trials that the hub has not heard of."""
        return bool(self._done)

    @property
    def wants(self) -> int:
        """How many trials this agent would take now."""
        full = self.rules.count is not None and self.tally.done + len(self.running) >= self.rules.count
        return int(not self.over and not self.running and not full)

    def beat(self) -> list[Command]:
        """One heartbeat: report, ask, and return what is to be done now (run and stop; exit is noted in `over`)."""
        with self._lock:
            done = tuple(self._done)
            ask = Beat(tuple((c.run, c.attempt) for c in self.running.values()), done, self.wants)
            try:
                orders = self._client.beat(self.agent, ask)
            except NotFound as error:
                self.leave_for(str(error), ok=False)
                self._done.clear()
                return [Command("stop", run=run, reason="the sweep was deleted") for run in self.running]
            except Unavailable as error:
                self.wait_for(str(error))
                return []
            del self._done[: len(done)]
            return self._obey(orders, asked=bool(ask.want))

    def _obey(self, orders: Orders, *, asked: bool) -> list[Command]:
        self.state = orders.state
        for text in orders.warnings:
            self.warn(text)
        if orders.best is not None and (self._best is None or orders.best.value != self._best.value):
            self.observer.best(orders.best)
        self._best = orders.best or self._best
        commands = []
        for command in orders.commands:
            if command.type == "exit":
                self.leave_for(command.reason)
            elif command.type == "stop" and command.run in self.running:
                commands.append(command)
            elif command.type == "run" and command.run not in self.running and not self.over:
                self.running[command.run] = command
                self._began[command.run] = time.monotonic()
                commands.append(command)
        self.observer.progress(orders.finished, orders.budget, len(self.running))
        if self.running or self.over:
            self.wait_for("")
        elif asked and orders.state == "paused":
            self.wait_for("the sweep is paused")
        elif asked:
            self.wait_for("the last trials run elsewhere")
        return commands

    def ended(self, done: Done) -> None:
        """A trial of this agent ended; the next heartbeat reports it."""
        with self._lock:
            self.running.pop(done.run, None)
            self._done.append(done)
            now = time.monotonic()
            self.tally.add(done, now)
            self.observer.finished(done.run, done, now - self._began.pop(done.run, now))
            verdict = self.tally.verdict(self.rules)
            if verdict:
                self.leave_for(verdict, ok=False)
            elif self.rules.count is not None and self.tally.done >= self.rules.count:
                self.leave_for(f"{self.tally.done} trials done, as many as --count asked for")

    def leave_for(self, reason: str, *, ok: bool = True) -> None:
        """Take no further trial. The first reason stays."""
        if not self.over:
            self.over, self.ok = reason or "the sweep is over", ok

    def warn(self, text: str) -> None:
        """Tell the observer, once for each text."""
        if text and text not in self._told:
            self._told.add(text)
            self.observer.warning(text)

    def wait_for(self, reason: str) -> None:
        """Tell the observer why nothing happens, when that changed."""
        if reason != self._waiting:
            self._waiting = reason
            self.observer.waiting(reason)

    def close(self) -> Outcome:
        """Report what is left to report, say goodbye, and tell the observer."""
        until = time.monotonic() + LEAVING
        while self._done and time.monotonic() < until:
            self.beat()
            if self._done:
                time.sleep(0.5)
        try:
            self._client.leave(self.agent)
        except BesomError:
            pass  # the hub finds out by the lease, or by the process that is gone
        outcome = Outcome(self.over, self.ok, self.tally.finished, self.tally.failed, self.state, self._best)
        self.observer.ended(outcome)
        return outcome


class Child(Protocol):
    """A trial in a process of its own: what program.Process and function's isolated trials have in common."""

    pid: int

    @property
    def code(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""

    @property
    def tail(self) -> str:
        """Its last lines."""

    def signal(self, number: int) -> None:
        """Send a signal to the whole process group."""

    def kill(self) -> None:
        """End the group now."""


Start = Callable[[Command, Callable[[], None]], Child]
"""Start the trial of a command; the callback is called, from any thread, once it has ended. BesomError: it cannot start."""


@dataclass(slots=True)
class _Trial:
    command: Command
    child: Child
    ended: bool = False
    stop: str = ""
    given_back: bool = False
    deadline: float = float("inf")
    """When it is killed (while it runs), or reported at the latest (when it has ended)."""


@dataclass
class Driver:
    """Runs a session's trials as processes, in the calling thread. `journals`: where their records leave from, or None."""

    session: Session
    start: Start
    journals: Path | None = None
    on_group: Callable[[int, bool], None] = lambda pid, begins: None
    _events: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)
    _trials: dict[str, _Trial] = field(default_factory=dict)
    _signals: int = 0

    def run(self) -> Outcome:
        """Work until the sweep is over for this agent."""
        with self._signals_forwarded():
            try:
                while not (self.session.over and not self._trials):
                    for command in self.session.beat():
                        self._obey(command)
                    self._until_next_beat()
            finally:
                for trial in self._trials.values():
                    trial.child.kill()
                outcome = self.session.close()
        return outcome

    def _obey(self, command: Command) -> None:
        if command.type == "stop":
            trial = self._trials.get(command.run)
            if trial and not trial.ended and not trial.stop:
                trial.stop = command.reason or "stopped"
                self.session.observer.stopped(command.run, trial.stop)
                self._end(trial, signal.SIGTERM)
            return
        self.session.observer.started(command)
        try:
            child = self.start(command, lambda: self._events.put(command.run))
        except BesomError as error:
            self.session.ended(Done(command.run, command.attempt, None, "preempted", str(error)))
            self.session.leave_for(str(error), ok=False)
            return
        self._trials[command.run] = _Trial(command, child)
        self.on_group(child.pid, True)

    def _end(self, trial: _Trial, number: int) -> None:
        trial.child.signal(number)
        trial.deadline = min(trial.deadline, time.monotonic() + self.session.rules.kill_delay)

    def _until_next_beat(self) -> None:
        """Handle what happens here until it is time for a heartbeat, or there is something to report."""
        until = time.monotonic() + self.session.rules.beat
        while time.monotonic() < until:
            pause = 0.05 if any(trial.ended for trial in self._trials.values()) else until - time.monotonic()
            try:
                event = self._events.get(timeout=max(0.0, min(pause, self.session.rules.beat)))
            except queue.Empty:
                event = None
            if isinstance(event, str):
                trial = self._trials[event]
                trial.ended, trial.deadline = True, time.monotonic() + DELIVERY
                self.on_group(trial.child.pid, False)
            elif event is not None:
                self._signalled(*event)
            if self._settle() or (event is not None and self.session.over and not self._trials):
                return

    def _settle(self) -> bool:
        """Kill what did not end in time, and report what ended once its records have arrived; True when something was."""
        now, reported = time.monotonic(), False
        for run, trial in list(self._trials.items()):
            if not trial.ended and now >= trial.deadline:
                trial.child.kill()
            elif trial.ended and (now >= trial.deadline or self._delivered(run)):
                del self._trials[run]
                self.session.ended(verdict(trial.command, trial.child, trial.stop, trial.given_back))
                reported = True
        return reported

    def _delivered(self, run: str) -> bool:
        return self.journals is None or delivered(self.journals, run)

    def _signalled(self, number: int, leave: bool) -> None:
        if leave:
            self._signals += 1
            self.session.leave_for(f"told to leave by {signal.Signals(number).name}")
            number = (number, signal.SIGTERM, signal.SIGKILL)[min(self._signals, 3) - 1]
        for trial in self._trials.values():
            if trial.ended:
                continue
            if leave:
                trial.given_back = True
                self._end(trial, number)
            else:
                trial.child.signal(number)

    def _handler(self, leave: bool) -> Callable[[int, Any], None]:
        return lambda number, _: self._events.put((number, leave))  # a SimpleQueue may be used from a handler

    @contextmanager
    def _signals_forwarded(self) -> Iterator[None]:
        """Signals of this process become events. Only a main thread can ask for that; elsewhere nothing changes."""
        before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for name, leave in _FORWARDED:
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) is not None:
                    before[number] = signal.signal(number, self._handler(leave))
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


_FORWARDED = (
    ("SIGINT", True),
    ("SIGTERM", True),
    ("SIGHUP", True),
    ("SIGQUIT", True),
    ("SIGUSR1", False),
    ("SIGUSR2", False),
)


def delivered(journals: Path, run: str) -> bool:
    """With a server: a run's journals leave the folder once the server has all of them."""
    return not any(journals.glob(f"{glob.escape(run)}-*.besom"))


def wrote(journals: Path, run: str) -> bool:
    """A process called `init()` for this run: there is a journal of it, delivered or not."""
    return any(next(folder.glob(f"{glob.escape(run)}-*.besom"), None) for folder in (journals, journals / "done"))


def verdict(command: Command, child: Child, stop: str = "", given_back: bool = False) -> Done:
    """How a trial's process ended, as the hub is told."""
    code, run, attempt = child.code, command.run, command.attempt
    if stop:
        return Done(run, attempt, code, "stopped", stop)
    if code == 0:
        return Done(run, attempt, 0, "finished")
    if given_back:
        return Done(run, attempt, code, "preempted", "its agent was told to leave")
    if code is not None and code < 0:
        name = _signal_name(-code)
        if name in ("SIGINT", "SIGTERM"):
            return Done(run, attempt, code, "killed", f"ended by {name}", child.tail)
        hint = ", perhaps for want of memory" if name == "SIGKILL" else ""
        return Done(run, attempt, code, "crashed", f"died by {name}{hint}", child.tail)
    said = [text for text in child.tail.splitlines() if text.strip() and not text.startswith("besom: ")]
    last = said[-1].strip() if said else ""
    return Done(run, attempt, code, "failed", f"exit code {code}" + (f": {last[:300]}" if last else ""), child.tail)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
