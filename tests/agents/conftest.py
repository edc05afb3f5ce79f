"""What the agents' tests share: a sweep in a store of its own, and an observer that remembers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from besom import local
from besom import settings as settings_module
from besom.agents.loop import Observer, Outcome
from besom.agents.work import work
from besom.client import connect
from besom.core.wire import Command, Done, RunPage, SweepView, TrialView
from besom.settings import Settings


class Seen(Observer):
    """Everything that an agent tells."""

    def __init__(self) -> None:
        self.started_: list[Command] = []
        self.lines: list[str] = []
        self.done: list[Done] = []
        self.warnings: list[str] = []
        self.waits: list[str] = []
        self.stops: list[str] = []
        self.bests: list[TrialView] = []
        self.counts: list[tuple[int, int | None]] = []
        self.outcome: Outcome | None = None

    def started(self, command: Command) -> None:
        self.started_.append(command)

    def output(self, run: str, text: str) -> None:
        self.lines.append(text)

    def finished(self, run: str, done: Done, seconds: float) -> None:
        self.done.append(done)

    def stopped(self, run: str, reason: str) -> None:
        self.stops.append(reason)

    def best(self, trial: TrialView) -> None:
        self.bests.append(trial)

    def waiting(self, reason: str) -> None:
        self.waits.append(reason)

    def progress(self, finished: int, budget: int | None, running: int) -> None:
        self.counts.append((finished, budget))

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def ended(self, outcome: Outcome) -> None:
        self.outcome = outcome


class Bench:
    """The folder in which agents start, and a client of the store."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder, self.settings = folder, settings
        self.client = connect(settings)
        self.seen = Seen()

    def sweep(self, **config: Any) -> SweepView:
        given = {"method": "grid", "metric": {"name": "loss"}, "parameters": {"a": {"values": [0, 1, 2]}}, **config}
        return self.client.create_sweep("ann", "dkt", given)

    def program(self, text: str, name: str = "train.py") -> str:
        (self.folder / name).write_text(text)
        return name

    def work(self, sweep: SweepView, **more: Any) -> Outcome:
        self.seen = Seen()
        return work(self.settings, sweep.id, observer=self.seen, **more)

    def look(self, sweep: SweepView) -> SweepView:
        return self.client.sweep("ann", "dkt", sweep.id)

    def runs(self, filter: str = "") -> RunPage:
        return self.client.runs("ann", "dkt", filter=filter, limit=1000)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BESOM_ENTITY", "ann")
    monkeypatch.setenv("BESOM_PROJECT", "dkt")
    monkeypatch.setenv("BESOM_STATS", "0")
    monkeypatch.setenv("BESOM_GIT", "false")
    settings = settings_module.load()
    bench = Bench(folder, settings)
    yield bench
    bench.client.close()
    local.close(settings)
