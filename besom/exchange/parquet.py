"""Runs and rows as a Parquet file, with the columns that the CSV has, each of one type. Needs pyarrow.

A column of whole numbers is int64, of numbers float64 (NaN and Inf as they are), of bools bool, of texts string; any other
mixture is text, lists and mappings as JSON. A missing value is null.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from besom.core.errors import UsageError
from besom.core.plain import name
from besom.core.wire import Rows, RunView
from besom.exchange.csv import FIELDS, run_cells


def write_runs(runs: Iterable[RunView], path: Path) -> None:
    """A row for each run. Raises UsageError when pyarrow is missing."""
    lines = [run_cells(run) for run in runs]
    columns = dict.fromkeys([*FIELDS, *(key for line in lines for key in line)])
    write_rows([Rows({key: [line.get(key) for line in lines] for key in columns})], path)


def write_rows(pages: Sequence[Rows], path: Path) -> None:
    """All rows of all pages, a row group for each page. Raises UsageError when pyarrow is missing."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise UsageError("Parquet needs pyarrow: pip install pyarrow, or take --format csv") from None
    kinds: dict[str, set[type]] = {}
    for page in pages:
        for key, cells in page.columns.items():
            kinds.setdefault(key, set()).update(_kinds(cells))
    types = {key: _type(found) for key, found in kinds.items()}
    schema = pa.schema([(_text(key), getattr(pa, of)()) for key, of in types.items()])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for page in pages:
            n = len(next(iter(page.columns.values()), []))
            columns = [_cells(page.columns.get(key, [None] * n), of) for key, of in types.items()]
            writer.write_table(pa.table(columns, schema=schema))


def _kinds(cells: Iterable[Any]) -> Iterator[type]:
    for cell in cells:
        if isinstance(cell, int) and not isinstance(cell, bool) and not -(1 << 63) <= cell < 1 << 63:
            yield object
        elif cell is not None:
            yield type(cell)


def _type(kinds: set[type]) -> str:
    for kind, wanted in (("bool_", {bool}), ("int64", {int}), ("float64", {int, float}), ("string", {str})):
        if kinds and kinds <= wanted:
            return kind
    return "string" if kinds else "float64"


def _cells(cells: Iterable[Any], of: str) -> list[Any]:
    if of == "float64":
        return [None if cell is None else float(cell) for cell in cells]
    if of != "string":
        return list(cells)
    return [None if cell is None else _text(cell) for cell in cells]


def _text(cell: Any) -> str:
    return name(cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False, default=str))
