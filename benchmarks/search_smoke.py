"""A short comparison of besom's own search methods: does the model beat chance, and what does it cost?

Each task is minimised from several seeds. A score is (random's median - best found) / (random's median - best known),
clipped to [-1, 1.5]: 0 is what random search reaches in the median, 1 is the best known value. Grid runs through a
coarse lattice of the same space, in an order of its own (shuffled by seed), as a person would lay it out. Rivals of
other projects are compared in a benchmark of their own; these few tasks are for seeing that nothing is broken.

    python benchmarks/search_smoke.py [--budget 30] [--seeds 5] [--pending 1]
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from common import table, write_result  # noqa: E402

from besom.search import Trial, parse, suggest  # noqa: E402

Params = dict[str, Any]
Objective = Callable[[Params], float]
METHODS = ("random", "grid", "quasi", "bayes")


def branin(p: Params) -> float:
    x, y = p["x"], p["y"]
    valley = y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6
    return valley**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def ridge(p: Params) -> float:
    """Six dimensions of which three matter, one of them on a log scale."""
    return (math.log10(p["a"]) + 3) ** 2 + 4 * (p["b"] - 0.3) ** 2 + 2 * (p["c"] + p["b"] - 1) ** 2


def mixed(p: Params) -> float:
    """Categories that move the optimum of the numbers."""
    centre = {"sgd": 0.2, "adam": 0.7, "lion": 0.5}[p["opt"]]
    worth = {"sgd": 0.3, "adam": 0.0, "lion": 0.2}[p["opt"]]
    return (
        (p["x"] - centre) ** 2
        + worth
        + 0.05 * abs(p["layers"] - 5)
        + 0.1 * (not p["bias"])
        + (math.log2(p["batch"]) - 6) ** 2 / 50
    )


def rosenbrock(p: Params) -> float:
    x = [p[f"x{i}"] for i in range(4)]
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in itertools.pairwise(x))


@cache
def _cancer() -> tuple[Any, Any]:
    from sklearn.datasets import load_breast_cancer

    return load_breast_cancer(return_X_y=True)


@cache
def _svm(c: float, gamma: float) -> float:
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    features, labels = _cancer()
    return 1 - float(
        cross_val_score(make_pipeline(StandardScaler(), SVC(C=c, gamma=gamma)), features, labels, cv=3).mean()
    )


@cache
def _forest(depth: int, leaf: int, features: float, criterion: str) -> float:
    from sklearn.datasets import load_diabetes
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import cross_val_score

    data, target = load_diabetes(return_X_y=True)
    model = RandomForestRegressor(
        20, max_depth=depth, min_samples_leaf=leaf, max_features=features, criterion=criterion, random_state=0
    )
    return -float(cross_val_score(model, data, target, cv=3, scoring="r2").mean())


def svm(p: Params) -> float:
    return _svm(p["C"], p["gamma"])


def forest(p: Params) -> float:
    return _forest(p["depth"], p["leaf"], p["features"], p["criterion"])


def log(low: float, high: float) -> Params:
    return {"distribution": "log_uniform_values", "min": low, "max": high}


UNIT = {"min": 0.0, "max": 1.0}
# name: (objective, parameters, best known value)
TASKS: dict[str, tuple[Objective, Params, float]] = {
    "branin": (branin, {"x": {"min": -5.0, "max": 10.0}, "y": {"min": 0.0, "max": 15.0}}, 0.397887),
    "ridge of 6": (ridge, {"a": log(1e-6, 1.0), **dict.fromkeys("bcdef", UNIT)}, 0.0),
    "rosenbrock of 4": (rosenbrock, {f"x{i}": {"min": -2.0, "max": 2.3} for i in range(4)}, 0.0),
    "mixed": (
        mixed,
        {
            "x": UNIT,
            "opt": {"values": ["sgd", "adam", "lion"]},
            "layers": {"min": 1, "max": 12},
            "bias": {"values": [False, True]},
            "batch": {"values": [8, 16, 32, 64, 128, 256]},
        },
        0.0,
    ),
    "svm, cancer": (svm, {"C": log(1e-3, 1e4), "gamma": log(1e-6, 10.0)}, 0.01758),
    "forest, diabetes": (
        forest,
        {
            "depth": {"min": 1, "max": 20},
            "leaf": {"min": 1, "max": 40},
            "features": {"min": 0.1, "max": 1.0},
            "criterion": {"values": ["squared_error", "friedman_mse"]},
        },
        -0.4527,
    ),
}


def play(
    method: str, parameters: Params, objective: Objective, budget: int, seed: int, pending: int
) -> tuple[float, float]:
    """The best value of one sweep, and CPU milliseconds a suggestion. `pending`: trials that are always under way."""
    sweep = {"method": method, "metric": {"name": "y"}, "parameters": parameters}
    trials: list[Trial] = []
    spent, asked = 0.0, 0
    while len(trials) < budget:
        for _ in range(min(pending, budget - len(trials))):
            start = time.process_time()
            found = suggest(sweep, trials, 1, seed)
            spent, asked = spent + time.process_time() - start, asked + 1
            if found:
                trials.append(Trial(str(len(trials)), found[0].params, "running", {}, found[0].info))
        for i, t in enumerate(trials):
            if t.state == "running":
                trials[i] = Trial(t.id, t.params, "finished", {"y": [objective(dict(t.params))]}, t.info)
    return min(t.metrics["y"][0] for t in trials), 1000 * spent / asked


def lattice(parameters: Params, objective: Objective, budget: int, seed: int) -> tuple[float, float]:
    """A grid of about budget**(1/d) places a parameter, at least two, walked in shuffled order."""
    space = parse({"parameters": parameters})
    places = max(2, round(budget ** (1 / len(space.free))))
    points = [[]]
    for p in space.free:
        k = min(places, p.domain.size or places)
        points = [[*head, (i + 0.5) / k] for head in points for i in range(k)]
    random.Random(seed).shuffle(points)
    return min(objective(space.decode(u)) for u in points[:budget]), 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--budget", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pending", type=int, default=1, help="trials under way at any time")
    parser.add_argument("--tasks", default="", help="only tasks whose name contains this")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    rows, scores, cost = [], {m: [] for m in METHODS}, {m: [] for m in METHODS}
    for name, (objective, parameters, best) in TASKS.items():
        if args.tasks not in name:
            continue
        found: dict[str, list[float]] = {m: [] for m in METHODS}
        for seed in range(args.seeds):
            for method in METHODS:
                if method == "grid":
                    value, ms = lattice(parameters, objective, args.budget, seed)
                else:
                    value, ms = play(method, parameters, objective, args.budget, seed, args.pending)
                found[method].append(value)
                cost[method].append(ms)
        best = min(best, *(v for values in found.values() for v in values))
        chance = statistics.median(found["random"])
        for method in METHODS:
            scale = chance - best or 1.0
            scores[method] += [min(max((chance - v) / scale, -1.0), 1.5) for v in found[method]]
        rows.append([name, *(f"{statistics.median(found[m]):.4g}" for m in METHODS), best])
    rows.append(["mean score", *(statistics.mean(scores[m]) for m in METHODS), 1.0])
    rows.append(["ms a suggestion", *(statistics.mean(cost[m]) for m in METHODS), None])
    print(f"median best of {args.seeds} seeds after {args.budget} trials, {args.pending} under way at a time")
    print(table(["task", *METHODS, "best known"], rows))
    means = {m: statistics.mean(v) for m, v in scores.items()}
    write_result("search_smoke", {"budget": args.budget, "seeds": args.seeds, "pending": args.pending, "score": means})


if __name__ == "__main__":
    main()
