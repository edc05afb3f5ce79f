"""The whole application as a user meets it: the same calls in this process, over a socket, and by the deliverer."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from besom import local
from besom.client import AppTransport, Client, connect
from besom.core import codec, wire
from besom.core.batch import Batch
from besom.core.errors import ConfigError, FilterError, NotFound, StoreError, Unavailable, UsageError
from besom.core.record import Artifact, Config, Console, Exit, File, History, Record, Run
from besom.journal.file import Journal
from besom.server.serve import listen
from besom.settings import Settings, load
from besom.store.blobs import Blobs

WAIT = 60.0


@pytest.fixture
def settings() -> Iterator[Settings]:
    found = load()
    yield found
    local.close(found)


class Serving:
    """`besom server` in a process of its own."""

    def __init__(self, store: Path, port: int = 0) -> None:
        code = f"from besom import local, settings; local.serve(settings.load(), port={port}, ready=lambda at: print(at, flush=True))"
        env = {**os.environ, "BESOM_DIR": str(store)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address, self.process.communicate()[1]
        with Client(self.address) as client:
            client.health()  # while it starts it says so, and the client waits

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.communicate(timeout=WAIT)
        return self.process.returncode


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    found = Serving(tmp_path / "served")
    yield found
    found.stop()


@pytest.fixture(params=["in this process", "over a socket"])
def client(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Client]:
    if request.param == "in this process":
        with connect(settings) as found:
            yield found
    else:
        serving = Serving(settings.dir)
        with connect(settings.replace(server=serving.address)) as found:
            yield found
        serving.stop()


def begin(folder: Path, run: str = "r1", lr: float = 0.1, **more: Any) -> Journal:
    journal = Journal.create(folder, run=run, entity="ada", project="digits")
    log(journal, Run(time.time(), id=run, name=f"name-{run}", starts=True, **more), Config({"lr": lr}))
    return journal


def log(journal: Journal, *records: Record) -> None:
    for record in records:
        journal.append(codec.encode(record))


def row(step: int, **data: float) -> History:
    return History(step, time.time(), data)


def until(true: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        found = true()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {WAIT} s: {what}")


def test_a_row_is_there_as_soon_as_log_returned(client: Client, settings: Settings) -> None:
    journal = begin(settings.dir / "journals")
    for step in range(5):
        log(journal, row(step, loss=1.0 / (step + 1)))
        assert client.rows("ada", "digits", "r1").columns["loss"][-1] == 1.0 / (step + 1)
    log(journal, row(5, loss=float("nan")), Console(time.time(), "out", "epoch 5\n"))
    view = client.run("ada", "digits", "r1")
    assert view.state == "running" and str(view.summary["loss"]) == "nan" and view.config == {"lr": 0.1}
    assert [line.text for line in client.console("ada", "digits", "r1").lines] == ["epoch 5"]
    log(journal, Exit(time.time(), 0, "finished"))
    journal.close()
    assert client.run("ada", "digits", "r1").state == "finished"


def test_the_questions_of_a_project_page(client: Client, settings: Settings) -> None:
    for n, lr in enumerate([0.1, 0.1, 0.01]):
        journal = begin(settings.dir / "journals", f"r{n}", lr)
        log(
            journal, *(row(step, loss=lr * 10 / (step + 1) + n) for step in range(50)), Exit(time.time(), 0, "finished")
        )
        journal.close()
    assert [(view.project, view.runs) for view in client.projects().projects] == [("digits", 3)]
    page = client.runs("ada", "digits", filter="config.lr = 0.1", sort="-metrics.loss.best", limit=1)
    assert [run.id for run in page.runs] == ["r1"] and (page.total, page.matched, page.next) == (3, 2, 1)
    keys = client.keys("ada", "digits")
    assert "loss" in keys.metrics and "config.lr" in [key.key for key in keys.keys]
    groups = client.groups("ada", "digits", by=["config.lr"], metric="loss").groups
    assert sorted(group.n for group in groups) == [1, 2]
    curves = client.curves("ada", "digits", ["loss"], runs=["r0", "r2"], buckets=10)
    assert [series.id for series in curves.series] == ["r0", "r2"] and curves.points == 100
    with pytest.raises(FilterError) as caught:
        client.runs("ada", "digits", filter="config.lr <")
    assert caught.value.position == len("config.lr <")


def test_changing_and_deleting_a_run(client: Client, settings: Settings) -> None:
    journal = begin(settings.dir / "journals")
    with pytest.raises(UsageError, match="running"):
        client.delete("ada", "digits", "r1")
    log(journal, Exit(time.time(), 0, "finished"))
    journal.close()
    changed = client.patch("ada", "digits", "r1", notes="the good one", tags=["best", "of three"])
    assert (changed.notes, changed.tags, changed.name) == ("the good one", ("best", "of three"), "name-r1")
    client.delete("ada", "digits", "r1")
    with pytest.raises(NotFound, match="r1"):
        client.run("ada", "digits", "r1")


SWEEP = {"program": "train.py", "method": "grid", "parameters": {"lr": {"values": [0.1, 0.01]}}}


def test_a_sweep_from_its_creation_to_its_end(client: Client) -> None:
    sweep = client.create_sweep("ada", "digits", {**SWEEP, "metric": {"name": "loss", "goal": "minimize"}})
    path = (sweep.entity, sweep.project, sweep.id)
    agent = client.register("/".join(path), "box", 1)
    orders = client.beat(agent.id, wire.Beat(want=1))
    assert [command.type for command in orders.commands] == ["run"] and orders.commands[0].params == {"lr": 0.1}
    assert [trial.number for trial in client.sweep(*path).trials] == [orders.commands[0].number]
    assert client.set_sweep(*path, state="paused").state == "paused"
    assert client.set_sweep(*path, state="canceled").state == "canceled"
    client.leave(agent.id)
    assert [found.id for found in client.sweeps("ada").sweeps] == [sweep.id]
    with pytest.raises(ConfigError, match="parameters"):
        client.create_sweep("ada", "digits", {"method": "grid", "parameters": {"lr": {"min": 2, "max": 1}}})
    with pytest.raises(NotFound):
        client.sweep("ada", "digits", "none")


def test_a_batch_arrives_once_and_a_gap_tells_where_to_go_on(client: Client) -> None:
    first = Batch(0, 10, (0, 5), (Run(1.0, id="r1", starts=True), row(0, loss=1.0)))
    assert client.position("ada", "digits", "r1", "s1") == 0
    assert client.append("ada", "digits", "r1", "s1", first) == 10
    assert client.append("ada", "digits", "r1", "s1", first) == 10
    late = Batch(20, 30, (20,), (row(2, loss=0.5),))
    assert client.append("ada", "digits", "r1", "s1", late) == 10
    assert (
        client.append("ada", "digits", "r1", "s1", Batch(10, 30, (10, 20), (row(1, loss=0.7), row(2, loss=0.5)))) == 30
    )
    client.alive([("ada", "digits", "r1")])
    assert client.rows("ada", "digits", "r1").columns["loss"] == [1.0, 0.7, 0.5]


def test_changes_are_told_as_they_happen_and_resumed_after_a_break(client: Client, settings: Settings) -> None:
    journal = begin(settings.dir / "journals")
    client.run("ada", "digits", "r1")
    events = client.events(0)
    first = next(events)
    assert ("ada", "digits", "r1") in first.runs
    log(journal, row(0, loss=1.0))
    second = next(events)
    assert second.seq > first.seq and second.runs == (("ada", "digits", "r1"),)
    events.close()
    log(journal, row(1, loss=0.5))
    assert next(client.events(second.seq)).seq > second.seq
    assert next(client.events()).runs == (), "from now on: nothing has changed since now"
    journal.close()


def test_channels_make_runs_start_a_deliverer(settings: Settings) -> None:
    sign = settings.dir / "deliver.on"
    with connect(settings) as client:
        assert client.alerts().channels == () and not sign.exists()
        (channel,) = client.add_channel("slack", "http://127.0.0.1:9/services/T0/B0/verysecret").channels
        assert sign.exists() and "verysecret" not in channel.url
        client.remove_channel(channel.id)
        assert not sign.exists()
        with pytest.raises(NotFound):
            client.remove_channel(channel.id)


def test_a_question_is_answered_from_what_is_kept_when_nothing_can_be_taken_in(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk is full: one still sees one's runs, is told that the newest lines are missing, and changes wait."""
    begin(settings.dir / "journals").close()

    def full() -> Any:
        raise Unavailable("the disk is full")

    with connect(settings, patience=0) as client:
        client.projects()
        monkeypatch.setattr(local.open_store(settings).folder, "look", full)
        assert client.runs("ada", "digits").total == 1
        assert "the newest records cannot be taken in now: the disk is full" in caplog.text
        with pytest.raises(Unavailable, match="the disk is full"):
            client.create_sweep("ada", "digits", SWEEP)


