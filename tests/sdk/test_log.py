"""Logging: what a training script hands to `log()` is kept, where it belongs, and nothing it does breaks the training."""

from __future__ import annotations

import math
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import besom
from besom.core import record as rec
from besom.core.errors import JournalFull, UsageError


def test_a_training_script_logs_its_metrics(store: Any) -> None:
    run = besom.init(project="dkt", config={"lr": 1e-3})
    for epoch in range(3):
        besom.log({"loss": 1 / (epoch + 1), "epoch": epoch})
    run.finish()
    assert store.rows() == [
        (0, {"loss": 1.0, "epoch": 0}),
        (1, {"loss": 0.5, "epoch": 1}),
        (2, {"loss": 1 / 3, "epoch": 2}),
    ]
    assert store.end() == ("finished", 0)


@pytest.mark.parametrize(
    ("calls", "rows"),
    [
        ([({"a": 1}, {}), ({"a": 2}, {})], [(0, {"a": 1}), (1, {"a": 2})]),
        ([({"a": 1}, {"commit": False}), ({"b": 2}, {})], [(0, {"a": 1, "b": 2})]),
        ([({"a": 1}, {"commit": False}), ({"b": 2}, {"commit": False}), ({"c": 3}, {}), ({"a": 4}, {})],
         [(0, {"a": 1, "b": 2, "c": 3}), (1, {"a": 4})]),
        ([({"a": 1}, {"commit": False})], [(0, {"a": 1})]),
        ([({"a": 1}, {"step": 10}), ({"a": 2}, {"step": 20})], [(10, {"a": 1}), (20, {"a": 2})]),
        ([({"a": 1}, {"step": 5}), ({"b": 2}, {}), ({"c": 3}, {})], [(5, {"a": 1}), (5, {"b": 2}), (6, {"c": 3})]),
        ([({"a": 1}, {"step": 5, "commit": True}), ({"b": 2}, {})], [(5, {"a": 1}), (6, {"b": 2})]),
        ([({"a": 1}, {"step": 5, "commit": False}), ({"b": 2}, {"step": 5})], [(5, {"a": 1, "b": 2})]),
        ([({"a": 1}, {"step": 9}), ({"a": 2}, {"step": 3}), ({"a": 3}, {"step": 10})],
         [(9, {"a": 1}), (3, {"a": 2}), (10, {"a": 3})]),
        ([({"a": 1}, {"step": np.int64(7)}), ({"a": 2}, {"step": 8.0})], [(7, {"a": 1}), (8, {"a": 2})]),
        ([({}, {}), ({"a": 1}, {})], [(0, {}), (1, {"a": 1})]),
        ([({"train": {"loss": 1, "top": {"k": 2}}}, {})], [(0, {"train.loss": 1, "train.top.k": 2})]),
        ([({1: 2, None: 3}, {})], [(0, {"1": 2, "None": 3})]),
    ],
)  # fmt: skip
def test_rows_are_where_they_belong(store: Any, calls: list[Any], rows: list[Any]) -> None:
    with besom.init() as run:
        for data, how in calls:
            run.log(data, **how)
    assert store.rows() == rows


class Tensor:
    """What a one-element tensor of torch looks like from outside."""

    shape = ()

    def item(self) -> float:
        return 0.25


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.array(3.0), 3.0),
        (Tensor(), 0.25),
        (True, True),
        (float("inf"), float("inf")),
        (float("-inf"), float("-inf")),
        (2**70, 2**70),
        ("text", "text"),
        (None, None),
        ([1, 2], [1, 2]),
        (Path("a/b"), "a/b"),
    ],
)
def test_values_come_back_as_they_are(store: Any, given: Any, kept: Any) -> None:
    with besom.init() as run:
        run.log({"x": given})
    ((_, data),) = store.rows()
    assert data == {"x": kept}
    assert type(data["x"]) is type(kept)


