"""One writer, any number of readers: what `append` returned is what `read` gives."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from besom.core import codec
from besom.core import record as rec
from besom.core.batch import Batch
from besom.core.errors import JournalDamaged, JournalFull, StoreError, UsageError
from besom.journal import file as journals
from besom.journal import lock, reserve
from besom.journal.file import Journal
from besom.journal.frame import FIRST, HEAD, PREAMBLE, Header, preamble
from besom.journal.keeper import SYNC, TOUCH, keeper


@pytest.fixture(params=["mapped", "written"])
def journal(request, tmp_path, monkeypatch):
    """An open journal, in both ways of writing; on filesystems that cannot be mapped both are the same."""
    if request.param == "written":
        monkeypatch.setattr(reserve, "possible", lambda fd: False)
    made = Journal.create(tmp_path / "journals", run="r1", entity="me", project="dkt")
    yield made
    made.close()


def row(step: int, size: int = 1) -> bytes:
    return codec.encode_history(step, 1.5, {"text": "x" * size})


def steps(batch) -> list[int]:
    return [record.step for record in batch.records]


def elsewhere(call: str, path: Path) -> str:
    """What another process says; the one that writes a journal may not open it a second time."""
    code = f"import sys; from pathlib import Path; from besom.journal.file import *; print({call})"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_records_come_back_in_order_with_their_places(journal):
    seqs = [journal.append(row(i)) for i in range(100)]
    batch = journals.read(journal.path)
    assert steps(batch) == list(range(100))
    assert (batch.start, batch.seqs, batch.end) == (0, tuple(seqs), journal.position)
    assert seqs[0] == FIRST
    assert journals.read(journal.path, batch.end) == Batch(batch.end, batch.end)  # nothing is there yet
    assert journals.damaged(journal.path) == 0


def test_reading_goes_on_from_any_place_and_stops_at_a_limit(journal):
    seqs = [journal.append(row(i, 1000)) for i in range(50)]
    seen, at = [], 0
    while (batch := journals.read(journal.path, at, limit=3000)).end > at:
        assert batch.start == at
        assert 1 <= len(batch.records) <= 3
        seen += steps(batch)
        at = batch.end
    assert seen == list(range(50))
    assert steps(journals.read(journal.path, seqs[40])) == list(range(40, 50))
    assert steps(journals.read(journal.path, seqs[40] + 1)) == list(range(41, 50))
    assert steps(journals.read(journal.path, 0, limit=1)) == [0]


def test_the_file_names_its_run_and_is_seen_alive_until_it_is_closed(journal):
    journal.append(row(0))
    head = journals.header(journal.path)
    assert (head.run, head.entity, head.project, head.stream) == ("r1", "me", "dkt", journal.stream)
    assert (head.pid, head.host, head.locked) == (os.getpid(), lock.host(), True)
    assert journal.path.name == f"r1-{journal.stream}.besom"
    assert journals.alive(journal.path)
    assert elsewhere("alive(Path(sys.argv[1])), len(read(Path(sys.argv[1])).records)", journal.path) == "True 1"
    # Reading in the writer's own process must not free its lock:
    journals.read(journal.path), journals.header(journal.path), journals.damaged(journal.path)
    assert elsewhere("alive(Path(sys.argv[1]))", journal.path) == "True"
    journal.close()
    assert not journals.alive(journal.path)
    assert elsewhere("alive(Path(sys.argv[1]))", journal.path) == "False"
    assert not journals.alive(journal.path.with_name("no such file"))


def test_closing_cuts_the_reserve_and_may_be_done_twice(journal):
    journal.append(row(0))
    journal.close()
    journal.close()
    assert journal.path.stat().st_size == journal.position
    assert steps(journals.read(journal.path)) == [0]
    assert [p.name for p in journal.path.parent.iterdir()] == [journal.path.name]
    with pytest.raises(StoreError, match="closed"):
        journal.append(row(1))
    assert not journal.mine


def test_large_records_and_many_records_pass_the_end_of_the_reserve(journal):
    sizes = [10, reserve.START, 3 * reserve.START, 10, 2 * reserve.LEAST, 10] + [5000] * 1000
    for step, size in enumerate(sizes):
        journal.append(row(step, size))
    seen, at = [], 0
    while (batch := journals.read(journal.path, at)).end > at:
        seen += [(r.step, len(r.data["text"])) for r in batch.records]
        at = batch.end
    assert seen == list(enumerate(sizes))
    journal.close()
    assert journals.damaged(journal.path) == 0


def test_many_threads_write_into_one_journal(journal):
    places: dict[int, int] = {}

    def work(first: int) -> None:
        for step in range(first, first + 500):
            places[step] = journal.append(row(step, step % 40))

    threads = [threading.Thread(target=work, args=(i * 1000,)) for i in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    batch = journals.read(journal.path)
    assert dict(zip(steps(batch), batch.seqs)) == places
    assert len(batch.records) == 4000


def test_a_reader_follows_a_writer(journal):
    """A thread reads all the time: it sees each record once, in order, and never one that is half written."""
    seen: list[int] = []
    done = threading.Event()

    def follow() -> None:
        at = 0
        while True:
            last = done.is_set()
            batch = journals.read(journal.path, at, limit=10_000)
            seen.extend(steps(batch))
            at = batch.end
            if last and not batch.records:
                return

    reader = threading.Thread(target=follow)
    reader.start()
    for step in range(3000):
        journal.append(row(step, step % 300))
    done.set()
    reader.join()
    assert seen == list(range(3000))


def test_a_record_has_at_least_a_byte(journal):
    with pytest.raises(StoreError, match="at least one byte"):
        journal.append(b"")
    journal.append(row(0))
    assert steps(journals.read(journal.path)) == [0]


def test_the_disk_is_asked_to_keep_it_at_most_once_a_second(journal, monkeypatch):
    keeper.remove(journal)
    with journal._slow:  # the keeper may be at work on it just now
        journal._synced = now = time.monotonic()
    calls: list[int] = []
    monkeypatch.setattr(os, "fdatasync", calls.append)
    for step in range(10):
        journal.append(row(step))
        assert journal.tend(now + 0.5) == now + SYNC  # dirty: come again when a second is over
    assert calls == []
    journal.tend(now + SYNC)
    assert len(calls) == 1
    late = journal._synced
    assert journal.tend(late + 2 * SYNC) > late + 2 * SYNC  # clean: nothing to do but a touch
    assert len(calls) == 1
    journal.append(row(11))
    journal.tend(late + 2 * SYNC)
    assert len(calls) == 2


def test_a_disk_that_refuses_to_sync_does_not_stop_the_run(journal, monkeypatch):
    keeper.remove(journal)

    def broken(fd: int) -> None:
        raise OSError(5, "Input/output error")

    journal.append(row(0))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        journal.tend(time.monotonic() + 2 * SYNC)
        assert journal.trouble is not None
        with pytest.raises(OSError, match="Input/output"):
            journal.sync()
    journal.append(row(1))
    journal.tend(time.monotonic() + 4 * SYNC)
    assert journal.trouble is None
    assert steps(journals.read(journal.path)) == [0, 1]


def test_a_handler_may_close_while_the_writer_grows_its_file_and_the_keeper_wants_to(tmp_path, monkeypatch):
    """SIGTERM in the moment in which a writer makes room: the handler closes the journal, which waits for the keeper."""
    monkeypatch.setattr(reserve, "possible", lambda fd: True)
    journal = Journal.create(tmp_path, run="r", entity="e", project="p", mapped=True)
    keeper.remove(journal)
    keeper_is_in, closed = threading.Event(), threading.Event()
    tends = threading.Thread(target=lambda: (keeper_is_in.set(), journal.tend(0.0)), daemon=True)
    grow = journal._room.grow

    def interrupted(step: int) -> None:
        monkeypatch.setattr(journal._room, "grow", grow)
        grow(step)
        tends.start()
        keeper_is_in.wait(20)
        tends.join(1)
        journal.close()
        closed.set()

    monkeypatch.setattr(journal._room, "grow", interrupted)

    def write() -> None:
        with pytest.raises(StoreError, match="is closed"):
            journal.append(row(0, 300_000))

    threading.Thread(target=write, daemon=True).start()
    assert closed.wait(20), "it hangs"


def test_an_idle_writer_touches_its_file(journal):
    keeper.remove(journal)
    os.utime(journal.path, (1, 1))
    journal.tend(time.monotonic() + TOUCH)
    assert journal.path.stat().st_mtime > 1


def test_a_folder_that_cannot_be_written_is_said_clearly(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="no journal can be made in"):
        Journal.create(tmp_path / "file" / "journals", run="r", entity="e", project="p")
    with pytest.raises(UsageError, match="run id"):
        Journal.create(tmp_path, run="a/b", entity="e", project="p")


@pytest.mark.parametrize("content", [b"", b"x", b"a: 1\n" * 1000, bytes(8192)])
def test_a_file_that_is_no_journal_is_refused(tmp_path, content):
    path = tmp_path / "x.besom"
    path.write_bytes(content)
    with pytest.raises(JournalDamaged, match="does not begin like a journal"):
        journals.header(path)
    if len(content) > FIRST:
        with pytest.raises(JournalDamaged, match=r"x\.besom"):
            journals.read(path)
    assert not journals.alive(path)


def test_either_copy_of_the_preamble_is_enough(journal):
    journal.append(row(0))
    journal.close()
    whole = journal.path.read_bytes()
    head = journals.header(journal.path)
    for start in (0, PREAMBLE):
        journal.path.write_bytes(whole[:start] + bytes(PREAMBLE) + whole[start + PREAMBLE :])
        assert journals.header(journal.path) == head
        assert steps(journals.read(journal.path)) == [0]
    journal.path.write_bytes(bytes(FIRST) + whole[FIRST:])
    with pytest.raises(JournalDamaged):
        journals.read(journal.path)


def test_a_writer_on_another_host_lives_while_it_touches_its_file(tmp_path):
    head = Header("s", "r", "e", "p", 1.0, "another-host", 1)
    path = tmp_path / "r-s.besom"
    path.write_bytes(preamble(head, 7))
    assert journals.alive(path)
    os.utime(path, (time.time() - 2 * lock.LEASE,) * 2)
    assert not journals.alive(path)


def test_names_too_long_for_the_preamble_are_refused():
    with pytest.raises(JournalDamaged, match="bytes together"):
        preamble(Header("s", "r" * PREAMBLE, "e", "p", 1.0, "h", 1), 7)


def test_where_files_cannot_be_locked_the_process_id_stands_in(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "take", lambda fd: False)
    journal = Journal.create(tmp_path, run="r", entity="e", project="p")
    try:
        assert not journals.header(journal.path).locked
        assert elsewhere("alive(Path(sys.argv[1]))", journal.path) == "True"
    finally:
        journal.close()
    gone = subprocess.Popen(["true"])
    gone.wait()
    path = tmp_path / "r-s.besom"
    path.write_bytes(preamble(Header("s", "r", "e", "p", 1.0, lock.host(), gone.pid, locked=False), 7))
    assert not journals.alive(path)


def test_a_disk_too_full_for_a_file_is_said_clearly(tmp_path, monkeypatch):
    def full(fd: int, data: bytes, offset: int) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(JournalFull, match="No space left"):
        Journal.create(tmp_path, run="r", entity="e", project="p")
    assert list(tmp_path.glob("r-*")) == []


def test_a_write_that_is_cut_short_leaves_nothing_half_written(tmp_path, monkeypatch):
    """`write(2)` may write a part and fail on the rest; the next record stands where the failed one would have."""
    journal = Journal.create(tmp_path, run="r", entity="e", project="p", mapped=False)
    journal.append(row(0))
    real, calls = os.pwrite, []

    def half(fd: int, data: bytes, offset: int) -> int:
        calls.append(offset)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(fd, data[: HEAD + 3], offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", half)
        with pytest.raises(JournalFull):
            journal.append(row(1))
    assert journal.path.stat().st_size == journal.position
    journal.append(row(2))
    journal.close()
    assert steps(journals.read(journal.path)) == [0, 2]
    assert journals.damaged(journal.path) == 0


def test_the_record_kinds_of_a_later_version_are_passed_over(journal):
    journal.append(row(0))
    journal.append(b"\x92\x4d\x01")  # kind 77
    journal.append(codec.encode(rec.Exit(2.0, 0, rec.FINISHED)))
    batch = journals.read(journal.path)
    assert [type(r) for r in batch.records] == [rec.History, rec.Exit]
    assert batch.end == journal.position
