"""Import as a user does it: `besom import` in-process, and a client to look at what came of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from besom import local
from besom.cli import main
from besom.client import Client, connect
from besom.core.wire import RunView
from besom.settings import load


@pytest.fixture
def besom() -> Callable[..., Result]:
    def call(*words: Any, code: int = 0) -> Result:
        result = CliRunner().invoke(main, [str(word) for word in words], prog_name="besom")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, f"{result.stdout}\n{result.stderr}"
        return result

    return call


@pytest.fixture
def client() -> Iterator[Client]:
    with connect(load()) as client:
        yield client
    local.close(load())


@pytest.fixture
def runs(client: Client) -> Callable[[str], dict[str, RunView]]:
    """The runs of a project by name."""
    return lambda project: {run.name: run for run in client.runs(load().entity, project).runs}


@pytest.fixture
def kept(client: Client) -> Callable[[str], dict[str, Any]]:
    """All that is kept of the runs of a project, without the project's name; for comparing two ways to the same runs."""

    def look(project: str) -> dict[str, Any]:
        entity = load().entity
        return {
            run.id: {
                **{name: ordered(getattr(run, name)) for name in run.__struct_fields__ if name != "project"},
                "rows": repr(client.rows(entity, project, run.id)),
                "console": repr(client.console(entity, project, run.id, start=0)),
            }
            for run in client.runs(entity, project).runs
        }

    return look


def ordered(value: Any) -> str:
    """A text that is the same for equal values; NaN equals itself here, and the order of keys is none."""
    return repr(sorted(value.items()) if isinstance(value, dict) else value)


def python(script: str, folder: Path, **environment: str) -> None:
    """Run a script of a user, who has the library and no network, in `folder`."""
    known = {"HOME": str(folder), "PATH": os.environ["PATH"], "PYTHONWARNINGS": "ignore", **environment}
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, env=known, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
