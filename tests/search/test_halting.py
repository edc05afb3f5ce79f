"""Stopping rules beside hyperband: who is stopped, why, and what a wrong rule is told."""

import numpy as np
import pytest

from besom.search import SpaceError, Trial, check, observe, rules, stop
from besom.search.goal import Goal
from besom.search.halting.curves import finals

NAN = float("nan")


def sweep(early, goal="minimize", **metric):
    return {
        "method": "random",
        "parameters": {"x": {"min": 0.0, "max": 1.0}},
        "metric": {"name": "loss", "goal": goal, **metric},
        "early_terminate": early,
    }


def trials(done, running, sign=1.0):
    """Finished histories f0, f1, ... and running ones r0, r1, ..."""
    given = [("f", "finished", h) for h in done] + [("r", "running", h) for h in running]
    turned = [[sign * v if isinstance(v, float | int) and sign < 0 else v for v in h] for _, _, h in given]
    count = [i for group in (done, running) for i in range(len(group))]
    return [Trial(f"{k}{i}", {}, s, {"loss": h}) for (k, s, _), i, h in zip(given, count, turned, strict=True)]


FLAT = [[5, 4, 3, 2, 1], [6, 5, 4, 3, 2]]
STORIES = [
    ("asha: the first eta - 1 at a rung pass", {"type": "asha"}, [], [[9], [1]], []),
    ("asha: of three the best lives", {"type": "asha"}, [], [[9], [1], [5]], ["r0", "r2"]),
    ("asha: a tie lives", {"type": "asha"}, [], [[1], [1], [1]], []),
    ("asha: the best value up to the rung counts", {"type": "asha", "min_iter": 2}, [[2, 2], [3, 3]], [[1, 9]], []),
    ("asha: an eta next to 1 ends", {"type": "asha", "eta": 1 + 1e-12}, [], [[1], [2]], ["r1"]),
    ("asha: s skips rungs", {"type": "asha", "s": 1}, [[1, 1, 1], [2, 2, 2]], [[9, 9], [9, 9, 9]], ["r1"]),
    ("asha: no rung at max_iter", {"type": "asha", "max_iter": 3}, [[1, 1, 1], [0, 2, 2]], [[1, 9, 9]], ["r0"]),
    ("asha: eta 2 keeps half", {"type": "asha", "eta": 2}, [[1], [2], [3]], [[2], [4]], ["r1"]),
    ("median: worse than the median of running means", {"type": "median", "min_trials": 2}, FLAT, [[7, 6], [9, 5]], ["r0"]),
    ("median: too few trials came as far", {"type": "median"}, FLAT, [[70]], []),
    ("median: grace", {"type": "median", "min_trials": 1, "min_iter": 3}, FLAT, [[7, 6], [7, 6, 6]], ["r1"]),
    ("median: who still runs is no measure", {"type": "median", "min_trials": 1}, [], [[1], [9]], []),
    ("percentile: outside the best quarter", {"type": "percentile", "percentile": 25, "min_trials": 4},
     [[1], [2], [3], [4], [5]], [[2], [3]], ["r1"]),
    ("percentile: half by default", {"type": "percentile"}, [[1], [2], [3], [4], [5]], [[3], [4]], ["r1"]),
    ("patience: no gain in the latest values", {"type": "patience", "patience": 2}, [], [[3, 2, 2, 2], [3, 2, 1, 2]], ["r0"]),
    ("patience: a gain of min_delta is none", {"type": "patience", "patience": 1, "min_delta": 1}, [], [[3, 2], [3, 1.9]], ["r0"]),
    ("patience: waits for min_iter", {"type": "patience", "patience": 1, "min_iter": 4}, [], [[3, 3, 3], [3, 3, 3, 3]], ["r1"]),
    ("predictive: two must have finished", {"type": "predictive"}, [[3, 2, 1]], [[100]], []),
    ("predictive: no gain seen from here reaches the best", {"type": "predictive"}, FLAT, [[6, 6], [4, 4]], ["r0"]),
    ("predictive: who has come to the end is let be", {"type": "predictive"}, FLAT, [[9, 9, 9, 9, 9]], []),
    ("predictive: min_iter and min_trials", {"type": "predictive", "min_iter": 3, "min_trials": 2}, FLAT, [[9, 9], [9, 9, 9]], ["r1"]),
    ("predictive: half must carry it", {"type": "predictive", "probability": 0.6}, [[5, 1], [5, 4]], [[5]], ["r0"]),
    ("a list of rules: the first that says so", [{"type": "patience", "patience": 1}, {"type": "threshold", "upper": 8}],
     [], [[9], [3, 3], [3, 2]], ["r0", "r1"]),
]  # fmt: skip


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["minimize", "maximize"])
@pytest.mark.parametrize(("story", "early", "done", "running", "expected"), STORIES, ids=[s[0] for s in STORIES])
def test_who_is_stopped(story, early, done, running, expected, sign):
    if sign < 0 and "upper" in str(early):
        early = [{"type": "threshold", "lower": -8} if e["type"] == "threshold" else e for e in early]
    spec = sweep(early, "minimize" if sign > 0 else "maximize")
    assert check(spec) == []
    found = stop(spec, trials(done, running, sign))
    assert sorted(s.id for s in found) == expected
    for s in found:
        assert s.rule in rules() and "loss" in s.reason and any(c.isdigit() for c in s.reason)


