"""What a sweep may say about its parameters, what each distribution means, and how a wrong one is refused."""

import math

import numpy as np
import pytest

from besom.search import SpaceError, check, parse, size, suggest


def sweep(spec, method="random", **more):
    return {"method": method, "parameters": {"x": spec}, **more}


def draws(spec, n=300):
    space = parse(sweep(spec))
    dice = np.random.default_rng(0)
    return [space.draw(dice.random(len(space.free)).tolist())["x"] for _ in range(n)]


def at(spec, u):
    space = parse(sweep(spec))
    return space.draw([u] * len(space.free))["x"]


@pytest.mark.parametrize(
    ("spec", "low", "middle", "high"),
    [
        ({"min": 0.0, "max": 1}, 0.0, 0.5, 1.0),
        ({"min": 2, "max": 10}, 2, 6, 10),
        ({"distribution": "int_uniform", "min": 1.0, "max": 3}, 1, 2, 3),
        ({"distribution": "uniform", "min": 1, "max": 3}, 1.0, 2.0, 3.0),
        ({"distribution": "log_uniform_values", "min": 1e-4, "max": 1}, 1e-4, 1e-2, 1.0),
        ({"distribution": "inv_log_uniform_values", "min": 1e-4, "max": 1}, 1e-4, 1e-2, 1.0),
        ({"distribution": "log_uniform", "min": -2, "max": 0}, math.exp(-2), math.exp(-1), 1.0),
        ({"distribution": "inv_log_uniform", "min": 0, "max": 2}, math.exp(-2), math.exp(-1), 1.0),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.1}, 0.0, 0.5, 1.0),
        ({"distribution": "q_uniform", "min": 1, "max": 10, "q": 4}, 4, 8, 8),
        ({"distribution": "q_uniform", "min": 0, "max": 10}, 0.0, 5.0, 10.0),
        ({"distribution": "q_log_uniform_values", "min": 1e-4, "max": 1e-2, "q": 1e-3}, 1e-3, 0.002, 1e-2),
        ({"distribution": "q_log_uniform", "min": 0, "max": 3, "q": 2}, 2, 4, 20),
        ({"distribution": "normal", "mu": 3, "sigma": 2}, None, 3.0, None),
        ({"distribution": "q_normal", "mu": 3, "sigma": 2, "q": 0.5}, None, 3.0, None),
        ({"distribution": "log_normal"}, None, 1.0, None),
        ({"distribution": "q_log_normal", "mu": 2, "q": 1}, 0, 7, None),
        ({"distribution": "beta"}, 0.0, 0.5, 1.0),
        ({"distribution": "q_beta", "a": 2, "b": 2, "q": 0.25}, 0.0, 0.5, 1.0),
        ({"distribution": "constant", "value": [1, {"a": None}]}, [1, {"a": None}], [1, {"a": None}], [1, {"a": None}]),
        ({"values": ["a", "b", "c"], "probabilities": [0.7, 0, 0.3]}, "a", "a", "c"),
        ({"distribution": "categorical_w_probabilities", "values": [0, 1], "probabilities": [0.5, 0.5]}, 0, 1, 1),
    ],
)
def test_what_a_distribution_means(spec, low, middle, high):
    found = [at(spec, u) for u in (0.0, 0.5, 1.0)]
    for got, expected in zip(found, (low, middle, high), strict=True):
        if expected is not None:
            assert type(got) is type(expected)
            assert got == (pytest.approx(expected, rel=1e-9) if isinstance(expected, float) else expected)
    assert all(math.isfinite(v) for v in found if isinstance(v, float))


@pytest.mark.parametrize(
    ("spec", "q", "low", "high"),
    [
        ({"distribution": "q_uniform", "min": 1, "max": 10, "q": 4}, 4, 1, 10),
        ({"distribution": "q_uniform", "min": 0.05, "max": 0.95, "q": 0.1}, 0.1, 0.05, 0.95),
        ({"distribution": "q_log_uniform_values", "min": 1e-4, "max": 1e-2, "q": 1e-3}, 1e-3, 1e-4, 1e-2),
        ({"distribution": "q_log_uniform_values", "min": 10, "max": 1000, "q": 7}, 7, 10, 1000),
        ({"distribution": "q_normal", "mu": 100, "sigma": 30, "q": 0.3}, 0.3, -math.inf, math.inf),
        ({"distribution": "q_beta", "q": 0.3}, 0.3, 0, 1),
    ],
)
def test_quantised_values_stay_on_the_lattice_inside_their_bounds(spec, q, low, high):
    for x in draws(spec):
        assert low <= x <= high
        assert abs(x / q - round(x / q)) < 1e-9
        assert len(repr(x)) < 12, "no float artefacts"


