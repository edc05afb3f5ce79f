"""Carrying a journal to where runs are kept. The one loop of online, offline-then-sync and server-less mode.

At-least-once: what was sent and not confirmed is sent again, and `append` at the other end is idempotent by stream and
position, so the result is exactly once. Knows no network: `send` is a function.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from besom.core.batch import Batch
from besom.core.errors import GapError
from besom.journal.frame import Header
from besom.journal.reader import header, read

Send = Callable[[Header, Batch], int]
"""Delivers one batch; answers the position up to which the other end now holds the stream.

Raises GapError when the batch starts behind that, and anything else when it could not deliver.
"""


def ship(path: Path, position: int, send: Send) -> int:
    """Carry what the journal holds from `position` on; returns the position up to which all is delivered.

    Stops at the end of what is written now; call again for more. Errors of `send` pass through, with all that was
    confirmed before them kept at the other end.
    """
    head = header(path)
    rewinds = 0
    while True:
        batch = read(path, position)
        if batch.end == batch.start:
            return position
        try:
            held = send(head, batch)
        except GapError as gap:
            if gap.position >= batch.start or rewinds == 3:  # an end that forgets what it said is not to be fed forever
                raise
            rewinds += 1
            position = gap.position
            continue
        if held <= batch.start:
            raise GapError(held)
        position = held
