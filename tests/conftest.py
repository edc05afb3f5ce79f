"""What all tests share: a home of their own, no settings of the person who runs them, and a list of what was skipped."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from besom.store.schema import metadata
from besom.testing import postgres as pg

# A runner that was started in the background ignores Ctrl-C, and its children inherit that; here they must not.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh home and store for each test; returns the store folder (`BESOM_DIR`)."""
    for name in list(os.environ):
        if name.startswith(("BESOM_", "WANDB_")) and not name.startswith("BESOM_TESTS_"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    store = tmp_path / "store"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / ".local" / "share"))
    monkeypatch.setenv("BESOM_DIR", str(store))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]))
    return store


@pytest.fixture(scope="session")
def postgres() -> Iterator[pg.Server]:
    """A PostgreSQL of this session's own."""
    programs = pg.programs()
    if programs is None or importlib.util.find_spec("psycopg") is None:
        pytest.skip("needs PostgreSQL (Debian: apt-get install postgresql) and psycopg (pip install 'besom[postgres]')")
    with pg.running(programs) as server:
        yield server


class Sqlite:
    """Where a test's stores are: one for each folder."""

    def __call__(self, folder: Path) -> Path | str:
        return folder / "besom.db"

    def again(self) -> None:
        """What was given is closed, and may be given again, empty."""


class Postgres(Sqlite):
    """The databases are those of the tests before, emptied: a new one costs ten times as much."""

    made: list[str] = []

    def __init__(self, server: pg.Server) -> None:
        self._server = server
        self._given: dict[Path, str] = {}

    def __call__(self, folder: Path) -> Path | str:
        if folder not in self._given:
            if len(self._given) == len(self.made):
                self.made.append(self._server.fresh())
            address = self._given[folder] = self.made[len(self._given)]
            self._server.empty(address, metadata)
        return self._given[folder]

    def again(self) -> None:
        self._given.clear()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest) -> Sqlite:
    """Where the store of a folder is, once for each database that besom keeps stores in."""
    return Sqlite() if request.param == "sqlite" else Postgres(request.getfixturevalue("postgres"))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """With BESOM_TESTS_NO_SKIP a skipped test fails the run: in CI everything must have been shown."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and os.environ.get("BESOM_TESTS_NO_SKIP") and reporter.stats.get("skipped"):
        sys.stderr.write(f"\n{len(reporter.stats['skipped'])} tests were skipped, and here none may be\n")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
