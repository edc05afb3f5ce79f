"""What all tests share: a home of their own, no settings of the person who runs them, and a list of what was skipped."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

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


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """With BESOM_TESTS_NO_SKIP a skipped test fails the run: in CI everything must have been shown."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and os.environ.get("BESOM_TESTS_NO_SKIP") and reporter.stats.get("skipped"):
        sys.stderr.write(f"\n{len(reporter.stats['skipped'])} tests were skipped, and here none may be\n")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
