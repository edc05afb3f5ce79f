"""What a person hears on Slack, and when. The webhook is a real HTTP server on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from besom.core import record as rec
from besom.core.batch import Batch
from besom.core.errors import NotFound, UsageError
from besom.core.names import RunPath
from besom.core.wire import AlertView, Beat, Done
from besom.hub.hub import Hub
from besom.store.migrations import open_database

RUN = RunPath("ann", "dkt", "r1")


class Webhook:
    """A Slack that answers with the statuses it is told, then 200. `messages`: the texts it took."""

    def __init__(self) -> None:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, headers = hook.answers.pop(0) if hook.answers else (200, {})
                hook.asked += 1
                if status == 200:
                    hook.messages.append(body["text"])
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"ok" if status == 200 else b"no_service")

            def log_message(self, *_: Any) -> None:
                pass

        self.answers: list[tuple[int, dict[str, str]]] = []
        self.messages: list[str] = []
        self.asked = 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/services/T000/B000/secretsecret"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class World:
    """A hub with a clock that the test moves."""

    def __init__(self, place: Path | str) -> None:
        self.now = 1_700_000_000.0
        self.database = open_database(place)
        self.hub = Hub(self.database, clock=lambda: self.now)

    def send(self, *records: rec.Record, stream: str = "s", run: RunPath = RUN) -> None:
        at = self.hub.position(run, stream)
        seqs = tuple(range(at, at + len(records)))
        self.hub.append(run, stream, Batch(at, at + len(records), seqs, records))

    def begin(self, run: RunPath = RUN, stream: str = "s", **more: Any) -> None:
        self.send(
            rec.Run(self.now, run.id, run.entity, run.project, starts=True, name="crisp-clover-412", **more),
            run=run,
            stream=stream,
        )

    def end(
        self, state: str, code: int | None = 0, reason: str = "", by: str = "run", stream: str = "s", run: RunPath = RUN
    ) -> None:
        self.send(rec.Exit(self.now, code, state, reason, by), stream=stream, run=run)

    def states(self) -> list[tuple[str, str]]:
        return [(alert.title, alert.state) for alert in reversed(self.hub.alerts().alerts)]

    def alert(self) -> AlertView:
        (alert,) = self.hub.alerts().alerts
        return alert


@pytest.fixture
def world(tmp_path: Path, place: Callable[[Path], Path | str]) -> Iterator[World]:
    world = World(place(tmp_path))
    yield world
    world.database.close()


@pytest.fixture
def slack() -> Iterator[Webhook]:
    hook = Webhook()
    yield hook
    hook.close()


def test_an_alert_of_a_run_reaches_slack_once(world: World, slack: Webhook) -> None:
    world.hub.add_channel("slack", slack.url)
    world.begin()
    alert = rec.Alert(world.now, "Loss <explodes>", "NaN & more", "WARN")
    world.send(alert)
    world.hub.append(RUN, "s", Batch(1, 2, (1,), (alert,)))  # shipped again
    assert world.hub.deliver() == 0
    assert world.hub.deliver() == 0
    (message,) = slack.messages
    assert message.splitlines() == [
        ":warning: *Loss &lt;explodes&gt;*",
        "NaN &amp; more",
        "run crisp-clover-412 in ann/dkt · `besom run ann/dkt/r1`",
    ]
    assert world.alert().state == "sent"
    (channel,) = world.hub.alerts().channels
    assert (channel.outcome, channel.last) == ("sent", world.now)


def test_with_a_page_the_message_has_a_link(world: World, slack: Webhook) -> None:
    world.hub.alerting.address = "http://127.0.0.1:8080"
    world.hub.add_channel("slack", slack.url)
    world.begin()
    world.send(rec.Alert(world.now, "hello"))
    world.hub.deliver()
    assert "<http://127.0.0.1:8080/ann/dkt/runs/r1|open it>" in slack.messages[0]


@pytest.mark.parametrize(
    ("state", "code", "reason", "says"),
    [
        ("finished", 0, "", "*Run crisp-clover-412 finished*\nafter 1 h 1 min, val_loss 0.25\n"),
        (
            "failed",
            1,
            "ValueError: boom",
            ":red_circle: *Run crisp-clover-412 failed*\nafter 1 h 1 min, ValueError: boom, val_loss 0.25\n",
        ),
        ("crashed", None, "the process ended without a word", "*Run crisp-clover-412 crashed*"),
        ("killed", None, "Ctrl-C", None),
        ("preempted", 1, "", None),
    ],
)
def test_the_end_of_a_run_is_told_but_not_when_somebody_ended_it(
    world: World, slack: Webhook, state: str, code: int | None, reason: str, says: str | None
) -> None:
    world.hub.add_channel("slack", slack.url)
    world.begin()
    world.send(rec.History(0, world.now, {"val_loss": 0.25}))
    world.now += 3661
    world.end(state, code, reason)
    world.hub.deliver()
    if says is None:
        assert slack.messages == [] and world.alert().state == "quiet"
    else:
        assert len(slack.messages) == 1 and says in slack.messages[0]


def test_two_words_on_the_same_end_are_one_message_and_the_better_one_counts(world: World, slack: Webhook) -> None:
    world.hub.add_channel("slack", slack.url)
    world.begin()
    world.end("crashed", None, "no sign of life", by="reaper", stream="s.reaper")
    world.end("failed", 3, "exit code 3", by="agent", stream="agent.1")
    world.hub.deliver()
    (message,) = slack.messages
    assert "failed" in message and "exit code 3" in message
    world.end("crashed", None, by="agent", stream="agent.9")
    world.hub.deliver()
    assert len(slack.messages) == 1, "what was sent stays as it was said"


def test_a_run_that_is_resumed_and_ends_again_is_told_again(world: World, slack: Webhook) -> None:
    world.hub.add_channel("slack", slack.url)
    world.begin()
    world.end("failed", 1)
    world.hub.deliver()
    world.now += 100
    world.begin(stream="second")
    world.end("finished", stream="second")
    world.hub.deliver()
    assert [message.splitlines()[0] for message in slack.messages] == [
        ":red_circle: *Run crisp-clover-412 failed*",
        "*Run crisp-clover-412 finished*",
    ]


def test_without_a_network_the_message_goes_out_later(world: World, slack: Webhook) -> None:
    slack.answers = [(503, {}), (429, {"Retry-After": "30"})]
    world.hub.add_channel("slack", slack.url)
    world.begin()
    world.send(rec.Alert(world.now, "hello"))
    assert world.hub.deliver() == 1
    assert (world.alert().state, world.alert().tries) == ("waiting", 1) and "503" in world.alert().reason
    assert world.hub.deliver() == 1 and slack.asked == 1, "not before its time"
    world.now += 3
    assert world.hub.deliver() == 1
    world.now += 20
    assert world.hub.deliver() == 1 and slack.asked == 2, "Slack asked for 30 seconds"
    world.now += 11
    assert world.hub.deliver() == 0
    assert slack.messages[0].startswith("*hello*") and world.alert().state == "sent"


def test_a_webhook_that_cannot_be_reached_is_tried_for_a_week_and_then_given_up(world: World) -> None:
    closed = Webhook()
    closed.close()
    world.hub.add_channel("slack", closed.url)
    world.begin()
    world.send(rec.Alert(world.now, "hello"))
    assert world.hub.deliver() == 1
    assert world.alert().reason.startswith("channel 1: no answer")
    world.now += 8 * 86400
    assert world.hub.deliver() == 0
    assert world.alert().state == "failed"


def test_a_webhook_that_is_gone_fails_at_once_and_the_other_still_gets_it_once(world: World, slack: Webhook) -> None:
    gone = Webhook()
    gone.answers = [(404, {})] * 9
    slack.answers = [(500, {})]
    world.hub.add_channel("slack", gone.url)
    world.hub.add_channel("slack", slack.url)
    world.begin()
    world.send(rec.Alert(world.now, "hello"))
    world.hub.deliver()
    world.now += 10
    world.hub.deliver()
    assert (gone.asked, slack.asked, len(slack.messages)) == (1, 2, 1)
    assert world.alert().state == "sent"
    assert world.hub.alerts().channels[0].outcome == "404 no_service"
    gone.close()


def test_the_same_title_waits_for_its_wait_duration(world: World, slack: Webhook) -> None:
    world.hub.add_channel("slack", slack.url)
    world.begin()
    for seconds, title, text in [(0, "high", "1"), (30, "high", "2"), (31, "low", "3"), (61, "high", "4")]:
        world.send(rec.Alert(world.now + seconds, title, text, wait=60.0))
    other = RunPath("ann", "dkt", "r2")
    world.begin(other)
    world.send(rec.Alert(world.now + 30, "high", "5", wait=60.0), run=other)
    world.hub.deliver()
    assert [message.splitlines()[1] for message in slack.messages] == ["1", "3", "4", "5"]
    assert [state for _, state in world.states()].count("quiet") == 1


def test_what_happened_before_there_was_a_channel_is_not_sent(world: World, slack: Webhook) -> None:
    world.begin()
    world.send(rec.Alert(world.now, "early"))
    world.hub.add_channel("slack", slack.url)
    world.send(rec.Alert(world.now + 1, "late"))
    world.hub.deliver()
    assert [message.splitlines()[0] for message in slack.messages] == ["*late*"]
    assert world.states() == [("early", "no channel"), ("late", "sent")]


def test_old_runs_that_are_imported_are_not_told(world: World, slack: Webhook) -> None:
    world.hub.add_channel("slack", slack.url)
    world.now -= 30 * 86400
    records = (
        rec.Run(world.now, "r1", "ann", "dkt", starts=True), rec.Alert(world.now, "old"), rec.Exit(world.now, 0, "finished"),
    )  # fmt: skip
    world.now += 30 * 86400
    world.send(*records)
    world.hub.deliver()
    assert slack.messages == []


def test_a_sweep_tells_its_end_and_best_instead_of_each_trial(world: World, slack: Webhook) -> None:
    world.hub.add_channel("slack", slack.url)
    config = {
        "method": "grid",
        "name": "lrs",
        "metric": {"name": "loss"},
        "retry": 0,
        "parameters": {"lr": {"values": [1, 2, 3]}},
    }
    sweep = world.hub.create_sweep("ann", "dkt", config)
    agent = world.hub.register(f"ann/dkt/{sweep.id}", "host", 1).id
    done: tuple[Done, ...] = ()
    for n in range(3):
        (command,) = world.hub.beat(agent, Beat((), done, 1)).commands
        path = RunPath("ann", "dkt", command.run)
        world.begin(path, sweep=sweep.id)
        world.send(rec.History(0, world.now, {"loss": 3.0 - n}), run=path)
        state = "failed" if n == 1 else "finished"
        world.end(state, n % 2, run=path)
        done = (Done(command.run, 1, n % 2, state),)
    assert world.hub.beat(agent, Beat((), done, 1)).commands[0].type == "exit"
    world.hub.deliver()
    assert [message.splitlines()[0] for message in slack.messages] == [
        ":red_circle: *Run crisp-clover-412 failed*",
        "*Sweep lrs finished*",
    ]
    assert "3 runs, 1 of them failed, best loss 1 by run" in slack.messages[1]
    assert f"`besom sweep show ann/dkt/{sweep.id}`" in slack.messages[1]


def test_a_channel_is_shown_shortened_added_once_and_removed(world: World, slack: Webhook) -> None:
    world.hub.add_channel("slack", slack.url)
    (channel,) = world.hub.add_channel("slack", slack.url).channels
    assert "secretsecret" not in channel.url and channel.url.startswith("http://127.0.0.1:")
    assert world.hub.test_channels().channels[0].outcome == "sent"
    assert "besom" in slack.messages[0]
    assert world.hub.remove_channel(channel.id).channels == ()
    with pytest.raises(NotFound, match="no channel 1"):
        world.hub.remove_channel(1)


@pytest.mark.parametrize(
    ("kind", "url", "says"),
    [
        ("slak", "https://hooks.slack.com/x", 'Did you mean "slack"'),
        ("slack", "hooks.slack.com/services/x", "incoming webhook"),
        ("slack", "ftp://hooks.slack.com/x", "incoming webhook"),
        ("slack", "https://", "incoming webhook"),
        ("slack", "https://a b/c", "incoming webhook"),
    ],
)
def test_what_is_no_channel(world: World, kind: str, url: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        world.hub.add_channel(kind, url)


def test_two_senders_at_once_send_an_alert_once(world: World, slack: Webhook) -> None:
    world.hub.add_channel("slack", slack.url)
    world.begin()
    for n in range(12):
        world.send(rec.Alert(world.now, f"alert {n}"))
    other = Hub(world.database, clock=lambda: world.now)
    threads = [threading.Thread(target=hub.deliver) for hub in (world.hub, other, world.hub, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(slack.messages) == sorted(set(slack.messages)) and len(slack.messages) == 12
