"""The folder door: what lies in a folder of journals is what the hub knows, at once, exactly once, and without a server."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from besom.core import codec
from besom.core.batch import Batch
from besom.core.errors import NotFound, Unavailable, UsageError
from besom.core.names import RunPath
from besom.core.record import Config, Exit, History, Record, Run
from besom.hub.hub import Hub
from besom.journal.file import Journal
from besom.server.folder import FileLock, Folder
from besom.store.migrations import open_database

R1 = RunPath("ada", "digits", "r1")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    database = open_database(tmp_path / "besom.db")
    yield Hub(database)
    database.close()


@pytest.fixture
def journals(tmp_path: Path) -> Path:
    folder = tmp_path / "journals"
    folder.mkdir()
    return folder


def begin(folder: Path, run: str = "r1", *records: Record, time: float = 100.0) -> Journal:
    journal = Journal.create(folder, run=run, entity="ada", project="digits")
    first = Run(time, id=run, entity="ada", project="digits", name=f"name-{run}", starts=True)
    for record in (first, Config({"lr": 0.1}), *records):
        journal.append(codec.encode(record))
    return journal


def rows(*steps: int) -> list[Record]:
    return [History(step, 100.0 + step, {"loss": 1.0 / (step + 1)}) for step in steps]


def log(journal: Journal, *records: Record) -> None:
    for record in records:
        journal.append(codec.encode(record))


def losses(hub: Hub, run: str = "r1") -> list[float]:
    return hub.metric_values(RunPath("ada", "digits", run), "loss")


def test_what_was_logged_is_there_when_one_looks(hub: Hub, journals: Path) -> None:
    folder = Folder(hub, journals)
    journal = begin(journals, "r1", *rows(0, 1))
    assert [head.run for head in folder.catch_up()] == ["r1"]
    assert losses(hub) == [1.0, 0.5] and hub.run(R1).state == "running"
    log(journal, *rows(2))
    folder.catch_up()
    assert losses(hub) == [1.0, 0.5, 1 / 3]
    log(journal, Exit(103.0, 0, "finished"))
    journal.close()
    assert folder.catch_up() == []
    assert hub.run(R1).state == "finished"
    assert [path.name for path in (journals / "done").iterdir()] == [journal.path.name]
    assert not list(journals.glob("*.besom"))


def test_looking_twice_changes_nothing(hub: Hub, journals: Path) -> None:
    folder = Folder(hub, journals)
    journal = begin(journals, "r1", *rows(0, 1, 2))
    folder.catch_up()
    before = hub.changes(0).seq
    folder.catch_up()
    assert hub.changes(0).seq == before
    # A second process over the same folder begins where the hub is, not where it has been itself.
    other = Folder(hub, journals)
    log(journal, *rows(3))
    other.catch_up()
    folder.catch_up()
    assert losses(hub) == [1.0, 0.5, 1 / 3, 0.25]
    journal.close()


SCRIPT = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_folder import begin, rows
journal = begin(Path({folder!r}), {run!r}, *rows(0, 1))
print("logged", flush=True)
sys.stdin.readline()
os.kill(os.getpid(), signal.SIGKILL)
"""


def start(folder: Path, run: str) -> subprocess.Popen[str]:
    code = SCRIPT.format(tests=str(Path(__file__).parent), folder=str(folder), run=run)
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "logged\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.communicate("now\n")
    assert process.returncode == -signal.SIGKILL


def test_a_killed_run_is_crashed_at_once(hub: Hub, journals: Path) -> None:
    folder = Folder(hub, journals)
    process = start(journals, "r1")
    folder.catch_up()
    assert hub.run(R1).state == "running"
    kill(process)
    folder.catch_up()
    run = hub.run(R1)
    assert (run.state, run.reason, run.exit_code) == ("crashed", "the process ended without a word", None)
    assert run.ended == 101.0, "it ended when it was last heard of, not when somebody looked"
    assert losses(hub) == [1.0, 0.5]


def test_a_run_that_died_unseen_is_found_by_the_next_look(hub: Hub, journals: Path) -> None:
    kill(start(journals, "r1"))
    Folder(hub, journals).catch_up()
    assert hub.run(R1).state == "crashed" and losses(hub) == [1.0, 0.5]


def test_a_resumed_run_goes_on_though_its_first_process_was_killed(hub: Hub, journals: Path) -> None:
    folder = Folder(hub, journals)
    kill(start(journals, "r1"))
    second = begin(journals, "r1", *rows(2), time=200.0)
    folder.catch_up()
    assert hub.run(R1).state == "running" and len(losses(hub)) == 3
    log(second, Exit(203.0, 0, "finished"))
    second.close()
    folder.catch_up()
    assert hub.run(R1).state == "finished"


def test_a_run_finished_by_its_script_is_not_called_crashed(hub: Hub, journals: Path) -> None:
    """Another process carried the journal to its end; this one only sees that the writer is gone."""
    journal = begin(journals, "r1", Exit(101.0, 3, "failed", "exit code 3"))
    Folder(hub, journals).catch_up()
    journal.close()
    Folder(hub, journals).catch_up()
    assert hub.run(R1).state == "failed" and not list(journals.glob("*.besom"))


