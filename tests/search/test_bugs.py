"""What goes wrong in W&B's own engine, one test for each: the numbers are those of its list of bugs.

B19 (a function agent that gives up at its first error) and B20 (macros that vanish) are in tests/agents.
"""

import pytest

from besom.search import SpaceError, Trial, check, parse, stop, suggest


def bayes(parameters, goal="minimize", **metric):
    return {"method": "bayes", "metric": {"name": "y", "goal": goal, **metric}, "parameters": parameters}


def play(sweep, objective, rounds, seed=0, width=1):
    """Ask and tell until `rounds` trials, or the end."""
    trials = []
    while len(trials) < rounds and (found := suggest(sweep, trials, width, seed)):
        for s in found:
            trials.append(Trial(str(len(trials)), s.params, "finished", {"y": [objective(s.params)]}, s.info))
    return trials


def best(trials):
    return min(t.metrics["y"][0] for t in trials)


def test_b1_true_and_false_are_two_values_wherever_they_stand():
    names = ("a", "b", "c", "d")
    sweep = bayes({n: {"values": [True, False]} for n in names})
    encoded = parse(sweep).encode([dict.fromkeys(names, v) for v in (True, False)])
    assert (encoded[0] != encoded[1]).all()
    falsy = [1, 0, None, "", False, 0.0, [], {}]
    rows = parse(bayes({"x": {"values": falsy}})).encode([{"x": v} for v in falsy])
    assert len({float(v) for v in rows[:, 0]}) == len(falsy)
    # the one good corner of 16 is found by learning each flag, and no point is spent twice
    trials = play(sweep, lambda p: float(sum(p[n] is not True for n in names)), 16)
    assert [p.params for p in trials].index(dict.fromkeys(names, True)) < 12


def test_b2_nested_parameters_are_never_dropped():
    sweep = bayes(
        {"opt": {"parameters": {"lr": {"min": 0.0, "max": 1.0}, "deep": {"parameters": {"k": {"min": 1, "max": 3}}}}}}
    )
    check(sweep)
    trials = play(sweep, lambda p: (p["opt"]["lr"] - 0.3) ** 2 + abs(p["opt"]["deep"]["k"] - 2), 20)
    assert best(trials) < 0.01
    with pytest.raises(SpaceError, match="swap"):
        check(bayes({"opt": {"parameters": {"lr": {"min": 2, "max": 1}}}}))


def test_b3_probabilities_work_with_bayes():
    sweep = bayes({"x": {"values": ["a", "b", "c"], "probabilities": [0.2, 0.3, 0.5]}, "z": {"min": 0.0, "max": 1.0}})
    assert best(play(sweep, lambda p: (p["x"] != "a") + abs(p["z"] - 0.5), 20)) < 0.1


def test_b4_quantised_values_stay_inside_their_bounds():
    sweep = {"method": "random", "parameters": {"x": {"distribution": "q_uniform", "min": 1, "max": 10, "q": 4}}}
    assert {s.params["x"] for s in suggest(sweep, [], 9)} == {4, 8}


def test_b5_a_grid_includes_the_maximum_and_has_no_float_artefacts():
    sweep = {"method": "grid", "parameters": {"x": {"distribution": "q_uniform", "min": 0.1, "max": 0.4, "q": 0.1}}}
    assert [repr(s.params["x"]) for s in suggest(sweep, [], 9)] == ["0.1", "0.2", "0.3", "0.4"]


def test_b6_floats_inside_lists_and_dicts_are_known_again_after_json():
    sweep = {"method": "grid", "parameters": {"x": {"values": [[1.0, 2.0], {"a": 3.0}]}}}
    stored = [Trial("0", {"x": [1, 2]}), Trial("1", {"x": {"a": 3}})]
    assert suggest(sweep, stored, 5) == []


def test_b7_a_failed_grid_point_is_free_again_when_its_trial_is_gone():
    sweep = {"method": "grid", "parameters": {"x": {"values": [1, 2]}}}
    assert suggest(sweep, [Trial("0", {"x": 1}, "failed"), Trial("1", {"x": 2})], 5) == []
    assert [s.params for s in suggest(sweep, [Trial("1", {"x": 2})], 5)] == [{"x": 1}]


def test_b8_min_iter_with_max_iter_and_no_s_is_no_crash():
    sweep = {
        **bayes({"x": {"min": 0.0, "max": 1.0}}),
        "early_terminate": {"type": "hyperband", "min_iter": 1, "max_iter": 9},
    }
    assert any("max_iter" in w for w in check(sweep))
    running = [Trial(str(i), {}, "running", {"y": [float(i)]}) for i in range(2)]
    assert [s.id for s in stop(sweep, running)] == ["1"]


def test_b9_a_stopped_trial_counts_as_what_it_reached():
    """Three trials that a rule stopped near the optimum must not turn the model away from it."""
    sweep = bayes({"x": {"min": 0.0, "max": 1.0}})
    far = [
        Trial(f"f{i}", {"x": x}, "finished", {"y": [(x - 0.5) ** 2 + 0.01]}) for i, x in enumerate((0.0, 0.2, 0.8, 1.0))
    ]
    near = [Trial(f"s{i}", {"x": x}, "stopped", {"y": [9.0, 0.02]}) for i, x in enumerate((0.46, 0.54))]
    (found,) = suggest(sweep, far + near, 1, 0)
    assert 0.4 < found.params["x"] < 0.6


