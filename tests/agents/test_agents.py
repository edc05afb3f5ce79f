"""Real agents over real programs: processes that start, fail, are killed, and leave nothing behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import psutil
import pytest

from besom.agents.loop import Rules
from besom.core.errors import Unavailable, UsageError
from besom.core.wire import SweepView

from .conftest import Bench

TRAIN = """
import argparse
import besom
parser = argparse.ArgumentParser()
parser.add_argument("--a", type=int)
parser.add_argument("--b", type=int, default=0)
args = parser.parse_args()
besom.init(project="elsewhere", config=vars(args))
for step in range(3):
    besom.log({"loss": (args.a - 2) ** 2 + (args.b - 3) ** 2 + 1 / (step + 1)})
"""
AGENT = "import sys, besom; print(besom.agent(sys.argv[1]).reason, flush=True)"


def agent(sweep: SweepView, code: str = AGENT, **more: Any) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, sweep.id], stdout=subprocess.PIPE, text=True, **more)


def gone(pid: int) -> bool:
    """The process has ended, or does so within a moment."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def test_a_5_by_5_grid_ends_after_25_runs_also_with_4_agents_and_names_its_best(bench: Bench) -> None:
    sweep = bench.sweep(program=bench.program(TRAIN), parameters={k: {"values": [*range(5)]} for k in "ab"})
    agents = [agent(sweep, stderr=subprocess.PIPE) for _ in range(4)]
    said = [process.communicate(timeout=300) for process in agents]
    assert [out.splitlines()[-1] for out, _ in said] == ["the sweep is finished: all 25 points were tried"] * 4
    view, runs = bench.look(sweep), bench.runs()
    assert (view.counts, runs.total, runs.matched) == ({"finished": 25}, 25, 25)
    assert Counter((r.config["a"], r.config["b"]) for r in runs.runs) == Counter(
        (a, b) for a in range(5) for b in range(5)
    )
    assert view.best is not None and view.best.params == {"a": 2, "b": 3}
    assert any(f"best loss 0.333333 by run {view.best.run}" in err for _, err in said)


def test_4_agents_on_64_cells_one_is_killed_and_restarted_nothing_is_missing_or_twice(bench: Bench) -> None:
    code = """
import random, sys, time, besom
def train():
    besom.init()
    for step in range(3):
        besom.log({"loss": besom.config["a"] + besom.config["b"] + step})
        time.sleep(random.uniform(0, 0.05))
besom.agent(sys.argv[1], function=train)
"""
    sweep = bench.sweep(parameters={k: {"values": [*range(8)]} for k in "ab"}, retry=0)
    quiet = {"stderr": subprocess.DEVNULL}
    agents = [agent(sweep, code, **quiet) for _ in range(4)]
    while bench.look(sweep).counts.get("finished", 0) < 5:
        time.sleep(0.05)
    time.sleep(random.uniform(0, 0.1))
    agents[0].kill()
    agents[0].wait()
    agents[0] = agent(sweep, code, **quiet)
    for process in agents:
        assert process.wait(timeout=300) == 0
    view = bench.look(sweep)
    assert view.counts == {"finished": 64} and view.state == "finished"
    cells = Counter((t.params["a"], t.params["b"]) for t in view.trials)
    assert cells == Counter((a, b) for a in range(8) for b in range(8))
    runs = bench.runs().runs
    assert Counter((r.config["a"], r.config["b"]) for r in runs) == cells and {r.state for r in runs} == {"finished"}
    assert sum(t.attempt - 1 for t in view.trials) <= 1, "only the killed agent's trial was tried again"


def test_a_failing_script_shows_its_last_lines_and_the_agent_gives_up(bench: Bench) -> None:
    name = bench.program("import besom\nbesom.init()\nprint('epoch 1')\nraise ValueError('no such column: colour')\n")
    sweep = bench.sweep(
        program=name, parameters={"a": {"values": [*range(9)]}}, command=["${interpreter}", "${program}"], retry=0
    )
    outcome = bench.work(sweep)
    assert not outcome.ok and "is the program right?" in outcome.reason and outcome.failed == 3
    done = bench.seen.done[0]
    assert (done.state, done.code, done.reason) == ("failed", 1, "exit code 1: ValueError: no such column: colour")
    assert "raise ValueError('no such column: colour')" in done.tail and "epoch 1" in done.tail
    assert "epoch 1" in bench.seen.lines
    (trial, *_) = bench.look(sweep).trials
    assert trial.reason == done.reason
    assert {run.state for run in bench.runs().runs} == {"failed"}


