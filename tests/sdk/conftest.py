"""What the SDK's tests share: a store of their own, real scripts in real processes, and the records that came out."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from besom.core import record as rec
from besom.core.fold import Folded, RunState, fold
from besom.journal.file import read
from besom.sdk import assign, current, ending, notice

ROOT = Path(__file__).resolve().parents[2]


class Store:
    """A user's data folder, seen through its journals."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def paths(self, run: str = "") -> list[Path]:
        return sorted(self.folder.rglob(f"{run}*.besom"), key=lambda path: path.stat().st_mtime)

    def records(self, path: Path | None = None) -> list[Any]:
        """All records of the only journal, or of `path`."""
        if path is None:
            (path,) = self.paths()
        found: list[Any] = []
        at = 0
        while (batch := read(path, at)).end > at:
            found += batch.records
            at = batch.end
        return found

    def of(self, kind: type, path: Path | None = None) -> list[Any]:
        return [record for record in self.records(path) if type(record) is kind]

    def folded(self, path: Path | None = None) -> Folded:
        return fold(RunState(), self.records(path))

    def rows(self, path: Path | None = None) -> list[tuple[int, dict[str, Any]]]:
        """(step, data) of the rows as they were logged."""
        return [(row.step, row.data) for row in self.folded(path).rows]

    def end(self, path: Path | None = None) -> tuple[str, int | None]:
        """(state, exit code) as the run's own process told it; state "running" when it told nothing."""
        state = self.folded(path).state
        return state.state, state.exit_code


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A fresh store that this process and its children use; no setting of the person who runs the tests leaks in."""
    for name in list(os.environ):
        if name.startswith(("BESOM_", "WANDB_", "SLURM_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("BESOM_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("BESOM_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    notice.forget()
    current._here.latest = None
    yield Store(tmp_path / "store")
    for run in list(current._here.live):
        run.end(ending.of_code(0))
    current._here.live.clear()
    current._here.latest = None
    current.pending()
    assign.set(None)
    notice.silence(False)


Script = Callable[..., subprocess.CompletedProcess[str]]


def command(path: Path, text: str) -> tuple[list[str], dict[str, str]]:
    path.write_text(textwrap.dedent(text))
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return [sys.executable, str(path)], env


@pytest.fixture
def script(store: Store, tmp_path: Path) -> Script:
    """Run a script in a process of its own and wait for its end."""

    def run(text: str, **env: str) -> subprocess.CompletedProcess[str]:
        argv, environment = command(tmp_path / "script.py", text)
        return subprocess.run(
            argv, env=environment | env, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )

    return run


@pytest.fixture
def started(store: Store, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a script and go on; it is in a process group of its own and is killed at the end of the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(text: str, **env: str) -> subprocess.Popen[str]:
        argv, environment = command(tmp_path / "script.py", text)
        process = subprocess.Popen(
            argv,
            env=environment | env,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


__all__ = ["Store", "rec"]
