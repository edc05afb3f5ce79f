"""What tpe, cmaes, evolution, pbt, bohb and auto are for, and that each keeps the contract of methods."""

import json
import math
import statistics

import numpy as np
import pytest

from besom.search import SpaceError, Trial, check, front, size, suggest
from besom.search.auto import choose
from besom.search.engine import Problem
from besom.search.goal import Goal
from besom.search.reader import parse
from besom.search.standing import crowding, ranking
from besom.testing.search import SamplerContract, told


class TestTpe(SamplerContract):
    method = "tpe"


class TestCmaes(SamplerContract):
    method = "cmaes"


class TestEvolution(SamplerContract):
    method = "evolution"


class TestBohb(SamplerContract):
    method = "bohb"


class TestAuto(SamplerContract):
    method = "auto"
    rounds = 8


class TestPbt(SamplerContract):
    """A member that goes on from its checkpoint has the same parameters again, so the laws of single points are not its."""

    method = "pbt"
    test_a_finite_space_is_covered_without_a_repeat_and_ends = None
    test_suggestions_satisfy_conditions_and_constraints = None
    test_conditions_constraints_and_zip_leave_a_finite_space_that_is_covered_and_ends = None
    test_trials_of_an_earlier_sweep_inform_and_count_nowhere_else = None
    test_several_agents_share_a_finite_space_without_a_repeat = None
    test_a_space_of_constants_is_one_point = None


NUMBERS = {f"x{i}": {"min": 0.0, "max": 1.0} for i in range(4)}
BRANCHES = {
    "optimizer": {"values": ["sgd", "adam", "lion"]},
    "momentum": {"min": 0.0, "max": 1.0, "condition": 'optimizer == "sgd"'},
    "beta": {"min": 0.0, "max": 1.0, "condition": 'optimizer == "adam"'},
    "lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0},
    "width": {"min": 1, "max": 64},
}


def valley(p):
    """A narrow valley that runs askew through the box."""
    x = np.array([p[f"x{i}"] for i in range(4)]) - 0.3
    return float(10 * (x[0] - x[1]) ** 2 + 10 * (x[2] - x[3]) ** 2 + (x**2).sum())


def branches(p):
    """Adam with beta 0.8 is best; sgd can be fair."""
    own = {"sgd": 0.5 + abs(p.get("momentum", 1) - 0.9), "adam": abs(p.get("beta", 1) - 0.8), "lion": 1.0}
    return own[p["optimizer"]] + abs(math.log10(p["lr"]) + 3) / 2 + abs(p["width"] - 40) / 64


def play(method, parameters, f, n, seed, **more):
    """n trials, one at a time; `f` gives a number, or the values of several metrics."""
    sweep = {"method": method, "metric": {"name": "loss"}, "parameters": parameters, **more}
    trials = []
    while len(trials) < n and (found := suggest(sweep, trials, 1, seed)):
        y = f(found[0].params)
        metrics = y if isinstance(y, dict) else {"loss": [y]}
        trials.append(
            Trial(str(len(trials)), found[0].params, "finished", metrics, json.loads(json.dumps(found[0].info)))
        )
    return trials


def best(trials):
    return min(t.metrics["loss"][-1] for t in trials)


@pytest.mark.parametrize(
    ("method", "space", "f", "n"),
    [
        ("tpe", NUMBERS, valley, 50),
        ("tpe", BRANCHES, branches, 50),
        ("bohb", BRANCHES, branches, 60),
        ("evolution", NUMBERS, valley, 100),
        ("evolution", BRANCHES, branches, 100),
        ("cmaes", NUMBERS, valley, 100),
    ],
)
def test_it_finds_better_points_than_random(method, space, f, n):
    sweep = {"method": "random", "parameters": space}
    ours = [best(play(method, space, f, n, seed)) for seed in range(3)]
    random = [min(f(s.params) for s in suggest(sweep, [], n, seed)) for seed in range(20)]
    assert statistics.median(ours) < min(statistics.median(random) * 0.7, statistics.quantiles(random)[0])


