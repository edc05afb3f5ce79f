"""Killed, forked, interrupted, and on a full disk. Each story runs in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from besom.journal import file as journals

START = """
import os, signal, sys, time, random, threading
from pathlib import Path
from besom.core import codec, errors
from besom.journal import file as journals
from besom.journal.file import Journal
folder = Path(sys.argv[1])
def row(step, size=1): return codec.encode_history(step, 1.5, {"text": "x" * size})
def make(mapped=None): return Journal.create(folder, run="r", entity="e", project="p", mapped=mapped)
"""


def script(body: str) -> str:
    return START + textwrap.dedent(body)


def run(body: str, folder: Path, *before: str) -> str:
    """Run `body` to its end and give its output."""
    done = subprocess.run([*before, sys.executable, "-c", script(body), str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def begin(body: str, folder: Path) -> subprocess.Popen:
    """Start `body` in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", script(body), str(folder)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_until(true) -> None:
    """Wait for what must become true; gives up after a minute."""
    for _ in range(6000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within a minute")


def held(folder: Path) -> list[int]:
    """The steps in all journals of `folder`."""
    steps = []
    for path in sorted(folder.glob("*.besom")):
        at = 0
        while (batch := journals.read(path, at)).end > at:
            steps += [record.step for record in batch.records]
            at = batch.end
    return steps


@pytest.mark.parametrize("mapped", [None, False])
@pytest.mark.parametrize("moment", [0.0, 0.03, 0.1])
def test_kill_9_loses_no_record_that_was_returned(tmp_path, mapped, moment):
    writer = begin(
        f"""
        journal = make({mapped})
        told = os.open(folder / "told", os.O_CREAT | os.O_WRONLY)
        for step in range(10_000_000):
            journal.append(row(step, step % 500))
            os.pwrite(told, step.to_bytes(8, "little"), 0)
        """,
        tmp_path,
    )
    told = tmp_path / "told"
    wait_until(lambda: told.exists() and told.stat().st_size == 8)
    time.sleep(moment)
    os.killpg(writer.pid, signal.SIGKILL)
    writer.communicate()
    last = int.from_bytes(told.read_bytes(), "little")
    steps = held(tmp_path)
    assert steps == list(range(len(steps)))
    assert len(steps) - 1 in (last, last + 1)  # the record written just before the kill may not have been told
    (path,) = tmp_path.glob("*.besom")
    assert not journals.alive(path)
    assert journals.damaged(path) == 0


def test_the_lock_is_free_after_kill_9_even_when_a_forked_child_lives(tmp_path):
    """A DataLoader worker outlives its parent; the run is dead all the same, and must show crashed at once."""
    writer = begin(
        """
        journal = make()
        journal.append(row(0))
        child = os.fork()
        if not child:
            time.sleep(100)
        print(child, flush=True)
        time.sleep(100)
        """,
        tmp_path,
    )
    child = int(writer.stdout.readline())
    (path,) = tmp_path.glob("*.besom")
    assert journals.alive(path)
    writer.kill()
    writer.wait()
    try:
        os.kill(child, 0)  # it lives
        assert not journals.alive(path)
        assert held(tmp_path) == [0]
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("mapped", [None, False])
def test_a_forked_child_cannot_write_into_its_parents_file(tmp_path, mapped):
    out = run(
        f"""
        journal = make({mapped})
        journal.append(row(0))
        if not os.fork():
            assert not journal.mine
            try:
                journal.append(row(1))
            except errors.JournalForked as error:
                journal.close()
                own = make()
                own.append(row(10))
                own.close()
                journals.read(journal.path)  # opens and closes the file, in the child
                os._exit(7)
            os._exit(1)
        print(os.waitstatus_to_exitcode(os.wait()[1]))
        journal.append(row(2))
        pid = os.fork()
        if not pid:
            os.execv(sys.executable, [sys.executable, "-c", "import sys; from pathlib import Path;"
                "from besom.journal.file import alive; print(alive(Path(sys.argv[1])), flush=True)", str(journal.path)])
        os.waitpid(pid, 0)
        journal.close()
        """,
        tmp_path,
    )
    assert out.split() == ["7", "True"]
    assert sorted(held(tmp_path)) == [0, 2, 10]


def test_forking_while_other_threads_log_never_blocks(tmp_path):
    """The child inherits locks that nobody in it will ever free."""
    run(
        """
        journal = make()
        stop = threading.Event()
        def work(first):
            step = first
            while not stop.is_set():
                journal.append(row(step)); step += 1
        threads = [threading.Thread(target=work, args=(i * 10**6,)) for i in range(3)]
        [t.start() for t in threads]
        for _ in range(30):
            pid = os.fork()
            if not pid:
                signal.alarm(20)
                try:
                    journal.append(row(0))
                except errors.JournalForked:
                    journal.close()
                    own = make(); own.append(row(5)); own.close()
                    os._exit(0)
                os._exit(1)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        stop.set()
        [t.join() for t in threads]
        journal.close()
        assert journals.damaged(journal.path) == 0
        """,
        tmp_path,
    )
    assert held(tmp_path).count(5) >= 30


STORM = """
import itertools
journal = make({mapped})
steps, kept, armed, interrupted = itertools.count(10**6), [], False, 0
def handler(number, frame):
    global armed
    {handler}
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
mine = 0
while mine < 30_000:
    try:
        armed = True
        journal.append(row(mine, mine % 300))
        kept.append(mine)
        armed = False
    except KeyboardInterrupt:
        interrupted += 1
    mine += 1
signal.setitimer(signal.ITIMER_REAL, 0)
read, at = [], 0
while (batch := journals.read(journal.path, at)).end > at:
    read += [r.step for r in batch.records]
    at = batch.end
assert at == journal.position, (at, journal.position)
assert set(kept) <= set(read), sorted(set(kept) - set(read))[:10]
assert len(set(read)) == len(read)
assert journals.damaged(journal.path) == 0
journal.close()
print(len(read) - len(kept), len([s for s in read if s >= 10**6]), interrupted)
"""


@pytest.mark.parametrize("mapped", [None, False])
def test_a_signal_handler_may_log_in_the_middle_of_a_log(tmp_path, mapped):
    body = STORM.format(mapped=mapped, handler="s = next(steps); journal.append(row(s)); kept.append(s)")
    out = run(body, tmp_path).split()
    assert out[0] == "0"
    assert int(out[1]) > 10  # the handler did run


@pytest.mark.parametrize("mapped", [None, False])
def test_ctrl_c_in_the_middle_of_a_log_leaves_a_whole_file(tmp_path, mapped):
    """Also for a reader that follows the live file: nothing stands in its way."""
    handler = """
    if armed:
        armed = False
        raise KeyboardInterrupt
    """
    out = run(STORM.format(mapped=mapped, handler=handler), tmp_path).split()
    assert int(out[2]) > 10  # it did interrupt


@pytest.mark.parametrize("mapped", [None, False])
def test_a_handler_that_closes_the_journal_does_not_hang(tmp_path, mapped):
    """SIGTERM: the handler writes the end of the run and closes, wherever the script was."""
    for delay in (0.001, 0.004, 0.02):
        run(
            f"""
            signal.alarm(60)
            journal = make({mapped})
            def handler(number, frame):
                journal.append(row(10**6)); journal.sync(); journal.close(); print("closed", flush=True); os._exit(0)
            signal.signal(signal.SIGUSR1, handler)
            threading.Timer({delay}, lambda: os.kill(os.getpid(), signal.SIGUSR1)).start()
            for step in range(10**6):
                journal.append(row(step))
                if step % 7 == 0: journals.read(journal.path, max(0, journal.position - 100))
            """,
            tmp_path,
        )
    ends = [step for step in held(tmp_path) if step == 10**6]
    assert len(ends) == 3


FULL = """
import resource
signal.signal(signal.SIGBUS, signal.SIG_DFL)
journal = make({mapped})
{fill}
kept, refused, why = [], 0, ""
for step in range(40_000):
    try:
        journal.append(row(step, 100)); kept.append(step)
    except errors.JournalFull as error:
        refused += 1; why = str(error)
{free}
time.sleep(0.3)
for step in range(50_000, 50_100):
    journal.append(row(step, 100)); kept.append(step)
read, at = [], 0
while (batch := journals.read(journal.path, at)).end > at:
    read += [r.step for r in batch.records]
    at = batch.end
assert read == kept
journal.close()
assert journals.damaged(journal.path) == 0
assert journal.path.stat().st_size == journal.position
print(refused, len(kept), why)
"""
BALLAST = """
ballast = folder / "ballast"
fd = os.open(ballast, os.O_CREAT | os.O_WRONLY)
try:
    while True: os.write(fd, b"x" * 4096)
except OSError: pass
"""
LIMITS = {
    "a limit on the size of files": (
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, -1))",
        "resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))",
        "File too large",
    ),
    "a full disk": (BALLAST, "os.close(fd); ballast.unlink()", "No space left"),
}


