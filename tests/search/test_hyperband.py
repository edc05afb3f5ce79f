"""Hyperband: who is stopped, at which band, and who lives."""

import random

import pytest

from besom.search import SpaceError, Trial, check, stop
from besom.search.halting.hyperband import bands


def sweep(goal="minimize", **early):
    return {
        "method": "random",
        "parameters": {"x": {"min": 0.0, "max": 1.0}},
        "metric": {"name": "loss", "goal": goal},
        "early_terminate": {"type": "hyperband", **early},
    }


def trials(*histories, state="running"):
    return [Trial(str(i), {}, state, {"loss": h}) for i, h in enumerate(histories)]


def stopped(spec, given):
    return [s.id for s in stop(spec, given)]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"max_iter": 27, "eta": 3, "s": 2}, [3, 9]),
        ({"max_iter": 27, "s": 9}, [1, 3, 9]),
        ({"max_iter": 10, "s": 2, "eta": 3}, [1, 3]),
        ({"max_iter": 60, "min_iter": 20, "eta": 3, "s": 2}, [6, 20]),
        ({"min_iter": 3}, [3, 9, 27, 81]),
        ({"min_iter": 3, "s": 2}, [3, 9, 27, 81]),
        ({"min_iter": 5, "eta": 1.5}, [5, 7, 11, 16]),
        ({"min_iter": 3, "max_iter": 27}, [3, 9, 27, 81]),
        ({"max_iter": 27.0, "s": 2.0}, [3, 9]),
    ],
)
def test_bands(spec, expected):
    assert bands(spec)[: len(expected)] == expected
    if "s" in spec and "max_iter" in spec:
        assert len(bands(spec)) == len(expected)


@pytest.mark.parametrize(
    ("story", "spec", "histories", "expected"),
    [
        ("one alone is never stopped", {"min_iter": 1}, [[9]], []),
        ("of two the worse one ends", {"min_iter": 1}, [[1], [2]], ["1"]),
        ("a tie lives", {"min_iter": 1}, [[1], [1], [1]], []),
        ("below the first band nobody is judged", {"min_iter": 3}, [[1, 1], [9, 9]], []),
        ("the largest band reached counts", {"min_iter": 1}, [[1, 5, 5], [2, 1, 1], [3, 3, 3], [0]], ["0"]),
        ("strict looks at the band's own value", {"min_iter": 2}, [[0, 5], [1, 1], [1, 4]], ["0"]),
        ("not strict looks at the best so far", {"min_iter": 2, "strict": False}, [[0, 5], [1, 1], [1, 4]], []),
        ("what is no number shifts the count", {"min_iter": 2}, [[None, 1], [float("nan"), 9, 9], [1, "x", 1]], ["1"]),
        ("a later value does not matter at the band", {"min_iter": 2}, [[1, 9, 0], [1, 1], [1, 1]], ["0"]),
    ],
)
def test_who_is_stopped(story, spec, histories, expected):
    assert stopped(sweep(**spec), trials(*histories)) == expected, story


def test_finished_and_failed_trials_set_the_bar_but_only_running_ones_are_stopped():
    done = [Trial(s, {}, s, {"loss": [0.1]}) for s in ("finished", "failed", "killed", "stopped")]
    assert stopped(sweep(min_iter=1), [*done, Trial("r", {}, "running", {"loss": [0.2]})]) == ["r"]
    assert stopped(sweep(min_iter=1), [*done, Trial("p", {}, "pending", {"loss": [0.2]})]) == []


def test_later_arrivals_can_stop_a_trial_between_bands():
    first = trials([5, 5, 5, 5])
    assert stopped(sweep(min_iter=3), first) == []
    later = [*first, Trial("a", {}, "running", {"loss": [1, 1, 1]}), Trial("b", {}, "running", {"loss": [1, 1, 1]})]
    assert stopped(sweep(min_iter=3), later) == ["0"]


