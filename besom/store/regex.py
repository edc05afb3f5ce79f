"""Regular expressions that cannot run away: time is linear in the text, whatever the pattern (RE2).

Serves filters (`name ~ "res.*50"`). The re module takes exponential time on patterns such as ``(a+)+$`` and cannot be
interrupted, so a stranger's filter could stop a server. Knows no SQL.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

TEXT = 4096
"""Characters of a text that are searched."""
PATTERN = 500
"""Characters of a pattern."""
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 1 << 20


class PatternError(ValueError):
    """A pattern that cannot be understood; the message says which part of it."""


def search(pattern: str, text: str) -> bool:
    """Is there a match of `pattern` in the first 4,096 characters of `text`. Raises PatternError as `compiled` does."""
    return compiled(pattern).search(text[:TEXT]) is not None


@lru_cache(maxsize=64)
def compiled(pattern: str) -> Any:
    """The pattern, ready to search. Raises PatternError for one that is too long or that RE2 does not know."""
    if len(pattern) > PATTERN:
        raise PatternError(f"a pattern has at most {PATTERN} characters, and this one has {len(pattern)}")
    try:
        return re2.compile(pattern, _OPTIONS)
    except (re2.error, UnicodeEncodeError) as error:
        said = error.args[0].decode("utf-8", "replace") if isinstance(error, re2.error) else "it has a lone surrogate"
        raise PatternError(f"{said}; back references and look-around are not known") from None
