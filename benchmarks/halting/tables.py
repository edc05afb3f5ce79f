"""Real learning curves, tabulated once: `python benchmarks/halting/tables.py` trains a few hundred random
configurations of each task for 50 epochs and keeps the validation values in tables.npz.

A `Task` then answers any point of its continuous space: the curve at a tabulated configuration is the one measured,
between them it is a blend of the nearest measured ones (modified Shepard interpolation), so every engine sees the
same cells and the best value is known. Values that are not finite, or worse than chance, count as chance.

Tasks marked `dev` are for choosing rules; only the others are reported.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parent)]

from nets import curve  # noqa: E402

HERE = Path(__file__).resolve().parent
FILE = HERE / "tables.npz"
EPOCHS = 50
ROWS = 400
NEAR = 6  # neighbours that a point between configurations is blended from

Params = dict[str, Any]
Floats = Any


def real(low: float, high: float) -> Params:
    return {"min": float(low), "max": float(high)}


def log(low: float, high: float) -> Params:
    return {"distribution": "log_uniform_values", "min": float(low), "max": float(high)}


def whole(low: int, high: int) -> Params:
    return {"min": int(low), "max": int(high)}


def choice(*values: Any) -> Params:
    return {"values": list(values)}


def value(spec: Params, u: float) -> Any:
    """A parameter's value at u in [0, 1]."""
    if "values" in spec:
        return spec["values"][min(int(u * len(spec["values"])), len(spec["values"]) - 1)]
    low, high = spec["min"], spec["max"]
    if "distribution" in spec:
        return float(low * (high / low) ** u)
    if isinstance(low, int):
        return min(low + int(u * (high - low + 1)), high)
    return low + u * (high - low)


@dataclass(frozen=True)
class Task:
    """A space and measured curves over it. `rows`: (n, columns) configurations; `curves`: (n, EPOCHS), smaller is better."""

    name: str
    dev: bool
    parameters: Params
    rows: Floats
    curves: Floats

    @property
    def best(self) -> float:
        return float(self.curves.min())

    def row(self, params: Mapping[str, Any]) -> Floats:
        """Where params are: a column per number in [0, 1], one per value of a choice (so far apart that none blends)."""
        out: list[float] = []
        for name, spec in self.parameters.items():
            x = params[name]
            if "values" in spec:
                out += [2.0 * (x == v) for v in spec["values"]]
            elif "distribution" in spec:
                out.append(np.log(x / spec["min"]) / np.log(spec["max"] / spec["min"]))
            else:
                out.append((x - spec["min"]) / (spec["max"] - spec["min"]))
        return np.array(out)

    def curve(self, params: Mapping[str, Any]) -> list[float]:
        """The EPOCHS validation values of a configuration."""
        distance = np.sqrt(((self.rows - self.row(params)) ** 2).sum(axis=1))
        near = np.argpartition(distance, NEAR)[: NEAR + 1]
        near = near[np.argsort(distance[near], kind="stable")]
        d = distance[near]
        if d[0] < 1e-6:
            return [float(v) for v in self.curves[near[0]]]
        weight = (np.maximum(d[-1] - d[:-1], 0.0) / (d[-1] * d[:-1])) ** 2
        if not weight.any():
            weight = np.ones(NEAR)
        return [float(v) for v in weight @ self.curves[near[:-1]] / weight.sum()]


# The data


def split(x: Floats, y: Floats, scale: bool = True) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """60 % to train, 40 % to validate; columns of mean 0 and deviation 1."""
    order = np.random.default_rng(0).permutation(len(x))
    x, y = np.asarray(x, dtype=np.float32)[order], np.asarray(y)[order]
    cut = int(0.6 * len(x))
    if scale:
        x = (x - x[:cut].mean(axis=0)) / (x[:cut].std(axis=0) + 1e-6)
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])


@cache
def data(name: str) -> Any:
    from sklearn import datasets

    if name in ("china.jpg", "flower.jpg"):
        # where in the picture -> its colour there: a regression with structure at every scale
        picture = datasets.load_sample_image(name)[::14, ::14].astype(np.float32) / 255
        places = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in picture.shape[:2]), indexing="ij"), -1)
        return split(places.reshape(-1, 2), picture.reshape(-1, 3), scale=False)
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    if name == "diabetes":
        y = ((y - y.mean()) / y.std()).astype(np.float32)[:, None]
    return split(x, y)


# The learners: params -> the validation value after each epoch