def test_tpe_goes_where_the_good_branch_is_and_says_why():
    late = play("tpe", BRANCHES, branches, 50, 3)[30:]
    assert sum(t.params["optimizer"] == "adam" for t in late) > len(late) / 2
    assert all(t.info["log_ratio"] > 0 for t in late if t.info["arm"] == "model")


def test_tpe_spreads_agents_that_ask_together():
    sweep = {"method": "tpe", "metric": {"name": "loss"}, "parameters": NUMBERS}
    trials = play("tpe", NUMBERS, valley, 20, 1)
    together = [s.params["x0"] for s in suggest(sweep, trials, 8, 1)]
    assert len({round(x, 2) for x in together}) >= 6


def test_tpe_starts_at_what_earlier_sweeps_found_and_at_the_users_belief():
    earlier = [
        Trial(f"e{i}", t.params, t.state, t.metrics, {"from": "other"})
        for i, t in enumerate(play("tpe", NUMBERS, valley, 120, 5))
    ]
    sweep = {"method": "tpe", "metric": {"name": "loss"}, "parameters": NUMBERS}
    assert statistics.median(valley(s.params) for s in suggest(sweep, earlier, 5, 1)) < 0.1
    believed = {**NUMBERS, "x0": {"min": 0.0, "max": 1.0, "prior": 0.9}}
    first = [s.params["x0"] for s in suggest({**sweep, "parameters": believed}, [], 10, 1)]
    assert first[0] == 0.9
    assert sum(x > 0.6 for x in first) >= 6


def test_cmaes_learns_the_shape_of_a_narrow_valley():
    assert best(play("cmaes", NUMBERS, valley, 400, 1)) < 1e-5


def test_cmaes_reaches_whole_numbers_and_categories():
    space = {
        "n": {"min": 0, "max": 100},
        "k": {"min": 1, "max": 4},
        "x": {"min": 0.0, "max": 1.0},
        "c": {"values": ["a", "b", "c"]},
    }

    def f(p):
        return (p["n"] - 83) ** 2 / 1e3 + (p["k"] - 4) ** 2 + (p["x"] - 0.2) ** 2 + 2 * (p["c"] != "b")

    assert best(play("cmaes", space, f, 250, 2)) < 1e-3


def test_cmaes_starts_again_elsewhere_when_it_has_ended():
    trials = play("cmaes", {"x": {"min": 0.0, "max": 1.0}, "y": {"min": 0.0, "max": 1.0}}, lambda p: 1.0, 60, 1)
    sizes = [t.info["law"]["size"] for t in trials if "law" in t.info]
    assert sizes[-1] > sizes[0]


def test_cmaes_counts_a_late_member_in_the_next_generation():
    sweep = {"method": "cmaes", "metric": {"name": "loss"}, "parameters": NUMBERS, "cmaes": {"population": 4}}
    first = [told(s, i, [valley(s.params)]) for i, s in enumerate(suggest(sweep, [], 4, 1))]
    members = [told(s, 10 + i, [], "running") for i, s in enumerate(suggest(sweep, first, 5, 1))]
    assert [t.info["member"] for t in members] == [0, 1, 2, 3, 4]
    done = first + [Trial(t.id, t.params, "finished", {"loss": [valley(t.params)]}, t.info) for t in members[:4]]
    second = [told(s, 20 + i, [valley(s.params)]) for i, s in enumerate(suggest(sweep, done + members[4:], 4, 1))]
    assert second[0].info["law"]["used"] == [0, 1, 2, 3]
    late = Trial("14", members[4].params, "finished", {"loss": [0.0]}, members[4].info)
    with_it, without = (suggest(sweep, done + second + [x], 1, 1)[0].info["law"]["mean"] for x in (late, members[4]))
    assert with_it != without


def test_cmaes_goes_on_when_the_trial_that_carried_its_law_is_lost():
    sweep = {"method": "cmaes", "metric": {"name": "loss"}, "parameters": NUMBERS}
    trials = play("cmaes", NUMBERS, valley, 60, 1)
    laws = [t for t in trials if "law" in t.info]
    found = suggest(sweep, [t for t in trials if t is not laws[-1]], 1, 1)
    assert found[0].info["generation"] == laws[-1].info["generation"]
    assert found[0].info["sigma"] == laws[-1].info["sigma"]


