"""Agents of a server: what a trial logged is there when its end is told, and a server that goes away ends nothing."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import besom
from besom import settings as settings_module
from besom.agents import work
from besom.agents.loop import Rules
from besom.client import connect

from .conftest import Bench

SERVE = """
import sys
from besom import local, settings
local.serve(settings.load(dir=sys.argv[1]), port=int(sys.argv[2]), ready=lambda at: print(at, flush=True))
"""


class Served:
    """A real server over a store of its own; it can be killed and started again on the same port."""

    def __init__(self, store: Path) -> None:
        self._store = store
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.start()

    def start(self) -> None:
        argv = [sys.executable, "-c", SERVE, str(self._store), str(self._port)]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    server = Served(tmp_path / "served")
    yield server
    server.kill()


@pytest.fixture
def remote(bench: Bench, served: Served, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("BESOM_SERVER", served.address)
    bench.client.close()
    return Bench(bench.folder, settings_module.load())


TRAIN = """
import besom
run = besom.init()
for step in range(3):
    besom.log({"loss": abs(besom.config["a"] - 1) + 1 / (step + 1)})
"""


def check(bench: Bench, sweep: Any) -> None:
    view = bench.look(sweep)
    assert (view.state, view.counts, view.warnings) == ("finished", {"finished": 3}, ())
    assert [trial.steps for trial in view.trials] == [3, 3, 3]
    assert view.best is not None and (view.best.params, view.best.value) == ({"a": 1}, 1 / 3)
    assert {(run.state, run.sweep) for run in bench.runs().runs} == {("finished", sweep.id)}


def test_programs(remote: Bench) -> None:
    sweep = remote.sweep(program=remote.program(TRAIN), command=["python", "${program}"])
    outcome = remote.work(sweep)
    assert (outcome.finished, remote.seen.warnings) == (3, [])
    assert outcome.best is not None and outcome.best.value == 1 / 3
    check(remote, sweep)


@pytest.mark.parametrize("isolate", [False, True])
def test_functions(remote: Bench, isolate: bool) -> None:
    def train() -> None:
        besom.init()
        for step in range(3):
            besom.log({"loss": abs(besom.config["a"] - 1) + 1 / (step + 1)})

    sweep = remote.sweep()
    outcome = remote.work(sweep, function=train, isolate=isolate)
    assert (outcome.finished, remote.seen.warnings) == (3, [])
    check(remote, sweep)


def test_a_server_that_is_killed_and_comes_back_costs_no_trial(
    remote: Bench, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trial goes on meanwhile; its end and all that it logged arrive when the server is back."""
    monkeypatch.setattr(work, "PATIENCE", 0.0)
    gate = remote.folder / "gate"

    def train() -> None:
        besom.init()
        for step in range(3):
            besom.log({"loss": abs(besom.config["a"] - 1) + 1 / (step + 1)})
            if besom.config["a"] == 1 and step == 1 and not gate.exists():
                served.kill()
                gate.touch()
                while not any("out of reach" in reason for reason in remote.seen.waits):
                    time.sleep(0.05)
        if besom.config["a"] == 1:
            served.start()

    sweep = remote.sweep()
    outcome = remote.work(sweep, function=train, limits=Rules(beat=0.2))
    assert (outcome.finished, outcome.failed) == (3, 0)
    check(remote, sweep)
    with connect(remote.settings) as client:
        assert [trial.attempt for trial in client.sweep("ann", "dkt", sweep.id).trials] == [1, 1, 1]
