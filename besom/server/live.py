"""Server-sent events: what changed, to every open page, from the change sequence of the store.

Agents write from other processes, so the sequence is asked for a few times a second, once for all listeners, and only
while somebody listens. Nothing queues: a listener that was away or is slow gets one event with all that changed since the
sequence number that it saw last (`since`, or Last-Event-ID after a reconnect). Knows the hub only as a question.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.types import Receive, Send

from besom.core.errors import BesomError, Unavailable, UsageError
from besom.core.wire import Change

POLL = 0.25
HEARTBEAT = 15.0
"""Seconds of silence after which a comment keeps proxies from closing the connection."""
LISTENERS = 256
RETRY_MS = 1000
STREAM = "text/event-stream"

Ask = Callable[[int], Awaitable[Change]]
"""The changes after a sequence number."""


class Live:
    """The listeners of one application, and the task that asks for them. Lives on one event loop.

    `latest`: asked for the sequence number only, in nobody's name; `ask`: in that of each listener.
    """

    def __init__(
        self, ask: Ask, *, latest: Ask | None = None, poll: float = POLL, heartbeat: float = HEARTBEAT
    ) -> None:
        self._ask = ask
        self._latest = latest or ask
        self._poll = poll
        self._heartbeat = heartbeat
        self._listeners = 0
        self._seq = 0
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def close(self) -> None:
        """End every stream, so that the server can stop. Call it on the event loop."""
        self._closing = True
        self._moved.set()

    async def stream(self, request: Request, since: int, send: Send) -> None:
        """Write events until the caller leaves. `since` -1: from now on."""
        if self._listeners >= LISTENERS:
            raise Unavailable(f"{LISTENERS} pages are listening already; close one", retry_after=5)
        seen = resume(request, since)
        first = await self._ask(max(seen, 0))
        change = Change(first.seq) if seen < 0 or seen > first.seq else first
        self._seq = max(self._seq, first.seq)
        self._listeners += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())
        leaving = asyncio.create_task(_left(request.receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await _write(send, f"retry: {RETRY_MS}\n\n".encode() + event(change))
            await self._follow(change.seq, send, leaving)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except OSError:  # the caller left while we wrote
            pass
        finally:
            leaving.cancel()
            self._listeners -= 1

    async def _follow(self, seen: int, send: Send, leaving: asyncio.Task[None]) -> None:
        while not self._closing and not leaving.done():
            pause = self._heartbeat
            if self._seq > seen:
                try:
                    change = await self._ask(seen)
                except BesomError:  # the store is busy, or in need of a hand: ask again soon
                    pause = self._poll
                else:
                    if change.seq > seen:
                        seen = change.seq
                        await _write(send, event(change))
                        continue  # it may have moved on while we wrote
                    pause = self._poll  # the store was put back: wait until it is past where we were
            moved = asyncio.create_task(self._moved.wait())
            done, _ = await asyncio.wait((moved, leaving), timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            moved.cancel()
            if not done and pause == self._heartbeat:
                await _write(send, b": still here\n\n")

    async def _watch(self) -> None:
        """Ask for the sequence number while somebody listens; wake the listeners when it moved."""
        while self._listeners and not self._closing:
            with contextlib.suppress(BesomError):  # whatever the store suffers from may be mended while we wait
                seq = (await self._latest(self._seq)).seq
                if seq > self._seq:
                    self._seq = seq
                    self._moved.set()
                    self._moved = asyncio.Event()
            await asyncio.sleep(self._poll)


def resume(request: Request, since: int) -> int:
    """The sequence number that a caller saw last: Last-Event-ID when its browser reconnected, else `since`."""
    last = request.headers.get("last-event-id", "").strip()
    if not last:
        return since
    if not last.isascii() or not last.isdigit() or len(last) > 18:
        raise UsageError(f"Last-Event-ID is a sequence number, not {last[:40]!r}")
    return int(last)


def event(change: Change) -> bytes:
    """One event: its id is the sequence number to resume from."""
    return b"id: %d\nevent: change\ndata: %s\n\n" % (change.seq, msgspec.json.encode(change))


def later(reason: str) -> bytes:
    """A stream that ends at once: its listener comes again after a second."""
    return f"retry: {RETRY_MS}\n: {' '.join(reason.split())}\n\n".encode()


async def _write(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


_HEADERS = [
    (b"content-type", f"{STREAM}; charset=utf-8".encode()),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
