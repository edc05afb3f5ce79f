"""How a process ends, seen from inside: its exit code, and the state that the run gets for it.

`sys.exit(3)` reaches neither an except hook nor atexit, so `sys.exit` and `exit` are wrapped, and when besom is imported:
``sys.exit(main())`` takes the function before it calls `main`, which begins the run. A bare ``raise SystemExit(3)`` shows only
in how the script's frame ended; its code stays unknown. An uncaught exception comes through the except hook, or is found in
`sys.last_value` when another hook took its place. SIGTERM is handled only when the user has no handler of his own, and then
still ends the process as it would have. What none of these see (`os._exit`, a kill) shows in the journal: its lock is free and no Exit was written.
Knows nothing of records; a run registers what is to be called with an `End`.
"""

from __future__ import annotations

import atexit
import builtins
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, NamedTuple, NoReturn

from besom.core import record as rec
from besom.core.errors import Stopped

_REASON = 500
"""Characters of an exception's message that are kept as the reason."""


class End(NamedTuple):
    """How it ended. `code`: exit code; `state`: one of `record.ENDED`; `reason`: for people."""

    code: int | None
    state: str
    reason: str = ""


class _Watch:
    """What was seen so far in this process, and whom to tell."""

    def __init__(self) -> None:
        self.installed = False
        self.seen: End | None = None
        self.by_exit = False
        """`seen` came from `sys.exit`, which somebody may catch."""
        self.runs: dict[int, Callable[[End], object]] = {}
        self.pid = os.getpid()
        self.script: FrameType | None = None
        """The outermost frame of the main thread: how it ended says whether a SystemExit came out of it."""


_watch = _Watch()


def register(key: int, finish: Callable[[End], object]) -> None:
    """Call `finish` with how it ended when this process ends, unless `forget(key)` comes first."""
    if not _watch.runs:
        _watch.seen = None  # a `sys.exit` before any run was caught
    _watch.runs[key] = finish
    if not _watch.installed:
        _watch.installed = True
        _watch.pid = os.getpid()
        _watch.script = _outermost()
        _wrap_hook()
        atexit.register(_at_exit)
    _take_sigterm()


def forget(key: int) -> None:
    """The run ended by itself."""
    _watch.runs.pop(key, None)
    if not _watch.runs:
        _watch.seen = None


def clear() -> None:
    """In a forked child: the parent's runs are not ours to end."""
    _watch.runs.clear()
    _watch.seen = None
    _watch.pid = os.getpid()


def seen() -> End | None:
    """The exit code or exception that this process is ending with; None while the script still runs."""
    main = threading.current_thread() is threading.main_thread()
    if main and _watch.by_exit and _outermost() is _watch.script:
        return None  # it is passing through, and then says so itself, or it was caught
    return _watch.seen


def of_exception(kind: type[BaseException], error: BaseException | None) -> End:
    """The end that an exception means when nobody catches it."""
    if issubclass(kind, SystemExit):
        return of_code(getattr(error, "code", None))
    if issubclass(kind, KeyboardInterrupt):
        return End(130, rec.KILLED, "Ctrl-C")
    if issubclass(kind, Stopped):
        return End(None, rec.KILLED, str(error) or "stopped")
    try:
        text = str(error).strip()
    except Exception:  # a user's exception may fail to tell itself
        text = ""
    return End(1, rec.FAILED, (f"{kind.__name__}: {text}" if text else kind.__name__)[:_REASON])


def of_code(code: object) -> End:
    """The end that ``sys.exit(code)`` means: None and 0 are success, a text is 1."""
    if code is None or code == 0:
        return End(0, rec.FINISHED)
    if isinstance(code, int):
        return End(code, rec.FAILED, f"exit code {code}")
    return End(1, rec.FAILED, str(code)[:_REASON])


def _finish_all(end: End) -> None:
    for key, finish in list(_watch.runs.items()):
        forget(key)
        finish(end)


def _at_exit() -> None:
    if _watch.pid == os.getpid():
        _finish_all(_last_word())


def _last_word() -> End:
    """How the process ends. A `sys.exit` that somebody caught does not count when the script then ran to its end."""
    returned = _returned(_watch.script)
    if _watch.seen is not None and not (_watch.by_exit and returned):
        return _watch.seen
    error = getattr(sys, "last_value", None)  # a hook that took the place of ours does not pass it on
    if returned is False and isinstance(error, BaseException):
        return of_exception(type(error), error)
    if returned is False:
        return End(None, rec.FINISHED, "ended by SystemExit; its exit code is not known")
    return End(0, rec.FINISHED)


def _outermost() -> FrameType | None:
    if threading.current_thread() is not threading.main_thread():
        return None
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
    return frame


def _returned(script: FrameType | None) -> bool | None:
    """Whether a frame that is over ended by a return: its last instruction says so. None when that is not known."""
    if script is None or script.f_lasti < 0:
        return None
    import opcode

    return opcode.opname[script.f_code.co_code[script.f_lasti]].startswith("RETURN")


def _wrap_exit() -> None:
    """Hear of `sys.exit`, and of the `exit` and `quit` that Python's site module gives to scripts."""
    original = sys.exit

    def exit(status: Any = None, /) -> NoReturn:
        _hear(status)
        original(status)

    exit.__doc__ = original.__doc__
    sys.exit = exit
    quitter = type(getattr(builtins, "exit", None))
    if quitter.__name__ == "Quitter":
        call = quitter.__call__

        def quit(self: Any, code: Any = None) -> None:
            _hear(code)
            call(self, code)

        quitter.__call__ = quit  # type: ignore[method-assign]


def _hear(status: object) -> None:
    if threading.current_thread() is threading.main_thread():
        _watch.seen, _watch.by_exit = of_code(status), True


def _wrap_hook() -> None:
    original = sys.excepthook

    def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _watch.seen, _watch.by_exit = of_exception(kind, error), False
        original(kind, error, trace)

    sys.excepthook = excepthook


def _take_sigterm() -> None:
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        return
    signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    if _watch.pid == os.getpid():
        _finish_all(End(128 + number, rec.KILLED, signal.Signals(number).name))
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def passing() -> tuple[type[BaseException], BaseException] | tuple[None, None]:
    """The exception that is passing through right now (we are in a ``finally`` or ``except``), if it means trouble."""
    kind, error, _ = sys.exc_info()
    if kind is None or error is None or issubclass(kind, (StopIteration, StopAsyncIteration, GeneratorExit)):
        return None, None
    return kind, error


_wrap_exit()