@pytest.mark.parametrize(
    ("bounds", "logged", "word"),
    [
        ({"upper": 2}, [1, 3], "above 2"),
        ({"upper": 2}, [3, 1], None),
        ({"lower": 0.5}, [0.1], "below 0.5"),
        ({"lower": 0, "upper": 2}, [1, NAN], "no finite number"),
        ({"lower": 0, "upper": 2}, [float("inf")], "above 2"),
        ({"lower": 0}, [float("inf")], "no finite number"),
        ({"upper": 2, "min_iter": 3}, [9, 9], None),
        ({"upper": 2}, [9, None], None),
    ],
)
@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_threshold_is_in_the_metrics_own_unit(bounds, logged, word, goal):
    found = stop(sweep({"type": "threshold", **bounds}, goal), trials([], [logged]))
    assert [word in s.reason for s in found] == ([True] if word else [])


def test_predictive_tells_its_numbers():
    (one,) = stop(sweep({"type": "predictive"}, "maximize"), trials(FLAT, [[6, 6]], sign=-1.0))
    assert one.reason == (
        "loss -6 at value 2 of 5 would end at -1.95, at best -1.5, by the 2 nearest finished curves; "
        "the best trial has -1: probability to improve 0.00"
    )


def test_where_the_last_value_counts_a_lucky_first_one_does_not_save_a_trial():
    given = trials([[5, 2, 1], [5, 3, 2]], [[0.5, 9]])
    assert stop(sweep({"type": "predictive"}), given) == [], "its best counts, and it is the best"
    assert [s.id for s in stop(sweep({"type": "predictive"}, agg="last"), given)] == ["r0"]


def test_gains_are_ratios_where_the_metric_has_an_end():
    losses = trials([[8, 4], [8, 2]], [[0.5]])
    assert stop(sweep({"type": "predictive"}), losses) == [], "it is the best"
    one = np.array([[4.0]])
    assert finals(one, np.array([[8.0, 4.0]])).tolist() == [[2.0]], "a loss: half of what is left"
    assert finals(-one / 10, -np.array([[0.2, 0.6]])).tolist() == [[pytest.approx(-0.7)]], (
        "an accuracy: half of the errors"
    )
    assert finals(-one, np.array([[8.0, 4.0]])).tolist() == [[-8.0]], "neither: the difference"


def test_while_few_whole_curves_are_there_a_leader_runs_on_to_the_end():
    given = trials(FLAT, [[6], *([9 + i] for i in range(30))])
    ends = {s.id for s in stop(sweep({"type": "predictive"}), given)}
    assert "r0" not in ends and "r30" in ends
    assert len(stop(sweep({"type": "predictive", "explore": 0}), given)) == 31


