"""Charts: one grid for all, all points counted, the deviation of a group across its runs."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest

from besom.core import record as rec
from besom.core.errors import FilterError, UsageError


def curves(lab: Any, *keys: str, **more: Any) -> Any:
    return lab.hub.curves(lab.entity, lab.project, keys=keys, **more)


def test_short_runs_are_drawn_step_by_step(lab: Any) -> None:
    lab.add("a", rows=[{"loss": 3.0}, {"loss": 2.0}, {"loss": 1.0}])
    lab.add("b", rows=[{"loss": 5.0}, {"other": 1.0}], began=lab.began + 1)
    found = curves(lab, "loss")
    assert found.x == (0.0, 1.0, 2.0)
    assert found.points == 4
    assert [(s.id, s.key, s.mean, s.n) for s in found.series] == [
        ("b", "loss", (5.0, None, None), (1, 0, 0)),
        ("a", "loss", (3.0, 2.0, 1.0), (1, 1, 1)),
    ]


def test_the_order_is_that_of_the_runs_asked_for(lab: Any) -> None:
    for id in "abc":
        lab.add(id, rows=[{"loss": 1.0, "acc": 2.0}])
    found = curves(lab, "loss", "acc", runs=["b", "a", "unknown", "b"])
    assert [(s.id, s.key) for s in found.series] == [("b", "loss"), ("b", "acc"), ("a", "loss"), ("a", "acc")]


def test_a_long_run_is_thinned_over_all_points_and_a_zoom_shows_each(lab: Any) -> None:
    values = [0.0] * 20_000
    values[12_345] = 9.0
    lab.add("a", rows=[{"loss": value} for value in values])
    far = curves(lab, "loss", buckets=100)
    assert len(far.x) <= 100
    assert far.points == 20_000
    (series,) = far.series
    assert max(series.max) == 9.0
    assert sum(series.n) == 20_000
    assert series.mean[series.max.index(9.0)] == 9.0 / series.n[series.max.index(9.0)]
    near = curves(lab, "loss", buckets=100, min=12_340, max=12_349)
    assert near.x == tuple(range(12_340, 12_350))
    assert near.series[0].mean[5] == 9.0
    assert near.points == 10


def test_a_group_is_mean_and_deviation_across_runs_of_each_runs_mean_in_the_bucket(lab: Any) -> None:
    lab.add("often", {"lr": 1}, [{"loss": 1.0}] * 8)
    lab.add("rare", {"lr": 1}, [{"loss": 4.0}, {}, {}, {}, {"loss": 6.0}])
    lab.add("third", {"lr": 1}, [{"loss": 7.0}])
    lab.add("alone", {"lr": 2}, [{"loss": 5.0}] * 3)
    lab.add("none", rows=[{"loss": 0.5}])
    found = curves(lab, "loss", by=["lr"], buckets=2)
    one, two, none = found.series
    assert [s.id for s in found.series] == ['{"config.lr": 1}', '{"config.lr": 2}', '{"config.lr": null}']
    assert one.n == (3, 2)
    assert one.mean == (4.0, 3.5)
    assert one.std == pytest.approx((statistics.stdev([1.0, 4.0, 7.0]), statistics.stdev([1.0, 6.0])))
    assert (one.min, one.max, one.runs) == ((1.0, 1.0), (7.0, 6.0), 3)
    assert (two.mean, two.std, two.n, two.runs) == ((5.0, None), (None, None), (1, 0), 1)
    assert none.mean == (0.5, None)
    assert found.points == 8 + 2 + 1 + 3 + 1


def test_groups_by_several_keys_and_by_tags(lab: Any) -> None:
    lab.add("a", {"lr": 1, "arch": "cnn"}, [{"loss": 1.0}], tags=("x", "y"))
    lab.add("b", {"lr": 1, "arch": "vit"}, [{"loss": 2.0}])
    assert [s.id for s in curves(lab, "loss", by=["config.lr", "arch"]).series] == [
        '{"config.lr": 1, "config.arch": "cnn"}',
        '{"config.lr": 1, "config.arch": "vit"}',
    ]
    assert [s.id for s in curves(lab, "loss", by=["tags"]).series] == ['{"tags": "x, y"}', '{"tags": null}']
    with pytest.raises(FilterError, match="Did you mean"):
        curves(lab, "loss", by=["archh"])
    with pytest.raises(UsageError, match=r"not by metrics\.loss\.best"):
        curves(lab, "loss", by=["metrics.loss.best"])


@pytest.mark.parametrize(
    ("x", "expected"),
    [("_step", (0.0, 1.0, 2.0)), ("epoch", (0.0, 0.5, 1.0)), ("acc", (1.0, 2.0, 3.0))],
)
def test_any_metric_can_stand_on_the_x_axis(lab: Any, x: str, expected: tuple[float, ...]) -> None:
    lab.add("a", rows=[{"loss": float(i), "epoch": i / 2, "acc": 3 - i} for i in range(3)])
    found = curves(lab, "loss", x=x)
    assert found.x == expected
    assert found.series[0].mean == ((2.0, 1.0, 0.0) if x == "acc" else (0.0, 1.0, 2.0))


def test_a_metric_logged_in_rows_of_its_own_still_serves_as_x_axis(lab: Any) -> None:
    lab.add("a", state="running")
    rows = [(0, {"epoch": 1.0}), (0, {"loss": 5.0}), (1, {"loss": 4.0}), (2, {"epoch": 2.0}), (2, {"loss": 3.0})]
    lab.send("a", *(rec.History(step, lab.began, data) for step, data in rows))
    found = curves(lab, "loss", x="epoch")
    assert (found.x, found.series[0].mean) == ((1.0, 2.0), (5.0, 3.0))
    assert curves(lab, "loss", x="unknown").series == ()


def test_time_is_seconds_since_the_run_began_or_the_clock(lab: Any) -> None:
    lab.add("a", rows=[{"loss": 1.0}] * 101)
    lab.add("b", rows=[{"loss": 1.0}] * 101, began=lab.began + 5000)
    relative = curves(lab, "loss", x="_relative", buckets=10)
    assert relative.x == (5.0, 15.0, 25.0, 35.0, 45.0, 55.0, 65.0, 75.0, 85.0, 95.0)
    assert [sum(s.n) for s in relative.series] == [101, 101]
    clock = curves(lab, "loss", x="_time", buckets=10)
    assert clock.x[0] == lab.began + 255
    assert len(clock.x) == 2  # buckets in which nobody logged are left out
    assert curves(lab, "loss", x="_relative", min=10, max=20).points == 22


def test_nan_and_infinity_are_drawn_as_far_as_they_can_be(lab: Any) -> None:
    lab.add("a", rows=[{"loss": v} for v in (1.0, math.nan, math.inf, -math.inf)])
    (series,) = curves(lab, "loss").series
    assert series.mean == (1.0, math.inf, -math.inf)
    assert series.n == (1, 1, 1)
    lab.add("b", rows=[{"only": math.nan}])
    found = curves(lab, "only")
    assert (found.x, found.points) == ((), 1)
    lab.add("c", rows=[{"x": math.nan, "y": 1.0}, {"x": math.inf, "y": 2.0}, {"x": 3.0, "y": 4.0}])
    assert curves(lab, "y", x="x").x == (3.0,)


def test_a_step_that_goes_back_is_drawn_where_it_belongs(lab: Any) -> None:
    lab.add("a", state="running")
    lab.send("a", *(rec.History(step, lab.began, {"loss": float(i)}) for i, step in enumerate([5, 6, 2, 5])))
    found = curves(lab, "loss")
    assert found.x == (2.0, 5.0, 6.0)
    assert found.series[0].mean == (2.0, 1.5, 1.0)
    assert found.series[0].last == (2.0, 3.0, 1.0)


def test_the_filter_says_which_runs(lab: Any) -> None:
    for i in range(4):
        lab.add(f"r{i}", {"lr": i}, [{"loss": 1.0}])
    assert [s.id for s in curves(lab, "loss", filter="lr >= 2").series] == ["r3", "r2"]
    assert curves(lab, "loss", filter="lr >= 2", runs=["r0", "r2"]).series[0].id == "r2"
    assert curves(lab).series == ()


@pytest.mark.parametrize("buckets", [0, -1, 5001])
def test_a_wrong_number_of_buckets_is_refused(lab: Any, buckets: int) -> None:
    with pytest.raises(UsageError, match="1 to 5000"):
        curves(lab, "loss", buckets=buckets)
