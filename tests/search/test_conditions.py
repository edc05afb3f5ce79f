"""Parameters that live by conditions, and points that obey constraints: in the words of a sweep file."""

import math
import re

import numpy as np
import pytest

from besom.search import SpaceError, Trial, check, parse, size, suggest
from besom.search.expression import read

NAMES = {
    "lr": ("lr",),
    "opt": ("opt",),
    "n": ("n",),
    "optim.lr": ("optim", "lr"),
    "a/b": ("a/b",),
    "lambda": ("lambda",),
}
VALUES = {("lr",): 0.1, ("opt",): "sgd", ("n",): 4, ("optim", "lr"): 0.5, ("a/b",): [1, 2], ("lambda",): None}


@pytest.mark.parametrize(
    ("text", "true"),
    [
        ('opt == "sgd"', True),
        ("opt != 'sgd'", False),
        ("lr * n < 1 and opt == 'sgd'", True),
        ("lr * n >= 0.5 or not opt == 'sgd'", False),
        ("0 < lr <= 0.1 < n", True),
        ("opt in ['adam', 'sgd']", True),
        ("n not in (1, 2, 4.0)", False),
        ("'sg' in opt", True),
        ("optim.lr / 2 + 1 - 1 == 0.25", True),
        ("n // 3 == 1 and n % 3 == 1 and n ** 2 == 16 and -n < +n", True),
        ("`a/b` == [1, 2.0]", True),
        ("len(`a/b`) == 2 and len(opt) == 3", True),
        ("`lambda` == null and `lambda` is None", True),
        ("(n == 4) == true", True),
        ("min(n, 3) == 3 and max(n, lr, 3) == 4 and abs(-n) == 4", True),
        ("sqrt(n) == 2 and exp(0 * n) == 1 and log(n, 2) == 2 and log(exp(lr)) < 0.11", True),
        # values keep their types
        ("n == true", False),
        ("n == 4.0", True),
        ("n == '4'", False),
        ("'s  d' == opt or len('a  b') == 4 and n == 4", True),
        ("\tn == 4\n  and lr < 1\n", True),
        ("opt < 5", False),
        ("opt >= 5", False),
        ("opt < 'z'", True),
        # what cannot be computed is false, not an end of the sweep
        ("lr / (n - 4) > 0", False),
        ("log(0 - n) < 1 or n == 4", False),
        ("sqrt(-n) != 1", False),
        ("opt * 2 == 'sgdsgd'", False),
        ("exp(n * 1000) > 1", False),
        ("n ** 9 ** 9 ** 9 > 1", False),
        ("n * 'x' == 1", False),
    ],
)
def test_what_an_expression_means(text, true):
    assert read(text, "constraints[0]", NAMES).true(VALUES) is true


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "as text.*None"),
        (True, "as text.*True"),
        ("", "as text"),
        ("lr = 1", "`==`"),
        ("lr <", "cannot be read"),
        ("lambda < 1", "backticks"),
        ("lrr < 1", "no parameter 'lrr'.*\"lr\".*at 1 in"),
        ("1 > lrr", "at 5 in"),
        ("optm.lr < 1", '"optim.lr"'),
        ("`a/c` < 1", '"a/b"'),
        ("opt == sgd", "no parameter 'sgd'"),
        ("1 < 2", "mentions no parameter"),
        ("sqr(lr) < 1", '"sqrt"'),
        ("log() < lr", "log takes 1 to 2"),
        ("abs(lr, 2) < 1", "abs takes 1"),
        ("min(lr, key=n) < 1", "min takes"),
        ("lr if n else 2", "not part of this language"),
        ("[x for x in n]", "not part of this language"),
        ("lr[0] < 1", "not part of this language"),
        ("~n", "not part of this language"),
        ("n @ n", "not part of this language"),
        ("n < 1j", "not part of this language"),
        ("n == b'x'", "not part of this language"),
        ("f'{n}' == 1", "not part of this language"),
        ("(lambda: n)() == 1", "no function"),
        ("n.__class__ == 1", "no parameter"),
        ("''.join(n) == 1", "no function"),
        ("'x'.y == n", "not part of this language|no parameter"),
        ("__import__('os').system('true') == n", "no function"),
        ("(n := 2) == 2", "not part of this language"),
        ("n" + " + n" * 200, "more than 250 parts"),
        ("n" + " + n" * 2000, "longer than 1000"),
        ("(" * 400 + "n" + ")" * 400, "cannot be read"),
        ("not " * 240 + "n", "cannot be read|more than 250|times"),
    ],
)
def test_a_wrong_expression_names_its_place_and_the_way_out(text, says):
    with pytest.raises(SpaceError, match=f"(?s){says}") as caught:
        expression = read(text, "constraints[3]", NAMES)
        expression.true(VALUES)
        raise SpaceError("constraints[3]", "many times")  # deep but legal
    assert caught.value.where == "constraints[3]"