def test_a_deprecated_distribution_runs_and_says_what_to_write():
    (warning,) = check(sweep({"distribution": "log_uniform", "min": -9, "max": -2}))
    assert "parameters.x" in warning
    assert "log_uniform_values" in warning


WRONG = [
    ({}, "parameters.x", "value"),
    (0.1, "parameters.x", "value: 0.1"),
    ([1, 2], "parameters.x", r"values: \[1, 2\]"),
    ({"min": 1}, "parameters.x", "max"),
    ({"min": 2, "max": 1}, "parameters.x.min", "2.*1.*swap"),
    ({"min": "low", "max": 1}, "parameters.x.min", "low"),
    ({"min": math.nan, "max": 1}, "parameters.x.min", "finite"),
    ({"min": True, "max": 1}, "parameters.x.min", "True"),
    ({"min": 0, "max": 1, "mx": 2}, "parameters.x.mx", "max"),
    ({"values": []}, "parameters.x.values", "empty"),
    ({"values": 3}, "parameters.x.values", r"\[3\]"),
    ({"vales": [1]}, "parameters.x.vales", "values"),
    ({"values": [1, 2], "probabilities": [1]}, "parameters.x.probabilities", "2 values"),
    ({"values": [1, 2], "probabilities": [0.5, 0.6]}, "parameters.x.probabilities", "sum"),
    ({"values": [1, 2], "probabilities": [-1, 2]}, "parameters.x.probabilities", "0 to 1"),
    ({"distribution": "unifrom", "min": 0, "max": 1}, "parameters.x.distribution", '"uniform"'),
    ({"distribution": "log_uniform_value", "min": 0, "max": 1}, "parameters.x.distribution", '"log_uniform_values"'),
    ({"distribution": 3}, "parameters.x.distribution", "3"),
    ({"distribution": "int_uniform", "min": 0.5, "max": 2}, "parameters.x.min", "0.5.*uniform"),
    ({"distribution": "int_uniform", "values": [1]}, "parameters.x.values", "int_uniform"),
    ({"distribution": "int_uniform", "min": 0, "max": 9, "q": 2}, "parameters.x.q", "int_uniform"),
    ({"distribution": "categorical", "value": 1}, "parameters.x.value", '"values"'),
    ({"distribution": "uniform", "min": 1}, "parameters.x", "max"),
    ({"distribution": "log_uniform_values", "min": 0, "max": 1}, "parameters.x.min", "above 0"),
    ({"distribution": "log_uniform", "min": 1, "max": 1000}, "parameters.x.max", "log_uniform_values"),
    ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0}, "parameters.x.q", "above 0"),
    ({"distribution": "q_log_uniform_values", "min": 0.1, "max": 0.9, "q": 1}, "parameters.x.q", "no multiple"),
    ({"distribution": "q_uniform", "min": 0, "max": 1e300, "q": 1e-300}, "parameters.x.q", "too small a step.*1e-300"),
    ({"distribution": "q_normal", "mu": 1e300, "q": 1e-300}, "parameters.x.q", "too small a step"),
    ({"distribution": "normal", "sigma": -1}, "parameters.x.sigma", "-1"),
    ({"distribution": "log_normal", "mu": 800}, "parameters.x.mu", "overflow"),
    ({"distribution": "beta", "a": 0}, "parameters.x.a", "above 0"),
    ({"parameters": {}}, "parameters.x.parameters", "at least one"),
    ({"parameters": {"y": {"min": 3, "max": 1}}}, "parameters.x.parameters.y.min", "swap"),
    ({"parameters": {"y": {"value": 1}}, "value": 2}, "parameters.x.value", "nested"),
]


