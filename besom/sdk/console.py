"""Capture of what Python writes to stdout and stderr: a tee that never stands between a script and its terminal.

The `write` of the stream object itself is wrapped, so a logging handler that took ``sys.stderr`` earlier is heard too.
Whole lines are recorded as they come. A `Screen` plays the terminal for carriage returns and cursor moves, so that a
progress bar is one line and not a thousand. What a child process or C code writes is not seen.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable
from typing import Any

LIMIT = 16 << 20
"""Characters that are kept of one run's console, and `TAIL` more of its end."""
TAIL = 64 << 10
LINE = 64 << 10
"""The longest line that is kept whole."""
_KEEP = 16
"""Rows that stay open once a program has moved its cursor up."""
_PARTS = re.compile(r"\r\n|[\r\n\x08]|\x1b\[([0-9;?]*)([@-~])|\x1b[^\[]?|[^\r\n\x08\x1b]+")


class Screen:
    """The last rows of a terminal. `feed` gives the lines that can no more change. Colours are left out."""

    def __init__(self) -> None:
        self._rows = [""]
        self._row = 0
        self._column = 0
        self._moved = False

    def feed(self, text: str) -> list[str]:
        """Take `text`; return the lines it completed, without their ends."""
        plain = "\r" not in text and "\x1b" not in text and "\x08" not in text
        if plain and not self._moved and self._column == len(self._rows[0]):
            *lines, rest = (self._rows[0] + text).split("\n")
            self._rows[0] = rest[:LINE]
            self._column = len(self._rows[0])
            return [line[:LINE] for line in lines]
        for part in _PARTS.finditer(text):
            self._play(part)
        final = max(0, self._row - (_KEEP if self._moved else 0))
        lines, self._rows = self._rows[:final], self._rows[final:]
        self._row -= final
        return [line.rstrip() for line in lines]

    def rest(self) -> list[str]:
        """The lines that are still open, at the end."""
        lines, self._rows = self._rows, [""]
        self._row = self._column = 0
        return [line.rstrip() for line in lines if line.strip()]

    def _play(self, part: re.Match[str]) -> None:
        text = part[0]
        if text in ("\n", "\r\n"):
            self._row, self._column = self._row + 1, 0
            if self._row == len(self._rows):
                self._rows.append("")
        elif text == "\r":
            self._column = 0
        elif text == "\x08":
            self._column = max(0, self._column - 1)
        elif text[0] == "\x1b":
            self._move(part[1] or "", part[2] or "")
        elif self._column < LINE:
            row = self._rows[self._row].ljust(self._column)
            self._rows[self._row] = (row[: self._column] + text + row[self._column + len(text) :])[:LINE]
            self._column += len(text)

    def _move(self, argument: str, command: str) -> None:
        n = int(argument) if argument.isdecimal() else 1
        if command in "AF" and command:
            self._moved = True
            self._row = max(0, self._row - n)
        elif command in "BE" and command:
            self._row = min(len(self._rows) - 1, self._row + n)
        elif command == "K":
            keep = self._column if argument in ("", "0") else 0
            self._rows[self._row] = self._rows[self._row][:keep]
        if command in ("E", "F"):
            self._column = 0


class Capture:
    """Hears stdout and stderr until `close`. `keep(stream, text)` gets whole lines; stream is "out" or "err"."""

    def __init__(self, keep: Callable[[str, str], object], limit: int = LIMIT) -> None:
        self._keep = keep
        self._left = limit
        self._tail: list[tuple[str, str]] = []
        self._tail_size = self._lost = 0
        self._lock = threading.RLock()
        self._busy = False
        self._pid = os.getpid()
        self._screens = {"out": Screen(), "err": Screen()}
        self._wrapped: list[tuple[Any, Any, Any]] = []
        for name, stream in (("out", sys.stdout), ("err", sys.stderr)):
            self._wrap(name, stream)

    def _wrap(self, name: str, stream: Any) -> None:
        write = getattr(stream, "write", None)
        if write is None:
            return  # no terminal at all (pythonw, a daemon)

        before = getattr(stream, "__dict__", {}).get("write")

        def tee(text: Any) -> Any:
            written = write(text)
            if self._wrapped and isinstance(text, str):
                self._hear(name, text)
            return written

        try:
            stream.write = tee
        except AttributeError:
            return  # a stream object that cannot be wrapped is left alone
        self._wrapped.append((stream, tee, before))

    def _hear(self, name: str, text: str) -> None:
        if self._pid != os.getpid():
            return  # the console is the parent's; a forked child's prints still reach the terminal
        try:
            with self._lock:
                if self._busy:
                    return  # our own warning about this very capture
                self._busy = True
                try:
                    self._take(name, self._screens[name].feed(text))
                finally:
                    self._busy = False
        except Exception:
            pass  # a print may never fail because of us; what it said is on the terminal

    def _take(self, name: str, lines: list[str]) -> None:
        if not lines:
            return
        text = "\n".join(lines) + "\n"
        if len(text) <= self._left:
            self._left -= len(text)
            self._keep(name, text)
            return
        self._left = 0
        self._tail.append((name, text[-TAIL:]))
        self._tail_size += len(text[-TAIL:])
        self._lost += len(text) - len(text[-TAIL:])
        while self._tail_size > TAIL and len(self._tail) > 1:
            gone = len(self._tail.pop(0)[1])
            self._tail_size, self._lost = self._tail_size - gone, self._lost + gone

    def close(self) -> None:
        """Give the streams back, and record what is still open. Idempotent."""
        with self._lock:
            wrapped, self._wrapped = self._wrapped, []
            for stream, tee, before in wrapped:
                if getattr(stream, "__dict__", {}).get("write") is not tee:
                    continue  # someone else wrapped it after us; our tee only passes on from now on
                if before is None:
                    del stream.write
                else:
                    stream.write = before
            for name, screen in self._screens.items():
                self._take(name, screen.rest())
            if self._lost:
                self._keep("err", f"[besom: {self._lost} characters between here and the end are not kept]\n")
            for name, text in self._tail:
                self._keep(name, text)
            self._tail = []

    def forked(self) -> None:
        """In a forked child: the lock may have been held by a thread that is not here."""
        self._lock = threading.RLock()
