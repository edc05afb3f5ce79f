"""Lists, rows, facets, groups, projects: what the page and the command line ask."""

from __future__ import annotations

import math
from typing import Any

import pytest

from besom.core import record as rec
from besom.core.errors import UsageError
from besom.core.names import RunPath


def keys(lab: Any, filter: str = "") -> dict[str, Any]:
    return {key.key: key for key in lab.hub.keys(lab.entity, lab.project, filter=filter).keys}


def test_a_run_is_shown_with_best_and_last_of_each_metric(lab: Any) -> None:
    lab.add("a", {"opt": {"lr": 0.1}}, [{"acc": 0.5}, {"acc": 0.9}, {"acc": 0.7}], tags=("x",), group="g", sweep="")
    view = lab.hub.run(lab.path("a"))
    acc = view.metrics["acc"]
    assert (acc.last, acc.best, acc.min, acc.max, acc.goal, acc.count, acc.last_step) == (
        0.7,
        0.9,
        0.5,
        0.9,
        "maximize",
        3,
        2,
    )
    assert acc.mean == pytest.approx(0.7)
    assert (view.config, view.summary, view.tags, view.group) == ({"opt": {"lr": 0.1}}, {"acc": 0.7}, ("x",), "g")
    assert (view.state, view.exit_code, view.ended, view.last_step) == ("finished", 0, lab.began + 100, 2)
    assert lab.runs().runs == (view,)


def test_a_run_without_a_name_is_shown_by_its_id(lab: Any) -> None:
    lab.send("a", rec.Config({"x": 1}))
    assert lab.hub.run(lab.path("a")).name == "a"


def test_rows_join_what_was_logged_together_and_keep_a_step_logged_twice(lab: Any) -> None:
    lab.add("a", state="running")
    rows = [(0, {"a": 1.0, "b": 2}), (0, {"a": 3.0}), (5, {"b": 4, "note": "five"}), (1, {"b": 6, "plot": {"x": [1]}})]
    lab.send("a", *(rec.History(step, 10.0 + i, data) for i, (step, data) in enumerate(rows)))
    assert lab.hub.rows(lab.path("a")).columns == {
        "_step": [0, 0, 1, 5],
        "_time": [10.0, 11.0, 13.0, 12.0],
        "a": [1.0, 3.0, None, None],
        "b": [2, None, 6, 4],
        "note": [None, None, None, "five"],
        "plot": [None, None, {"x": [1]}, None],
    }


def test_two_rows_at_the_same_step_and_time_stay_two_rows(lab: Any) -> None:
    lab.add("a", state="running")
    lab.send("a", rec.History(0, 1.0, {"a": 1.0}), rec.History(0, 1.0, {"b": 2.0}))
    assert lab.hub.rows(lab.path("a")).columns == {
        "_step": [0, 0],
        "_time": [1.0, 1.0],
        "a": [1.0, None],
        "b": [None, 2.0],
    }


def test_rows_of_some_keys_come_in_pages(lab: Any) -> None:
    lab.add("a", rows=[{"a": i, **({"b": i * 10} if i % 3 == 0 else {})} for i in range(10)])
    assert lab.hub.rows(lab.path("a"), keys=["b", "_step", "none"]).columns == {
        "_step": [0, 3, 6, 9],
        "_time": [lab.began + i for i in (0, 3, 6, 9)],
        "b": [0, 30, 60, 90],
        "none": [None] * 4,
    }
    seen, offset = [], 0
    while offset is not None:
        page = lab.hub.rows(lab.path("a"), offset=offset, limit=4)
        seen += page.columns["a"]
        offset = page.next
    assert seen == list(range(10))
    assert lab.hub.rows(lab.path("a"), keys=[]).columns == {"_step": [], "_time": []}
    with pytest.raises(UsageError):
        lab.hub.rows(lab.path("a"), offset=-1)


def test_console_lines_from_either_end(lab: Any) -> None:
    lab.add("a", state="running")
    lab.send("a", *(rec.Console(float(i), "out", f"line {i}\n") for i in range(5)))
    console = lab.hub.console(lab.path("a"), start=-2)
    assert (console.total, [(line.n, line.text) for line in console.lines]) == (5, [(3, "line 3"), (4, "line 4")])
    assert [line.text for line in lab.hub.console(lab.path("a"), start=1, limit=2).lines] == ["line 1", "line 2"]
    assert lab.hub.console(lab.path("a"), start=-50).lines[0].n == 0


