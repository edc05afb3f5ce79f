"""Live pages: each hears of every change, however slow it is, and costs nothing when it is gone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import Request

from besom.core.errors import BesomError, StoreError, Unavailable, UsageError
from besom.core.wire import Change
from besom.server.live import LISTENERS, Live, later, resume
from besom.server.serve import Timer

WAIT = 30.0


class Store:
    """A change sequence: run number n changed at n."""

    def __init__(self, seq: int = 0) -> None:
        self.seq = seq
        self.asked = 0
        self.busy = False
        self.fault: BesomError = Unavailable("the store is locked")

    async def changes(self, since: int) -> Change:
        self.asked += 1
        if self.busy:
            raise self.fault
        return Change(self.seq, tuple(("ada", "digits", f"r{n}") for n in range(since + 1, self.seq + 1)))


class Listener:
    """A browser that reads as it pleases. `ids` and `runs`: of the events it has read so far."""

    def __init__(self, live: Live, since: int = -1, last: str = "") -> None:
        self.live, self.since = live, since
        self.text = ""
        self.ready = asyncio.Event()
        self.ready.set()
        self.leave = asyncio.Event()
        headers = [(b"last-event-id", last.encode())] if last else []
        scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
        self.task = asyncio.create_task(live.stream(Request(scope, self.receive), since, self.send))

    async def receive(self) -> dict[str, Any]:
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.ready.wait()
        self.text += message.get("body", b"").decode()

    @property
    def ids(self) -> list[int]:
        return [int(found) for found in re.findall(r"^id: (\d+)$", self.text, re.M)]

    @property
    def runs(self) -> list[str]:
        return re.findall(r'"(r\d+)"', self.text)

    async def until(self, true: Callable[[], bool]) -> None:
        async def wait() -> None:
            while not true():
                await asyncio.sleep(0.001)

        await asyncio.wait_for(wait(), WAIT)


def play(story: Callable[[Live, Store], Awaitable[None]], seq: int = 5, heartbeat: float = WAIT) -> None:
    async def run() -> None:
        store = Store(seq)
        live = Live(store.changes, poll=0.001, heartbeat=heartbeat)
        await story(live, store)
        live.close()

    asyncio.run(run())


def test_a_page_hears_at_once_where_it_stands_and_then_what_changes() -> None:
    async def story(live: Live, store: Store) -> None:
        page = Listener(live)
        await page.until(lambda: page.ids == [5])
        assert page.runs == [] and page.text.startswith("retry: 1000\n\nid: 5\nevent: change\ndata: {")
        store.seq = 6
        await page.until(lambda: page.ids == [5, 6])
        assert page.runs == ["r6"]

    play(story)


@pytest.mark.parametrize(("since", "last"), [(3, ""), (-1, "3"), (1, "3")])
def test_a_page_that_was_away_misses_nothing(since: int, last: str) -> None:
    async def story(live: Live, store: Store) -> None:
        page = Listener(live, since, last)
        await page.until(lambda: page.ids == [5])
        assert page.runs == ["r4", "r5"]

    play(story)


def test_a_page_of_another_store_starts_anew() -> None:
    """The server came back with an older or a fresh store: the page's number lies ahead."""

    async def story(live: Live, store: Store) -> None:
        page = Listener(live, 900)
        await page.until(lambda: page.ids == [5])
        assert page.runs == []

    play(story)


def test_a_slow_page_gets_one_event_with_all_that_happened() -> None:
    async def story(live: Live, store: Store) -> None:
        slow, quick = Listener(live), Listener(live)
        await slow.until(lambda: slow.ids == quick.ids == [5])
        slow.ready.clear()
        for seq in range(6, 16):
            store.seq = seq
            await quick.until(lambda: quick.ids[-1] == store.seq)
        slow.ready.set()
        await slow.until(lambda: slow.ids[-1] == 15)
        assert quick.ids == list(range(5, 16))
        assert len(slow.ids) <= 3 and slow.runs == quick.runs, "nothing queued, nothing missed"

    play(story)


def test_nobody_asks_the_store_when_nobody_listens() -> None:
    async def story(live: Live, store: Store) -> None:
        page = Listener(live)
        await page.until(lambda: page.ids == [5])
        page.leave.set()
        await asyncio.wait_for(page.task, WAIT)
        assert live._task is not None
        await asyncio.wait_for(live._task, WAIT)
        asked = store.asked
        await asyncio.sleep(0.05)
        assert store.asked == asked
        again = Listener(live)
        store.seq = 6
        await again.until(lambda: bool(again.ids) and again.ids[-1] == 6)

    play(story)


@pytest.mark.parametrize("fault", [Unavailable("the store is locked"), StoreError("the store cannot be read")])
def test_a_store_at_fault_delays_a_page_and_does_not_end_it(fault: BesomError) -> None:
    async def story(live: Live, store: Store) -> None:
        store.fault = fault
        page = Listener(live)
        await page.until(lambda: page.ids == [5])
        store.busy, store.seq = True, 6
        asked = store.asked
        await page.until(lambda: store.asked > asked + 3)
        assert page.ids == [5] and not page.task.done()
        store.busy = False
        await page.until(lambda: page.ids == [5, 6])

    play(story)


def test_silence_is_broken_by_comments() -> None:
    async def story(live: Live, store: Store) -> None:
        page = Listener(live)
        await page.until(lambda: page.text.count(": still here\n\n") >= 3)
        assert page.ids == [5]

    play(story, heartbeat=0.005)


def test_a_server_that_stops_ends_its_streams() -> None:
    async def story(live: Live, store: Store) -> None:
        pages = [Listener(live) for _ in range(3)]
        for page in pages:
            await page.until(lambda: page.ids == [5])
        live.close()
        for page in pages:
            await asyncio.wait_for(page.task, WAIT)

    play(story)


def test_there_is_an_end_to_how_many_listen() -> None:
    async def story(live: Live, store: Store) -> None:
        pages = [Listener(live) for _ in range(LISTENERS)]
        await pages[-1].until(lambda: all(page.ids for page in pages))
        with pytest.raises(Unavailable, match="close one"):
            await Listener(live).task
        pages[0].leave.set()
        await asyncio.wait_for(pages[0].task, WAIT)
        late = Listener(live)
        await late.until(lambda: late.ids == [5])

    play(story)


@pytest.mark.parametrize("last", ["x", "-3", "1e3", "9" * 30, "٣"])
def test_a_last_event_id_that_is_none_is_named(last: str) -> None:
    scope = {"type": "http", "headers": [(b"last-event-id", last.encode())]}
    with pytest.raises(UsageError, match="Last-Event-ID is a sequence number"):
        resume(Request(scope), 0)


def test_a_stream_that_cannot_begin_asks_to_come_again() -> None:
    assert later("the store\nis locked") == b"retry: 1000\n: the store is locked\n\n"


def test_a_timer_survives_what_it_does(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []

    def work() -> float:
        done.append(1)
        if len(done) == 1:
            raise ZeroDivisionError("a fault of ours")
        return 0.001

    timer = Timer("test", work)
    timer.start()
    while len(done) < 3:
        timer.join(0.01)
    timer.stop()
    assert not timer.is_alive() and "a fault of ours" in caplog.text
