"""What a trial is worth: which of its values, several metrics, bounds."""

import math

import numpy as np
import pytest

from besom.search import Goal, Limit, SpaceError, Trial, check, front, observe, stop
from besom.search.goal import read_goals


def sweep(**more):
    return {"method": "random", "parameters": {"x": {"min": 0.0, "max": 1.0}}, **more}


@pytest.mark.parametrize(
    ("agg", "goal", "worth"),
    [
        ("best", "minimize", 1.0),
        ("best", "maximize", 9.0),
        ("last", "minimize", 4.0),
        ("mean_last_2", "minimize", 3.0),
        ("mean_last_3", "maximize", 5.0),
        ("mean_last_99", "minimize", 4.0),
    ],
)
def test_which_of_a_trials_values_counts(agg, goal, worth):
    (read,), _ = read_goals({"metric": {"name": "y", "goal": goal, "agg": agg}}, [])
    seen = observe(read, [Trial("t", {}, metrics={"y": [1.0, 9.0, math.nan, 2.0, 4.0]})])
    assert seen.value[0] == read.sign * worth


def test_several_metrics_are_goals_and_bounds():
    metrics = [
        {"name": "loss"},
        {"name": "acc", "goal": "maximize", "min": 0.5},
        {"name": "ms", "max": 20},
        {"name": "mb", "min": 1, "max": 9, "agg": "best"},
    ]
    goals, limits = read_goals({"metrics": metrics}, [])
    assert goals == (Goal("loss"), Goal("acc", -1.0))
    assert limits == (Limit("acc", 0.5), Limit("ms", None, 20.0), Limit("mb", 1.0, 9.0, "best"))
    beside, _ = read_goals({"metric": {"name": "f1", "goal": "maximize"}, "metrics": metrics[:1]}, [])
    assert [g.name for g in beside] == ["f1", "loss"]


@pytest.mark.parametrize(
    ("metrics", "where", "says"),
    [
        ({"name": "a"}, "metrics", "must be a list"),
        ([3], "metrics[0]", "mapping.*3"),
        ([{"name": "a"}, {"goal": "minimize"}], "metrics[1].name", "None"),
        ([{"name": "a", "goal": "minimise!"}], "metrics[0].goal", '"minimize"'),
        ([{"name": "a", "agg": "mean_last"}], "metrics[0].agg", '"mean_last_5"'),
        ([{"name": "a", "agg": "mean_last_0"}], "metrics[0].agg", '"mean_last_5"'),
        ([{"name": "a", "max": "low"}], "metrics[0].max", "'low'"),
        ([{"name": "a", "min": 2, "max": 1}], "metrics[0].min", "swap"),
        ([{"name": "a"}, {"name": "a"}], "metrics", "'a' has two goals"),
    ],
)
def test_wrong_metrics_name_their_place(metrics, where, says):
    with pytest.raises(SpaceError, match=says) as caught:
        check(sweep(metrics=metrics))
    assert caught.value.where == where


def test_a_stray_key_of_a_metric_is_a_warning():
    (warning,) = check(sweep(metrics=[{"name": "a", "maxx": 3}]))
    assert warning.startswith("metrics[0].maxx") and '"max"' in warning


def test_how_far_a_trial_is_outside_a_bound():
    limit = Limit("ms", 1.0, 20.0)
    said = [[30.0, 25.0], [30.0, 20.0], [0.25], []]
    assert [limit.excess(Trial("t", {}, metrics={"ms": v})) for v in said] == [5.0, 0.0, 0.75, None]
    assert limit.excess(Trial("t", {}, "failed", metrics={"ms": [21.0]})) == 1.0
    assert Limit("ms", None, 20.0).excess(Trial("t", {}, "running", metrics={"ms": [-9.0]})) == -29.0


def test_the_front_of_two_goals():
    values = np.array([[1, 5], [2, 2], [2, 2], [3, 3], [5, 1], [1, 6]], float)
    assert front(values).tolist() == [0, 1, 2, 4]
    assert front(np.empty((0, 2))).tolist() == []


def test_early_termination_goes_by_the_first_goal():
    spec = sweep(metrics=[{"name": "a"}, {"name": "b"}], early_terminate={"type": "hyperband", "min_iter": 1})
    running = [Trial(str(i), {}, "running", {"a": [float(i)], "b": [float(-i)]}) for i in range(2)]
    assert [s.id for s in stop(spec, running)] == ["1"]
    elsewhere = [Trial("e", {}, "finished", {"a": [-9.0]}, {"from": "other sweep"})]
    assert [s.id for s in stop(spec, running + elsewhere)] == ["1"]