@pytest.mark.parametrize("text", ["9**9**9 < lr", "lr < 10**9**9**9", "2**2**2**2**2**2 > lr", "'a' * 10**12 == lr"])
def test_no_expression_can_hang_the_server(text):
    with pytest.raises(SpaceError, match="no point was found"):
        check({"method": "random", "parameters": {"lr": {"min": 0.1, "max": 1.0}}, "constraints": [text]})


OPTIMISER = {
    "optimizer": {"values": ["sgd", "adam"]},
    "momentum": {"values": [0.0, 0.9], "condition": 'optimizer == "sgd"'},
    "nesterov": {"values": [True, False], "condition": "momentum > 0.5"},
    "adam": {
        "condition": 'optimizer == "adam"',
        "parameters": {
            "beta": {"values": [0.9, 0.99]},
            "amsgrad": {"value": True, "condition": "beta > 0.95"},  # the group's own name
        },
    },
}


def grid(parameters, *constraints, method="grid"):
    return {"method": method, "parameters": parameters, "constraints": list(constraints)}


def test_a_dead_parameter_is_absent_and_takes_its_dependants_along():
    found = [s.params for s in suggest(grid(OPTIMISER), [], 99)]
    assert found == [
        {"optimizer": "sgd", "momentum": 0.0},
        {"optimizer": "adam", "adam": {"beta": 0.9}},
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": False},
        {"optimizer": "adam", "adam": {"beta": 0.99, "amsgrad": True}},
    ]
    assert size(grid(OPTIMISER)) == 5


def test_a_row_of_a_model_has_nan_where_nothing_lives():
    space = parse(grid(OPTIMISER))
    assert [p.name for p in space.free] == ["adam.beta", "momentum", "nesterov", "optimizer"]
    rows = space.encode(
        [{"optimizer": "adam", "adam": {"beta": 0.9}, "momentum": 0.9}, {"optimizer": "sgd", "momentum": 0.9}]
    )
    assert np.array_equal(np.isnan(rows), [[False, True, True, False], [True, False, True, False]])
    assert space.dead(rows).tolist() == [[False, True, True, False], [True, False, False, False]]
    assert space.conditional and not space.constrained


@pytest.mark.parametrize(
    ("params", "inside"),
    [
        ({"optimizer": "sgd", "momentum": 0.0}, True),
        ({"optimizer": "sgd"}, False),
        ({"optimizer": "sgd", "momentum": 0.0, "nesterov": True}, False),
        ({"optimizer": "adam", "momentum": 0.0, "adam": {"beta": 0.9}}, False),
        ({"optimizer": "adam", "adam": {"beta": 0.99, "amsgrad": True}}, True),
        ({"optimizer": "adam", "adam": {"beta": 0.99}}, False),
        ({"optimizer": "lion"}, False),
    ],
)
def test_a_point_has_all_that_lives_and_nothing_that_is_dead(params, inside):
    assert parse(grid(OPTIMISER)).contains(params) is inside


