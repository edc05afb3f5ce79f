"""A chart in the terminal shows the shape of a curve, whatever the numbers are."""

from __future__ import annotations

import math

import pytest

from besom.cli import chart


def dots(row: str) -> int:
    return sum(bin(ord(c) - 0x2800).count("1") for c in row if 0x2800 <= ord(c) <= 0x28FF)


def columns(rows: list[str]) -> list[int]:
    """For each character column that holds dots, the index of its topmost row."""
    body = [row.split("┤", 1)[1] for row in rows[:-1]]
    width = max(map(len, body))
    return [
        next(i for i, row in enumerate(body) if len(row) > x and row[x] != " ")
        for x in range(width)
        if any(len(row) > x and row[x] != " " for row in body)
    ]


def test_a_falling_loss_falls_and_is_labelled_with_its_ends() -> None:
    rows = chart.line(range(100), [1.5 - i / 100 for i in range(100)], width=60, height=6)
    assert len(rows) == 7 and max(map(len, rows)) <= 60
    tops = columns(rows)
    assert tops == sorted(tops) and tops[0] == 0 and tops[-1] == 5
    assert rows[0].startswith(" 1.5 ┤") and rows[5].startswith("0.51 ┤")
    assert rows[6].split() == ["0", "99"]


@pytest.mark.parametrize(
    ("what", "values"),
    [
        ("one point", [2.0]),
        ("all the same", [3.0, 3.0, 3.0]),
        ("gaps, NaN and Inf", [1.0, None, math.nan, math.inf, -math.inf, 2.0]),
        ("the widest span of floats", [-1.7e308, 1.7e308]),
        ("the narrowest", [0.0, 5e-324]),
        ("large and small", [1e300, 1e-300, -1e-300]),
    ],
)
def test_no_value_breaks_it(what: str, values: list[float | None]) -> None:
    rows = chart.line(range(len(values)), values, width=40, height=4)
    assert len(rows) == 5 and sum(map(dots, rows)) >= 1, what


def test_nothing_to_draw_draws_nothing() -> None:
    assert chart.line([], []) == []
    assert chart.line([0, 1], [None, math.nan]) == []
    assert chart.spark([]) == "" and chart.spark([math.nan, None]) == ""


def test_a_spark_shows_low_and_high() -> None:
    assert chart.spark([3, 2, 1, 5, 8]) == "▃▂▁▅█"
    assert chart.spark([1, 1]) == "▄▄"
    assert len(chart.spark(list(range(100)), width=24)) == 24
