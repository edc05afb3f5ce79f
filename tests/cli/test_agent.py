"""What an agent at work looks like, in a terminal and elsewhere; N agents drawn as one."""

from __future__ import annotations

import io
import math
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from besom.agents.loop import Outcome
from besom.cli import crowd
from besom.cli.commands import INTERRUPTED, USAGE
from besom.cli.progress import Board, Plain
from besom.core.errors import Unavailable, UsageError
from besom.core.wire import Command, Done, SweepView, TrialView

GRID = """\
program: train.py
method: grid
metric: {name: loss, goal: minimize}
parameters:
  x: {values: [1, 2, 3, 4, 5, 6]}
"""
TRAIN = """\
import besom
run = besom.init()
for step in range(3):
    besom.log({"loss": (run.config["x"] - 4) ** 2 + 1 / (step + 1)})
print("done with", run.config["x"])
besom.finish()
"""


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "train.py").write_text(TRAIN)
    (folder / "sweep.yaml").write_text(GRID)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BESOM_ENTITY", "lab")
    return folder


@pytest.fixture
def sweep(besom, desk: Path) -> str:
    return besom("sweep", "sweep.yaml", "-p", "dkt", "--json").json["command"].split()[-1]


def test_lines_for_a_log_file(besom, sweep: str) -> None:
    said = besom("agent", sweep).out
    lines = said.splitlines()
    assert lines[0].endswith(f"works on {sweep}  grid, minimize loss")
    assert sum(line.startswith("started ") for line in lines) == 6
    assert sum(line.startswith("✓ finished") for line in lines) == 6
    assert any(re.match(r" +#\d ┆ done with 4", line) for line in lines)
    assert any(re.match(r"✓ finished #\d .*x=2 +loss 4.3333 ", line) for line in lines), "what it came to"
    assert lines[-1].startswith("best    loss 0.33333  by run") and lines[-1].endswith("x=4")


def test_quiet_leaves_out_what_the_trials_print(besom, sweep: str) -> None:
    assert "┆" not in besom("agent", sweep, "--quiet").out


def test_three_agents_are_drawn_as_one(besom, sweep: str) -> None:
    said = besom("agent", sweep, "-n", "3", "--quiet").out
    lines = said.splitlines()
    assert sum("works on" in line for line in lines) == 3
    assert sum(line.startswith("✓ finished") for line in lines) == 6, said
    assert sum(line.startswith("left ") for line in lines) == 1, "the same reason is said once"
    assert (
        lines[-1].startswith("best    loss 0.33333")
        and besom("sweep", "show", sweep, "--json").json["state"] == "finished"
    )


def test_one_agent_for_each_gpu_or_several(besom, sweep: str, desk: Path) -> None:
    """Four trials that wait for one another: each of four agents runs one, on the GPU that it was given."""
    (desk / "train.py").write_text(
        "import os, pathlib, time, besom\n"
        "besom.init(config={'gpu': os.environ['CUDA_VISIBLE_DEVICES']})\n"
        "pathlib.Path('gpu-' + os.environ['BESOM_RUN_ID']).touch()\n"
        "while len(list(pathlib.Path().glob('gpu-*'))) < 4: time.sleep(0.05)\n"
        "besom.log({'loss': 1})\n"
    )
    besom("agent", sweep, "--gpus", "5,7", "--per-gpu", "2", "--count", "4", "-q")
    runs = besom("runs", "--sweep", sweep, "--json").json["runs"]
    assert sorted(run["config"]["gpu"] for run in runs) == ["5", "5", "7", "7"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--gpus", "3-1"], "and '3-1' is not one"),
        (["--gpus", "cuda:0"], "such as 0-3 or 0,2,5"),
        (["--per-gpu", "2"], "--gpus 0-3"),
        (["--gpus", "0-3", "-n", "4"], "leave out -n"),
        (["--stop"], "agents of this machine end by Ctrl-C"),
        (["--launcher", "ray", "--launcher-options", "num_gpus"], "is written num_gpus=1"),
        (["--launcher", "slurm", "--launcher-options", "'--gres"], "No closing quotation"),
    ],
)
def test_options_that_do_not_go_together(besom, sweep: str, words: list[str], says: str) -> None:
    assert says in besom("agent", sweep, *words, code=USAGE).err


