"""Takes secrets out of what is kept: tokens of a known shape, the user part of a URL, the value of an option named like one.

Only what has the shape of a secret goes: ``--max_tokens 100`` stays, and so does a config key called ``token`` with a word in
it. The script itself always keeps the true value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

REDACTED = "[redacted]"
_SECRET_NAME = re.compile(
    r"-{0,2}(?:[\w.-]*[_.-])?(?:api_?-?key|access_?-?key|secret(?:_?-?key)?|token|password|passwd|pwd|dsn|credentials?)\Z",
    re.IGNORECASE,
)
_SECRET_SHAPE = re.compile(
    r"\b(?:sk-[\w-]{20,}|hf_[A-Za-z0-9]{20,}|gh[opsur]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{18,}|xox[abprs]-[\w-]{10,}"
    r"|AKIA[0-9A-Z]{16}|AIza[\w-]{35}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,})"
)
_USER_PART = re.compile(r"(?<=://)[^/@\s]+@")


def redact(args: Iterable[str]) -> list[str]:
    """Command-line arguments without their secrets.

    >>> redact(["--api-key", "abc", "--max_tokens", "100", "--token=xyz"])
    ['--api-key', '[redacted]', '--max_tokens', '100', '--token=[redacted]']
    """
    clean: list[str] = []
    hide = False
    for text in args:
        name, equals, value = text.partition("=")
        if hide and not text.startswith("-"):
            clean.append(REDACTED)
        elif equals and value and _SECRET_NAME.match(name):
            clean.append(f"{name}={REDACTED}")
        else:
            clean.append(redact_text(text))
        hide = not equals and text.startswith("-") and bool(_SECRET_NAME.match(text))
    return clean


def redact_text(text: str) -> str:
    """`text` without tokens of known shape and without the user part of URLs."""
    return _USER_PART.sub("", _SECRET_SHAPE.sub(REDACTED, text))


def redact_data(value: Any, above: tuple[int, ...] = ()) -> Any:
    """Nested plain data with the secrets in its texts redacted.

    `above`: ids of what holds the value. What holds itself, or lies below 90 levels, is returned as it is.
    """
    if type(value) is str:
        return redact_text(value)
    if id(value) in above or len(above) > 90:
        return value
    if isinstance(value, Mapping):
        return {key: redact_data(item, (*above, id(value))) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return [redact_data(item, (*above, id(value))) for item in value]
    return value