def test_a_store_of_a_newer_besom_is_refused_untouched(settings: Settings) -> None:
    with connect(settings) as client:
        client.projects()
    hub = local.hub(settings)
    hub.database.write(lambda c: c.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'"))
    local.close(settings)
    with pytest.raises(StoreError, match="newer besom"):
        connect(settings)
    with pytest.raises(StoreError, match="newer besom"):
        local.serve(settings, port=0)


# besom server


def test_a_page_and_a_script_talk_to_the_server(serving: Serving) -> None:
    assert httpx.get(f"{serving.address}/api/health").json()["status"] == "ok"
    assert httpx.get(f"{serving.address}/api/projects", headers={"Host": "evil.com"}).status_code == 403
    assert httpx.get(f"{serving.address}/api/openapi.json").json()["openapi"] == "3.1.0"
    missing = httpx.get(f"{serving.address}/api/run")
    assert (missing.status_code, missing.json()["error"]) == (404, "NotFound")
    wrong = httpx.put(f"{serving.address}/api/projects")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD")
    assert httpx.head(f"{serving.address}/api/projects").status_code == 200


def test_requests_no_browser_would_write_are_refused(serving: Serving) -> None:
    for head in (
        "GET http://evil.com/api/projects HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        "GET /api/projects HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.com\r\n",
        "GET /api/projects HTTP/1.0\r\n",
        "GET /api/events HTTP/1.1\r\nHost: evil.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ):
        with socket.create_connection(("127.0.0.1", serving.port), timeout=WAIT) as line:
            line.sendall(head.encode() + b"Connection: close\r\n\r\n")
            answer = line.makefile("rb").readline()
        assert answer.split()[1] in (b"400", b"403"), head


def test_a_port_in_use_names_the_next_free_one(serving: Serving, settings: Settings) -> None:
    with pytest.raises(
        UsageError, match=rf"port {serving.port} .*a besom server runs on it already; .* besom server --port \d+"
    ):
        local.serve(settings, port=serving.port)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            UsageError, match=rf"port {port} .*another program listens on it; .* besom server --port \d+"
        ):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_in_order_with_a_page_open(how: signal.Signals, tmp_path: Path) -> None:
    serving = Serving(tmp_path / "served")
    with httpx.stream("GET", f"{serving.address}/api/events", timeout=WAIT) as page:
        lines = page.iter_lines()
        assert next(lines) == "retry: 1000"
        assert serving.stop(how) == 0
        assert "event: change" in list(lines), "the stream was ended, not cut"


def test_a_server_over_the_store_of_serverless_runs_sees_them_live(serving: Serving, tmp_path: Path) -> None:
    journal = begin(tmp_path / "served" / "journals")
    with Client(serving.address) as page:
        seen = next(change for change in page.events(0) if change.runs)
    assert seen.runs == (("ada", "digits", "r1"),)
    log(journal, Exit(time.time(), 0, "finished"))
    journal.close()
    # Nobody asks anything: the server takes it in by itself.
    until(lambda: not list((tmp_path / "served" / "journals").glob("*.besom")), "the journal is put aside")


# besom deliver


def lines_of(address: str, run: str = "r1") -> list[float]:
    with Client(address) as client, contextlib.suppress(NotFound):
        return list(client.rows("ada", "digits", run, keys=["loss"]).columns.get("loss", []))
    return []


def test_the_deliverer_carries_a_run_to_its_server_and_goes(serving: Serving, settings: Settings) -> None:
    there = settings.replace(server=serving.address)
    journal = begin(there.journals)
    log(journal, *(row(step, loss=float(step)) for step in range(100)))
    thread = threading.Thread(target=local.deliver, args=(there,), daemon=True)
    thread.start()
    until(lambda: len(lines_of(serving.address)) == 100, "the rows arrive while the run goes on")
    log(journal, row(100, loss=100.0), Exit(time.time(), 0, "finished"))
    journal.close()
    thread.join(WAIT)
    assert not thread.is_alive() and not list(there.journals.glob("*.besom"))
    assert lines_of(serving.address) == [float(step) for step in range(101)]
    with Client(serving.address) as client:
        assert client.run("ada", "digits", "r1").state == "finished"
    assert not settings.database.exists(), "what goes to a server is not kept here too"


def test_a_second_deliverer_leaves_at_once(settings: Settings) -> None:
    there = settings.replace(server="http://127.0.0.1:9")
    begin(there.journals).close()
    code = "from besom import local, settings; print('up', flush=True); local.deliver(settings.load())"
    env = {**os.environ, "BESOM_SERVER": there.server}
    first = subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE)
    try:
        until(
            lambda: "waiting: http://127.0.0.1:9 is out of reach" in _text(there.home / "deliver.log"),
            "the first one waits",
        )
        local.deliver(there)  # returns
        assert first.poll() is None
    finally:
        first.kill()
        first.communicate()


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_without_a_network_it_waits_and_then_delivers_exactly_once(tmp_path: Path, settings: Settings) -> None:
    free = listen("127.0.0.1", 0)
    port = free.getsockname()[1]
    free.close()
    there = settings.replace(server=f"http://127.0.0.1:{port}")
    journal = begin(there.journals)
    log(journal, *(row(step, loss=float(step)) for step in range(10)), Exit(time.time(), 0, "finished"))
    journal.close()
    waits: list[float] = []
    serving: list[Serving] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 6:
            serving.append(Serving(tmp_path / "served", port))

    local.deliver(there, sleep=sleep)
    assert waits[0] < waits[2] < waits[4], "each wait is longer than the one before the last"
    try:
        assert lines_of(there.server) == [float(step) for step in range(10)]
        assert not list(there.journals.glob("*.besom"))
    finally:
        serving[0].stop()


