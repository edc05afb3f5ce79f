"""A grid tries every point once, in a known order, and then ends."""

import pytest

from besom.search import SpaceError, Trial, check, size, suggest


def tried(suggestions):
    return [Trial(str(i), s.params, info=s.info) for i, s in enumerate(suggestions)]


def grid(**parameters):
    return {"method": "grid", "parameters": parameters}


def test_names_run_in_byte_order_and_the_last_varies_fastest():
    sweep = grid(z={"values": [1, 2]}, B={"values": ["x", "y"]}, a={"value": 0})
    assert [s.params for s in suggest(sweep, [], 9)] == [
        {"B": "x", "a": 0, "z": 1},
        {"B": "x", "a": 0, "z": 2},
        {"B": "y", "a": 0, "z": 1},
        {"B": "y", "a": 0, "z": 2},
    ]


def test_a_five_by_five_grid_ends_after_exactly_25():
    sweep = grid(lr={"values": [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]}, layers={"min": 1, "max": 5})
    trials = []
    while found := suggest(sweep, trials):
        trials.append(Trial(str(len(trials)), found[0].params, info=found[0].info))
    assert size(sweep) == len(trials) == 25
    assert len({(t.params["lr"], t.params["layers"]) for t in trials}) == 25


def test_a_grid_of_a_thousand_million_points_costs_nothing_to_open():
    sweep = grid(**{f"p{i}": {"min": 0, "max": 999} for i in range(3)})
    assert size(sweep) == 10**9
    done = [Trial("x", {}, info={"index": i}) for i in range(3)]
    assert [s.params for s in suggest(sweep, done, 2)] == [{"p0": 0, "p1": 0, "p2": 3}, {"p0": 0, "p1": 0, "p2": 4}]


def test_a_grid_beyond_what_a_computer_counts_opens_all_the_same():
    sweep = grid(**{f"p{i:02}": {"min": 0, "max": 9} for i in range(60)})
    assert [s.params["p59"] for s in suggest(sweep, [], 3)] == [0, 1, 2]


def test_a_failed_point_counts_as_tried_and_a_deleted_one_comes_back():
    sweep = grid(lr={"values": [1, 2, 3]})
    first = suggest(sweep, [], 3)
    trials = [Trial("0", first[0].params, "failed", info=first[0].info), Trial("2", first[2].params, "killed")]
    assert [s.params for s in suggest(sweep, trials, 3)] == [{"lr": 2}]


def test_prior_trials_without_info_are_known_by_their_values():
    sweep = grid(size={"values": [[1.0, 2.0], [3.0, 4.0]]}, lr={"values": [3e6, 1e-3]})
    after_json = [Trial("old", {"size": [1, 2], "lr": 3000000})]
    assert len(suggest(sweep, after_json, 9)) == 3
    stranger = [Trial("old", {"size": [9, 9], "lr": 1e-3}), Trial("short", {"lr": 1e-3})]
    assert len(suggest(sweep, stranger, 9)) == 4


@pytest.mark.parametrize(
    "values", [[1, 1.0, True], [0, False, None, "", 0.0], ["1", 1], [[1], [1.0], ["1"]], [{"a": 1}, {"a": 1.0}]]
)
def test_values_of_one_look_and_different_type_are_different_points(values):
    sweep = grid(x={"values": values})
    found = suggest(sweep, [], 9)
    assert [repr(s.params["x"]) for s in found] == [repr(v) for v in values]
    without_info = [Trial(str(i), s.params) for i, s in enumerate(found)]
    for left_out in range(len(values)):
        rest = without_info[:left_out] + without_info[left_out + 1 :]
        assert [repr(s.params["x"]) for s in suggest(sweep, rest, 9)] == [repr(values[left_out])]


@pytest.mark.parametrize(
    ("spec", "values"),
    [
        ({"distribution": "q_uniform", "min": 0, "max": 0.5, "q": 0.1}, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        ({"distribution": "q_uniform", "min": 1, "max": 10, "q": 4}, [1, 5, 9]),
        ({"distribution": "q_uniform", "min": 0.05, "max": 0.2, "q": 0.05}, [0.05, 0.1, 0.15, 0.2]),
        ({"distribution": "int_uniform", "min": -1, "max": 1}, [-1, 0, 1]),
        ({"min": 3, "max": 3}, [3]),
        ({"values": ["a", "a", "b"]}, ["a", "b"]),
        ({"values": ["a", "b"], "probabilities": [0.9, 0.1]}, ["a", "b"]),
        ({"value": None}, [None]),
    ],
)
def test_what_a_grid_lays_out(spec, values):
    found = [s.params["x"] for s in suggest(grid(x=spec), [], 99)]
    assert [repr(v) for v in found] == [repr(v) for v in values]


@pytest.mark.parametrize(
    "spec",
    [{"min": 0.0, "max": 1.0}, {"distribution": "normal"}, {"distribution": "q_normal"}, {"distribution": "beta"}],
)
def test_a_range_without_an_end_of_values_is_refused_with_the_way_out(spec):
    sweep = grid(ok={"value": 1}, deep={"parameters": {"lr": spec}})
    with pytest.raises(SpaceError, match="q_uniform.*q.*bayes") as caught:
        check(sweep)
    assert caught.value.where == "parameters.deep.parameters.lr"


def test_nested_parameters_keep_their_shape():
    sweep = grid(opt={"parameters": {"name": {"values": ["sgd", "adam"]}, "x": {"parameters": {"d": {"value": 1}}}}})
    found = suggest(sweep, [], 9)
    assert [s.params for s in found] == [{"opt": {"name": n, "x": {"d": 1}}} for n in ("sgd", "adam")]
    assert suggest(sweep, [Trial("t", s.params) for s in found]) == []