def test_constraints_leave_points_out_and_a_grid_still_ends_exactly():
    sweep = grid({"a": {"min": 1, "max": 6}, "b": {"min": 1, "max": 6}}, "a + b == 7", "a < b or a == 6")
    assert [s.params for s in suggest(sweep, [], 99)] == [
        {"a": 1, "b": 6},
        {"a": 2, "b": 5},
        {"a": 3, "b": 4},
        {"a": 6, "b": 1},
    ]
    assert size(sweep) == 4
    prior = [Trial("broken", {"a": 1, "b": 1}), Trial("one", {"a": 2, "b": 5})]
    for method in ("grid", "random", "quasi"):
        found = suggest({**sweep, "method": method}, prior, 99, 1)
        assert sorted(s.params["a"] for s in found) == [1, 3, 6]


def test_a_constraint_that_mentions_a_dead_parameter_does_not_apply():
    sweep = grid(OPTIMISER, "momentum < 0.5")
    assert [s.params["optimizer"] for s in suggest(sweep, [], 99)] == ["sgd", "adam", "adam"]


def test_a_grid_of_a_thousand_million_points_opens_at_no_cost_under_rules_too():
    wide = {f"p{i}": {"min": 0, "max": 999} for i in range(3)}
    sweep = grid({**wide, "k": {"values": [0, 1]}, "p2": {"min": 0, "max": 999, "condition": "k == 1"}}, "p0 * p1 < 3")
    assert size(sweep) is None  # too many combinations to count
    first = [s.params for s in suggest(sweep, [], 3)]
    assert first == [{"k": 0, "p0": 0, "p1": i} for i in range(3)]
    counted = grid({**wide, "k": {"values": [0, 1]}, "p2": {"min": 0, "max": 999, "condition": "k == 1"}})
    assert size(counted) == 10**6 + 10**9
    late = [Trial("t", {}, info={"index": 999_999_999})]
    assert suggest(counted, late, 1)[0].params == {"k": 0, "p0": 0, "p1": 0}


def test_a_rare_point_of_a_finite_space_is_found_by_every_method():
    sweep = grid({f"p{i}": {"min": 0, "max": 30} for i in range(3)}, "p0 == 17 and p1 == 3 and p2 in [4, 9]")
    for method in ("grid", "random", "quasi"):
        found = suggest({**sweep, "method": method}, [], 9, 1)
        assert sorted(s.params["p2"] for s in found) == [4, 9]


def test_real_numbers_obey_constraints_and_seeds():
    parameters = {
        "lr": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1},
        "batch": {"values": [8, 64, 512]},
    }
    for method in ("random", "quasi"):
        sweep = grid(parameters, "lr * batch < 1", "lr * batch > 0.2", method=method)
        found = suggest(sweep, [], 40, 1)
        assert all(0.2 < s.params["lr"] * s.params["batch"] < 1 for s in found)
        assert suggest(sweep, [], 40, 1) == found


