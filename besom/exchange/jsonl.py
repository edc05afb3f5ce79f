"""Runs and rows as JSON lines: an object a line. Iterables in, iterables out; knows no files and no store.

A run is what the API says of it; a row has its run, `_step`, `_time` and the metrics that it holds. Numbers are exact; NaN and
the infinities, for which JSON has no word, are the texts "NaN", "Infinity" and "-Infinity", as in the API.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from besom.core.wire import Rows, RunView


def runs_to_jsonl(runs: Iterable[RunView]) -> Iterator[str]:
    """A line for each run."""
    return (_line(msgspec.to_builtins(run)) for run in runs)


def rows_to_jsonl(pages: Iterable[Rows]) -> Iterator[str]:
    """A line for each row; what a row does not hold is left out."""
    for page in pages:
        for cells in zip(*page.columns.values(), strict=True):
            yield _line({key: cell for key, cell in zip(page.columns, cells, strict=True) if cell is not None})


def _line(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, default=str) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
