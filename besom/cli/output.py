"""How commands speak: tables, JSON, colours, numbers and times. Knows no command and no client.

To a terminal: colours, and columns that fit. To a pipe: the same rows in full, without colours. With `--json`: the API's
own words, NaN and Inf as the strings "NaN", "Infinity" and "-Infinity".
"""

from __future__ import annotations

import functools
import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_Command = TypeVar("_Command", bound=Callable[..., Any])

GLYPHS = {
    "running": ("●", "blue"),
    "finished": ("✓", "green"),
    "failed": ("✗", "red"),
    "crashed": ("ϟ", "dark_orange"),
    "killed": ("■", "bright_black"),
    "preempted": ("‖", "magenta"),
    "pending": ("◌", "bright_black"),
    "stopped": ("↓", "bright_black"),
    "paused": ("‖", "yellow"),
    "canceled": ("■", "bright_black"),
}
"""State -> (glyph, colour): shape first, colour second, the word always beside them."""

WIDE = 100_000
"""Columns of a pipe: nothing is cut."""


@functools.cache
def console(stderr: bool = False) -> Console:
    """The terminal, or what stands in its place."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr, width=None if stream.isatty() else WIDE, highlight=False, soft_wrap=not stream.isatty()
    )


def say(text: str = "", style: str | None = None) -> None:
    """A line on standard output; `text` is plain (brackets are no markup)."""
    console().print(text, style=style, markup=False)


def note(text: str) -> None:
    """A line on standard error that is no result: a hint, or what is going on."""
    console(True).print(text, style="bright_black", markup=False)


def warn(text: str) -> None:
    """A warning on standard error."""
    from rich.text import Text

    console(True).print(Text.assemble(("Warning: ", "bold yellow"), text))


def json_option(command: _Command) -> _Command:
    """`--json`, as every list has it; the function's argument is `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(command)


def show_json(value: Any) -> None:
    """Print any value of core.wire as JSON."""
    click.echo(json.dumps(plain(msgspec.to_builtins(value)), indent=2, ensure_ascii=False))


def plain(value: Any) -> Any:
    """`value` with NaN and Inf as strings, as the API writes them."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def state(name: str) -> Text:
    """A state with its glyph."""
    from rich.text import Text

    glyph, colour = GLYPHS.get(name, ("?", ""))
    return Text(f"{glyph} {name}", style=colour)


def number(value: Any, digits: int = 5) -> str:
    """A value for a cell: numbers to `digits` significant digits, None as a dash, text in one line."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        text = value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False, default=str)
        return " ".join(text.split())
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return str(value)


def duration(seconds: float) -> str:
    """A span of time, as two units at most: 8s, 2m 13s, 3h 05m, 4d 02h."""
    seconds = max(0.0, seconds)
    if seconds < 60:
        return f"{seconds:.1f}s" if seconds < 10 else f"{seconds:.0f}s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m" if hours < 24 else f"{hours // 24}d {hours % 24:02d}h"


def ago(then: float) -> str:
    """How long ago a time (seconds since the epoch) was, in its largest unit."""
    spent = int(time.time() - then)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        if spent >= size:
            return f"{spent // size}{unit} ago"
    return "now"


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = (), droppable: Sequence[str] = ()
) -> None:
    """Print rows under their headings. Columns named in `right` hold numbers.

    In a terminal that is too narrow, columns of `droppable` are left out, the first named first, and a note says so;
    what is still too wide is cut, but never the first column.
    """
    from rich.table import Table

    cells = [[cell if hasattr(cell, "plain") else _safe(number(cell)) for cell in row] for row in rows]
    widths = [max([len(name), *(row[i].cell_len for row in cells)]) + 2 for i, name in enumerate(columns)]
    kept = list(range(len(columns)))
    spare = [columns.index(name) for name in droppable]
    while spare and sum(widths[i] for i in kept) > console().width:
        kept.remove(spare.pop(0))
    grid = Table(box=None, header_style="bright_black", pad_edge=False, padding=(0, 2, 0, 0))
    for i in kept:
        least = widths[i] - 2 if i == 0 else None
        grid.add_column(
            _safe(columns[i]), justify="right" if columns[i] in right else "left", no_wrap=True, min_width=least
        )
    for row in cells:
        grid.add_row(*(row[i] for i in kept))
    console().print(grid)
    if len(kept) < len(columns):
        left = [columns[i] for i in range(len(columns)) if i not in kept]
        note(f"no room for {', '.join(left)}")


def _safe(text: str) -> Text:
    from rich.text import Text

    return Text(text)


def fields(pairs: Iterable[tuple[str, Any]]) -> None:
    """Print (label, value) lines with the values under one another; pairs whose value is "" or None are left out."""
    from rich.text import Text

    kept = [(label, value) for label, value in pairs if value is not None and value != ""]
    width = max((len(label) for label, _ in kept), default=0) + 2
    for label, value in kept:
        shown = value if hasattr(value, "plain") else Text(number(value))
        console().print(Text.assemble((label.ljust(width), "bright_black"), shown))