def test_b10_one_spike_in_a_first_epoch_does_not_become_the_worst_value():
    sweep = bayes({"x": {"min": 0.0, "max": 1.0}})
    trials = [Trial(str(i), {"x": i / 5}, "finished", {"y": [1e9, abs(i / 5 - 0.4)]}) for i in range(6)]
    trials.append(Trial("f", {"x": 0.9}, "failed"))
    (found,) = suggest(sweep, trials, 1, 0)
    assert found.info["predicted"] < 1.0
    assert 0.3 < found.params["x"] < 0.5


def test_b11_the_model_tells_important_parameters_from_idle_ones_and_noise_from_signal():
    names = [f"x{i}" for i in range(6)]
    sweep = bayes({n: {"min": 0.0, "max": 1.0} for n in names})
    trials = play(sweep, lambda p: (p["x0"] - 0.7) ** 2 + 0.1 * (p["x1"] - 0.2) ** 2, 30)
    assert best(trials) < 1e-3


def test_b12_a_finite_space_has_no_repeats_and_an_end():
    sweep = bayes(
        {
            "a": {"values": [*"abcdef"]},
            "b": {"values": [1, 2, 3]},
            "c": {"values": [True, False, None]},
            "d": {"min": 1, "max": 2},
        }
    )
    trials = play(sweep, lambda p: p["b"] + (p["c"] is None), 999, width=4)
    assert len({repr(t.params) for t in trials}) == len(trials) == 108


def test_b13_a_seed_makes_a_sweep_repeatable():
    for method in ("random", "bayes"):
        sweep = {**bayes({"x": {"min": 0.0, "max": 1.0}, "k": {"values": [*"abc"]}}), "method": method, "seed": 11}
        one, two = (play(sweep, lambda p: p["x"], 9) for _ in range(2))
        assert one == two
        other = play({**sweep, "seed": 12}, lambda p: p["x"], 9)
        assert [t.params for t in other] != [t.params for t in one]


def test_b14_all_of_more_than_100_trials_count_not_a_random_subset():
    """Whichever of 150 trials had ended differently, the model would have said something else."""
    sweep = bayes({"x": {"min": 0.0, "max": 1.0}, "y": {"min": 0.0, "max": 1.0}})
    points = [s.params for s in suggest({**sweep, "method": "quasi"}, [], 150, 1)]
    values = [(p["x"] - 0.3) ** 2 + (p["y"] - 0.6) ** 2 for p in points]
    told = set()
    for changed in (None, 0, 50, 100, 149):
        trials = [
            Trial(str(i), p, "finished", {"y": [v + 0.5 * (i == changed)]})
            for i, (p, v) in enumerate(zip(points, values))
        ]
        told.add(suggest(sweep, trials, 1, 0)[0].info["predicted"])
    assert len(told) == 5


def test_b15_one_prior_trial_with_an_unknown_category_does_not_block_the_sweep():
    sweep = bayes({"opt": {"values": ["sgd", "adam", "rms"]}, "lr": {"min": 0.0, "max": 1.0}})
    prior = [Trial("old", {"opt": "lion", "lr": 0.5}, "finished", {"y": [0.1]})]
    trials = prior + play(sweep, lambda p: p["lr"], 10)
    (found,) = suggest(sweep, trials, 1, 0)
    assert parse(sweep).contains(found.params)
    assert found.info["arm"] == "model"


def test_b16_a_malformed_parameter_is_named_with_the_nearest_right_spelling():
    with pytest.raises(SpaceError, match='parameters.lr.vales.*"values"'):
        check(bayes({"ok": {"value": 1}, "lr": {"vales": [1, 2]}}))


def test_b17_a_number_left_as_text_by_a_yaml_reader_is_a_number():
    sweep = bayes({"lr": {"distribution": "log_uniform_values", "min": "1e-5", "max": "1e-1"}})
    assert all(1e-5 <= t.params["lr"] <= 1e-1 for t in play(sweep, lambda p: p["lr"], 8))
    assert len(check(sweep)) == 2


def test_b18_conditions_constraints_and_repeats_are_part_of_the_file():
    sweep = {
        **bayes(
            {
                "opt": {"values": ["sgd", "adam"]},
                "lr": {"distribution": "log_uniform_values", "min": 1e-3, "max": 1},
                "batch": {"values": [8, 32, 128]},
                "momentum": {"min": 0.0, "max": 1.0, "condition": 'opt == "sgd"'},
            }
        ),
        "constraints": ["lr * batch < 4"],
        "repeats": 2,
    }
    trials = play(sweep, lambda p: abs(p.get("momentum", 2.0) - 0.7) + abs(p["lr"] * p["batch"] - 2), 50)
    assert all(("momentum" in t.params) is (t.params["opt"] == "sgd") for t in trials)
    assert all(t.params["lr"] * t.params["batch"] < 4 for t in trials)
    assert [t.params for t in trials[::2]] == [t.params for t in trials[1::2]]
    assert best(trials) < 0.15
