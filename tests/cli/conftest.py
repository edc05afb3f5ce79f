"""The command line in-process: what it prints, its exit code, and never a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner

from besom.cli import main


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