def test_nan_is_kept(store: Any) -> None:
    with besom.init() as run:
        run.log({"x": float("nan"), "y": np.float32("nan"), "z": -0.0})
    ((_, data),) = store.rows()
    assert math.isnan(data["x"]) and math.isnan(data["y"]) and math.copysign(1, data["z"]) == -1


def test_an_unknown_object_is_kept_as_text_with_one_warning(store: Any, capsys: pytest.CaptureFixture[str]) -> None:
    class Odd:
        def __str__(self) -> str:
            return "an odd thing"

    with besom.init() as run:
        for _ in range(3):
            run.log({"x": Odd(), "y": 1})
    assert [data for _, data in store.rows()] == [{"x": "an odd thing", "y": 1}] * 3
    assert capsys.readouterr().err.count('"x" holds a value of a type that is not known') == 1


class Tensor:
    """Of two elements: it cannot be an integer, and says so in its library's way."""

    def __int__(self) -> int:
        raise RuntimeError("a Tensor with 2 elements cannot be converted to Scalar")


@pytest.mark.parametrize("step", [-1, "five", None.__class__, float("nan"), float("inf"), 1 << 80, Tensor()])
def test_a_step_that_is_none_keeps_the_row(store: Any, capsys: pytest.CaptureFixture[str], step: Any) -> None:
    with besom.init() as run:
        run.log({"a": 1})
        run.log({"a": 2}, step=step)
    assert store.rows() == [(0, {"a": 1}), (1, {"a": 2})]
    assert "a step is a whole number" in capsys.readouterr().err