def test_a_stopped_trial_informs_a_model_by_where_it_would_have_ended():
    done = trials([[9, 5, 1], [9, 6, 3]], [])
    stopped = [Trial("s", {}, "stopped", {"loss": h}) for h in ([9.0], [3.0, 2.0], [0.5])]
    values = observe(Goal("loss"), [*done, *stopped]).value.tolist()
    assert values == [1, 3, 2.0, 0.7, 0.5], "a ninth of 9, or a third, in the median; and the like of 2"
    lucky = Trial("s", {}, "stopped", {"loss": [1.5]})
    assert observe(Goal("loss"), [*done, lucky]).value.tolist() == [1, 3, 1], "given up: no better than the best"
    assert observe(Goal("loss"), [*done[:1], *stopped]).value.tolist() == [1, 9, 2, 0.5], "one curve tells too little"


@pytest.mark.parametrize("early", [{"type": name} for name in rules()], ids=rules())
def test_odd_values_never_raise(early):
    need = {"patience": {"patience": 1}, "threshold": {"upper": 1}, "hyperband": {"min_iter": 1}}
    spec = sweep({**early, **need.get(early["type"], {})})
    odd = [[], [None], [NAN], [1e308, -1e308], [5.0, 5.0, 5.0], [True], [float("inf"), 1], [10**400, 3], ["x", 2.0]]
    for done in ([], odd[:3], odd):
        stop(spec, trials(done, odd))
        observe(Goal("loss"), [Trial(str(i), {}, "stopped", {"loss": h}) for i, h in enumerate(odd)] + trials(FLAT, []))


@pytest.mark.parametrize(
    ("early", "where", "word"),
    [
        ({"type": "asha", "eta": 1}, "early_terminate.eta", "above 1"),
        ({"type": "asha", "min_iter": 0}, "early_terminate.min_iter", "at least 1"),
        ({"type": "asha", "s": -1}, "early_terminate.s", "at least 0"),
        ({"type": "median", "min_trials": 1.5}, "early_terminate.min_trials", "whole number"),
        ({"type": "percentile", "percentile": 100}, "early_terminate.percentile", "between 0 and 100"),
        ({"type": "patience"}, "early_terminate.patience", "is missing"),
        ({"type": "patience", "patience": "x"}, "early_terminate.patience", "'x'"),
        ({"type": "patience", "patience": 3, "min_delta": -1}, "early_terminate.min_delta", "0 or more"),
        ({"type": "threshold"}, "early_terminate.upper", "is missing"),
        ({"type": "threshold", "lower": 2, "upper": 1}, "early_terminate.lower", "below upper"),
        ({"type": "threshold", "upper": NAN}, "early_terminate.upper", "nan"),
        ({"type": "predictive", "probability": 5}, "early_terminate.probability", "between 0 and 1"),
        ({"type": "predictive", "explore": 1}, "early_terminate.explore", "from 0 up to 1"),
        ({"type": "predictiv"}, "early_terminate.type", 'did you mean "predictive"'),
        ([], "early_terminate", "mapping"),
        ([{"type": "asha"}, 3], "early_terminate", "mapping"),
    ],
)
def test_a_wrong_rule_names_key_value_and_law(early, where, word):
    with pytest.raises(SpaceError) as caught:
        check(sweep(early))
    assert caught.value.where == where and word in str(caught.value)


@pytest.mark.parametrize(
    ("early", "near"),
    [
        ({"type": "asha", "max_itr": 9}, "max_iter"),
        ({"type": "median", "min_trial": 9}, "min_trials"),
        ({"type": "percentile", "percentil": 9}, "percentile"),
        ({"type": "patience", "patience": 3, "mindelta": 1}, "min_delta"),
        ({"type": "threshold", "upper": 3, "uper": 1}, "upper"),
        ({"type": "predictive", "probabilty": 0.1}, "probability"),
    ],
)
def test_an_odd_key_is_told_with_the_nearest(early, near):
    (warning,) = check(sweep(early))
    assert f'did you mean "{near}"' in warning
