"""Whole sweeps with bayes: spaces that live and have limits, trials that fail, several goals, beliefs, other sweeps."""

import math

import numpy as np
import pytest

from besom.search import Trial, parse, suggest

XYZ = {name: {"min": 0.0, "max": 1.0} for name in "xyz"}
SIX = {name: {"min": 0.0, "max": 1.0} for name in "abcdef"}
GOOD = dict(zip("abcdef", (0.9, 0.85, 0.1, 0.2, 0.9, 0.05), strict=True))


def play(sweep, outcome, rounds, seed=0, earlier=()):
    """The trials of a sweep; a trial whose outcome is None fails."""
    trials = []
    while len(trials) < rounds:
        found = suggest(sweep, [*trials, *earlier], 1, seed)
        if not found:
            break
        values = outcome(found[0].params)
        state = "failed" if values is None else "finished"
        logged = {} if values is None else {name: [value] for name, value in values.items()}
        trials.append(Trial(str(len(trials)), found[0].params, state, logged, found[0].info))
    return trials


def both(sweep, outcome, rounds, earlier=()):
    """The trials of bayes and of random search on one sweep."""
    return (play({**sweep, "method": m}, outcome, rounds, 0, earlier) for m in ("bayes", "random"))


def least(trials, name="v", fine=lambda trial: True):
    return min((t.metrics[name][0] for t in trials if t.state == "finished" and fine(t)), default=math.inf)


def far(params):
    return {"v": sum((params[name] - good) ** 2 for name, good in GOOD.items())}


def test_parameters_that_live_by_conditions_under_a_constraint_are_tuned():
    space = {
        "opt": {"values": ["sgd", "adam"]},
        "momentum": {"min": 0.0, "max": 0.99, "condition": "opt == 'sgd'"},
        "nesterov": {"values": [True, False], "condition": "opt == 'sgd' and momentum > 0.1"},
        "beta": {"min": 0.5, "max": 0.999, "condition": "opt == 'adam'"},
        "lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0},
        "batch": {"distribution": "int_uniform", "min": 1, "max": 64},
    }
    sweep = {"metric": {"name": "v"}, "parameters": space, "constraints": ["lr * batch < 0.05"]}

    def outcome(p):
        inner = 0.2 + 20 * (p["beta"] - 0.9) ** 2 if p["opt"] == "adam" else 5 * (p["momentum"] - 0.9) ** 2
        return {
            "v": inner + (not p.get("nesterov", True)) + (math.log10(p["lr"]) + 2) ** 2 + (p["batch"] / 20 - 1) ** 2
        }

    ours, randoms = both(sweep, outcome, 40)
    known = parse(sweep)
    assert all(known.contains(t.params) for t in ours)
    best = min(ours, key=lambda t: t.metrics["v"][0])
    assert (best.params["opt"], best.params["nesterov"]) == ("sgd", True)
    assert best.params["lr"] * best.params["batch"] > 0.04, "the optimum lies at the constraint"
    assert least(ours) < 0.4 < least(randoms)


def test_the_best_within_a_limit_of_another_metric_is_found():
    sweep = {"metrics": [{"name": "v"}, {"name": "latency", "max": 0.5}], "parameters": XYZ}

    def outcome(p):
        return {
            "v": (p["x"] - 0.9) ** 2 + (p["y"] - 0.8) ** 2 + (p["z"] - 0.5) ** 2,
            "latency": p["x"] ** 2 + p["y"] ** 2,
        }

    ours, randoms = (
        least(trials, fine=lambda t: t.metrics["latency"][0] <= 0.5) for trials in both(sweep, outcome, 30)
    )
    optimum = (math.hypot(0.9, 0.8) - math.sqrt(0.5)) ** 2
    assert optimum <= ours < optimum + 0.01 < randoms


def test_where_trials_fail_is_learnt():
    sweep = {"metric": {"name": "v"}, "parameters": XYZ}

    def outcome(p):
        broken = p["x"] > 0.5 or p["z"] > 0.6
        return None if broken else {"v": (p["x"] - 0.3) ** 2 + (p["y"] - 0.7) ** 2 + (p["z"] - 0.4) ** 2}

    ours, randoms = both(sweep, outcome, 35)
    assert least(ours) < 0.002 < least(randoms)
    assert sum(t.state == "failed" for t in ours[20:]) <= 7, "of 15, where seven in ten random ones fail"
    assert 0.1 < ours[-1].info["probability_feasible"] <= 1.0


def test_two_goals_give_a_wider_front_than_random_search():
    sweep = {"metrics": [{"name": "a"}, {"name": "b", "goal": "maximize"}], "parameters": XYZ}

    def outcome(p):
        rest = (p["y"] - 0.5) ** 2 + p["z"] ** 2
        return {"a": p["x"] ** 2 + rest, "b": -((p["x"] - 1) ** 2) - rest}

    def area(trials):
        low, total = 2.0, 0.0
        for a, b in sorted((t.metrics["a"][0], -t.metrics["b"][0]) for t in trials):
            if b < low:
                low, total = b, total + max(2.0 - a, 0.0) * (low - b)
        return total

    ours, randoms = both(sweep, outcome, 26)
    assert area(ours) > 3.75 > area(randoms) + 0.2, "of 3.83 at most"
    assert set(ours[-1].info["goals"]) == {"a", "b"}


def test_a_belief_helps_and_a_wrong_one_is_overcome():
    sweep = {"method": "bayes", "metric": {"name": "v"}, "parameters": SIX}
    right = {name: GOOD[name] for name in "acf"}
    helped, alone = play({**sweep, "prior": right}, far, 9), play(sweep, far, 9)
    assert [helped[0].params[name] for name in right] == pytest.approx(list(right.values()))
    assert least(helped) < least(alone) / 2
    wrong = {name: 1.0 - good for name, good in right.items()}
    assert least(play({**sweep, "prior": wrong}, far, 35)) < 0.02


def test_trials_of_another_sweep_give_a_start():
    dice = np.random.default_rng(0)
    points = [{name: float(dice.random()) for name in SIX} for _ in range(40)]
    earlier = [
        Trial(f"e{i}", p, "finished", {"v": [1.3 * far(p)["v"] + 0.2]}, {"from": "other"}) for i, p in enumerate(points)
    ]
    sweep = {"method": "bayes", "metric": {"name": "v"}, "parameters": SIX}
    with_, without = play(sweep, far, 6, 0, earlier), play(sweep, far, 6)
    assert least(with_) < 0.02 < least(without)
    assert with_[0].info["arm"] == "model"


def test_a_finite_space_with_rules_is_covered_once_and_ends():
    space = {
        "a": {"values": [1, 2, 3, 4]},
        "kind": {"values": ["p", "q"]},
        "n": {"distribution": "int_uniform", "min": 1, "max": 3, "condition": "kind == 'q'"},
    }
    sweep = {"method": "bayes", "metric": {"name": "v"}, "parameters": space, "constraints": ["a + n < 6"]}
    trials = play(sweep, lambda p: {"v": p["a"] + p.get("n", 0)}, 99)
    assert len(trials) == len({repr(sorted(t.params.items())) for t in trials}) == 4 + (3 + 3 + 2 + 1)