@pytest.mark.parametrize("mapped", [None, False])
@pytest.mark.parametrize("how", LIMITS)
def test_on_a_full_disk_the_run_goes_on_and_later_records_are_kept_again(tmp_path, how, mapped):
    """Refused records are counted exactly, nothing is half-written, and no SIGBUS ends the training."""
    fill, free, word = LIMITS[how]
    before: list[str] = []
    folder = tmp_path / "disk"
    folder.mkdir()
    if how == "a full disk":  # a filesystem of 4 MiB that only this process sees
        mount = f'mount -t tmpfs -o size=4m tmpfs {folder} && exec "$@"'
        before = ["unshare", *([] if os.geteuid() == 0 else ["-r"]), "-m", "sh", "-c", mount, "sh"]
    out = run(FULL.format(mapped=mapped, fill=fill, free=free), folder, *before)
    refused, kept, why = out.split(maxsplit=2)
    assert int(refused) > 0
    assert int(refused) + int(kept) == 40_100
    assert word in why or "a moment ago" in why


def test_many_threads_on_a_full_disk_leave_no_hole_in_the_file(tmp_path):
    """Threads that change in the worst places: every record returned is there, every other one is counted."""
    out = run(
        """
        import resource
        sys.setswitchinterval(1e-6)
        journal = make()
        resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, -1))
        kept, refused = {}, []
        def work(first):
            for step in range(first, first + 4000):
                try: kept[step] = journal.append(row(step, step % 900))
                except errors.JournalFull: refused.append(step)
                if step % 1000 == 500: resource.setrlimit(resource.RLIMIT_FSIZE, ((3 << 20) + step % 10_000 * 200, -1))
        threads = [threading.Thread(target=work, args=(i * 10_000,)) for i in range(6)]
        [t.start() for t in threads]; [t.join() for t in threads]
        read, at = {}, 0
        while (batch := journals.read(journal.path, at)).end > at:  # as a reader of the live file does
            read.update(zip([r.step for r in batch.records], batch.seqs)); at = batch.end
        assert read == kept
        assert at == journal.position and journal._voids == {}
        journal.close()
        assert journals.damaged(journal.path) == 0
        print(len(kept), len(refused))
        """,
        tmp_path,
    )
    kept, refused = map(int, out.split())
    assert kept + refused == 24_000
    assert refused > 0


def test_threads_change_at_every_line_under_a_debugger(tmp_path):
    """A trace function lets other threads run between any two lines of `append`."""
    run(
        """
        sys.setswitchinterval(1e-6)
        def trace(frame, event, argument):
            return trace
        threading.settrace(trace)
        journal, kept = make(), {}
        def work(first):
            for step in range(first, first + 1500):
                kept[step] = journal.append(row(step, step % 400))
        threads = [threading.Thread(target=work, args=(i * 10_000,)) for i in range(6)]
        [t.start() for t in threads]; [t.join() for t in threads]
        batch = journals.read(journal.path)
        assert dict(zip([r.step for r in batch.records], batch.seqs)) == kept
        assert len(kept) == 9000
        journal.close()
        """,
        tmp_path,
    )


def test_without_the_global_lock_appends_are_guarded(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    journal = journals.Journal.create(tmp_path, run="r", entity="e", project="p")
    assert type(journal).__name__ in ("_Guarded", "Journal")
    journal.append(b"\x92\x0a\x01")
    journal.close()
    assert len(journals.read(journal.path).seqs) == 1