def test_many_journals_come_in_few_transactions(hub: Hub, journals: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    append = hub.append_many
    monkeypatch.setattr(hub, "append_many", lambda given: calls.append(len(given)) or append(given))
    for n in range(20):
        begin(journals, f"r{n}", *rows(0, 1), Exit(102.0, 0, "finished")).close()
    Folder(hub, journals).catch_up()
    assert calls == [20]
    assert hub.runs("ada", "digits", filter="state = finished").matched == 20


def test_a_file_that_is_no_journal_harms_nobody(hub: Hub, journals: Path, caplog: pytest.LogCaptureFixture) -> None:
    noise = journals / "noise.besom"
    noise.write_bytes(b"not a journal" * 1000)
    os.utime(noise, (1, 1))
    fresh = journals / "fresh.besom"
    fresh.write_bytes(b"")
    begin(journals, "r1", *rows(0), Exit(101.0, 0, "finished")).close()
    folder = Folder(hub, journals)
    folder.catch_up()
    folder.catch_up()
    assert hub.run(R1).state == "finished" and noise.exists() and fresh.exists()
    assert [record.message.split(" is left")[0] for record in caplog.records] == [str(noise)]


def test_one_journal_that_the_hub_refuses_does_not_hold_up_the_others(
    hub: Hub, journals: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    append = hub.append_many

    def choosy(given: list[object]) -> list[int]:
        if any(delivery.path.id == "bad" for delivery in given):  # type: ignore[attr-defined]
            raise UsageError("never heard of it")
        return append(given)  # type: ignore[arg-type]

    monkeypatch.setattr(hub, "append_many", choosy)
    for run in ("a", "bad", "c"):
        begin(journals, run, *rows(0), Exit(101.0, 0, "finished")).close()
    Folder(hub, journals).catch_up()
    assert hub.runs("ada", "digits").total == 2
    assert len(list(journals.glob("bad-*.besom"))) == 1
    assert "never heard of it" in caplog.text


def test_a_journal_in_the_making_is_left_alone(hub: Hub, journals: Path) -> None:
    """Its file is there, its first record is not yet."""
    journal = Journal.create(journals, run="r1", entity="ada", project="digits")
    journal.close()
    Folder(hub, journals).catch_up()
    assert journal.path.exists()
    os.utime(journal.path, (1, 1))
    Folder(hub, journals).catch_up()
    assert not journal.path.exists()
    with pytest.raises(NotFound):
        hub.run(R1)


def test_no_folder_is_no_journals(hub: Hub, tmp_path: Path) -> None:
    assert Folder(hub, tmp_path / "none").catch_up() == []
    assert not (tmp_path / "none").exists()


class Doorkeeper:
    """A lock that lets a test wait until so many stand before it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.asked = threading.Semaphore(0)

    def __enter__(self) -> None:
        self.asked.release()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_callers_that_wait_share_a_look(hub: Hub, journals: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(hub, journals)
    door, began, go, looks, look = Doorkeeper(), threading.Event(), threading.Event(), [], folder.look

    def slow() -> object:
        looks.append(1)
        began.set()
        assert go.wait(30)
        return look()

    monkeypatch.setattr(folder, "look", slow)
    monkeypatch.setattr(folder, "_mutex", door)
    threads = [threading.Thread(target=folder.catch_up) for _ in range(6)]
    for thread in threads:  # the first one looks, the others ask meanwhile
        thread.start()
        assert door.asked.acquire(timeout=30) and began.wait(30)
    go.set()
    for thread in threads:
        thread.join(30)
    assert len(looks) == 2, "one that had begun before they asked, and one for all of them"


def test_one_process_at_a_time(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    other = f"""
import sys
from pathlib import Path
from besom.server.folder import FileLock
sys.exit(FileLock(Path({str(tmp_path / "lock")!r})).take())
"""
    assert lock.take()
    assert subprocess.run([sys.executable, "-c", other]).returncode == 0
    lock.free()
    assert subprocess.run([sys.executable, "-c", other]).returncode == 1


def test_an_odd_journal_holds_up_no_other(hub: Hub, journals: Path) -> None:
    odd, good = begin(journals, "odd", History(1, math.nan, {"note": "text"})), begin(journals, "r1", *rows(0, 1))
    Folder(hub, journals).catch_up()
    assert losses(hub) == [1.0, 0.5]
    assert odd.path.exists(), "what cannot be taken is left where it is"
    for journal in (odd, good):
        journal.close()


def test_an_attempt_that_died_does_not_end_the_one_that_followed_elsewhere(hub: Hub, journals: Path) -> None:
    """A trial whose agent was lost runs again on another machine, and then the first machine comes back."""
    folder = Folder(hub, journals)
    journal = begin(journals, "r1", *rows(0))
    folder.catch_up()
    hub.append(R1, "elsewhere", Batch(0, 10, (0,), (Run(500.0, attempt=2, starts=True),)))
    journal.close()  # without an Exit
    folder.catch_up()
    assert not journal.path.exists()
    assert hub.run(R1).state == "running"


def test_who_waited_for_a_look_that_failed_looks_for_himself(
    hub: Hub, journals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(hub, journals)
    door, began, go, looks, look = Doorkeeper(), threading.Event(), threading.Event(), [], folder.look

    def slow() -> object:
        looks.append(1)
        if len(looks) == 2:
            raise Unavailable("the store is locked")
        began.set()
        assert go.wait(30)
        return look()

    def ask() -> None:
        with contextlib.suppress(Unavailable):
            folder.catch_up()

    monkeypatch.setattr(folder, "look", slow)
    monkeypatch.setattr(folder, "_mutex", door)
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
        assert door.asked.acquire(timeout=30) and began.wait(30)
    go.set()
    for thread in threads:
        thread.join(30)
    assert len(looks) == 3