def net(name: str, kind: str, width: Callable[[Params], tuple[int, ...]]) -> Callable[[Params, int], Iterator[float]]:
    def run(p: Params, seed: int) -> Iterator[float]:
        train, valid = data(name)
        if "waves" in p:
            dice = np.random.default_rng(seed)
            b = (dice.standard_normal((2, 24)) * p["waves"]).astype(np.float32)
            wave = lambda x: np.concatenate([np.sin(x @ b), np.cos(x @ b)], axis=1)  # noqa: E731
            train, valid = (wave(train[0]), train[1]), (wave(valid[0]), valid[1])
        if kind == "mse" and train[1].ndim == 1:
            train, valid = (train[0], train[0]), (valid[0], valid[0])  # it learns to give back what it saw
        keys = ("momentum", "l2", "dropout", "decay")
        return curve(
            train, valid, kind=kind, layers=width(p), lr=p["lr"], batch=2 ** p["log2_batch"], epochs=EPOCHS, seed=seed,
            adam=p.get("rule") == "adam", tanh=p.get("unit") == "tanh", **{k: p[k] for k in keys if k in p},
        )  # fmt: skip

    return run


def linear(name: str) -> Callable[[Params, int], Iterator[float]]:
    def run(p: Params, seed: int) -> Iterator[float]:
        from sklearn.linear_model import SGDClassifier

        (x, y), (vx, vy) = data(name)
        x, y = x[:400], y[:400]
        model = SGDClassifier(
            loss=p["loss"], alpha=p["alpha"], eta0=p["eta0"], learning_rate="invscaling", power_t=p["power_t"],
            penalty="elasticnet", l1_ratio=p["l1_ratio"], average=p["average"] == "yes", random_state=seed,
        )  # fmt: skip
        dice = np.random.default_rng(seed)
        for _ in range(EPOCHS):
            order = dice.permutation(len(x))
            model.partial_fit(x[order], y[order], classes=np.unique(y))
            score = model.decision_function(vx)
            if score.ndim == 1:
                margin = np.where(vy == 1, score, -score)
            else:
                true = score[np.arange(len(vy)), vy]
                score[np.arange(len(vy)), vy] = -np.inf
                margin = true - score.max(axis=1)
            # the error, smoothed: how far on the wrong side, in units of the median margin
            yield float((1 / (1 + np.exp(np.clip(4 * margin / (np.median(np.abs(margin)) + 1e-9), -50, 50)))).mean())

    return run


