"""Every method that we ship keeps the contract, and so does one that a user brings."""

import numpy as np
from scipy.stats import qmc

from besom.search import Suggestion, Trial, methods, parse, register_method, suggest
from besom.search.quasi import sobol, unscrambled
from besom.search.random import Seen
from besom.testing.search import SamplerContract


class TestGrid(SamplerContract):
    method = "grid"
    finite_only = True


class TestRandom(SamplerContract):
    method = "random"


class TestQuasi(SamplerContract):
    method = "quasi"


class TestBayes(SamplerContract):
    method = "bayes"


class Corners:
    """A method of a user's own: the ends of each range, then nothing new."""

    def check(self, problem):
        return []

    def suggest(self, problem, trials, n):
        seen = Seen(problem.space, trials)
        found = []
        step = 0
        while len(found) < n and not seen.full and step < 10_000:
            generator = problem.generator(step)
            params = problem.space.decode(generator.random(len(problem.space.free)).tolist())
            if seen.add(params):
                found.append(Suggestion(params, {"method": "corners"}))
            step += 1
        return found


register_method("corners", Corners())


class TestAnybodysMethod(SamplerContract):
    method = "corners"


def test_ours_register_like_anybodys():
    assert {"grid", "random", "quasi", "bayes", "corners"} <= set(methods())


def test_three_random_points_at_once_are_the_same_as_three_in_turn():
    sweep = {"method": "random", "parameters": {"x": {"min": 0.0, "max": 1.0}, "n": {"min": 1, "max": 10**12}}}
    together = [s.params for s in suggest(sweep, [], 3, 7)]
    trials = []
    for _ in range(3):
        trials.append(Trial(str(len(trials)), suggest(sweep, trials, 1, 7)[0].params))
    assert [t.params for t in trials] == together
    assert [s.params for s in suggest(sweep, [], 3, 8)] != together


def test_probabilities_are_obeyed():
    sweep = {
        "method": "random",
        "parameters": {"a": {"values": ["x", "y"], "probabilities": [0.9, 0.1]}, "b": {"min": 0.0, "max": 1.0}},
    }
    drawn = [s.params["a"] for s in suggest(sweep, [], 1000, 1)]
    assert 860 < drawn.count("x") < 940


def test_a_sobol_sequence_is_even_where_random_is_not():
    sweep = {"method": "quasi", "parameters": {f"x{i}": {"min": 0.0, "max": 1.0} for i in range(8)}}
    points = [s.params for s in suggest(sweep, [], 64, 3)]
    for i in range(8):
        assert sorted(int(p[f"x{i}"] * 64) for p in points) == list(range(64))


def test_sobol_agrees_with_scipy_before_scrambling():
    ours = unscrambled(21, 64)
    theirs = qmc.Sobol(21, scramble=False).random(64)
    grey = [k ^ (k >> 1) for k in range(64)]
    assert np.array_equal(ours[grey], theirs)
    wide = sobol(60, 0, 256, range(60))
    assert all(len(set(np.floor(wide[:, j] * 256))) == 256 for j in range(60))


def test_suggestions_of_seeded_methods_never_change():
    """Stored sweeps replay on every machine: these numbers are a promise."""
    space = {
        "lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-1},
        "n": {"distribution": "q_normal", "mu": 8, "sigma": 2, "q": 1},
        "opt": {"values": ["a", "b", "c"]},
        "x": {"min": 0.0, "max": 1.0},
    }
    random = suggest({"method": "random", "parameters": space, "seed": 1}, [], 2)
    quasi = suggest({"method": "quasi", "parameters": space, "seed": 1}, [], 2)
    assert [s.params for s in random] == RANDOM
    assert [s.params for s in quasi] == QUASI


RANDOM = [
    {"lr": 0.0378922186347, "n": 10, "opt": "a", "x": 0.9657963821752907},
    {"lr": 4.29375949756e-05, "n": 7, "opt": "c", "x": 0.5514230614171627},
]
QUASI = [
    {"lr": 0.027387540792, "n": 5, "opt": "a", "x": 0.43488250754307956},
    {"lr": 0.000134282766361, "n": 9, "opt": "c", "x": 0.7905314523959532},
]


def test_a_nested_space_is_known_again():
    sweep = {"method": "random", "parameters": {"a": {"parameters": {"b": {"parameters": {"c": {"values": [0, 1]}}}}}}}
    assert parse(sweep).encode([{"a": {"b": {"c": 1}}}]).tolist() == [[0.75]]