@pytest.mark.parametrize(
    ("change", "where", "says"),
    [
        ({"x": {"value": 1, "condition": "y > 1"}}, "parameters.x.condition", "no parameter 'y'.*known: x"),
        ({"x": {"value": 1, "condition": True}}, "parameters.x.condition", "as text.*True"),
        ({"x": {"value": 1, "conditon": "x > 1"}}, "parameters.x.conditon", '"condition"'),
        ({"x": {"value": 1, "condition": "x > 1"}}, "parameters.x.condition", "circle: x, which lives by x"),
        (
            {
                "x": {"value": 1, "condition": "z"},
                "y": {"value": 1, "condition": "x"},
                "z": {"value": 1, "condition": "y"},
            },
            "parameters.x.condition",
            "x, which lives by z, which lives by y, which lives by x",
        ),
        (
            {"x": {"parameters": {"y": {"value": 1}}, "condition": "x.y == 1"}},
            "parameters.x.condition",
            "x.y, which lives by x.y",
        ),
        ({"x": {"parameters": {"y": {"value": 1}}, "ordered": True}}, "parameters.x.ordered", "only `condition`"),
    ],
)
def test_a_wrong_condition_names_its_key(change, where, says):
    with pytest.raises(SpaceError, match=says) as caught:
        check(grid(change))
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("constraints", "where", "says"),
    [
        ({"a": 1}, "constraints", "list of expressions"),
        (3, "constraints", "3"),
        (["x > 0", 5], "constraints[1]", "5"),
        (["x > 0", "xx > 0"], "constraints[1]", '"x"'),
        (["x > 0", "x > 9"], "constraints", "0 satisfy `x > 9`"),
        (["x == 'one'"], "constraints", "'one' is no value of x"),
    ],
)
def test_a_wrong_constraint_names_its_place(constraints, where, says):
    for spec in ({"min": 1, "max": 3}, {"min": 1.0, "max": 3.0}):
        with pytest.raises(SpaceError, match=says) as caught:
            suggest({"method": "random", "parameters": {"x": spec}, "constraints": constraints}, [])
        assert caught.value.where == where


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ('optimizer == "sdg"', "parameters.x.condition: 'sdg' is no value of optimizer; did you mean \"sgd\"?"),
        ('"adm" != optimizer and n == 3', "'adm' is no value of optimizer.*\"adam\""),
        ('optimizer in ["sgd", "lion"]', "'lion' is no value of optimizer; known: adam, sgd"),
        ("n == 9", "9 is no value of n$"),
        ("n == '3'", "'3' is no value of n$"),
    ],
)
def test_a_comparison_with_a_value_that_a_parameter_never_has_is_a_warning(condition, says):
    parameters = {"optimizer": {"values": ["sgd", "adam"]}, "n": {"min": 1, "max": 5}, "x": {"value": 1}}
    (warning,) = check(grid(parameters | {"x": {"value": 1, "condition": condition}}))
    assert re.search(says, warning)
    assert check(grid(parameters, "'sg' in optimizer or n < 99 or optimizer in ['sgd', 'adam']")) == []


def test_one_constraint_may_stand_without_a_list():
    sweep = {"method": "grid", "parameters": {"x": {"min": 1, "max": 3}}, "constraints": "x > 1"}
    assert [s.params["x"] for s in suggest(sweep, [], 9)] == [2, 3]


@pytest.mark.parametrize("method", ["random", "quasi", "tpe", "evolution"])
def test_a_finite_space_that_is_too_large_to_count_has_no_repeats_and_an_end(method):
    """Nine of 51,076 pairs: chance alone finds few of them, and must not give the same again."""
    pair = {"a": {"min": 1, "max": 226}, "b": {"min": 1, "max": 226}}
    sweep = {"method": method, "metric": {"name": "y"}, "parameters": pair, "constraints": ["a * b == 36"]}
    assert check(sweep) == [] and size(sweep) is None
    trials = [Trial(str(a), {"a": a, "b": 36 // a}, metrics={"y": [a]}) for a in (1, 2, 3, 4, 9, 12, 18)]
    assert sorted(s.params["a"] for s in suggest(sweep, trials, 3)) == [6, 36]
    trials += [Trial(str(a), {"a": a, "b": 36 // a}, metrics={"y": [a]}) for a in (6, 36)]
    assert suggest(sweep, trials, 1) == []


def test_many_rows_are_judged_as_each_point_is():
    sweep = grid(
        OPTIMISER | {"x": {"min": 0.0, "max": 1.0}, "s": {"value": 2}}, "x * s + adam.beta < 2", method="random"
    )
    space = parse(sweep)
    rows = np.random.default_rng(0).random((300, len(space.free)))
    points = [space.decode(row.tolist()) for row in rows]
    assert space.allowed(rows).tolist() == [space.admits(p) for p in points]
    encoded = space.encode(points)
    assert np.array_equal(np.isnan(encoded), space.dead(rows))
    assert np.array_equal(encoded, space.canonical(encoded), equal_nan=True)
    assert [space.decode(row) for row in encoded.tolist()] == points
    assert not math.isnan(encoded[0][-1])
