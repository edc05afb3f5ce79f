"""Importance: known shares come out, what does not matter gets nothing, and few trials say so."""

import dataclasses
import json
import math
import random

import pytest

from besom.search import SpaceError, Trial
from besom.search.importance import importance

UNIT = {"min": 0.0, "max": 1.0}


def play(parameters, f, n, goal="minimize", noise=0.0):
    """A sweep and n random trials of it. A parameter with a condition is left out where it does not live."""
    sweep = {"method": "random", "metric": {"name": "y", "goal": goal}, "parameters": parameters}
    dice = random.Random(1)
    trials = []
    for i in range(n):
        params = {}
        for name, spec in parameters.items():
            if "condition" not in spec or params["opt"] == "sgd":
                params[name] = (
                    dice.choice(spec["values"]) if "values" in spec else dice.uniform(spec["min"], spec["max"])
                )
        trials.append(Trial(str(i), params, "finished", {"y": [f(params) + dice.gauss(0, noise)]}))
    return sweep, trials


def shares(result):
    return {s.name: s.share for s in result.shares}


def test_the_ishigami_function_with_its_interaction():
    def ishigami(p):
        return math.sin(p["x1"]) + 7 * math.sin(p["x2"]) ** 2 + 0.1 * p["x3"] ** 4 * math.sin(p["x1"])

    result = importance(*play({f"x{i}": {"min": -math.pi, "max": math.pi} for i in (1, 2, 3)}, ishigami, 700))
    expected = {"x1": 0.314, "x2": 0.442, "x3": 0.0}
    assert shares(result) == pytest.approx(expected, abs=0.1)
    assert (result.pairs[0].first, result.pairs[0].second) == ("x1", "x3")
    assert result.pairs[0].share == pytest.approx(0.244, abs=0.1)
    assert {s.name: s.permutation > 0.1 for s in result.shares} == dict.fromkeys(expected, True)
    assert result.explained > 0.7


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_an_additive_function_with_a_category_and_noise(goal):
    parameters = {
        "a": UNIT,
        "b": UNIT,
        "cat": {"values": ["u", "v", "w"]},
        "idle": UNIT,
        "k": {"values": [None, 1, "1"]},
    }
    worth = {"u": 2, "v": 0, "w": 1}
    sweep, trials = play(parameters, lambda p: 3 * p["a"] + 2 * p["b"] + worth[p["cat"]], 250, goal, noise=0.1)
    result = importance(sweep, trials)
    whole = 9 / 12 + 4 / 12 + 2 / 3
    expected = {"a": 9 / 12 / whole, "b": 4 / 12 / whole, "cat": 2 / 3 / whole, "idle": 0, "k": 0}
    assert shares(result) == pytest.approx(expected, abs=0.07)
    assert max(p.share for p in result.pairs) < 0.05
    by_name = {c.name: c for c in result.curves}
    assert by_name["cat"].values == ("u", "v", "w")
    u, v, w = by_name["cat"].mean
    assert (u - v, w - v) == pytest.approx((2, 1), abs=0.3), "partial dependence is in the metric's own unit"
    line = by_name["a"]
    assert line.mean[24] - line.mean[8] == pytest.approx(1.5, abs=0.3)
    assert result == importance(sweep, trials[::-1]), "the order of trials does not matter"
    assert json.loads(json.dumps(result.as_dict()))["shares"][0]["name"] == result.shares[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.trials = 3


def test_a_parameter_that_seldom_lives_counts_by_what_it_does_there():
    parameters = {"opt": {"values": ["adam", "sgd"]}, "momentum": {**UNIT, "condition": 'opt == "sgd"'}, "idle": UNIT}
    sweep, trials = play(parameters, lambda p: 4 * p.get("momentum", 0.5), 200)
    result = importance(sweep, trials)
    # half of the space moves with momentum: half of its variance is momentum's alone, half its interaction
    assert shares(result) == pytest.approx({"momentum": 0.5, "opt": 0.0, "idle": 0.0}, abs=0.12)
    assert {result.pairs[0].first, result.pairs[0].second} == {"momentum", "opt"}
    assert result.pairs[0].share == pytest.approx(0.5, abs=0.15)
    assert any("momentum lives in 5" in note for note in result.notes)


def test_one_exploded_trial_does_not_hide_the_rest():
    sweep, trials = play({"a": UNIT, "b": UNIT}, lambda p: p["a"], 60)
    odd = [Trial("x", {"a": 0.1, "b": 0.9}, "finished", {"y": [1e30]}), Trial("n", {"a": 0.2, "b": 0.5}, "failed", {})]
    result = importance(sweep, trials + odd)
    assert shares(result)["a"] > 0.5 > shares(result)["b"]
    assert any("beyond" in note for note in result.notes)


@pytest.mark.parametrize(
    ("story", "parameters", "n", "word"),
    [
        ("no trials", {"a": UNIT}, 0, "at least 4"),
        ("three trials", {"a": UNIT}, 3, "at least 4"),
        ("nothing varies", {"a": {"value": 1}}, 9, "no parameter varies"),
        ("a flat metric", {"a": UNIT, "b": {"value": 0}}, 9, "all values are equal"),
        ("few", {"a": UNIT, "b": UNIT, "c": UNIT}, 12, "few"),
    ],
)
def test_little_to_go_by_is_said(story, parameters, n, word):
    flat = "flat" in story
    sweep, trials = play(
        {k: v for k, v in parameters.items() if "value" not in v}, lambda p: 0 if flat else sum(p.values()), n
    )
    sweep["parameters"] = parameters
    result = importance(sweep, trials)
    assert any(word in note for note in result.notes), story
    assert bool(result.shares) == (story == "few")


def test_importance_needs_a_metric():
    with pytest.raises(SpaceError, match="metric"):
        importance({"method": "random", "parameters": {"a": UNIT}}, [])