def test_what_is_no_dictionary_is_dropped_and_counted(store: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run = besom.init()
    for _ in range(5):
        run.log([1, 2, 3])  # type: ignore[arg-type]
    run.log({"a": 1})
    run.finish()
    assert store.rows() == [(0, {"a": 1})]
    assert sum(run.dropped.values()) == 5
    told = capsys.readouterr().err
    assert told.count("log() takes a dictionary") == 2, "once when it happens, once at the end"
    assert "5 records were lost" in told
    (fields,) = [record.meta for record in store.of(rec.Run) if record.meta and "dropped" in record.meta]
    assert list(fields["dropped"].values()) == [5]


def test_an_error_that_cannot_tell_itself_does_not_reach_the_training(store: Any) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("mute")

    class Odd(dict[str, Any]):
        def keys(self) -> Any:
            raise Mute

        items = __iter__ = keys

    run = besom.init()
    run.log(Odd(a=1), step=2)
    run.log({"a": 1})
    run.finish()
    assert {"a": 1} in [data for _, data in store.rows()]


def test_logging_after_the_end_is_counted_and_never_raises(store: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run = besom.init()
    run.log({"a": 1})
    run.finish()
    for _ in range(4):
        besom.log({"a": 2})
    assert store.rows() == [(0, {"a": 1})]
    assert run.dropped == {"the run had finished": 4}
    assert capsys.readouterr().err.count("not recorded: the run had finished") == 1


def test_before_init_the_way_out_is_told(store: Any) -> None:
    with pytest.raises(UsageError, match=r"call besom\.init\(\) before besom\.log\(\)"):
        besom.log({"a": 1})


def test_a_full_disk_is_one_warning_and_an_exact_count(store: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run = besom.init(settings=besom.Settings(console="off"))
    run.log({"a": 0})
    journal_append = run._writer.append

    def full(payload: bytes) -> int:
        raise JournalFull("no room")

    run._writer.append = full
    for i in range(7):
        run.log({"a": i})
    run._writer.append = journal_append
    run.log({"a": 99})
    run.finish()
    assert [data["a"] for _, data in store.rows()] == [0, 99]
    assert run.dropped == {"the disk is full": 7}
    assert capsys.readouterr().err.count("not recorded: the disk is full") == 1


def test_a_store_that_cannot_be_made_does_not_stop_a_training(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("BESOM_DIR", str(tmp_path / "file"))
    run = besom.init(config={"lr": 1})
    run.log({"loss": 0.5})
    assert run.summary["loss"] == 0.5
    assert run.config.lr == 1
    lost = sum(run.dropped.values())
    run.log({"loss": 0.25})
    assert sum(run.dropped.values()) == lost + 1
    run.finish()
    told = capsys.readouterr().err
    assert "NOTHING OF THIS RUN IS RECORDED" in told and "no journal could be made)" in told


def test_threads_lose_nothing_and_share_no_step(store: Any) -> None:
    run = besom.init()

    def work(n: int) -> None:
        for i in range(500):
            run.log({f"t{n}": i})

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.finish()
    rows = store.rows()
    assert sorted(step for step, _ in rows) == list(range(2000))
    for n in range(4):
        assert [data[f"t{n}"] for _, data in rows if f"t{n}" in data] == list(range(500))


def test_a_stopped_trial_keeps_its_last_row_and_ends_at_its_log(store: Any) -> None:
    run = besom.init()
    seen = []
    try:
        for i in range(10):
            if i == 3:
                run.stop("worse than the others")
            try:
                run.log({"i": i})
            except Exception:  # a training loop that swallows errors must not swallow the stop
                pytest.fail("Stopped is no Exception")
            seen.append(i)
    except besom.Stopped as stop:
        assert str(stop) == "worse than the others"
    assert seen == [0, 1, 2]
    assert [data["i"] for _, data in store.rows()] == [0, 1, 2, 3]


def test_disabled_writes_nothing_and_everything_works(store: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with besom.init(mode="disabled", config={"lr": Decimal("0.1")}) as run:
        run.log({"acc": 0.5})
        run.summary["best"] = 1
        run.alert("x")
        run.name = "other"
        assert run.summary["acc"] == 0.5 and run.summary["best"] == 1 and run.name == "other"
    assert not store.folder.exists()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("how", "define"),
    [
        ({"summary": "min"}, rec.Define("loss", None, ("min",))),
        ({"summary": "min, max"}, rec.Define("loss", None, ("min", "max"))),
        ({"summary": "best", "goal": "maximize"}, rec.Define("loss", None, ("best",), "maximize")),
        ({"step_metric": "epoch", "hidden": True}, rec.Define("loss", "epoch", (), None, True)),
        ({"summary": "smallest"}, rec.Define("loss")),
        ({"step_sync": True, "overwrite": True}, rec.Define("loss")),
    ],
)
def test_metrics_are_defined(store: Any, how: dict[str, Any], define: rec.Define) -> None:
    with besom.init():
        besom.define_metric("loss", **how)
    assert store.of(rec.Define) == [define]


def test_a_defined_metric_can_be_the_axis_of_others(store: Any) -> None:
    with besom.init():
        epoch = besom.define_metric("epoch")
        besom.define_metric("val/*", step_metric=epoch)
    assert store.of(rec.Define)[1] == rec.Define("val/*", "epoch")


@pytest.mark.parametrize(
    ("call", "level", "wait"),
    [
        ({}, "INFO", 60.0),
        ({"level": besom.AlertLevel.ERROR, "wait_duration": 300}, "ERROR", 300.0),
        ({"level": "warning"}, "WARN", 60.0),
        ({"wait_duration": "5 minutes"}, "INFO", 60.0),
        ({"level": "loud", "wait_duration": __import__("datetime").timedelta(minutes=2)}, "INFO", 120.0),
    ],
)
def test_alerts_are_records(store: Any, call: dict[str, Any], level: str, wait: float) -> None:
    with besom.init():
        besom.alert(title="loss is high", text="it is 7", **call)
    (alert,) = store.of(rec.Alert)
    assert (alert.title, alert.text, alert.level, alert.wait) == ("loss is high", "it is 7", level, wait)
