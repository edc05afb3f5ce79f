"""The command line in-process: what it prints, its exit code, and never a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner

from besom import local
from besom.cli import main
from besom.core import record as rec
from besom.core.batch import Batch
from besom.core.names import RunPath
from besom.settings import load


@dataclass(frozen=True)
class Said:
    """What a command left: `out` and `err` as text, its exit `code`."""

    out: str
    err: str
    code: int

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def besom() -> Callable[..., Said]:
    def call(*words: str, code: int | None = 0) -> Said:
        result = CliRunner().invoke(main, list(words), prog_name="besom")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        said = Said(result.stdout, result.stderr, result.exit_code)
        assert code is None or said.code == code, (
            f"besom {' '.join(words)}: exit code {said.code}, expected {code}\n{said.out}\n{said.err}"
        )
        return said

    return call


@pytest.fixture(autouse=True)
def close_store() -> Iterator[None]:
    """The store of this process is closed after each test."""
    yield
    local.close(load())


@pytest.fixture
def log_run() -> Callable[..., RunPath]:
    """Put a whole run into the store: its config and one list of values for each metric."""

    def log(
        id: str,
        metrics: dict[str, list[float]] | None = None,
        *,
        project: str = "dkt",
        state: str = "finished",
        reason: str = "",
        sweep: str = "",
        console: str = "",
        begun: float = 1_700_000_000.0,
        **config: Any,
    ) -> RunPath:
        path = RunPath("lab", project, id)
        records: list[rec.Record] = [
            rec.Run(
                begun, id=id, entity="lab", project=project, name=f"name-of-{id}", sweep=sweep or None, starts=True
            ),
            rec.Config(config),
        ]
        for step in range(max(map(len, (metrics or {}).values()), default=0)):
            row = {key: values[step] for key, values in (metrics or {}).items() if step < len(values)}
            records.append(rec.History(step, begun + step, row))
        if console:
            records.append(rec.Console(begun, "out", console))
        if state != "running":
            records.append(rec.Exit(begun + 60, 0 if state == "finished" else 1, state, reason))
        batch = Batch(0, len(records), tuple(range(len(records))), tuple(records))
        local.hub(load()).append(path, f"stream-{id}", batch)
        return path

    return log