def test_a_server_that_lost_its_store_gets_everything_again(tmp_path: Path, settings: Settings) -> None:
    serving = Serving(tmp_path / "first")
    port = serving.port
    there = settings.replace(server=serving.address)
    journal = begin(there.journals)
    log(journal, *(row(step, loss=float(step)) for step in range(10)))
    shipper = local.Shipper(there.journals, connect(there), Blobs(there.blobs))
    shipper.look()
    assert len(lines_of(there.server)) == 10
    serving.stop()
    serving = Serving(tmp_path / "second", port)
    try:
        log(journal, row(10, loss=10.0))
        shipper.look()
        assert lines_of(there.server) == [float(step) for step in range(11)]
    finally:
        serving.stop()
        journal.close()


def test_a_run_that_was_killed_is_crashed_on_the_server(serving: Serving, settings: Settings) -> None:
    there = settings.replace(server=serving.address)
    code = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_local import begin, log, row
log(begin(Path({str(there.journals)!r})), row(0, loss=1.0))
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    local.deliver(there)
    with Client(serving.address) as client:
        run = client.run("ada", "digits", "r1")
    assert (run.state, run.reason, run.summary) == ("crashed", "the process ended without a word", {"loss": 1.0})


def test_a_server_that_will_never_take_a_journal_does_not_hold_the_deliverer(settings: Settings) -> None:
    """The address is that of another program: it answers 404 to everything."""
    import http.server

    class Stranger(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as stranger:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        there = settings.replace(server=f"http://127.0.0.1:{stranger.server_address[1]}")
        journal = begin(there.journals)
        journal.close()
        local.deliver(there)
        stranger.shutdown()
    assert journal.path.exists() and "is left where it is" in _text(there.home / "deliver.log")


def test_without_a_server_it_sends_what_runs_have_to_tell(settings: Settings) -> None:
    """A run that fails while nobody watches: its alert reaches the webhook, once, and the deliverer goes."""
    import http.server

    said: list[str] = []

    class Slack(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said.append(json.loads(self.rfile.read(int(self.headers["content-length"])))["text"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slack) as slack:
        threading.Thread(target=slack.serve_forever, daemon=True).start()
        with connect(settings) as client:
            client.add_channel("slack", f"http://127.0.0.1:{slack.server_address[1]}/services/x")
        journal = begin(settings.journals)
        thread = threading.Thread(target=local.deliver, args=(settings,), daemon=True)
        thread.start()
        log(journal, Exit(time.time(), 3, "failed", "exit code 3"))
        journal.close()
        thread.join(WAIT)
        local.deliver(settings)
        slack.shutdown()
    assert not thread.is_alive()
    assert len(said) == 1 and "failed" in said[0] and "name-r1" in said[0]


def test_a_client_that_is_closed_leaves_no_threads(settings: Settings) -> None:
    def workers() -> list[str]:
        return [
            thread.name for thread in threading.enumerate() if thread.name.startswith(("besom-read_", "besom-write_"))
        ]

    before = len(workers())
    for _ in range(3):
        with connect(settings) as client:
            client.projects()
            assert len(workers()) > before
    assert len(workers()) == before


def test_a_journal_that_breaks_on_its_way_holds_up_no_other(settings: Settings, serving: Serving) -> None:
    there = settings.replace(server=serving.address)
    there.journals.mkdir(parents=True)
    bad, good = begin(there.journals, "bad"), begin(there.journals, "good")
    bad.close()
    with connect(there) as client:
        shipper = local.Shipper(there.journals, client, Blobs(there.blobs))
        head = shipper._header(bad.path)
        assert head is not None
        bad.path.write_bytes(b"x" * 4096)
        good.close()
        shipper.work()
        assert client.run("ada", "digits", "good").id == "good"
    assert bad.path.exists() and not good.path.exists()


def test_a_run_that_the_server_stumbles_over_holds_up_no_other(settings: Settings) -> None:
    there = settings.replace(server="http://localhost")
    there.journals.mkdir(parents=True)
    for run in ("bad", "good"):
        begin(there.journals, run).close()
    application = local.application(settings)

    async def stumbling(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith("/api/append/ada/digits/bad/"):
            await Response(status_code=500)(scope, receive, send)
        else:
            await application(scope, receive, send)

    with Client("http://localhost", transport=AppTransport(stumbling, application.close), patience=0) as client:
        shipper = local.Shipper(there.journals, client, Blobs(there.blobs))
        for _ in range(2):
            with pytest.raises(Unavailable):
                shipper.work()
        assert client.run("ada", "digits", "good").id == "good"


def test_a_damaged_file_holds_up_nothing(settings: Settings, serving: Serving) -> None:
    there = settings.replace(server=serving.address)
    blobs = Blobs(there.blobs)
    whole, hurt = blobs.put([b"whole"]), blobs.put([b"weights"])
    blobs.path(hurt.digest).write_bytes(b"")  # what a power failure leaves
    journal = begin(there.journals)
    log(journal, File("hurt", *hurt, time.time()), File("whole", *whole, time.time()), Exit(time.time(), 0, "finished"))
    journal.close()
    local.deliver(there)
    with connect(there) as client:
        assert client.run("ada", "digits", "r1").state == "finished"
        assert b"".join(client.content(whole.digest)) == b"whole"
        with pytest.raises(NotFound):
            list(client.content(hurt.digest))


def test_files_and_artifacts_reach_the_server_before_the_words_about_them(settings: Settings, serving: Serving) -> None:
    there = settings.replace(server=serving.address)
    blobs = Blobs(there.blobs)
    file, weights = blobs.put([b"a picture"]), blobs.put([b"weights" * 500_000])
    journal = begin(there.journals)
    log(
        journal,
        File("media/a.png", *file, time.time()),
        Artifact("model", "model", {"m.pt": weights.digest}, ("latest",)),
        Artifact("set:v3", "dataset", {}, (), True),
        File("gone.txt", "0" * 64, 3, time.time()),
        Exit(time.time(), 0, "finished"),
    )
    journal.close()
    local.deliver(there)
    assert not list(there.journals.glob("*.besom"))
    with connect(there) as client:
        head = client.run("ada", "digits", "r1")
        assert head.state == "finished"
        assert [view.path for view in client.files("ada", "digits", "r1").files] == ["gone.txt", "media/a.png"]
        assert b"".join(client.content(file.digest)) == b"a picture"
        (digest,) = client.artifact("ada", "digits", "model").entries.values()
        assert b"".join(client.content(digest)) == b"weights" * 500_000
