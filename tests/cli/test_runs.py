"""Runs in the terminal: found by any of their names, sorted so that the best is on top, drawn, and written as CSV."""

from __future__ import annotations

import csv
import io
import math

import pytest

from besom import local
from besom.cli.commands import USAGE
from besom.core import record as rec
from besom.core.batch import Batch
from besom.settings import load


@pytest.fixture(autouse=True)
def lab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BESOM_ENTITY", "lab")


@pytest.fixture
def three(log_run) -> None:
    """Three runs; the best val_loss and the best acc are in the middle of a curve, not at its end."""
    log_run("aaa", {"val_loss": [0.9, 0.5, 0.6], "acc": [0.1, 0.5, 0.4]}, lr=1e-2, opt="adam", begun=1000.0)
    log_run("bbb", {"val_loss": [0.9, 0.2, 0.7], "acc": [0.1, 0.9, 0.3]}, lr=1e-3, opt="adam", begun=2000.0)
    log_run("ccc", {"val_loss": [0.9, 0.8, 0.4], "acc": [0.1, 0.2, 0.6]}, lr=1e-4, opt="adam", begun=3000.0)


def order(said) -> list[str]:
    return [run["id"] for run in said.json["runs"]]


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ((), ["ccc", "bbb", "aaa"]),
        (("--sort", "val_loss"), ["bbb", "ccc", "aaa"]),
        (("--sort", "-val_loss"), ["aaa", "ccc", "bbb"]),
        (("--sort", "acc"), ["bbb", "ccc", "aaa"]),
        (("--sort", "lr"), ["ccc", "bbb", "aaa"]),
        (("--sort", "-config.lr"), ["aaa", "bbb", "ccc"]),
        (("--sort", "created"), ["aaa", "bbb", "ccc"]),
        (("--sort", "metrics.val_loss.last"), ["ccc", "aaa", "bbb"]),
        (("--filter", "config.lr >= 1e-3", "--sort", "created"), ["aaa", "bbb"]),
        (("--filter", "lr < 1e-3 or acc > 0.3", "--limit", "1"), ["ccc"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_sorted_and_filtered(besom, three, words: tuple[str, ...], ids: list[str]) -> None:
    assert order(besom("runs", "dkt", *words, "--json")) == ids


def test_the_best_is_named(besom, three) -> None:
    said = besom("runs", "--sort", "val_loss").out
    assert said.splitlines()[1].startswith("bbb")
    assert said.splitlines()[-1].startswith("best    val_loss 0.2  by run bbb")
    assert "opt" not in said.splitlines()[0], "a key that is the same in all runs tells nothing"
    assert "lr" in said.splitlines()[0]


def test_a_page_says_that_there_is_more(besom, three) -> None:
    assert "2 of 3 runs" in besom("runs", "--limit", "2").err


@pytest.mark.parametrize("name", ["bbb", "dkt/bbb", "lab/dkt/bbb", "name-of-bbb"])
def test_a_run_by_any_of_its_names(besom, three, name: str) -> None:
    said = besom("run", name).out
    for word in ("lab/dkt/bbb", "name-of-bbb", "✓ finished", "opt", "adam", "val_loss", "0.2", "┤"):
        assert word in said
    assert besom("run", name, "--json").json["metrics"]["val_loss"]["min"] == 0.2


def test_a_run_that_failed_says_why(besom, log_run) -> None:
    log_run(
        "bad",
        state="failed",
        reason="ValueError: no such layer",
        console="epoch 1\nTraceback\nValueError: no such layer\n",
    )
    said = besom("run", "bad")
    assert "✗ failed" in said.out and "why" in said.out and said.out.count("ValueError: no such layer") == 2
    assert "logged no metric" in said.err


def test_only_the_metrics_asked_for_are_drawn(besom, three) -> None:
    assert besom("run", "bbb", "-k", "acc").out.count("┤") == 7
    assert besom("run", "bbb").out.count("┤") == 14


def test_nan_is_kept_and_drawn_around(besom, log_run) -> None:
    log_run("nan", {"loss": [1.0, math.nan, math.inf, 0.5]})
    assert "┤" in besom("run", "nan").out
    assert besom("run", "nan", "--json").json["metrics"]["loss"]["max"] in (1.0, "Infinity")


def test_projects(besom, three, log_run) -> None:
    log_run("other", project="digits", begun=5000.0)
    assert [view["project"] for view in besom("projects", "--json").json] == ["digits", "dkt"]
    assert [line.split()[:2] for line in besom("projects").out.splitlines()[1:]] == [
        ["lab/digits", "1"],
        ["lab/dkt", "3"],
    ]
    assert "digits, dkt" in besom("runs", code=USAGE).err


def test_an_empty_store_says_how_to_begin(besom) -> None:
    assert "besom.init()" in besom("projects").err
    assert "besom.init()" in besom("runs", code=USAGE).err
    assert "besom sweep sweep.yaml" in besom("sweep", "list").err
    assert besom("projects", "--json").json == [] and besom("sweep", "list", "--json").json == []


def test_export_of_runs(besom, three) -> None:
    lines = list(csv.DictReader(io.StringIO(besom("export", "dkt", "--sort", "val_loss").out)))
    assert [line["id"] for line in lines] == ["bbb", "ccc", "aaa"]
    assert (
        lines[0]["config.lr"] == "0.001" and lines[0]["val_loss.best"] == "0.2" and lines[0]["val_loss.last"] == "0.7"
    )


def test_export_of_every_row(besom, three, log_run, tmp_path) -> None:
    log_run("ddd", {"only here": [1.0]}, begun=4000.0)
    file = tmp_path / "rows.csv"
    assert "4 runs" in besom("export", "dkt", "--history", "-o", str(file)).err
    lines = list(csv.DictReader(file.open()))
    assert len(lines) == 10 and set(lines[0]) == {"id", "name", "_step", "_time", "val_loss", "acc", "only here"}
    assert [line["val_loss"] for line in lines if line["id"] == "bbb"] == ["0.9", "0.2", "0.7"]
    assert [line["only here"] for line in lines if line["id"] == "ddd"] == ["1.0"]


@pytest.mark.parametrize("name", ["val/loss", "a b", "loss, total", "dotted.name", "-minus", "état"])
def test_a_metric_of_any_name_is_sorted_by(besom, log_run, name: str) -> None:
    log_run("aaa", {name: [0.2, 0.9]}, begun=1.0)
    log_run("bbb", {name: [0.4, 0.5]}, begun=2.0)
    said = besom("runs", "dkt", f"--sort={name}", "--json")
    expected = ["aaa", "bbb"]  # 0.2 is the least and 0.9 the most: the best either way
    assert order(said) == expected
    assert name in besom("run", "aaa", "-k", name).out


def test_the_files_of_a_run(besom, log_run, tmp_path) -> None:
    path = log_run("r1", {"loss": [1.0]})
    file = rec.File("out/a.txt", "0123" * 16, 1234, 5.0)
    local.hub(load()).append(path, "files", Batch(0, 1, (0,), (file,)))
    said = besom("run", "r1", "--files").out
    assert "out/a.txt" in said and "1234" in said and "012301230123" in said
    assert besom("run", "r1", "--files", "--json").json["files"][0]["path"] == "out/a.txt"
    log_run("r2")
    assert "saved no file" in besom("run", "r2", "--files").err
