"""A trial as a Python function: in this process and its main thread, or with ``isolate`` in a process of its own.

The walk it serves: agents/face -> Command -> the function, whose `init()` obeys the assignment -> Done. In this process a
thread keeps the heartbeat going meanwhile; a trial that is told to stop ends at its next `log()`, which raises
`besom.Stopped`. An exception fails the trial, its traceback is printed, and the sweep goes on.

Isolated trials are forked where the system can fork (Linux): the function may then be a closure or live in a notebook, and
the script needs no ``if __name__ == "__main__"``. What does not survive a fork must not be used before it: a CUDA context,
above all. Elsewhere, or with ``isolate="spawn"``, each trial starts a fresh interpreter that imports the script again: then
the function must stand at the top of an importable file and the call of `agent` under that guard.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from besom.agents.guard import Guard
from besom.agents.loop import DELIVERY, Child, Driver, Outcome, Session, delivered, wrote
from besom.agents.program import TAIL, die_with
from besom.core.errors import Stopped, UsageError
from besom.core.wire import Command, Done
from besom.sdk import assign, current, ending
from besom.sdk.assign import Assignment
from besom.settings import Settings

Function = Callable[[], Any]
UNREACHED = (
    "no parameter reaches the function: it does not call besom.init(), which would give it the values in besom.config"
)
IDLE = 0.5
"""Seconds between two questions for work while there is none."""
LONGEST_TAIL = 16_000
"""Characters; they must fit into a pipe that is read when the trial has ended."""
NOBODY = 143
"""Exit code of an isolated trial that was told to stop."""


def work(session: Session, function: Function, settings: Settings) -> Outcome:
    """Run trials in the calling thread until the sweep is over for this agent. KeyboardInterrupt gives the trial back and is
    raised again once the agent has said goodbye."""
    try:
        while not session.over:
            run = next((command for command in session.beat() if command.type == "run"), None)
            if run is None:
                time.sleep(0 if session.over else IDLE)
                continue
            session.observer.started(run)
            session.ended(_trial(session, function, run, settings))
    except KeyboardInterrupt:
        session.leave_for("Ctrl-C")
        session.close()
        raise
    return session.close()


def isolated(session: Session, function: Function, settings: Settings, how: str = "") -> Outcome:
    """Run each trial in a process of its own. `how`: "fork", "spawn" or "" for what the system can."""
    methods = multiprocessing.get_all_start_methods()
    how = how or ("fork" if "fork" in methods and sys.platform != "darwin" else "spawn")
    if how not in ("fork", "spawn") or how not in methods:
        raise UsageError(
            f"isolate is True, or one of {', '.join(m for m in methods if m != 'forkserver')}, not {how!r}"
        )
    guard = Guard()

    def start(command: Command, on_exit: Callable[[], None]) -> Child:
        def ended() -> None:
            _check_init(session, settings, command)
            on_exit()

        return _Process(how, function, _assignment(session, command), guard, ended)

    def group(pid: int, begins: bool) -> None:
        (guard.watch if begins else guard.forget)(pid)

    try:
        return Driver(session, start, settings.journals if settings.server else None, group).run()
    finally:
        guard.close()


def _check_init(session: Session, settings: Settings, command: Command) -> None:
    if not wrote(settings.journals, command.run):
        session.warn(UNREACHED)


def _arrived(settings: Settings, command: Command) -> None:
    """With a server: wait until it has all that the trial logged, so that the next suggestion knows of it."""
    until = time.monotonic() + DELIVERY
    while settings.server and time.monotonic() < until and not delivered(settings.journals, command.run):
        time.sleep(0.05)


def _assignment(session: Session, command: Command) -> Assignment:
    path, told = session.path, (command.run, command.name, session.path.id, command.attempt, command.params)
    return Assignment(*told, path.entity, path.project, command.parent)


def _trial(session: Session, function: Function, command: Command, settings: Settings) -> Done:
    """One trial in this process. The run that it left open is ended as the function ended."""
    heart = _Heart(session)
    heart.start()
    assign.set(_assignment(session, command))
    run, attempt = command.run, command.attempt
    try:
        function()
    except Stopped as stop:
        _end_run(ending.of_exception(type(stop), stop))
        return Done(run, attempt, None, "stopped", str(stop))
    except KeyboardInterrupt as error:
        _end_run(ending.of_exception(type(error), error))
        session.ended(Done(run, attempt, None, "preempted", "its agent was told to leave"))
        raise
    except SystemExit as error:
        end = ending.of_exception(type(error), error)
        _end_run(end)
        return Done(run, attempt, end.code, "finished" if end.code == 0 else "failed", end.reason)
    except Exception as error:  # a trial may fail in any way; the sweep goes on
        text = _traceback(error)
        sys.stderr.write(text)
        _end_run(ending.of_exception(type(error), error))
        return Done(run, attempt, None, "failed", text.rstrip().rpartition("\n")[2][:300], _tail(text))
    else:
        _end_run(ending.of_code(0))
        return Done(run, attempt, 0, "finished")
    finally:
        assign.set(None)
        _check_init(session, settings, command)
        _arrived(settings, command)
        heart.end()


def _end_run(end: ending.End) -> None:
    run = current.active()
    if run is not None:
        run.end(end)


def _traceback(error: BaseException) -> str:
    """The traceback without the frame of this module that called the function."""
    inner = error.__traceback__.tb_next if error.__traceback__ else None
    return "".join(traceback.format_exception(type(error), error, inner))


def _tail(text: str) -> str:
    return "\n".join(text.rstrip().splitlines()[-TAIL:])[-LONGEST_TAIL:]


class _Heart(threading.Thread):
    """Beats while the main thread is in the function, and stops the run when it is told to."""

    def __init__(self, session: Session) -> None:
        super().__init__(name="besom-heartbeat", daemon=True)
        self._session = session
        self._end = threading.Event()
        self._told = ""

    def run(self) -> None:
        while not self._end.wait(self._session.rules.beat):
            for command in self._session.beat():
                if command.type == "stop" and not self._told:
                    self._told = command.reason or "stopped"
                    self._session.observer.stopped(command.run, self._told)
            active = current.active()
            if self._told and active is not None:
                active.stop(self._told)

    def end(self) -> None:
        """The function returned."""
        self._end.set()
        self.join()


class _Process:
    """An isolated trial, as loop.Driver sees it."""

    def __init__(
        self, how: str, function: Function, assignment: Assignment, guard: Guard, on_exit: Callable[[], None]
    ) -> None:
        context: Any = multiprocessing.get_context(how)
        self._reader, writer = context.Pipe(duplex=False)
        let_go = guard.let_go if how == "fork" else None
        self._process = context.Process(target=_main, args=(function, assignment, writer, os.getpid(), let_go))
        try:
            self._process.start()
        except (TypeError, AttributeError, ValueError) as error:  # what pickling raises
            raise UsageError(
                f"this function cannot be sent to a new process ({error}); it must stand at the top of a file"
            ) from None
        writer.close()
        self.pid = int(self._process.pid)
        self._tail = ""
        with contextlib.suppress(OSError, AttributeError):
            os.setpgid(self.pid, self.pid)  # so that a signal sent at once finds the group
        threading.Thread(target=self._wait, args=(on_exit,), name=f"besom-wait-{self.pid}", daemon=True).start()

    @property
    def code(self) -> int | None:
        """Exit code, negative for a signal."""
        code: int | None = self._process.exitcode
        return code

    @property
    def tail(self) -> str:
        """The last lines of its traceback."""
        return self._tail

    def signal(self, number: int) -> None:
        """To its process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self.pid, number)
            else:
                self._process.terminate()

    def kill(self) -> None:
        """End it now."""
        self.signal(getattr(signal, "SIGKILL", signal.SIGTERM))

    def _wait(self, on_exit: Callable[[], None]) -> None:
        while self._process.exitcode is None:
            self._process.join()  # not by its sentinel, which workers of the trial may hold open
        self.kill()  # what it left behind in its group
        with contextlib.suppress(EOFError, OSError):
            if self._reader.poll():
                self._tail = self._reader.recv()
        on_exit()


def _main(
    function: Function, assignment: Assignment, tail: Any, parent: int, let_go: Callable[[], None] | None
) -> None:
    """The child: a process group of its own that dies with the agent and ends at once when it is told to."""
    if let_go is not None:
        let_go()
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
        die_with(parent)
        for name in ("SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _told)
    assign.set(assignment)
    code = 0
    try:
        function()
        end = ending.of_code(0)
    except SystemExit as error:
        end = ending.of_exception(type(error), error)
        code = end.code or 0
    except (Stopped, KeyboardInterrupt) as error:
        end, code = ending.of_exception(type(error), error), NOBODY
    except Exception as error:  # as in this process: the trial failed, and says so
        text = _traceback(error)
        sys.stderr.write(text)
        tail.send(_tail(text))
        end, code = ending.of_exception(type(error), error), 1
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _end_run(end)
    tail.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _told(number: int, _: Any) -> None:
    raise Stopped(f"told to stop by {signal.Signals(number).name}")