def boosted(name: str, objective: str, metric: str) -> Callable[[Params, int], Iterator[float]]:
    def run(p: Params, seed: int) -> Iterator[float]:
        import lightgbm

        (x, y), (vx, vy) = data(name)
        y, vy = np.ravel(y), np.ravel(vy)
        settings = {
            "objective": objective, "metric": metric, "verbosity": -1, "num_threads": 1, "seed": seed,
            "learning_rate": p["lr"], "num_leaves": p["leaves"], "min_data_in_leaf": p["least"],
            "feature_fraction": p["features"], "lambda_l2": p["l2"], "bagging_fraction": p["rows"], "bagging_freq": 1,
            "num_class": int(y.max()) + 1 if objective == "multiclass" else 1, "max_bin": 63,
        }  # fmt: skip
        train = lightgbm.Dataset(x, y)
        told: dict[str, Any] = {}
        rounds = EPOCHS * (1 if objective == "multiclass" else 4)
        lightgbm.train(
            settings, train, rounds, [lightgbm.Dataset(vx, vy, reference=train)],
            callbacks=[lightgbm.record_evaluation(told)],
        )  # fmt: skip
        yield from told["valid_0"][metric][rounds // EPOCHS - 1 :: rounds // EPOCHS]

    return run


BATCH = whole(3, 8)
TREES = {
    "lr": log(0.005, 1.0), "leaves": whole(2, 48), "least": whole(1, 60), "features": real(0.2, 1.0),
    "l2": log(1e-3, 100.0), "rows": real(0.3, 1.0),
}  # fmt: skip
SGD = {"lr": log(1e-4, 1.0), "momentum": real(0.0, 0.98), "log2_batch": BATCH, "l2": log(1e-6, 0.1)}
LINEAR = {
    "loss": choice("hinge", "log_loss", "modified_huber"), "alpha": log(1e-7, 1.0), "eta0": log(1e-4, 10.0),
    "power_t": real(0.0, 0.9), "l1_ratio": real(0.0, 1.0), "average": choice("no", "yes"),
}  # fmt: skip
WIDE = {"width": whole(4, 96)}
PICTURE = {
    "lr": log(1e-4, 0.3), "rule": choice("sgd", "adam"), "momentum": real(0.3, 0.98), "log2_batch": whole(4, 8),
    "waves": log(0.3, 30.0), **WIDE,
}  # fmt: skip

# name: (dev, parameters, learner, chance: what a value that is not finite or worse counts as)
TASKS: dict[str, tuple[bool, Params, Callable[[Params, int], Iterator[float]], float]] = {
    "net, wine": (
        True, {**SGD, **WIDE, "rule": choice("sgd", "adam")}, net("wine", "loss", lambda p: (p["width"],)), 1.2,
    ),
    "boosting, diabetes": (True, TREES, boosted("diabetes", "regression", "rmse"), 1.2),
    "linear, cancer": (True, LINEAR, linear("breast_cancer"), 0.5),
    "autoencoder, digits": (
        True, {**SGD, "width": whole(2, 32), "unit": choice("relu", "tanh")},
        net("digits", "mse", lambda p: (p["width"],)), 1.2,
    ),
    "picture, flower": (True, PICTURE, net("flower.jpg", "mse", lambda p: (p["width"], p["width"])), 0.15),
    "net, digits": (False, {**SGD, **WIDE, "decay": real(0.85, 1.0)}, net("digits", "error", lambda p: (p["width"],)), 0.9),
    "dropout net, digits": (
        False, {"lr": log(1e-5, 0.1), "dropout": real(0.0, 0.8), "log2_batch": whole(4, 8), "depth": whole(1, 3),
                "width": whole(8, 64), "l2": log(1e-6, 0.1), "rule": choice("sgd", "adam")},
        net("digits", "loss", lambda p: (p["width"],) * p["depth"]), 2.4,
    ),
    "net, diabetes": (
        False, {**SGD, "width": whole(4, 64), "dropout": real(0.0, 0.7), "rule": choice("sgd", "adam")},
        net("diabetes", "mse", lambda p: (p["width"],)), 1.3,
    ),
    "boosting, cancer": (False, TREES, boosted("breast_cancer", "binary", "binary_logloss"), 0.7),
    "boosting, digits": (False, TREES, boosted("digits", "multiclass", "multi_logloss"), 2.4),
    "linear, digits": (False, LINEAR, linear("digits"), 0.5),
    "picture, china": (False, PICTURE, net("china.jpg", "mse", lambda p: (p["width"], p["width"])), 0.2),
}  # fmt: skip


def load(name: str) -> Task:
    dev, parameters, _, _ = TASKS[name]
    with np.load(FILE) as stored:
        u, curves = stored[f"{name}/u"].astype(float), stored[f"{name}/curves"].astype(float)
    task = Task(name, dev, parameters, np.zeros((0, 0)), curves)
    rows = np.array([task.row(point(parameters, x)) for x in u])
    return Task(name, dev, parameters, rows, curves)


def point(parameters: Params, u: Floats) -> Params:
    return {k: value(spec, float(x)) for (k, spec), x in zip(parameters.items(), u, strict=True)}


def tabulate(name: str) -> tuple[Floats, Floats]:
    _, parameters, learner, chance = TASKS[name]
    u = np.random.default_rng(list(name.encode())).random((ROWS, len(parameters))).astype(np.float32)
    curves = np.full((ROWS, EPOCHS), chance)
    for i, x in enumerate(u):
        values = np.array(list(learner(point(parameters, x), i)), dtype=float)
        curves[i] = np.where(values < chance, values, chance)
    return u, curves.astype(np.float32)


def main() -> None:
    """Tabulate what is missing (all of it with --again)."""
    import time

    warnings.filterwarnings("ignore")
    np.seterr(all="ignore")
    stored: dict[str, Floats] = {}
    if FILE.exists() and "--again" not in sys.argv:
        with np.load(FILE) as old:
            stored = {k: old[k] for k in old.files}
    for name in TASKS:
        if f"{name}/u" in stored:
            continue
        start = time.process_time()
        stored[f"{name}/u"], stored[f"{name}/curves"] = tabulate(name)
        np.savez_compressed(FILE, **stored)
        best = np.sort(stored[f"{name}/curves"].min(axis=1))
        told = "  ".join(f"{best[int(q * (ROWS - 1))]:.4g}" for q in (0, 0.01, 0.05, 0.25, 0.5, 0.75, 1))
        print(f"{name}: {time.process_time() - start:.0f} s; best values at 0 1 5 25 50 75 100 %: {told}", flush=True)


if __name__ == "__main__":
    main()
