"""Children of a training process: forked DataLoader workers and spawned ranks, shown with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from besom.core import codec
from besom.core import record as rec
from besom.journal.file import Journal, alive, header, read
from besom.sdk.writer import ChildWriter

LOADER = """
import besom, multiprocessing, os, sys, time
run = besom.init(project="p")

def work(n):
    print("in the child")
    return n * n

with multiprocessing.get_context("fork").Pool(2) as pool:
    besom.log({"a": sum(pool.map(work, range(4)))})
besom.log({"a": 2})
"""


def test_forked_workers_that_do_not_log_leave_no_trace(store: Any, script: Any) -> None:
    done = script(LOADER)
    assert done.returncode == 0, done.stderr
    assert store.rows() == [(0, {"a": 14}), (1, {"a": 2})]
    assert store.end() == ("finished", 0)
    assert not any("in the child" in record.text for record in store.of(rec.Console))


CHILD_LOGS = """
import besom, os, sys, time
run = besom.init(project="p", name="parent", config={"lr": 1})
besom.log({"a": 0})
print("noise")
pid = os.fork()
if pid == 0:
    for i in range(100):
        besom.log({"child": i})
    run.summary["from_child"] = 1
    sys.exit(HOW)
os.waitpid(pid, 0)
for i in range(100):
    besom.log({"a": i})
"""


@pytest.mark.parametrize("how", ["0", "3"])
def test_a_forked_child_that_logs_has_a_stream_of_its_own(store: Any, script: Any, how: str) -> None:
    done = script(CHILD_LOGS.replace("HOW", how))
    assert done.returncode == 0, done.stderr
    assert len(store.paths()) == 2
    (parent,) = [path for path in store.paths() if store.of(rec.Run, path)[0].starts]
    (child,) = [path for path in store.paths() if path != parent]
    assert header(child).run == header(parent).run and header(child).stream != header(parent).stream
    assert [data["a"] for _, data in store.rows(parent)] == [0, *range(100)]
    assert [data["child"] for _, data in store.rows(child)] == list(range(100))
    assert store.folded(child).state.summary["from_child"] == 1
    assert store.of(rec.Exit, child) == [] and store.end(parent) == ("finished", 0), "only the parent ends the run"


def test_an_exception_in_a_forked_child_does_not_fail_the_run(store: Any, script: Any) -> None:
    done = script(CHILD_LOGS.replace("sys.exit(HOW)", "1 / 0"))
    assert done.returncode == 0
    (parent,) = [path for path in store.paths() if store.of(rec.Run, path)[0].starts]
    assert store.end(parent) == ("finished", 0)


def test_a_worker_that_outlives_a_killed_parent_does_not_hold_its_lock(
    store: Any, started: Callable[..., subprocess.Popen[str]]
) -> None:
    process = started(
        """
        import besom, os, time
        besom.init(project="p")
        besom.log({"a": 1})
        if os.fork() == 0:
            print("child", os.getpid(), flush=True)
            time.sleep(60)
            os._exit(0)
        time.sleep(60)
        """
    )
    assert process.stdout is not None
    child = int(next(line for line in process.stdout if line.startswith("child")).split()[1])
    (path,) = store.paths()
    try:
        assert alive(path)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(20)
        os.kill(child, 0)  # it lives
        assert not alive(path)
    finally:
        os.kill(child, signal.SIGKILL)


def test_fork_while_other_threads_log_does_not_hang(store: Any, script: Any) -> None:
    done = script(
        """
        import besom, os, threading
        run = besom.init(project="p")
        end = threading.Event()

        def busy():
            while not end.is_set():
                besom.log({"busy": 1})
                print("words")

        threads = [threading.Thread(target=busy) for _ in range(3)]
        for thread in threads: thread.start()
        for i in range(30):
            pid = os.fork()
            if pid == 0:
                print("child")
                besom.log({"child": i})
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        end.set()
        for thread in threads: thread.join()
        """
    )
    assert done.returncode == 0, done.stderr
    logged = [row for path in store.paths() for row in store.rows(path) if "child" in row[1]]
    assert sorted(data["child"] for _, data in logged) == list(range(30))


def test_threads_of_a_child_that_log_at_once_open_one_journal(tmp_path: Path) -> None:
    opened: list[Journal] = []
    both = threading.Barrier(2)

    def open_slowly() -> Journal:
        time.sleep(0.2)
        opened.append(Journal.create(tmp_path, run="r", entity="e", project="p"))
        return opened[-1]

    writer = ChildWriter(open_slowly, rec.Run(1.0, "r"), disabled=False)

    def work(step: int) -> None:
        both.wait(20)
        writer.append(codec.encode_history(step, 1.5, {"a": step}))

    threads = [threading.Thread(target=work, args=(step,)) for step in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (journal,) = opened
    kinds = [type(record) for record in read(journal.path).records]
    writer.close()
    assert kinds == [rec.Run, rec.History, rec.History]


SPAWN = """
import besom, multiprocessing

def work(run, n):
    run.log({f"rank{n}": n})

def alone():
    with besom.init(project="other") as mine:
        mine.log({"own": 1})

if __name__ == "__main__":
    run = besom.init(project="p", name="parent")
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=work, args=(run, n)) for n in range(2)] + [context.Process(target=alone)]
    for child in children: child.start()
    for child in children: child.join()
    assert all(child.exitcode == 0 for child in children)
    besom.log({"a": 1})
"""


def test_spawned_children_log_to_the_run_they_are_given_or_begin_their_own(store: Any, script: Any) -> None:
    done = script(SPAWN)
    assert done.returncode == 0, done.stderr
    runs: dict[str, list[Any]] = {}
    for path in store.paths():
        runs.setdefault(header(path).project, []).append(path)
    assert len(runs["other"]) == 1 and store.rows(runs["other"][0]) == [(0, {"own": 1})]
    assert store.end(runs["other"][0]) == ("finished", 0)
    assert len({header(path).run for path in runs["p"]}) == 1
    rows = {key: value for path in runs["p"] for _, data in store.rows(path) for key, value in data.items()}
    assert rows == {"a": 1, "rank0": 0, "rank1": 1}
    assert sum(len(store.of(rec.Exit, path)) for path in runs["p"]) == 1


def test_a_forked_child_may_begin_a_run_of_its_own(store: Any, script: Any) -> None:
    done = script(
        """
        import besom, os
        besom.init(project="p", name="parent")
        pid = os.fork()
        if pid == 0:
            with besom.init(project="p", name="mine") as run:
                besom.log({"own": 1})
            os._exit(0)
        os.waitpid(pid, 0)
        besom.log({"a": 1})
        """
    )
    assert done.returncode == 0, done.stderr
    found = {store.of(rec.Run, path)[0].name: path for path in store.paths()}
    assert store.rows(found["mine"]) == [(0, {"own": 1})] and store.end(found["mine"]) == ("finished", 0)
    assert store.rows(found["parent"]) == [(0, {"a": 1})] and store.end(found["parent"]) == ("finished", 0)
