"""CSV out: a spreadsheet gets all of it, and a number comes back as the number it was."""

from __future__ import annotations

import csv
import math

import pytest

from besom.core.errors import UsageError
from besom.core.wire import MetricStat, Rows, RunView
from besom.exchange.csv import rows_to_csv, runs_to_csv


def view(id: str, **more: object) -> RunView:
    return RunView(id, "ann", "dkt", f"run {id}", "finished", 1.0, 1.0, 2.0, **more)  # type: ignore[arg-type]


def test_runs_become_lines_under_the_union_of_their_keys() -> None:
    stat = MetricStat(0.5, 0.1, 0.9, 0.5, 0.9, "maximize", 3, 2)
    runs = [
        view("a", config={"lr": 0.1, "opt": {"name": "adam"}}, metrics={"acc": stat}, tags=("x", "y")),
        view("b", config={"lr": 1e-05, "layers": [1, 2], "text": 'a "b",\nc'}, summary={"loss": math.nan}),
    ]
    a, b = csv.DictReader(runs_to_csv(runs))
    assert (a["config.lr"], a["config.opt.name"], a["acc.best"], a["tags"], a["summary.loss"]) == ("0.1", "adam", "0.9", "x,y", "")  # fmt: skip
    assert (b["config.lr"], b["config.layers"], b["config.text"], b["summary.loss"]) == (
        "1e-05",
        "[1, 2]",
        'a "b",\nc',
        "nan",
    )
    assert list(runs_to_csv([]))[0].startswith("id,name,state")


def test_rows_come_back_as_they_were() -> None:
    pages = [
        Rows(
            {
                "_step": [0, 1],
                "_time": [1.5, 2.5],
                "loss": [0.1 + 0.2, math.inf],
                "note": ["a,b", None],
                "ok": [True, None],
            },
            2,
        ),
        Rows({"_step": [2], "_time": [3.5], "loss": [1e-300]}),
    ]
    rows = list(csv.DictReader(rows_to_csv(pages)))
    assert [(int(row["_step"]), float(row["_time"])) for row in rows] == [(0, 1.5), (1, 2.5), (2, 3.5)]
    assert [float(row["loss"]) for row in rows] == [0.1 + 0.2, math.inf, 1e-300]
    assert [(row["note"], row["ok"]) for row in rows] == [("a,b", "true"), ("", ""), ("", "")]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_text_is_no_formula_to_a_spreadsheet(text: str) -> None:
    (run,) = csv.reader(line for line in list(runs_to_csv([view("a", notes=text, config={"x": -1})]))[1:])
    assert f"'{text}" in run and "-1" in run
    head, cells = csv.reader(rows_to_csv([Rows({text: [text]})]))
    assert head == cells == [f"'{text}"]


def test_pages_that_do_not_fit_together_are_refused() -> None:
    pages = [Rows({"_step": [0], "a": [1]}), Rows({"_step": [1], "b": [1]})]
    with pytest.raises(UsageError, match="'b' is new"):
        list(rows_to_csv(pages))
