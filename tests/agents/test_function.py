"""A sweep over a Python function, as the tutorial runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

import besom
from besom.agents import function as functions
from besom.agents.loop import Rules
from besom.core.errors import NotFound, Stopped, UsageError

from .conftest import Bench

QUICK = Rules(beat=0.1)


def square() -> None:
    run = besom.init(project="elsewhere", config={"lr": 9, "a": 99})
    for step in range(3):
        besom.log({"loss": (besom.config["a"] - 1) ** 2 + 1 / (step + 1)})
    assert run.project == "dkt" and run.config["lr"] == 9


def test_every_point_is_a_run_in_this_process_and_the_main_thread(bench: Bench) -> None:
    where: list[tuple[int, bool]] = []

    def train() -> None:
        where.append((os.getpid(), threading.current_thread() is threading.main_thread()))
        square()

    sweep = bench.sweep()
    outcome = bench.work(sweep, function=train)
    assert where == [(os.getpid(), True)] * 3
    assert (outcome.ok, outcome.finished, outcome.failed) == (True, 3, 0)
    assert "all 3 points were tried" in outcome.reason
    assert outcome.best is not None and outcome.best.params == {"a": 1}
    runs = bench.runs().runs
    assert sorted(run.config["a"] for run in runs) == [0, 1, 2], "the sweep's value wins over the script's"
    assert {run.state for run in runs} == {"finished"} and {run.sweep for run in runs} == {sweep.id}
    assert bench.seen.counts[-1] == (3, 3)


def test_an_exception_fails_its_trial_is_printed_and_the_sweep_goes_on(bench: Bench, capsys: Any) -> None:
    def train() -> None:
        besom.init()
        if besom.config["a"] == 1:
            raise ValueError("boom at one")
        besom.log({"loss": 1.0})

    sweep = bench.sweep(retry=0)
    outcome = bench.work(sweep, function=train)
    assert (outcome.ok, outcome.finished, outcome.failed) == (True, 2, 1)
    printed = capsys.readouterr().err
    assert "ValueError: boom at one" in printed and "in train" in printed and "agents/function.py" not in printed
    (failed,) = bench.runs("state = failed").runs
    assert failed.reason == "ValueError: boom at one"
    assert [t.state for t in bench.look(sweep).trials] == ["finished", "failed", "finished"]


@pytest.mark.parametrize(("code", "state"), [(0, "finished"), (3, "failed"), ("no data", "failed")])
def test_a_function_that_calls_sys_exit_ends_its_trial_and_not_the_agent(bench: Bench, code: Any, state: str) -> None:
    def train() -> None:
        besom.init()
        besom.log({"loss": 1.0})
        sys.exit(code)

    sweep = bench.sweep(retry=0)
    bench.work(sweep, function=train)
    assert {t.state for t in bench.look(sweep).trials} == {state}


def test_a_member_of_a_population_learns_which_run_it_goes_on_from(bench: Bench) -> None:
    told: dict[str, str] = {}

    def train() -> None:
        run = besom.init()
        told[run.id] = os.environ["BESOM_PARENT"]
        besom.log({"loss": besom.config["x"]})

    space = {"x": {"min": 0.0, "max": 1.0}}
    sweep = bench.sweep(method="pbt", parameters=space, pbt={"population": 3, "generations": 2})
    bench.work(sweep, function=train)
    ids = list(told)
    assert len(ids) == 6 and [told[id] for id in ids[:3]] == ["", "", ""]
    assert all(told[id] in ids[:i] for i, id in enumerate(ids) if i >= 3)
    assert "BESOM_PARENT" not in os.environ


def test_count_ends_the_agent_and_the_next_one_goes_on(bench: Bench) -> None:
    sweep = bench.sweep()
    outcome = bench.work(sweep, function=square, limits=Rules(count=2))
    assert outcome.ok and "2 trials" in outcome.reason
    assert bench.look(sweep).counts == {"finished": 2}
    assert "finished" in bench.work(sweep, function=square).reason
    assert bench.look(sweep).counts == {"finished": 3}


def test_the_last_trial_of_count_ends_the_sweep_too(bench: Bench) -> None:
    sweep = bench.sweep()
    bench.work(sweep, function=square, limits=Rules(count=3))
    assert bench.look(sweep).state == "finished"


def test_a_trial_that_is_stopped_ends_at_its_next_log_and_except_exception_does_not_hold_it(bench: Bench) -> None:
    swallowed: list[Exception] = []

    def train() -> None:
        besom.init()
        good = besom.config["a"] == 0
        for step in range(2_000):
            try:
                besom.log({"loss": 0.0 if good else 1.0 + step})
            except Exception as error:
                swallowed.append(error)
            if good and step == 9:
                return
            time.sleep(0.01)
        raise AssertionError("nobody stopped it")

    sweep = bench.sweep(
        early_terminate={"type": "hyperband", "max_iter": 27, "s": 2}, parameters={"a": {"values": [0, 1]}}
    )
    bench.work(sweep, function=train, limits=QUICK)
    assert [t.state for t in bench.look(sweep).trials] == ["finished", "stopped"]
    assert swallowed == [] and bench.seen.stops[0].startswith("hyperband: ")
    (run,) = bench.runs("config.a = 1").runs
    assert run.state == "killed" and run.reason.startswith("hyperband: ")


def test_a_canceled_sweep_ends_its_running_function(bench: Bench) -> None:
    def train() -> None:
        besom.init()
        for step in range(2_000):
            besom.log({"loss": step})
            if step == 3:
                bench.client.set_sweep("ann", "dkt", sweep.id, state="canceled")
            time.sleep(0.01)

    sweep = bench.sweep()
    outcome = bench.work(sweep, function=train, limits=QUICK)
    assert "canceled" in outcome.reason
    assert [t.state for t in bench.look(sweep).trials] == ["killed"]


def test_ctrl_c_gives_the_trial_back(bench: Bench) -> None:
    def train() -> None:
        besom.init()
        besom.log({"loss": 1.0})
        raise KeyboardInterrupt

    sweep = bench.sweep()
    with pytest.raises(KeyboardInterrupt):
        bench.work(sweep, function=train)
    assert [t.state for t in bench.look(sweep).trials] == ["pending"]
    bench.work(sweep, function=square)
    after = bench.look(sweep)
    assert after.counts == {"finished": 3} and after.trials[0].attempt == 2


@pytest.mark.parametrize(
    ("failing", "rules", "says", "attempts"),
    [
        ("all", Rules(), "within a minute", 3),
        ("all", Rules(flapping=False), "5 trials failed and only 0", 5),
        ("all", Rules(consecutive=2), "2 trials failed in a row", 2),
        ("odd", Rules(), "finished", 8),
        ("odd", Rules(consecutive=1), "1 trials failed in a row", 2),
    ],
)
def test_when_an_agent_gives_up(bench: Bench, failing: str, rules: Rules, says: str, attempts: int) -> None:
    def train() -> None:
        besom.init()
        if failing == "all" or besom.config["a"] % 2:
            raise RuntimeError("broken")

    sweep = bench.sweep(retry=0, parameters={"a": {"values": [*range(8)]}})
    outcome = bench.work(sweep, function=train, limits=rules)
    assert says in outcome.reason and outcome.ok is (says == "finished")
    assert len(bench.seen.done) == attempts


def test_an_isolated_trial_has_a_process_of_its_own_and_may_be_a_closure(bench: Bench) -> None:
    secret = bench.folder / "pids"

    def train() -> None:
        with secret.open("a") as file:
            file.write(f"{os.getpid()} {os.getpgrp()}\n")
        square()
        if besom.config["a"] == 2:
            raise ValueError("boom in a child")

    sweep = bench.sweep(retry=0)
    outcome = bench.work(sweep, function=train, isolate=True)
    pids = [line.split() for line in secret.read_text().splitlines()]
    assert len({pid for pid, _ in pids}) == 3 and all(pid == group != str(os.getpid()) for pid, group in pids)
    assert (outcome.finished, outcome.failed) == (2, 1)
    assert bench.seen.done[-1].reason == "exit code 1: ValueError: boom in a child"
    assert [t.state for t in bench.look(sweep).trials] == ["finished", "finished", "failed"]
    assert {run.state for run in bench.runs().runs} == {"finished", "failed"}


def test_an_isolated_trial_can_be_a_fresh_interpreter(bench: Bench) -> None:
    bench.program(
        "import besom\n"
        "def train():\n"
        "    besom.init()\n"
        "    besom.log({'loss': besom.config['a']})\n"
        "if __name__ == '__main__':\n"
        "    import sys\n"
        "    print(besom.agent(sys.argv[1], function=train, isolate='spawn').finished)\n",
        "fresh.py",
    )
    sweep = bench.sweep()
    done = subprocess.run([sys.executable, "fresh.py", sweep.id], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "3"), done.stderr


def test_an_isolated_trial_that_does_not_log_is_stopped_all_the_same(bench: Bench) -> None:
    def train() -> None:
        besom.init()
        besom.log({"loss": 1.0})
        time.sleep(600)

    sweep = bench.sweep()
    timer = threading.Thread(target=_cancel_when_running, args=(bench, sweep))
    timer.start()
    bench.work(sweep, function=train, isolate=True, limits=QUICK)
    timer.join()
    assert [t.state for t in bench.look(sweep).trials] == ["killed"]
    assert bench.seen.done[0].code == functions.NOBODY


def _cancel_when_running(bench: Bench, sweep: Any) -> None:
    while not bench.runs().runs:
        time.sleep(0.05)
    bench.client.set_sweep("ann", "dkt", sweep.id, state="canceled")


@pytest.mark.parametrize(
    ("more", "error", "says"),
    [
        ({"function": "train"}, UsageError, "something to call"),
        ({"function": square, "isolate": "thread"}, UsageError, "isolate is True, or one of"),
    ],
)
def test_what_cannot_be_run(bench: Bench, more: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        bench.work(bench.sweep(), **more)


def test_the_public_face(bench: Bench, capsys: Any) -> None:
    config = {
        "method": "grid",
        "metric": {"name": "loss", "goal": "minimize"},
        "parameters": {"a": {"values": [0, 1]}},
        "metod": 1,
    }
    sweep_id = besom.sweep(config)
    said = capsys.readouterr().err
    assert f"besom agent ann/dkt/{sweep_id}" in said and 'Did you mean "method"?' in said
    besom.agent(sweep_id, function=square)
    assert "best loss 0.333333 by run" in capsys.readouterr().err
    with pytest.raises(NotFound, match="there is no sweep 'nope'"):
        besom.agent("nope", function=square)
    with pytest.raises(UsageError, match="from 1 on"):
        besom.agent(sweep_id, function=square, count=0)
    with pytest.raises(UsageError, match="names no program"):
        besom.agent(sweep_id)


def test_a_sweep_from_a_file_of_its_own_project(bench: Bench, monkeypatch: Any) -> None:
    monkeypatch.delenv("BESOM_PROJECT")
    (bench.folder / "sweep.yaml").write_text("project: mine\nmethod: grid\nparameters: {lr: {values: [1e-5]}}\n")
    sweep_id = besom.sweep("sweep.yaml")
    made = bench.client.sweep("ann", "mine", sweep_id)
    assert made.config["parameters"]["lr"]["values"] == [1e-5]
    assert besom.sweep("sweep.yaml", project="yours") in [s.id for s in bench.client.sweeps("ann", "yours").sweeps]
    with pytest.raises(UsageError, match="cannot be read"):
        besom.sweep("sweeep.yaml")


def test_stopped_is_no_exception() -> None:
    assert not issubclass(Stopped, Exception) and besom.Stopped is Stopped


def test_a_signal_to_an_isolated_agent_gives_the_trial_back(bench: Bench) -> None:
    bench.program(
        "import besom, time, sys\n"
        "def train():\n"
        "    besom.init()\n"
        "    besom.log({'loss': 1.0})\n"
        "    print('logged', flush=True)\n"
        "    time.sleep(600)\n"
        "print(besom.agent(sys.argv[1], function=train, isolate=True).reason)\n",
        "agent.py",
    )
    sweep = bench.sweep()
    agent = subprocess.Popen([sys.executable, "agent.py", sweep.id], stdout=subprocess.PIPE, text=True)
    assert agent.stdout is not None
    while "logged" not in agent.stdout.readline():
        pass
    agent.send_signal(signal.SIGTERM)
    assert "told to leave by SIGTERM" in agent.communicate(timeout=60)[0]
    (trial,) = bench.look(sweep).trials
    assert (trial.state, trial.reason) == ("pending", "its agent was told to leave")
