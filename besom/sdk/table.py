"""A table as a logged value: columns and rows, kept as one JSON file when it is logged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from besom.core.errors import UsageError
from besom.sdk.media import Keep, Medium


class Table(Medium):
    """Columns and rows. Made from `data` (a list of rows), or from a pandas or polars `dataframe`. Grows by `add_data`."""

    kind = "table"

    def __init__(
        self,
        columns: Sequence[Any] | None = None,
        data: Any = None,
        rows: Any = None,
        dataframe: Any = None,
        **_: Any,
    ) -> None:
        frame = dataframe if dataframe is not None else data if hasattr(data, "columns") else None
        if frame is not None:
            self.columns = [str(name) for name in frame.columns]
            content = [frame[name].to_list() for name in frame.columns]
            self.data: list[list[Any]] = [list(row) for row in zip(*content, strict=True)]
            return
        given = data if data is not None else rows
        self.data = [list(row) for row in given] if given is not None else []
        width = len(self.data[0]) if self.data else 3
        default = ["Input", "Output", "Expected"] if columns is None and not self.data else range(width)
        self.columns = [str(name) for name in (columns if columns is not None else default)]

    def add_data(self, *row: Any) -> None:
        """One more row. Raises UsageError when it has not one value for each column."""
        if len(row) != len(self.columns):
            raise UsageError(f"a row has one value for each of the {len(self.columns)} columns, not {len(row)}")
        self.data.append(list(row))

    def add_column(self, name: str, data: Iterable[Any]) -> None:
        """One more column. Raises UsageError when it has not one value for each row."""
        values = list(data)
        if self.data and len(values) != len(self.data):
            raise UsageError(f"a column has one value for each of the {len(self.data)} rows, not {len(values)}")
        self.data = self.data or [[] for _ in values]
        self.columns.append(str(name))
        for row, value in zip(self.data, values, strict=True):
            row.append(value)

    def get_column(self, name: str) -> list[Any]:
        """The values of a column."""
        at = self.columns.index(name)
        return [row[at] for row in self.data]

    def record(self, keep: Keep, key: str) -> dict[str, Any]:
        rows = [[_cell(value, keep, key) for value in row] for row in self.data]
        content = msgspec.json.encode({"columns": self.columns, "data": rows}, enc_hook=_text)
        return self._kept(keep, key, content, ".table.json", rows=len(rows), columns=len(self.columns))

    def __str__(self) -> str:
        return f"<table of {len(self.data)} rows: {', '.join(self.columns)}>"


def _cell(value: Any, keep: Keep, key: str) -> Any:
    if isinstance(value, Medium):
        return value.record(keep, key)
    if isinstance(value, float) and value - value != 0:
        return str(value)  # JSON knows no NaN
    return value


def _text(value: Any) -> Any:
    """Scalars and arrays as what they hold, the rest as text."""
    try:
        return value.tolist() if hasattr(value, "tolist") else str(value)
    except Exception:  # a user's own __str__ may raise anything
        return f"<{type(value).__name__}>"
