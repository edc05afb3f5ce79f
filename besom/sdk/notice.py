"""What besom says on the terminal: short lines on stderr, each warning once, nothing at all when `silent`.

The training loop is the one place where besom swallows an error: once, loudly, here. Speaking never raises, because a
closed or broken stderr must not stop a training either.
"""

from __future__ import annotations

import sys

_said: set[str] = set()
_state = {"silent": False}


def silence(silent: bool) -> None:
    """Say nothing from now on (True), or speak again."""
    _state["silent"] = silent


def say(text: str) -> None:
    """One line for the user."""
    if _state["silent"]:
        return
    try:
        print(f"besom: {text}", file=sys.stderr, flush=True)
    except Exception:
        pass  # no stderr (a daemon), a closed one, or one that cannot spell the text: there is nobody to tell


def warn(text: str, key: str = "") -> None:
    """One line, the first time that `key` (or the text itself) is said in this process."""
    mark = key or text
    if mark not in _said:
        _said.add(mark)
        say(text)


def forget() -> None:
    """Let every warning be said again; a new run tells its own."""
    _said.clear()
