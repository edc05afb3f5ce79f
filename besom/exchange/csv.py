"""Runs and rows as CSV. Iterables in, iterables out; knows no files and no store.

Columns of runs: their fields, then `config.KEY`, `summary.KEY`, and `METRIC.last`, `METRIC.best`. Columns of rows: `_step`,
`_time` and the metrics. Numbers are written in full precision (reading them back gives the same float64), NaN and Inf as
`nan`, `inf`; a missing value is an empty cell; a list or a mapping is JSON. A text that a spreadsheet would run as a formula gets
an apostrophe in front.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from besom.core.errors import UsageError
from besom.core.names import flatten
from besom.core.wire import Rows, RunView

FIELDS = ("id", "name", "state", "sweep", "group", "job_type", "created", "started", "ended", "tags", "notes")


def runs_to_csv(runs: Iterable[RunView]) -> Iterator[str]:
    """A line for each run, a head line first. Runs are read to the end first: their keys make the columns."""
    lines = [run_cells(run) for run in runs]
    columns = list(dict.fromkeys([*FIELDS, *(key for line in lines for key in line)]))
    return _lines(columns, ([line.get(column) for column in columns] for line in lines))


def run_cells(run: RunView) -> dict[str, Any]:
    """A run as one flat line: column -> value."""
    cells = {name: getattr(run, name) for name in FIELDS}
    cells["tags"] = ",".join(run.tags)
    cells |= {f"config.{key}": value for key, value in flatten(run.config)}
    cells |= {f"summary.{key}": value for key, value in run.summary.items()}
    for key, stat in run.metrics.items():
        cells |= {f"{key}.last": stat.last, f"{key}.best": stat.best}
    return cells


def rows_to_csv(pages: Iterable[Rows]) -> Iterator[str]:
    """A line for each row, a head line first. The first page's columns are the columns; a later page may lack some."""
    columns: list[str] = []
    for page in pages:
        if not columns:
            columns = list(page.columns)
            yield from _lines(columns, [])
        unknown = [name for name in page.columns if name not in columns]
        if unknown:
            raise UsageError(f"all pages of rows have the columns of the first one, and {unknown[0]!r} is new")
        n = len(next(iter(page.columns.values()), []))
        cells = [page.columns.get(name, [None] * n) for name in columns]
        yield from _lines(None, zip(*cells, strict=True))


def _lines(head: list[str] | None, rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """CSV lines, each with its line end."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)  # which quotes a carriage return only because its lines end with one
    for cells in ([head] if head is not None else []), rows:
        for row in cells:
            writer.writerow([_cell(value) for value in row])
            yield buffer.getvalue()[:-2] + "\n"
            buffer.seek(0)
            buffer.truncate()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    text = str(value)  # str of a float is its shortest exact spelling
    return f"'{text}" if isinstance(value, str) and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
