"""A line chart in a terminal: values to rows of text, drawn in braille dots (2 x 4 a character). Pure; prints nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bit of the braille dot in column 0 or 1, rows 0 (top) to 3."""
_BLOCKS = "▁▂▃▄▅▆▇█"


def line(x: Sequence[float], y: Sequence[float | None], *, width: int = 60, height: int = 8) -> list[str]:
    """`height` rows of at most `width` characters, and one row for the x axis.

    `x`: ascending, any unit. `y`: None, NaN and Inf are gaps. An empty list when nothing is left to draw.
    """
    points = [(a, b) for a, b in zip(x, y, strict=True) if b is not None and math.isfinite(b) and math.isfinite(a)]
    if not points:
        return []
    low, high = min(b for _, b in points), max(b for _, b in points)
    left, right = points[0][0], points[-1][0]
    labels = [f"{high:.4g}", f"{low:.4g}"]
    margin = max(map(len, labels))
    columns = max(8, width - margin - 2)
    cells = [[0] * columns for _ in range(height)]

    def place(a: float, b: float) -> tuple[int, int]:
        """Dot column and dot row (0 is the top)."""
        across = 0.0 if right == left else (a - left) / (right - left)
        up = _share(b, low, high)
        return round(across * (columns * 2 - 1)), round((1 - up) * (height * 4 - 1))

    last: tuple[int, int] | None = None
    for a, b in points:
        now = place(a, b)
        for column, row in _between(last or now, now):
            cells[row // 4][column // 2] |= _DOTS[column % 2][row % 4]
        last = now
    rows = ["".join(chr(0x2800 + cell) if cell else " " for cell in row) for row in cells]
    names = [labels[0], *[""] * (height - 2), labels[1]] if height > 1 else [labels[0]]
    drawn = [f"{name:>{margin}} ┤{row.rstrip()}" for name, row in zip(names, rows, strict=True)]
    ends = f"{left:.6g}", f"{right:.6g}" if right > left else ""
    return [*drawn, " " * (margin + 2) + ends[0] + ends[1].rjust(columns - len(ends[0]))]


def _between(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """The dots of a straight line, both ends among them."""
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    return [
        (round(start[0] + (end[0] - start[0]) * i / steps), round(start[1] + (end[1] - start[1]) * i / steps))
        for i in range(steps + 1)
    ]


def spark(values: Sequence[float | None], width: int = 24) -> str:
    """One line of blocks for the last `width` finite values, low to high; "" when there is none."""
    kept = [value for value in values if value is not None and math.isfinite(value)][-width:]
    if not kept:
        return ""
    low, high = min(kept), max(kept)
    return "".join(_BLOCKS[int(_share(value, low, high) * (len(_BLOCKS) - 1))] for value in kept)


def _share(value: float, low: float, high: float) -> float:
    """Where `value` lies between low (0) and high (1); halves, so that the widest span of floats does not overflow."""
    span = high / 2 - low / 2
    return (value / 2 - low / 2) / span if span > 0 else 0.5