@pytest.mark.parametrize(("spec", "where", "says"), WRONG)
def test_a_wrong_parameter_names_its_key_and_the_way_out(spec, where, says):
    for method in ("random", "grid", "bayes"):
        with pytest.raises(SpaceError, match=f"(?s){says}") as caught:
            suggest(sweep(spec, method, metric={"name": "loss"}), [])
        assert caught.value.where == where
        assert where in str(caught.value)


@pytest.mark.parametrize(
    ("change", "where", "says"),
    [
        ({"method": "byes"}, "method", '"bayes"'),
        ({"method": "Random"}, "method", '"random"'),
        ({"method": None}, "method", "missing"),
        ({"parameters": None}, "parameters", "at least one"),
        ({"parameters": [1]}, "parameters", "at least one"),
        ({"method": "bayes"}, "metric", "name: val_loss"),
        ({"metric": {"goal": "minimize"}}, "metric.name", "None"),
        ({"metric": {"name": "loss", "goal": "smaller"}}, "metric.goal", "minimize"),
        ({"metric": {"name": "loss", "goal": "maximise!"}}, "metric.goal", '"maximize"'),
        ({"metric": ["loss"]}, "metric", "mapping"),
        ({"metric": {"name": "loss", "target": "low"}}, "metric.target", "low"),
        ({"seed": 1.5}, "seed", "1.5"),
        ({"seed": True}, "seed", "True"),
    ],
)
def test_a_wrong_sweep_names_its_key_and_the_way_out(change, where, says):
    spec = {**sweep({"value": 1}), **change}
    with pytest.raises(SpaceError, match=says) as caught:
        check(spec)
    assert caught.value.where == where
    with pytest.raises(SpaceError):
        suggest(spec, [])


def test_no_sweep_at_all_is_told_plainly():
    with pytest.raises(SpaceError, match="mapping"):
        check("sweep.yaml")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"min": 3, "max": 3}, "constant"),
        ({"min": "1e-5", "max": 1.0}, "1e-05"),
        ({"values": ["1e-5", 1]}, "text"),
        ({"values": [1, 1, 2]}, "more than once"),
        ({"values": [1, 2], "probabilities": [1, 0]}, "left out"),
        ({"distribution": "normal", "sigma": 0}, "constant"),
        ({"min": 0, "max": 10, "q": 2}, "q_uniform"),
    ],
)
def test_what_runs_but_looks_like_a_mistake_is_a_warning(spec, says):
    warnings = check(sweep(spec))
    assert len(warnings) == 1
    assert says in warnings[0]
    assert warnings[0].startswith("parameters.x")


def test_plain_variants_of_the_goal_are_understood():
    for word in ("Maximize", "max", "maximise"):
        spec = sweep({"value": 1}, metric={"name": "acc", "goal": word})
        assert any("maximize" in w for w in check(spec))
    assert any("goall" in w and '"goal"' in w for w in check(sweep({"value": 1}, metric={"name": "a", "goall": "x"})))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"min": 1, "max": 10}, 10),
        ({"min": 0.0, "max": 1.0}, None),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.1}, 11),
        ({"distribution": "q_normal"}, None),
        ({"value": 1}, 1),
        ({"values": [0, False, None]}, 3),
    ],
)
def test_the_size_of_a_space(spec, expected):
    assert size(sweep(spec)) == expected


def test_dotted_names_are_flat_and_nested_ones_nest():
    spec = {
        "method": "random",
        "parameters": {"optim.lr": {"value": 1}, "optim": {"parameters": {"lr": {"value": 2}}}, "a/b": {"value": 3}},
    }
    assert suggest(spec, [])[0].params == {"optim.lr": 1, "optim": {"lr": 2}, "a/b": 3}


def test_whole_numbers_beyond_floats_stay_exact():
    spec = {"method": "grid", "parameters": {"n": {"min": 2**60, "max": 2**60 + 2}}}
    assert [s.params["n"] for s in suggest(spec, [], 9)] == [2**60, 2**60 + 1, 2**60 + 2]


def test_a_huge_range_does_not_overflow():
    for x in draws({"distribution": "uniform", "min": -1e308, "max": 1e308}, 20):
        assert math.isfinite(x)