@pytest.mark.parametrize("agents", ["1", "2"])
def test_count_is_of_all_agents_together(besom, sweep: str, agents: str) -> None:
    besom("agent", sweep, "--count", "3", "-n", agents, "-q")
    assert besom("runs", "--sweep", sweep, "--json").json["matched"] == 3


def test_a_board_in_a_terminal(besom, sweep: str, desk: Path) -> None:
    """A real pseudo-terminal: the bar fills, the best is shown, and the board is gone at the end."""
    seen, code = in_terminal([sys.executable, "-m", "besom", "agent", sweep], desk)
    assert code == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)
    assert "━" in plain and re.search(r"[1-6]/6", plain) and "running  #" in plain
    assert "done with" not in plain, "what trials print stays out of the way"
    assert plain.rstrip().splitlines()[-1].startswith("best    loss 0.33333")
    assert plain.count("✓ finished") == 6


def in_terminal(argv: list[str], folder: Path) -> tuple[str, int]:
    main, terminal = pty.openpty()
    child = subprocess.Popen(
        argv,
        cwd=folder,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"},
    )
    os.close(terminal)
    seen = b""
    while True:
        ready, _, _ = select.select([main], [], [], 120)
        assert ready, seen.decode()
        try:
            got = os.read(main, 65536)
        except OSError:  # Linux: the other end is closed
            got = b""
        if not got:
            break
        seen += got
    os.close(main)
    return seen.decode(), child.wait()


@pytest.mark.parametrize("agents", [1, 2])
def test_ctrl_c_hands_the_trial_back(besom, sweep: str, desk: Path, agents: int) -> None:
    (desk / "train.py").write_text("import time, besom\nbesom.init()\nprint('begun', flush=True)\ntime.sleep(300)\n")
    child = subprocess.Popen(
        [sys.executable, "-m", "besom", "agent", sweep, "-n", str(agents), "-v"],
        cwd=desk,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert child.stdout is not None
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(child.stdout), daemon=True)
    reader.start()
    deadline = time.monotonic() + 120
    while sum("begun" in line for line in lines) < agents:
        assert time.monotonic() < deadline and child.poll() is None, "".join(lines)
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    assert child.wait(120) == INTERRUPTED, "".join(lines)
    reader.join(10)
    said = "".join(lines)
    assert "told to leave by SIGINT" in said and "besom: " not in said.rpartition("left ")[2]
    view = besom("sweep", "show", sweep, "--json").json
    assert view["state"] == "running" and view["agents"] == 0
    assert all(trial["state"] == "pending" for trial in view["trials"]), "another agent takes them"


def test_no_agent_outlives_the_one_that_started_them(besom, sweep: str, desk: Path) -> None:
    (desk / "train.py").write_text(
        "import os, time, besom\nbesom.init()\nopen(f'pid-{os.getpid()}', 'w').close()\ntime.sleep(300)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-m", "besom", "agent", sweep, "-n", "2", "-t", "1"],
        cwd=desk,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while len(list(desk.glob("pid-*"))) < 2:
        assert time.monotonic() < deadline and child.poll() is None
        time.sleep(0.05)
    child.send_signal(signal.SIGTERM)
    child.wait(120)
    for file in desk.glob("pid-*"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(file.name.removeprefix("pid-")), 0)


def drawn(board: Board, now: float) -> str:
    screen = Console(width=90, file=io.StringIO(), record=True)
    screen.print(board.render(now, 90))
    return screen.export_text()


def view(**changes: object) -> SweepView:
    return SweepView(
        **(
            {
                "id": "s",
                "entity": "lab",
                "project": "dkt",
                "name": "n",
                "method": "bayes",
                "config": {},
                "state": "running",
                "created": 0.0,
                "metric": "loss",
                "budget": 20,
            }
            | changes
        )
    )  # type: ignore[arg-type]