def test_evolution_spreads_over_the_front_of_two_goals():
    def f(p):
        x = [p[f"x{i}"] for i in range(4)]
        g = 1 + 3 * sum(x[1:])
        return {"loss": [x[0]], "cost": [g * (1 - math.sqrt(x[0] / g))]}

    metrics = [{"name": "loss"}, {"name": "cost"}]
    points = {}
    for method in ("evolution", "random"):
        trials = play(method, NUMBERS, f, 200, 1, metric=None, metrics=metrics)
        points[method] = np.array([[t.metrics["loss"][0], t.metrics["cost"][0]] for t in trials])
    ours = points["evolution"][front(points["evolution"])]
    assert len(ours) >= 15 and np.ptp(ours[:, 0]) > 0.6
    assert (ours[:, 1] + np.sqrt(ours[:, 0])).mean() < 1.3  # the true front lies at 1
    random = points["random"][front(points["random"])]
    assert (random[:, 1] + np.sqrt(random[:, 0])).mean() > 1.6


def test_bounds_on_other_metrics_come_before_the_goal():
    def f(p):
        return {"loss": [valley(p)], "ms": [100 * p["x0"]]}  # the best of the valley is too slow

    metrics = [{"name": "loss", "goal": "minimize"}, {"name": "ms", "max": 20}]
    for method in ("tpe", "evolution", "cmaes"):
        late = play(method, NUMBERS, f, 60, 1, metric=None, metrics=metrics)[40:]
        assert sum(t.metrics["ms"][0] <= 20 for t in late) > len(late) / 2, method


def test_a_ranking_goes_by_bounds_then_fronts_then_loneliness():
    values = np.array([[0.0, 4.0], [1.0, 1.0], [1.1, 0.9], [4.0, 0.0], [5.0, 5.0], [-9.0, -9.0], [-8.0, -8.0]])
    broken = np.array([[0.0], [0.0], [0.0], [0.0], [0.0], [3.0], [np.inf]])
    place = ranking(values, broken)
    assert set(np.argsort(place)[:2]) == {0, 3}
    assert place[[1, 2]].max() < place[4] < place[5] < place[6]
    assert np.isinf(crowding(values[:4])[[0, 3]]).all()


def population(generations, values, **more):
    """A population of four that trains for some generations; `values(member, generation)` is what it logs."""
    sweep = {
        "method": "pbt",
        "metric": {"name": "loss"},
        "parameters": NUMBERS,
        "pbt": {"population": 4, "generations": 3, **more},
    }
    trials = []
    for _ in range(generations):
        for s in suggest(sweep, trials, 9, 1):
            trials.append(told(s, len(trials), [values(s.info["member"], s.info["generation"])]))
    return sweep, trials


def test_a_population_goes_on_from_checkpoints_and_the_worst_from_the_best():
    _, trials = population(2, lambda member, generation: float(member))
    start, second = trials[:4], trials[4:]
    assert [t.info["parent"] for t in start] == [None] * 4
    for t in second[:3]:
        assert t.info["arm"] == "continue"
        assert t.info["parent"] == start[t.info["member"]].id
        assert t.params == start[t.info["member"]].params
    worst = second[3].info
    assert (worst["arm"], worst["parent"], worst["instead_of"]) == ("exploit", start[0].id, start[3].id)
    assert second[3].params != start[0].params
    assert all(0 <= x <= 1 for x in second[3].params.values())


def test_a_population_waits_for_its_members_and_ends_after_its_generations():
    sweep, trials = population(3, lambda member, generation: float(generation))
    assert len(trials) == size(sweep) == 12
    assert suggest(sweep, trials, 4, 1) == []
    running = [Trial(t.id, t.params, "running", {}, t.info) for t in trials[:4]]
    assert suggest(sweep, running, 4, 1) == []
    (next_one,) = suggest(sweep, [trials[0], *running[1:]], 4, 1)
    assert (next_one.info["member"], next_one.info["generation"]) == (0, 1)


def test_points_to_try_first_come_on_top_of_a_population():
    sweep, _ = population(0, None)
    assert size(sweep | {"enqueue": [{"x0": 0.5}, {"x0": 0.7}]}) == size(sweep) + 2 == 14


