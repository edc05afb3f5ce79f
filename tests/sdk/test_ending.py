"""How a process ends is how its run ends, shown with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from besom.core import record as rec
from besom.journal.file import alive

BEGIN = """
import besom, os, signal, sys, threading, time
run = besom.init(project="p", config={"lr": 1})
besom.log({"a": 1})
"""


@pytest.mark.parametrize(
    ("rest", "code", "end", "reason"),
    [
        ("", 0, ("finished", 0), ""),
        ("besom.finish()", 0, ("finished", 0), ""),
        ("besom.finish(exit_code=4)", 0, ("failed", 4), "exit code 4"),
        ("sys.exit()", 0, ("finished", 0), ""),
        ("sys.exit(0)", 0, ("finished", 0), ""),
        ("sys.exit(3)", 3, ("failed", 3), "exit code 3"),
        ("sys.exit('no data')", 1, ("failed", 1), "no data"),
        ("exec('try:\\n sys.exit(3)\\nfinally:\\n besom.finish()')", 3, ("failed", 3), "exit code 3"),
        ("exec('try:\\n sys.exit(3)\\nexcept SystemExit:\\n pass')", 0, ("finished", 0), ""),
        ("exec('try:\\n sys.exit(3)\\nexcept SystemExit:\\n pass\\nbesom.finish()')", 0, ("finished", 0), ""),
        ("exit(3)", 3, ("failed", 3), "exit code 3"),
        ("quit('no data')", 1, ("failed", 1), "no data"),
        ("sys.excepthook = lambda *_: print('boom')\n1 / 0", 1, ("failed", 1), "ZeroDivisionError: division by zero"),
        ("sys.excepthook = lambda *_: None\nraise KeyboardInterrupt", -signal.SIGINT, ("killed", 130), "Ctrl-C"),
        ("import atexit; atexit.register(besom.finish); sys.exit(3)", 3, ("failed", 3), "exit code 3"),
        ("raise SystemExit(3)", 3, ("finished", None), "ended by SystemExit; its exit code is not known"),
        ("exec('with run:\\n raise SystemExit(3)')", 3, ("failed", 3), "exit code 3"),
        ("1 / 0", 1, ("failed", 1), "ZeroDivisionError: division by zero"),
        ("exec('try:\\n 1 / 0\\nfinally:\\n besom.finish()')", 1, ("failed", 1), "ZeroDivisionError: division by zero"),
        ("exec('try:\\n 1 / 0\\nexcept ZeroDivisionError:\\n pass\\nbesom.finish()')", 0, ("finished", 0), ""),
        ("exec('with run:\\n 1 / 0')", 1, ("failed", 1), "ZeroDivisionError: division by zero"),
        ("exec('with run:\\n sys.exit(5)')", 5, ("failed", 5), "exit code 5"),
        ("raise KeyboardInterrupt", -signal.SIGINT, ("killed", 130), "Ctrl-C"),
        ("threading.Thread(target=lambda: sys.exit(7)).start()", 0, ("finished", 0), ""),
    ],
)  # fmt: skip
def test_the_end_of_the_process_is_the_end_of_the_run(
    store: Any, script: Any, rest: str, code: int, end: tuple[str, int], reason: str
) -> None:
    done = script(BEGIN + rest)
    assert done.returncode == code, done.stderr
    assert store.end() == end
    assert store.folded().state.reason == reason
    assert store.rows() == [(0, {"a": 1})]
    assert len(store.of(rec.Exit)) == 1
    (path,) = store.paths()
    assert not alive(path)


@pytest.mark.parametrize(("code", "end"), [(0, ("finished", 0)), (3, ("failed", 3))])
def test_the_code_that_main_returns_is_the_code_of_the_run(
    store: Any, script: Any, code: int, end: tuple[str, int]
) -> None:
    """``sys.exit(main())``, as every console script ends: the function is taken before `main` begins the run."""
    body = f"import besom, sys\ndef main():\n besom.init()\n besom.log({{'a': 1}})\n return {code}\nsys.exit(main())"
    assert script(body).returncode == code
    assert store.end() == end


def test_an_exit_that_was_caught_before_the_run_began_does_not_count(store: Any, script: Any) -> None:
    done = script("import sys, besom\ntry:\n sys.exit(3)\nexcept SystemExit:\n pass\nbesom.init()\nraise SystemExit")
    assert done.returncode == 0
    assert store.end() == ("finished", None)


def test_a_traceback_is_in_the_console_of_the_run(store: Any, script: Any) -> None:
    done = script(BEGIN + "print('before')\n1 / 0")
    assert "ZeroDivisionError: division by zero" in done.stderr
    console = [(record.stream, record.text) for record in store.of(rec.Console)]
    assert ("out", "before\n") in console
    assert "ZeroDivisionError: division by zero\n" in "".join(text for stream, text in console if stream == "err")


WAIT = BEGIN + "print('ready', flush=True)\ntime.sleep(60)\n"


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("ready"):
            return
    raise AssertionError("the script ended before it was ready")


@pytest.mark.parametrize(
    ("number", "code", "end"),
    [
        (signal.SIGINT, -signal.SIGINT, ("killed", 130)),
        (signal.SIGTERM, -signal.SIGTERM, ("killed", 143)),
        (signal.SIGKILL, -signal.SIGKILL, ("running", None)),
    ],
)
def test_signals(
    store: Any, started: Callable[..., subprocess.Popen[str]], number: int, code: int, end: tuple[str, int | None]
) -> None:
    process = started(WAIT)
    wait_until_ready(process)
    (path,) = store.paths()
    assert alive(path)
    os.kill(process.pid, number)
    process.communicate(timeout=20)
    assert process.returncode == code, "the process dies as it would have without besom"
    assert store.end() == end
    assert store.rows() == [(0, {"a": 1})]
    assert not alive(path), "a reader sees at once that nobody writes any more"


def test_a_handler_of_the_user_is_left_alone(store: Any, started: Callable[..., subprocess.Popen[str]]) -> None:
    mine = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: (print('mine', flush=True), sys.exit(9)))\n"
    process = started(mine + WAIT)
    wait_until_ready(process)
    os.kill(process.pid, signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, out.splitlines()[0]) == (9, "mine")
    assert store.end() == ("failed", 9)


def test_a_kill_in_the_middle_of_logging_loses_no_row_that_was_logged(
    store: Any, started: Callable[..., subprocess.Popen[str]]
) -> None:
    process = started(
        BEGIN + "print('ready', flush=True)\nfor i in range(1, 10**9):\n besom.log({'a': 1})\n print(i, flush=True)"
    )
    wait_until_ready(process)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(300)]
    os.killpg(process.pid, signal.SIGKILL)
    lines += process.communicate()[0].splitlines()
    told = [int(line) for line in lines if line.strip().isdigit()]
    steps = [step for step, _ in store.rows()]
    assert steps == list(range(len(steps)))
    assert len(steps) > max(told), "every log() that returned is there"


def test_os_exit_leaves_a_run_that_ended_without_a_word(store: Any, script: Any) -> None:
    done = script(BEGIN + "os._exit(0)")
    assert done.returncode == 0
    assert store.end() == ("running", None) and store.rows() == [(0, {"a": 1})]
    (path,) = store.paths()
    assert not alive(path)


def test_the_end_is_told_in_one_line(store: Any, script: Any) -> None:
    done = script(BEGIN + "besom.run.name = 'x'\nid = run.id\nprint(id)")
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    id = done.stdout.strip()
    assert lines[0].endswith(f"See it: besom run {id}") and lines[1] == f"besom: run x finished. See it: besom run {id}"


def test_silence(store: Any, script: Any) -> None:
    done = script(BEGIN + "besom.log(1)", BESOM_SILENT="true")
    assert (done.stdout, done.stderr) == ("", "")


def test_a_closed_stderr_does_not_matter(store: Any, script: Any) -> None:
    done = script("import sys\nsys.stderr.close()\n" + BEGIN + "besom.log(1)\nbesom.log({'a': 2})")
    assert done.returncode == 0
    assert store.rows() == [(0, {"a": 1}), (1, {"a": 2})]


def test_a_disk_that_fills_up_does_not_stop_a_training(store: Any, script: Any) -> None:
    done = script(
        """
        import besom, json, resource
        besom.init(project="p")
        resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, 3 << 20))
        for i in range(200):
            besom.log({"i": i, "text": "x" * 50_000})
        print(json.dumps(besom.run.dropped))
        """
    )
    assert done.returncode == 0, done.stderr
    kept = [data["i"] for _, data in store.rows()]
    lost = sum(__import__("json").loads(done.stdout).values())
    assert lost > 0 and len(kept) + lost == 200, "what is not there was counted"
    assert kept == list(range(len(kept)))
    assert done.stderr.count("not recorded: the disk is full") == 1 and f"{lost} records were lost" in done.stderr