def test_a_script_that_dies_before_init_still_has_a_run_with_its_last_lines(bench: Bench) -> None:
    sweep = bench.sweep(program=bench.program("import no_such_module\n"), retry=0)
    bench.work(sweep)
    (run, *_) = bench.runs().runs
    assert (run.state, run.sweep) == ("failed", sweep.id)
    lines = [line.text for line in bench.client.console("ann", "dkt", run.id).lines]
    assert lines[-1] == "ModuleNotFoundError: No module named 'no_such_module'"


@pytest.mark.parametrize(
    ("program", "command", "warned"),
    [
        ("print('hello')", ["python", "${program}"], True),
        ("import besom\nprint(besom.init().config['a'])", ["python", "${program}"], False),
        ("import sys\nprint(sys.argv)", ["python", "${program}", "--a=${a}"], False),
    ],
)
def test_no_parameter_reaches_the_program(bench: Bench, program: str, command: list[str], warned: bool) -> None:
    sweep = bench.sweep(program=bench.program(program), command=command, metric=None)
    assert bench.work(sweep).finished == 3
    assert [text for text in bench.seen.warnings if "no parameter reaches the program" in text] != [] or not warned
    assert len(bench.seen.warnings) == int(warned)


def test_a_metric_that_is_never_logged_is_told_at_the_end_of_the_first_run(bench: Bench) -> None:
    sweep = bench.sweep(
        program=bench.program(TRAIN), command=["python", "${program}", "${args}"], metric={"name": "los"}
    )
    bench.work(sweep, limits=Rules(count=1))
    (warning,) = bench.seen.warnings
    assert 'the metric "los" was never logged' in warning and 'Did you mean "loss"?' in warning
    assert bench.look(sweep).warnings == (warning,)


def test_an_unknown_macro_is_told_once(bench: Bench) -> None:
    name = bench.program("pass\n")
    sweep = bench.sweep(program=name, command=["python", "${program}", "--x=${nope}", "${args}"], metric=None)
    bench.work(sweep)
    assert sum("${nope}" in text for text in bench.seen.warnings) == 1


@pytest.mark.parametrize(
    ("config", "says"), [({}, "names no program"), ({"program": "trian.py"}, 'Did you mean "train.py"')]
)
def test_a_missing_program(bench: Bench, config: dict[str, Any], says: str) -> None:
    bench.program(TRAIN)
    sweep = bench.sweep(**config)
    with pytest.raises(UsageError, match=says):
        bench.work(sweep)
    assert bench.look(sweep).agents == 0, "it never registered"


def test_a_command_that_is_not_installed_gives_the_trial_back(bench: Bench) -> None:
    sweep = bench.sweep(command=["no-such-launcher", "${args}"])
    outcome = bench.work(sweep)
    assert not outcome.ok and "'no-such-launcher' is not found" in outcome.reason
    assert [t.state for t in bench.look(sweep).trials] == ["pending"]


def test_a_script_killed_by_the_system_is_crashed_and_not_a_failure(bench: Bench) -> None:
    name = bench.program("import besom, os\nbesom.init()\nbesom.log({'loss': 1})\nos.kill(os.getpid(), 9)\n")
    sweep = bench.sweep(program=name, command=["python", "${program}"], retry=0)
    outcome = bench.work(sweep)
    assert (outcome.failed, outcome.ok) == (0, True)
    assert bench.look(sweep).counts == {"crashed": 3}
    (run, *_) = bench.runs().runs
    assert (run.state, run.exit_code) == ("crashed", -9) and run.reason.startswith("died by SIGKILL")


SLEEPER = """
import besom, os, subprocess, sys
helper = subprocess.Popen(["sleep", "600"])
besom.init()
besom.log({"loss": 1.0})
print("pids", os.getpid(), helper.pid, flush=True)
helper.wait()
"""


