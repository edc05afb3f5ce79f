"""The mathematics of the model: gradients, scales, improvement; and what a user sees of it."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats

from besom.search import SpaceError, Trial, parse, suggest
from besom.search.bayes.acquire import Improvement, log_ei, log_h, log_h_slopes
from besom.search.bayes.gp import Likelihood, Posterior, Prior
from besom.search.bayes.layout import Layout
from besom.search.bayes.outputs import NAMES, output
from besom.search.bayes.terms import Belief, Below, Hypervolume
from besom.search.goal import front

SPACE = {
    "x": {"min": 0.0, "max": 1.0},
    "lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0},
    "opt": {"values": ["sgd", "adam", "lion"]},
    "layers": {"min": 1, "max": 6},
    "width": {"min": 1, "max": 1000},
}
LIVING = {**SPACE, "momentum": {"min": 0.0, "max": 1.0, "condition": "opt == 'sgd'"}}


def data(n=24, seed=0, space=LIVING):
    """Layout, snapped rows and standardised values of a smooth mixed function."""
    layout = Layout(parse({"parameters": space}))
    dice = np.random.default_rng(seed)
    rows = layout.snap(dice.random((n, layout.d)))
    y = ((np.nan_to_num(rows) - 0.4) ** 2).sum(axis=1) + 0.05 * dice.standard_normal(n)
    return layout, rows, (y - y.mean()) / y.std(), dice


def test_the_gradient_of_the_likelihood_is_that_of_its_values():
    layout, rows, t, dice = data()
    rows[3, list(layout.category).index(True)] = math.nan  # a category that nobody listed
    likelihood = Likelihood(layout, rows)
    for _ in range(3):
        theta = likelihood.prior.start + 0.5 * dice.standard_normal(layout.d + 3)
        _, gradient = likelihood(theta, t)
        steps = 1e-5 * np.eye(len(theta))
        slopes = [(likelihood(theta + s, t)[0] - likelihood(theta - s, t)[0]) / 2e-5 for s in steps]
        assert np.allclose(gradient, slopes, rtol=1e-5, atol=1e-6)


def test_the_likelihood_is_the_textbook_formula():
    layout, rows, t, _ = data(12)
    theta = Prior.of(layout.d).start
    a, s, q = np.exp(theta[-3:])
    weight = np.exp(-2 * theta[:-3])
    embedded, curve = layout.embed(rows, weight), layout.curve(rows, weight)
    r = np.sqrt(5 * ((embedded[:, None] - embedded[None]) ** 2).sum(axis=2))
    kernel = a * (1 + r + r * r / 3) * np.exp(-r) + q * (1 + curve @ curve.T) ** 2 + (s + 1e-8) * np.eye(12)
    inverse, ones = np.linalg.inv(kernel), np.ones(12)
    c = ones @ inverse @ t / (ones @ inverse @ ones + 1)
    gap = (theta - Prior.of(layout.d).mean) / Prior.of(layout.d).deviation
    expected = 0.5 * (t - c) @ inverse @ (t - c) + c * c / 2 + 0.5 * np.linalg.slogdet(kernel)[1] + 0.5 * gap @ gap
    assert Likelihood(layout, rows)(theta, t)[0] == pytest.approx(expected)
    posterior = Posterior(layout, rows, t, theta)
    assert posterior.mean(rows[:3]) == pytest.approx(c + (kernel - (s + 1e-8) * np.eye(12))[:3] @ inverse @ (t - c))


@pytest.mark.parametrize("name", ["improvement", "noisy improvement", "below", "belief", "hypervolume"])
def test_each_part_of_the_acquisition_has_the_gradient_of_its_values(name):
    layout, rows, t, dice = data()
    posterior, other = (Posterior(layout, rows, v, Prior.of(layout.d).start) for v in (t, np.roll(t, 7)))
    noisy = Prior.of(layout.d).start.copy()
    noisy[-2] = -1.0
    both = np.stack([t, np.roll(t, 7)], axis=1)
    belief = np.full(layout.d, 0.3), np.array([0.2, np.inf, 0.3, 0.1, 0.4, 0.2])
    part = {
        "improvement": Improvement(posterior, t.min()),
        "noisy improvement": Improvement(Posterior(layout, rows, t, noisy), t.min()),
        "below": Below(posterior, -1.0),
        "belief": Belief(*belief, 0.7),
        "hypervolume": Hypervolume([posterior, other], both[front(both)], both.max(axis=0)),
    }[name]
    points = layout.snap(dice.random((6, layout.d)))
    scores, gradient = part.slopes(points)
    assert np.allclose(scores, part.score(points))
    steps = 1e-6 * np.eye(layout.d)[~layout.category]
    slopes = np.stack([(part.score(points + step) - part.score(points - step)) / 2e-6 for step in steps], axis=1)
    assert np.allclose(gradient[:, ~layout.category], np.nan_to_num(slopes), rtol=1e-4, atol=1e-4)


def test_believing_in_its_own_mean_changes_no_mean_and_narrows_the_deviation():
    layout, rows, t, dice = data()
    posterior = Posterior(layout, rows, t, Prior.of(layout.d).start)
    pending, other = layout.snap(dice.random((4, layout.d))), layout.snap(dice.random((50, layout.d)))
    after = posterior.believe(pending)
    assert np.allclose(posterior.mean(other), after.mean(other), atol=1e-6)
    assert (after.predict(other)[1] <= posterior.predict(other)[1] + 1e-9).all()
    assert (after.predict(pending)[1] < 0.06).all(), "no more than the noise"
    assert (posterior.predict(pending)[1] > 0.1).all()


def test_hypervolume_improvement_is_that_of_a_simulation():
    layout, rows, t, dice = data()
    both = np.stack([t, ((np.nan_to_num(rows) - 0.8) ** 2).sum(axis=1) - 2.0], axis=1)
    processes = [Posterior(layout, rows, v, Prior.of(layout.d).start) for v in both.T]
    best, worst = both[front(both)], both.max(axis=0)
    part = Hypervolume(processes, best, worst)
    points = layout.snap(dice.random((200, layout.d)))
    point = points[np.argsort(part.score(points))[-20]][None]
    found = [p.predict(point) for p in processes]
    drawn = np.stack([m[0] + s[0] * dice.standard_normal(4000) for m, s in found], axis=1)
    floor = np.minimum(drawn.min(axis=0), best.min(axis=0))
    places = dice.uniform(floor, worst, (20_000, 2))
    open_ = places[~(best[None] <= places[:, None]).all(axis=2).any(axis=1)]
    gain = np.mean([(d <= open_).all(axis=1).sum() for d in drawn]) / len(places) * np.prod(worst - floor)
    assert part.score(point)[0] == pytest.approx(math.log(gain), abs=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_a_scale_is_monotone_standard_and_undone(name):
    y = np.exp(2 * np.random.default_rng(1).standard_normal(60))
    scale = output(name, y)
    assert scale.t.mean() == pytest.approx(0, abs=1e-9)
    assert scale.t.std() == pytest.approx(1)
    assert (np.diff(scale.t[np.argsort(y)]) > 0).all()
    assert [scale.undo(t) for t in scale.t] == pytest.approx(list(y))
    # the cost is minus the log of the slopes, on a scale that all candidates share
    slopes = [(output(name, y).undo(t + 1e-6) - output(name, y).undo(t - 1e-6)) / 2e-6 for t in scale.t]
    spread = np.median(y) - y.min()
    assert scale.cost == pytest.approx(float(np.log(np.array(slopes) / spread).sum()), rel=1e-4)


def test_evidence_prefers_a_logarithm_for_values_over_many_orders():
    space = {"x": {"min": 0.0, "max": 1.0}, "y": {"min": 0.0, "max": 1.0}}
    sweep = {"method": "bayes", "metric": {"name": "v"}, "parameters": space}
    points = [s.params for s in suggest({**sweep, "method": "quasi"}, [], 24, 0)]
    many = [Trial(str(i), p, metrics={"v": [math.exp(12 * p["x"] + 3 * p["y"])]}) for i, p in enumerate(points)]
    even = [Trial(str(i), p, metrics={"v": [12 * p["x"] + 3 * p["y"]]}) for i, p in enumerate(points)]
    assert suggest(sweep, many, 1, 0)[0].info["models"]["goal v"]["scale"].startswith("log")
    assert not suggest(sweep, even, 1, 0)[0].info["models"]["goal v"]["scale"].startswith("log0.03")


def test_log_ei_is_the_log_of_the_integral():
    for mean, deviation, incumbent in ((0.0, 1.0, 0.3), (1.0, 0.5, 0.0), (-2.0, 0.1, 0.0), (3.0, 1.0, 0.0)):
        law = stats.norm(mean, deviation)
        area = integrate.quad(lambda v: (incumbent - v) * law.pdf(v), mean - 12 * deviation, incumbent)[0]
        found = log_ei(np.array([mean]), np.array([deviation]), incumbent)[0]
        assert found == pytest.approx(math.log(area), abs=1e-6)


def test_log_ei_stays_smooth_and_ordered_far_below_the_incumbent():
    z = -np.logspace(-2, 7, 2000)
    values = log_h(z)
    assert np.isfinite(values).all()
    assert (np.diff(values) < 0).all()
    points = np.array([-0.5, -1.0001, -5.0, -300.0, -9.9e3, -1.1e4, 2.0])
    phi, ndtr = log_h_slopes(points, log_h(points))
    step = 1e-4 * np.abs(points)
    assert ndtr == pytest.approx((log_h(points + step) - log_h(points - step)) / (2 * step), rel=1e-3)
    assert phi == pytest.approx(1.0 - points * ndtr, rel=1e-3, abs=1e-3)


def test_under_noise_a_place_that_was_sampled_is_worth_less_than_its_expected_improvement():
    layout, rows, t, dice = data()
    theta = Prior.of(layout.d).start.copy()
    others = layout.snap(dice.random((200, layout.d)))
    cost = {}
    for log_noise in (-12.0, -1.0):
        theta[-2] = log_noise
        posterior = Posterior(layout, np.repeat(rows, 4, axis=0), np.repeat(t, 4), theta)
        part = Improvement(posterior, t.min())
        for name, points in (("sampled", rows), ("others", others)):
            means, deviations = posterior.predict(points)
            cost[name, log_noise] = np.median(log_ei(means, deviations, t.min()) - part.score(points))
    assert cost["others", -12.0] < 0.1 < 0.5 < cost["others", -1.0] < cost["sampled", -1.0] - 0.5


def play(parameters, objective, rounds, seed=0, pending=1, goal="minimize"):
    sweep = {"method": "bayes", "metric": {"name": "v", "goal": goal}, "parameters": parameters}
    trials = []
    while len(trials) < rounds:
        batch = suggest(sweep, trials, pending, seed)
        trials += [
            Trial(str(len(trials) + i), s.params, metrics={"v": [objective(s.params)]}, info=s.info)
            for i, s in enumerate(batch)
        ]
    return trials


def bowl(p):
    return (
        (p["x"] - 0.37) ** 2
        + (math.log10(p["lr"]) + 2) ** 2 / 4
        + (p["opt"] != "adam")
        + abs(p["layers"] - 4) / 5
        + p["width"] / 2000
    )


def test_a_mixed_space_is_solved_in_40_trials():
    trials = play(SPACE, bowl, 40)
    best = min(trials, key=lambda t: t.metrics["v"][0])
    assert (best.params["opt"], best.params["layers"]) == ("adam", 4)
    assert best.metrics["v"][0] < 0.05


def test_four_at_a_time_still_get_there_and_are_all_different():
    trials = play(SPACE, lambda p: -bowl(p), 48, pending=4, goal="maximize")
    assert max(t.metrics["v"][0] for t in trials) > -0.2
    assert len({repr(t.params) for t in trials}) == len(trials)


def test_a_suggestion_says_what_it_expects_in_the_metrics_own_unit():
    trials = play(SPACE, lambda p: 100 - 10 * bowl(p), 24, goal="maximize")
    told = [t.info for t in trials if t.info["arm"] == "model"]
    assert len(told) > 10
    for info in told:
        assert set(info) >= {"method", "predicted", "deviation", "probability_to_improve"}
        assert info["deviation"] >= 0
        assert 0 <= info["probability_to_improve"] <= 1
    late = [t for t in trials[-6:] if t.info["arm"] == "model"]
    assert any(abs(t.info["predicted"] - t.metrics["v"][0]) < 3 * t.info["deviation"] + 1 for t in late)


def test_the_fit_travels_in_info():
    trials = play({"x": {"min": 0.0, "max": 1.0}, "y": {"min": 0.0, "max": 1.0}}, lambda p: p["x"] + p["y"] ** 2, 50)
    fitted = [t.info["models"]["goal v"] for t in trials if "models" in t.info]
    assert len(fitted) > 30
    assert all(len(theta) == 5 for model in fitted for theta in model["thetas"].values())
    changed = [sum(a["thetas"][k] != b["thetas"][k] for k in a["thetas"]) for a, b in pairwise(fitted[-6:])]
    assert max(changed) <= 2, "late fits take turns"


def test_a_broken_fit_in_info_is_made_again():
    trials = play(SPACE, bowl, 12)
    for broken in (
        {"fit": 11},
        {"fit": 99, "scale": "plain", "thetas": {"plain": [0.0]}, "turn": 1},
        {"fit": 1, "scale": "?", "thetas": {}, "turn": 0},
        7,
    ):
        damaged = [Trial(t.id, t.params, t.state, t.metrics, {**t.info, "models": {"goal v": broken}}) for t in trials]
        sweep = {"method": "bayes", "metric": {"name": "v"}, "parameters": SPACE}
        assert "models" in suggest(sweep, damaged, 1, 0)[0].info


def test_the_centre_comes_first_then_points_that_spread():
    sweep = {
        "method": "bayes",
        "metric": {"name": "v"},
        "parameters": {"x": {"min": 0.0, "max": 1.0}, "y": {"min": 0.0, "max": 4.0}},
    }
    first = suggest(sweep, [], 4, 0)
    assert first[0].params == {"x": 0.5, "y": 2.0}
    assert [s.info["arm"] for s in first] == ["start"] * 4
    failed = [Trial(str(i), s.params, "failed", info=s.info) for i, s in enumerate(first)]
    assert suggest(sweep, failed, 1, 0)[0].info["arm"] == "start"


def test_bayes_without_a_metric_says_what_is_missing():
    with pytest.raises(SpaceError, match="metric"):
        suggest({"method": "bayes", "parameters": SPACE}, [])


def test_a_turned_bowl_is_solved():
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((4, 4)))[0]

    def turned(p):
        z = turn @ (np.array([p[k] for k in "abcd"]) - np.array([0.3, 0.6, 0.45, 0.7]))
        return float((np.array([1.0, 10.0, 100.0, 1000.0]) * z * z).sum())

    trials = play({k: {"min": 0.0, "max": 1.0} for k in "abcd"}, turned, 45)
    assert min(t.metrics["v"][0] for t in trials) < 0.02, "random search reaches about 15"
