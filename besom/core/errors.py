"""Every error that besom raises on purpose, as one tree.

    BesomError
    |-- UsageError            the caller's input is wrong; the message says what is allowed
    |   |-- ConfigError       a sweep.yaml or a setting: carries `where` (file, key)
    |   |-- FilterError       a filter text: carries `position` in the text
    |   |-- Refused           who asks may see it, and not do this
    |   `-- NotFound          an id, a project or a file that does not exist
    |-- StoreError            what is kept could not be read or written
    |   |-- JournalFull       no room left on the disk for one more record
    |   |-- JournalDamaged    a file that is not a journal, or a header that cannot be read
    |   |-- JournalForked     a forked child tried to write into the journal of its parent
    |   `-- GapError          a batch that starts behind what the stream holds: carries `position`
    `-- Unavailable           the server is busy, starting or unreachable: try again

    Stopped(BaseException)    a trial was told to stop; ends a training function at its next log()

A message states the law, the value and the way out, in that order.
"""

from __future__ import annotations

from collections.abc import Iterable


class BesomError(Exception):
    """Base of all errors of besom."""


class UsageError(BesomError):
    """The input is wrong and stays wrong until it is changed."""


class ConfigError(UsageError):
    """A sweep.yaml or a setting is wrong. `where` names the key, e.g. ``parameters.lr.min``."""

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where


class FilterError(UsageError):
    """A filter text cannot be understood. `position` is the 0-based index of the wrong character."""

    def __init__(self, message: str, *, position: int = 0) -> None:
        super().__init__(message)
        self.position = position


class Refused(UsageError):
    """Who asks may not do this: they are not known, or their role or key does not reach so far."""


class NotFound(UsageError):
    """What was named does not exist."""


class StoreError(BesomError):
    """Something that is kept could not be read or written."""


class JournalFull(StoreError):
    """The disk has no room for one more record; the record was not written."""


class JournalDamaged(StoreError):
    """The file is not a journal, or its header cannot be read."""


class JournalForked(StoreError):
    """A forked child holds only a copy of its parent's journal; it makes its own or asks the parent to log."""


class GapError(StoreError):
    """A batch starts behind the end of what its stream holds. Ship again from `position`."""

    def __init__(self, position: int) -> None:
        super().__init__(f"the stream is held up to byte {position}; ship again from there")
        self.position = position


class Unavailable(BesomError):
    """The server is busy, starting or out of reach. The same call may work later.

    `retry_after`: seconds to wait, as the server asked for, or None.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Stopped(BaseException):
    """Raised by `log()` in a function trial that a stopping rule or a person ended.

    A BaseException, so that a training loop's ``except Exception`` does not swallow it.
    """


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence with the nearest known spelling, or "" when none is near.

    >>> did_you_mean("methd", ["method", "metric"])
    ' Did you mean "method"?'
    """
    import difflib  # late: only a mistake needs it, and every training script imports this module

    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f' Did you mean "{near[0]}"?' if near else ""