def started(process: subprocess.Popen[str]) -> list[int]:
    """The pids that the sleeper names, once it runs."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("pids"):
            return [int(word) for word in line.split()[1:]]
    raise AssertionError("the agent ended before its trial began")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_agent_goes_on_to_the_trial_which_is_given_back(bench: Bench, number: int) -> None:
    sweep = bench.sweep(program=bench.program(SLEEPER), command=["python", "${program}"])
    process = agent(sweep)
    pids = started(process)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert f"told to leave by {signal.Signals(number).name}" in out and process.returncode == 0
    assert all(gone(pid) for pid in pids)
    view = bench.look(sweep)
    assert (view.counts, view.agents) == ({"pending": 1}, 0)
    assert bench.runs().runs[0].state == "preempted"


def test_a_trial_that_does_not_listen_is_killed_by_the_third_signal(bench: Bench) -> None:
    stubborn = "import signal\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\n" + SLEEPER
    sweep = bench.sweep(program=bench.program(stubborn), command=["python", "${program}"])
    process = agent(sweep)
    pids = started(process)
    for _ in range(3):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
    process.communicate(timeout=60)
    assert all(gone(pid) for pid in pids)


def test_a_trial_that_does_not_listen_is_killed_after_its_delay(bench: Bench, monkeypatch: Any) -> None:
    monkeypatch.setenv("BESOM_AGENT_KILL_DELAY", "0.5")
    stubborn = "import signal\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\n" + SLEEPER
    sweep = bench.sweep(program=bench.program(stubborn), command=["python", "${program}"])
    process = agent(sweep)
    pids = started(process)
    bench.client.set_sweep("ann", "dkt", sweep.id, state="canceled")
    process.communicate(timeout=60)
    assert all(gone(pid) for pid in pids)
    assert [t.state for t in bench.look(sweep).trials] == ["killed"]


def test_when_the_agent_is_killed_its_trial_and_the_trials_helpers_end_too(bench: Bench) -> None:
    sweep = bench.sweep(program=bench.program(SLEEPER), command=["python", "${program}"])
    process = agent(sweep)
    pids = started(process)
    process.kill()
    process.wait()
    assert all(gone(pid) for pid in pids)
    (trial,) = bench.look(sweep).trials
    assert (trial.state, trial.reason) == ("pending", "its agent was lost")
    assert bench.runs().runs[0].state == "crashed"


def test_the_next_agent_takes_up_what_was_lost_as_the_same_run(bench: Bench) -> None:
    sweep = bench.sweep(
        program=bench.program(SLEEPER), command=["python", "${program}"], parameters={"a": {"values": [7]}}
    )
    process = agent(sweep)
    started(process)
    process.kill()
    process.wait()
    bench.program("import besom\nrun = besom.init()\nbesom.log({'loss': 0.5})\n")
    assert bench.work(sweep).finished == 1
    (run,) = bench.runs().runs
    assert (run.state, run.attempt, run.summary["loss"]) == ("finished", 2, 0.5)


def test_sigusr1_goes_to_the_trial_and_the_agent_stays(bench: Bench) -> None:
    name = bench.program(
        "import besom, signal, sys, os\n"
        "besom.init()\n"
        "signal.signal(signal.SIGUSR1, lambda *_: (print('saved a checkpoint', flush=True), sys.exit(0)))\n"
        "print('pids', os.getpid(), flush=True)\n"
        "while True: signal.pause()\n"
    )
    sweep = bench.sweep(program=name, command=["python", "${program}"], parameters={"a": {"values": [1]}}, metric=None)
    process = agent(sweep)
    started(process)
    process.send_signal(signal.SIGUSR1)
    out, _ = process.communicate(timeout=60)
    assert "saved a checkpoint" in out and "all 1 points were tried" in out


def test_an_agent_of_an_ended_sweep_says_so_and_leaves(bench: Bench) -> None:
    sweep = bench.sweep(program=bench.program(TRAIN))
    bench.client.set_sweep("ann", "dkt", sweep.id, state="finished")
    outcome = bench.work(sweep)
    assert outcome.ok and outcome.reason == "the sweep is finished: stopped by hand"


def test_a_paused_sweep_keeps_its_agent_waiting(bench: Bench) -> None:
    sweep = bench.sweep(program=bench.program(TRAIN))
    bench.client.set_sweep("ann", "dkt", sweep.id, state="paused")
    real, calls = bench.seen.waiting, []

    class Resume(type(bench.seen)):  # type: ignore[misc]
        def waiting(self, reason: str) -> None:
            super().waiting(reason)
            if reason == "the sweep is paused" and not calls:
                calls.append(reason)
                bench.client.set_sweep("ann", "dkt", sweep.id, state="running")

    from besom.agents.work import work

    seen = Resume()
    outcome = work(bench.settings, sweep.id, observer=seen, limits=Rules(beat=0.1))
    assert calls == ["the sweep is paused"] and outcome.finished == 3 and real is not None


def test_a_hub_that_is_out_of_reach_at_the_start(bench: Bench, monkeypatch: Any) -> None:
    from besom import settings
    from besom.agents import work

    monkeypatch.setattr(work, "PATIENCE", 0.0)
    with pytest.raises(Unavailable, match="out of reach"):
        work.work(settings.load(server="http://127.0.0.1:9"), "ann/dkt/s1")


def test_the_environment_is_restored_for_the_agents_children_only(bench: Bench) -> None:
    bench.work(bench.sweep(program=bench.program(TRAIN)))
    assert "BESOM_RUN_ID" not in os.environ and "WANDB_SWEEP_ID" not in os.environ
