"""Bodies of any size, taken piece by piece: a thread of its own kind for each, so that slow senders hold up only one another.

Serves the doors for contents. Knows no routes, and not what a body is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import anyio
import anyio.from_thread
import anyio.to_thread
from starlette.requests import Request

from besom.core.errors import Unavailable

T = TypeVar("T")
THREADS = 40
SILENCE = 60.0
"""Seconds without a piece after which a sender counts as gone."""


class Uploads:
    """At most `THREADS` bodies at once; further ones wait, unread."""

    def __init__(self, silence: float = SILENCE) -> None:
        self._silence = silence
        self._limiter = anyio.CapacityLimiter(THREADS)

    async def take(self, request: Request, work: Callable[[Iterator[bytes]], T]) -> T:
        """What `work` makes of the body's pieces, in a thread. It sees ClientDisconnect, and Unavailable after a long silence."""
        stream = request.stream()

        async def following() -> bytes | None:
            with anyio.move_on_after(self._silence):
                return await anext(stream, None)
            raise Unavailable(f"nothing came for {self._silence:g} seconds; send it again")

        def pieces() -> Iterator[bytes]:
            while (piece := anyio.from_thread.run(following)) is not None:
                yield piece

        return await anyio.to_thread.run_sync(work, pieces(), limiter=self._limiter)