def test_facets_count_values_and_draw_histograms(lab: Any) -> None:
    for i in range(48):
        lab.add(f"r{i}", {"lr": i, "arch": "cnn" if i % 4 else "vit", "amp": i % 2 == 0, "odd": i if i % 2 else "text"}, [{"loss": math.nan if i == 0 else 1.5}], tags=("t",) if i < 5 else ())  # fmt: skip
    found = keys(lab)
    lr = found["config.lr"]
    assert (lr.kind, lr.n, lr.min, lr.max, lr.bins) == ("number", 48, 0.0, 47.0, (2,) * 24)
    assert len(lr.values) == 48
    assert found["config.arch"].values == (("cnn", 36), ("vit", 12))
    assert (found["config.amp"].kind, found["config.amp"].values) == ("bool", ((False, 24), (True, 24)))
    assert found["config.odd"].kind == "mixed"
    assert (found["tags"].n, found["tags"].values) == (5, (("t", 5),))
    loss = found["summary.loss"]
    assert (loss.n, loss.min, loss.max, loss.bins) == (48, 1.5, 1.5, (47, *[0] * 23))
    assert loss.values[0] == (1.5, 47)
    assert math.isnan(loss.values[1][0])
    assert found["state"].values == (("finished", 48),)
    assert keys(lab, "lr < 4")["config.arch"].values == (("cnn", 3), ("vit", 1))
    assert lab.hub.keys(lab.entity, lab.project).metrics == ("loss",)


@pytest.mark.parametrize("values", [(-1e308, 1e308), (math.inf, 1.0), (5e-324, 0.0), (-math.inf, math.inf)])
def test_a_histogram_of_odd_numbers_still_counts_the_finite_ones(lab: Any, values: tuple[float, float]) -> None:
    for i, value in enumerate(values):
        lab.add(f"r{i}", {"x": value})
    finite = [value for value in values if math.isfinite(value)]
    facet = keys(lab)["config.x"]
    assert sum(facet.bins) == len(finite)
    assert (facet.min, facet.max) == ((min(finite), max(finite)) if finite else (None, None))


def test_groups_stand_best_first_with_deviation_across_runs(lab: Any) -> None:
    for i, (lr, loss) in enumerate([(1, 4.0), (1, 6.0), (2, 1.0), (3, math.nan)]):
        lab.add(
            f"r{i}", {"lr": lr}, [{"val_loss": loss}, {"val_loss": loss + 1}], state="failed" if i == 0 else "finished"
        )
    groups = lab.hub.groups(lab.entity, lab.project, by=["lr"], metric="val_loss")
    assert (groups.total, groups.matched) == (4, 4)
    two, one, three = groups.groups
    assert (two.key, two.n, two.value, two.std) == ({"config.lr": 2}, 1, 1.0, None)
    assert (one.value, one.std, one.min, one.max) == (5.0, pytest.approx(2**0.5), 4.0, 6.0)
    assert (one.states, set(one.runs)) == ({"failed": 1, "finished": 1}, {"r0", "r1"})
    assert (three.n, three.value) == (1, None)
    last = lab.hub.groups(lab.entity, lab.project, by=["lr"], metric="val_loss", use="last", filter="lr <= 1")
    assert (last.groups[0].value, last.total, last.matched) == (6.0, 4, 2)
    acc = lab.hub.groups(lab.entity, lab.project, by=["lr", "state"])
    assert [tuple(group.key.values()) for group in acc.groups] == [(1, "failed"), (1, "finished"), (2, "finished"), (3, "finished")]  # fmt: skip
    for wrong in ({"use": "worst"}, {"by": []}):
        with pytest.raises(UsageError):
            lab.hub.groups(lab.entity, lab.project, **{"by": ["lr"], **wrong})


def test_groups_of_a_metric_to_maximize_stand_largest_first(lab: Any) -> None:
    for i in range(3):
        lab.add(f"r{i}", {"seed": i}, [{"acc": i / 10}])
    groups = lab.hub.groups(lab.entity, lab.project, by=["seed"], metric="acc").groups
    assert [group.key["config.seed"] for group in groups] == [2, 1, 0]


def test_projects_show_states_sweeps_and_the_last_thirty_days(lab: Any) -> None:
    day = 86400
    lab.add("old", began=lab.now - 60 * day)
    lab.add("yesterday", began=lab.now - day, state="failed")
    lab.add("today", began=lab.now, state="running")
    lab.hub.append(RunPath("bob", "other", "x"), "s", lab.batch(lab.records("x", began=lab.now - 3 * day)))
    lab.hub.create_sweep("bob", "plans", {"method": "random", "parameters": {"a": {"value": 1}}})
    found = {(p.entity, p.project): p for p in lab.hub.projects().projects}
    assert len(found) == 3
    mine = found["ann", "dkt"]
    assert (mine.runs, mine.states, mine.sweeps) == (3, {"finished": 1, "failed": 1, "running": 1}, 0)
    assert (len(mine.per_day), mine.per_day[-2:], sum(mine.per_day)) == (30, (1, 1), 2)
    assert (found["bob", "plans"].runs, found["bob", "plans"].sweeps) == (0, 1)
    assert lab.hub.projects().projects[-1].project == "other"
