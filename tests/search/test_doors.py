"""Other people's methods: Optuna's samplers, and a Python function of the user's own."""

import json
from pathlib import Path

import pytest

from besom.search import SpaceError, Trial, check, imports, suggest
from besom.testing.search import SamplerContract, told

NUMBERS = {"x": {"min": 0.0, "max": 1.0}, "n": {"min": 1, "max": 9}, "c": {"values": ["a", None, False]}}


class TestOptuna(SamplerContract):
    method = "optuna"


class TestCustom(SamplerContract):
    """A function keeps the contract as far as it can; points that are taken are left out for it."""

    method = "custom"

    def sweep(self, parameters=None, **more):
        return super().sweep(parameters, **{"custom": f"{Path(__file__).with_name('anybody.py')}:spread", **more})


def sweep(**more):
    return {"method": "optuna", "metric": {"name": "loss"}, "parameters": NUMBERS, **more}


def play(spec, n, seed=1):
    trials = []
    for i in range(n):
        (found,) = suggest(spec, trials, 1, seed)
        y = (found.params["x"] - 0.7) ** 2 + abs(found.params["n"] - 4) / 9 + (found.params["c"] is not False)
        trials.append(Trial(str(i), found.params, "finished", {"loss": [y]}, json.loads(json.dumps(found.info))))
    return trials


@pytest.mark.parametrize("name", ["TPESampler", "RandomSampler", "NSGAIISampler", "QMCSampler", "BruteForceSampler"])
def test_a_sampler_is_named_and_takes_its_own_keys(name):
    space = {"n": NUMBERS["n"], "c": NUMBERS["c"]}
    spec = sweep(optuna={"sampler": name}, parameters=space if name == "BruteForceSampler" else NUMBERS)
    found = suggest(spec, [], 3, 1)
    assert [s.info["arm"] for s in found] == [name] * 3
    assert found == suggest(spec, [], 3, 1)


def test_optunas_sampler_learns_from_the_trials():
    trials = play(sweep(optuna={"sampler": "TPESampler", "n_startup_trials": 8, "multivariate": True}), 40)
    values = [t.metrics["loss"][0] for t in trials]
    assert min(values[8:]) < min(values[:8])
    assert sum(values[25:]) / 15 < sum(values[:8]) / 8


@pytest.mark.parametrize(
    ("given", "where", "words"),
    [
        ({"sampler": "TPESampler", "n_startup": 3}, "optuna", "n_startup"),
        ({"sampler": "TPESample"}, "optuna.sampler", 'did you mean "TPESampler"'),
        ({"sampler": "BaseSampler"}, "optuna.sampler", "no sampler"),
        ([1], "optuna", "mapping"),
    ],
)
def test_a_wrong_sampler_is_told(given, where, words):
    with pytest.raises(SpaceError, match=words) as error:
        check(sweep(optuna=given))
    assert error.value.where == where


@pytest.mark.parametrize("given", [{"n_startup_trials": "x"}, {"sampler": "GridSampler", "search_space": {"x": [1]}}])
def test_what_a_sampler_only_finds_out_when_it_is_asked_is_told(given):
    with pytest.raises(SpaceError, match="the sampler raised") as error:
        suggest(sweep(optuna=given), [])
    assert error.value.where == "optuna"


def test_no_pickle_comes_in_through_info():
    """Optuna keeps some samplers as pickled text in attributes; what a trial brings must not be read as one."""
    bad = Trial(
        "0", {"x": 0.5, "n": 2, "c": "a"}, "finished", {"loss": [1.0]}, {"attrs": {"cma:optimizer:0": "8004", "g": 1}}
    )
    assert suggest(sweep(), [bad], 1, 1)
    trials = play(sweep(optuna={"sampler": "NSGAIISampler", "population_size": 4}), 12)
    assert not any(isinstance(v, str) for t in trials for v in t.info["attrs"].values())


FUNCTION = """
def halves(sweep, trials, n):
    assert sweep["seed"] == 7
    return [{"x": 0.5 ** (len(trials) + i + 1)} for i in range(n)]

def outside(sweep, trials, n):
    return [{"x": 2.0}]

def fails(sweep, trials, n):
    return 1 / 0
"""


def own(path, name):
    return {"method": "custom", "custom": f"{path}:{name}", "seed": 7, "parameters": {"x": {"min": 0.0, "max": 1.0}}}


def test_a_function_of_ones_own_chooses_the_points(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FUNCTION)
    spec = own(path, "halves")
    assert check(spec) == []
    first = suggest(spec, [], 2)
    assert [s.params for s in first] == [{"x": 0.5}, {"x": 0.25}]
    trials = [told(s, i, []) for i, s in enumerate(first)]
    assert [s.params for s in suggest(spec, trials, 1)] == [{"x": 0.125}]
    assert imports(spec) == f"{path}:halves"
    assert imports({**spec, "method": "bayes"}) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [("outside", "no point of this sweep"), ("fails", "ZeroDivisionError"), ("absent", "no function")],
)
def test_what_is_wrong_with_a_function_is_told(tmp_path, name, words):
    path = tmp_path / "mine.py"
    path.write_text(FUNCTION)
    with pytest.raises(SpaceError, match=words):
        suggest(own(path, name), [], 1)


def test_a_sweep_is_checked_without_running_its_code(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("raise SystemExit('ran')")
    assert check(own(path, "anything")) == []


@pytest.mark.parametrize("given", [None, "no function here", 5, "a:b:c"])
def test_custom_without_a_function_says_the_way_out(given):
    with pytest.raises(SpaceError, match="package.module:function") as error:
        check({"method": "custom", "custom": given, "parameters": {"x": {"values": [1, 2]}}})
    assert error.value.where == "custom"
    if given is None:
        assert "method: auto" in str(error.value)
