"""The summary: the last of what was logged, and what the user sets; read by folding, never by `log()`."""

from __future__ import annotations

from typing import Any

import pytest

import besom
from besom.core import record as rec
from besom.core.errors import UsageError


def test_it_follows_what_is_logged(store: Any) -> None:
    run = besom.init()
    for i in range(5):
        run.log({"acc": i, "loss": {"train": 10 - i}})
        assert run.summary["acc"] == i
    assert run.summary.acc == 4 and run.summary["loss"]["train"] == run.summary["loss.train"] == 6
    assert dict(run.summary) == {"acc": 4, "loss.train": 6} and len(run.summary) == 2
    run.finish()
    assert dict(run.summary) == {"acc": 4, "loss.train": 6}, "also when the run is over"


def test_the_user_sets_and_deletes(store: Any) -> None:
    with besom.init() as run:
        run.summary["best"] = 1
        besom.summary.note = "good"
        run.summary.update({"test": {"acc": 0.5, "f1": 0.25}}, n=3)
        run.summary["test"]["acc"] = 0.75
        run.summary["test"].update(auc=1.0)
        del run.summary["note"]
        assert "note" not in run.summary and "test" in run.summary and "test.auc" in run.summary
        assert dict(run.summary["test"]) == {"acc": 0.75, "f1": 0.25, "auc": 1.0}
        assert run.summary.get("missing", 7) == 7
        with pytest.raises(KeyError):
            _ = run.summary["missing"]
        with pytest.raises(AttributeError):
            _ = run.summary.missing
        with pytest.raises(KeyError):
            del run.summary["missing"]
    assert store.folded().state.summary == {"best": 1, "test.acc": 0.75, "test.f1": 0.25, "test.auc": 1.0, "n": 3}


def test_deleting_a_group_deletes_what_is_in_it(store: Any) -> None:
    with besom.init() as run:
        run.summary.update({"a": {"b": 1, "c": 2}, "ab": 3})
        del run.summary["a"]
        assert dict(run.summary) == {"ab": 3}
    assert store.of(rec.Summary)[-1] == rec.Summary({}, ("a.b", "a.c"))


def test_defined_metrics_are_summed_up(store: Any) -> None:
    with besom.init() as run:
        run.define_metric("loss", summary="min,mean")
        run.define_metric("acc", summary="best", goal="maximize")
        for loss, acc in ((3, 0.1), (1, 0.9), (2, 0.5)):
            run.log({"loss": loss, "acc": acc})
        assert run.summary["loss"]["min"] == 1 and run.summary["loss.mean"] == 2 and run.summary["acc.best"] == 0.9


def test_before_init_the_way_out_is_told(store: Any) -> None:
    with pytest.raises(UsageError, match=r"call besom\.init\(\) before besom\.summary"):
        besom.summary["a"] = 1


def test_it_reads_a_long_run_in_pieces(store: Any) -> None:
    with besom.init() as run:
        text = "x" * 100_000
        for i in range(100):
            run.log({"i": i, "text": text})
        assert run.summary["i"] == 99
