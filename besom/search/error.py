"""The one error of search, and the spelling help it gives.

`SpaceError` is a ValueError: a sweep that cannot run. Its text names the key, the value, the law and the way out;
`.where` is the key's path in the file (`parameters.lr.min`), so that a caller can point at the line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SpaceError(ValueError):
    """A sweep that cannot run. `where`: dotted path of the key as written in the sweep ("" for the sweep itself)."""

    def __init__(self, where: str, message: str) -> None:
        self.where = where
        self.message = message
        super().__init__(f"{where}: {message}" if where else message)


def nearest(word: object, known: Iterable[str]) -> str:
    """`; did you mean X?` when a known word looks like `word`, else the list of known words."""
    words = sorted(known)
    lowered = {w.lower(): w for w in reversed(words)}
    close = difflib.get_close_matches(str(word).lower(), list(lowered), n=1, cutoff=0.6)
    if close:
        return f'; did you mean "{lowered[close[0]]}"?'
    return "; known: " + ", ".join(words)