def test_the_board(capsys: pytest.CaptureFixture[str]) -> None:
    teller = Plain()
    teller.registered("a1", view())
    teller.progress(0, 20, 0)
    teller.started(Command("run", run="r1", name="calm-fen-1", number=1, params={"lr": 0.001, "layers": [64, 64]}))
    teller.best(TrialView(1, "r1", {"lr": 0.001}, "running", 1, 0.0, value=0.25))
    teller.progress(5, 20, 1)
    text = drawn(teller.board, teller.board.began + 50)
    assert "lab/dkt/s  bayes, minimize loss" in text
    assert "5/20  50s  about 2m 30s left" in text, "5 in 50 s: 15 more take 150 s"
    assert "loss 0.25" in text and "run r1" in text and "#1 calm-fen-1" in text and "layers=[64, 64]" in text
    teller.finished("r1", Done("r1", 1, 1, "failed", "exit code 1: boom", "a\nboom"), 3.0)
    teller.waiting("the sweep is paused")
    assert "paused" in drawn(teller.board, teller.board.began + 60)


@pytest.mark.parametrize(
    ("count", "budget", "finished", "words"),
    [
        (None, None, 3, "3 done"),
        (10, None, 3, "3/10"),
        (10, 4, 3, "3/4"),
        (None, 0, 0, "0/0"),
    ],
)
def test_the_bar_knows_what_the_end_is(count: int | None, budget: int | None, finished: int, words: str) -> None:
    teller = Plain(count=count)
    teller.registered("a1", view(budget=budget))
    teller.progress(0, budget, 0)
    teller.progress(finished, budget, 1)
    assert words in drawn(teller.board, teller.board.began + 10)


@pytest.mark.parametrize(
    ("count", "parallel", "parts"),
    [(None, 2, [None, None]), (10, 4, [3, 3, 2, 2]), (2, 4, [1, 1]), (4, 4, [1, 1, 1, 1])],
)
def test_shares(count: int | None, parallel: int, parts: list[int | None]) -> None:
    assert crowd.shares(count, parallel) == parts


class Heard(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[object, ...]] = []

    def __getattribute__(self, name: str) -> object:
        if name in crowd.WORDS:
            return lambda *given: self.heard.append((name, *given))
        return super().__getattribute__(name)


def test_what_agents_tell_arrives_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "events"
    file.touch()
    best = TrialView(1, "r1", {"x": math.inf, "big": 2**80}, "running", 1, 0.0, value=-0.0)
    outcome = Outcome("over", True, 2, 0, "finished", best)
    told = [
        ("registered", "a1", view()),
        ("started", Command("run", run="r1", params={"lr": 1e-3})),
        ("output", "r1", "a line with \udcff in it"),
        ("stopped", "r1", "hyperband"),
        ("finished", "r1", Done("r1", 1, 0, "finished"), 1.5),
        ("best", best),
        ("waiting", "paused"),
        ("progress", 1, None, 0),
        ("warning", "careful"),
    ]
    first, second, heard = crowd.Report(file), crowd.Report(file), Heard()
    replay = crowd.Replay(file, heard)
    for word, *given in told:
        for report in (first, second):
            getattr(report, word)(*given)
        replay.step()
    for report in (first, second):
        report.ended(outcome)
    replay.step()
    replay.close()
    once = {"best", "warning"}
    expected = [entry for entry in told for _ in range(1 if entry[0] in once else 2)] + [("ended", outcome)]
    assert [tuple(entry) for entry in heard.heard] == [tuple(entry) for entry in expected]
    assert replay.outcomes == [outcome, outcome]


def test_half_a_frame_waits_for_its_rest(tmp_path: Path) -> None:
    file = tmp_path / "events"
    file.touch()
    crowd.Report(file).warning("careful")
    whole = file.read_bytes()
    heard = Heard()
    file.write_bytes(b"")
    replay = crowd.Replay(file, heard)
    for i in range(len(whole)):
        with file.open("ab") as stream:
            stream.write(whole[i : i + 1])
        assert heard.heard == []
        replay.step()
    assert heard.heard == [("warning", "careful")]


@pytest.mark.parametrize(("error", "code"), [(UsageError("no"), USAGE), (Unavailable("away"), 3)])
def test_a_problem_of_an_agent_is_told(tmp_path: Path, error: Exception, code: int) -> None:
    import click

    file = tmp_path / "events"
    file.touch()
    with pytest.raises(click.exceptions.Exit), crowd.problems_to(crowd.Report(file)):
        raise error
    replay = crowd.Replay(file, Heard())
    replay.step()
    assert replay.problems == [(str(error), code)]