def test_a_reason_tells_the_numbers():
    (one,) = stop(sweep("maximize", min_iter=1), trials([0.9], [0.5]))
    assert (one.rule, one.id) == ("hyperband", "1")
    assert one.reason == "loss 0.5 at value 1 is below 0.9, the bound of the best 1/3 of 2 trials at value 1"


def rule_in_words(histories, states, sign, early, eta, strict):
    """The rule of W&B, word for word, without a thought for speed and with nothing of ours."""
    if "max_iter" in early:
        steps, band = [], early["max_iter"]
        for _ in range(early["s"]):
            band /= eta
            if band < 1:
                break
            steps.append(int(band))
    else:
        steps = [int(early["min_iter"] * eta**k) for k in range(100)]
    valid = [[sign * v for v in h if isinstance(v, float) and abs(v) < float("inf")] for h in histories]
    out = []
    for i, history in enumerate(valid):
        reached = [b for b in steps if len(history) >= b]
        if states[i] != "running" or not reached:
            continue
        band = max(reached)
        there = sorted(h[band - 1] for h in valid if len(h) >= band)
        value = history[band - 1] if strict else min(history)
        if value > there[int(len(there) / eta)]:
            out.append(str(i))
    return out


@pytest.mark.parametrize("chunk", range(4))
def test_a_thousand_random_histories_agree_with_the_rule_in_words(chunk):
    dice = random.Random(chunk)
    for _ in range(250):
        n = dice.randint(0, 12)
        histories = [
            [
                dice.choice([float(dice.randint(0, 5)), float("nan"), dice.random(), None])
                for _ in range(dice.randint(0, 30))
            ]
            for _ in range(n)
        ]
        states = [dice.choice(["running", "running", "finished", "failed"]) for _ in range(n)]
        eta, strict, goal = dice.choice([2, 3, 3.7]), dice.random() < 0.5, dice.choice(["minimize", "maximize"])
        early = {"min_iter": dice.randint(1, 4)} if dice.random() < 0.5 else {"max_iter": dice.randint(4, 27), "s": 2}
        spec = sweep(goal, eta=eta, strict=strict, **early)
        given = [Trial(str(i), {}, states[i], {"loss": histories[i]}) for i in range(n)]
        sign = -1.0 if goal == "maximize" else 1.0
        expected = rule_in_words(histories, states, sign, early, eta, strict)
        assert stopped(spec, given) == expected


@pytest.mark.parametrize(
    ("early", "where"),
    [
        ({}, "early_terminate.min_iter"),
        ({"max_iter": 27}, "early_terminate.s"),
        ({"min_iter": 0}, "early_terminate.min_iter"),
        ({"min_iter": 2.5}, "early_terminate.min_iter"),
        ({"min_iter": "x"}, "early_terminate.min_iter"),
        ({"min_iter": 3, "eta": 1}, "early_terminate.eta"),
        ({"min_iter": 3, "strict": "yes"}, "early_terminate.strict"),
        ({"max_iter": 2, "s": 1, "eta": 3}, "early_terminate.max_iter"),
        ({"type": "hyperbad", "min_iter": 3}, "early_terminate.type"),
    ],
)
def test_a_wrong_rule_names_its_key(early, where):
    with pytest.raises(SpaceError) as caught:
        check(sweep(**early))
    assert caught.value.where == where


def test_early_terminate_needs_a_metric():
    spec = {**sweep(min_iter=3), "metric": None}
    for call in (lambda: check(spec), lambda: stop(spec, [])):
        with pytest.raises(SpaceError, match="metric"):
            call()
    with pytest.raises(SpaceError, match="mapping"):
        check({**sweep(), "early_terminate": "hyperband"})


def test_odd_keys_are_told_and_a_sweep_without_a_rule_stops_nobody():
    assert any("min_itr" in w and "min_iter" in w for w in check(sweep(min_iter=3, min_itr=4)))
    assert stop({"method": "random", "parameters": {"x": {"value": 1}}}, trials([1], [2])) == []