def test_a_population_may_exploit_nobody():
    _, trials = population(3, lambda member, generation: float(member), exploit=0, resample=0)
    assert [t.info["arm"] for t in trials] == ["start"] * 4 + ["continue"] * 8


def test_a_member_that_failed_goes_on_from_one_that_did_not():
    sweep, trials = population(1, lambda member, generation: float(member))
    failed = [Trial(t.id, t.params, "failed", {}, t.info) if t.info["member"] == 2 else t for t in trials]
    third = next(s for s in suggest(sweep, failed, 4, 1) if s.info["member"] == 2)
    assert third.info["arm"] == "exploit"
    assert third.info["parent"] == trials[0].id


def test_bohb_models_the_largest_budget_that_enough_trials_reached():
    sweep = {
        "method": "bohb",
        "metric": {"name": "loss"},
        "parameters": NUMBERS,
        "early_terminate": {"type": "hyperband", "min_iter": 3},
    }
    assert check(sweep) == []
    assert any("early_terminate" in w for w in check({**sweep, "early_terminate": None}))

    def at(lengths):
        points = suggest({**sweep, "method": "random"}, [], len(lengths), 1)
        return [
            Trial(str(i), s.params, "finished" if k == 27 else "stopped", {"loss": [valley(s.params)] * k})
            for i, (s, k) in enumerate(zip(points, lengths))
        ]

    def budget(trials):
        return {s.info.get("budget") for s in suggest(sweep, trials, 4, 1)}

    assert budget(at([3] * 30 + [9] * 5 + [27] * 2)) == {3}
    assert budget(at([3] * 30 + [9] * 12 + [27] * 2)) == {9}
    assert budget(at([3] * 30 + [9] * 12 + [27] * 10)) == {27}


def test_auto_says_which_method_and_why():
    real = {f"x{i}": {"min": 0.0, "max": 1.0} for i in range(5)}
    few = {"a": {"values": [1, 2]}, "b": {"values": [True, False]}}
    mixed = {**real, "c": {"values": ["a", "b"]}}
    loss = (Goal("loss"),)
    for parameters, goals, cap, count, expected in [
        (real, (), None, 0, "quasi"),
        (few, (), None, 0, "grid"),
        (few, loss, None, 0, "grid"),
        (real, loss, None, 0, "bayes"),
        (real, loss, None, 5000, "cmaes"),
        (mixed, loss, None, 5000, "bayes"),
        (mixed, (*loss, Goal("cost")), None, 5000, "evolution"),
        ({f"x{i}": {"min": 0.0, "max": 1.0} for i in range(150)}, loss, None, 0, "tpe"),
        ({"n": {"min": 1, "max": 500}}, (), 100, 0, "quasi"),
        ({"n": {"min": 1, "max": 500}}, (), None, 0, "grid"),
    ]:
        space = parse({"method": "auto", "parameters": parameters})
        problem = Problem(space, goals[0] if goals else None, 1, {"run_cap": cap}, goals)
        name, why = choose(problem, count)
        assert name == expected
        assert why
    (first,) = suggest({"method": "auto", "metric": {"name": "loss"}, "parameters": few}, [], 1, 1)
    assert first.info["by"] == "grid" and "4 points" in first.info["why"]


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"method": "tpe", "metric": None}, "metric"),
        ({"method": "pbt", "pbt": {"populaton": 3}}, "pbt.populaton"),
        ({"method": "pbt", "pbt": {"population": 2.5}}, "pbt.population"),
        ({"method": "pbt", "pbt": {"population": 10**9}}, "pbt.population"),
        ({"method": "pbt", "pbt": {"exploit": 20}}, "pbt.exploit"),
        ({"method": "evolution", "evolution": {"population": -1}}, "evolution.population"),
        ({"method": "pbt", "repeats": 3}, "repeats"),
        ({"method": "cmaes", "cmaes": 8}, "cmaes"),
    ],
)
def test_a_wrong_key_of_a_method_is_named(more, where):
    with pytest.raises(SpaceError) as error:
        check({"metric": {"name": "loss"}, "parameters": NUMBERS, **more})
    assert error.value.where == where
