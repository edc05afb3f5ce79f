"""Make the tables of the real tasks: cross-validate every point of a lattice, or random points under a forest.

    python benchmarks/search/tabulate.py [NAME ...]      one core, about a quarter of an hour for all; needs scikit-learn

A table holds, for each branch of a conditional space, the nodes of every axis and the values at their combinations; or
the trees of a forest (extra trees, over u). Values are those of `real.py`'s metric, less is better.
"""

from __future__ import annotations

import itertools
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from search.dims import Dim, live, named
from search.lookup import FOLDER, branches, columns, features, file_of
from search.real import TASKS, Real

WORST = {"error": 1.0, "auc": 1.0, "logloss": 4.0, "r2": 2.0}
TREES, LEAF = 24, 2


def dataset(name: str, rows: int | None) -> tuple[Any, Any]:
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    chosen = np.random.default_rng(0).permutation(len(x))[:rows]
    return x[chosen], y[chosen]


def validate(task: Real, x: Any, y: Any, params: dict[str, Any]) -> list[float]:
    """The metric on every fold; the worst value where the model cannot be fitted."""
    from sklearn.metrics import log_loss, roc_auc_score
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = KFold if task.metric == "r2" else StratifiedKFold
    worst, found = WORST[task.metric], []
    for train, test in kind(task.folds, shuffle=True, random_state=0).split(x, y):
        try:
            model = task.build(params).fit(x[train], y[train])
            if task.metric == "logloss":
                loss = log_loss(y[test], np.clip(model.predict_proba(x[test]), 1e-3, 1), labels=np.unique(y))
            elif task.metric == "auc":
                loss = 1 - roc_auc_score(y[test], model.decision_function(x[test]))
            else:
                loss = 1 - model.score(x[test], y[test])
        except ValueError:
            loss = worst
        found.append(min(float(loss), worst) if np.isfinite(loss) else worst)
    return found


def nodes(dim: Dim, wish: Any) -> list[Any]:
    """The values of one axis of the lattice."""
    if dim.listed:
        return list(range(len(dim.values)))
    if isinstance(wish, int):
        if dim.kind == "int":
            return sorted({dim.value(u) for u in np.linspace(0, 1, wish)})
        at = np.linspace(0, 1, wish)
        span = np.log(dim.high / dim.low) if dim.log else dim.high - dim.low
        return [float(dim.low * np.exp(u * span)) if dim.log else float(dim.low + u * span) for u in at]
    return list(wish)


def lattice(task: Real, x: Any, y: Any) -> tuple[dict[str, Any], list[list[float]]]:
    arrays: dict[str, Any] = {}
    folds: list[list[float]] = []
    for number, branch in enumerate(branches(task.dims)):
        point = {d.name: 0 for d in task.dims} | branch
        axes = [d for d in task.dims if d.name in live(task.dims, point) and d.name not in branch]
        places = [nodes(d, task.nodes.get(d.name)) for d in axes]
        values = []
        for combination in itertools.product(*places):
            full = branch | dict(zip([d.name for d in axes], combination, strict=True))
            folds.append(validate(task, x, y, named(task.dims, full)))
            values.append(np.mean(folds[-1]))
        arrays[f"values{number}"] = np.array(values, dtype=np.float32).reshape([len(p) for p in places])
        for d, p in zip(axes, places, strict=True):
            arrays[f"nodes{number} {d.name}"] = np.array([d.unit(v) for v in p])
    return arrays, folds


def surrogate(task: Real, x: Any, y: Any) -> tuple[dict[str, Any], list[list[float]]]:
    """Extra trees through random points, as arrays: which column, below which threshold, and where to go."""
    from sklearn.ensemble import ExtraTreesRegressor

    generator = np.random.default_rng(0)
    points = [
        live(task.dims, {d.name: d.value(u) for d, u in zip(task.dims, row, strict=True)})
        for row in generator.random((task.samples, len(task.dims)))
    ]
    folds = [validate(task, x, y, named(task.dims, p)) for p in points]
    rows = np.array([features(task.dims, p) for p in points])
    model = ExtraTreesRegressor(TREES, min_samples_leaf=LEAF, random_state=0).fit(rows, np.mean(folds, axis=1))
    trees = [e.tree_ for e in model.estimators_]
    starts = np.cumsum([0, *[t.node_count for t in trees]])
    shift = np.repeat(starts[:-1], [t.node_count for t in trees])
    leaf = np.concatenate([t.children_left for t in trees]) < 0
    own = np.arange(starts[-1])
    arrays = {
        "roots": starts[:-1].astype(np.int32),
        "column": np.where(leaf, 0, np.concatenate([t.feature for t in trees])).astype(np.int8),
        "threshold": np.where(leaf, 0, np.concatenate([t.threshold for t in trees])).astype(np.float32),
        "left": np.where(leaf, own, np.concatenate([t.children_left for t in trees]) + shift).astype(np.int32),
        "right": np.where(leaf, own, np.concatenate([t.children_right for t in trees]) + shift).astype(np.int32),
        "value": np.where(leaf, np.concatenate([t.value[:, 0, 0] for t in trees]), 0).astype(np.float32),
    }
    assert arrays["column"].max() < len(columns(task.dims))
    return arrays, folds


def main() -> None:
    warnings.simplefilter("ignore")
    FOLDER.mkdir(exist_ok=True)
    wanted = sys.argv[1:]
    for task in TASKS:
        if (wanted and task.name not in wanted) or (not wanted and file_of(task.name).exists()):
            continue
        start = time.process_time()
        x, y = dataset(*task.data)
        arrays, folds = (surrogate if task.samples else lattice)(task, x, y)
        spread = np.array(folds)
        good = np.argsort(spread.mean(axis=1))[: max(len(folds) // 4, 1)]
        arrays["noise"] = np.median(spread[good].std(axis=1, ddof=1)) / np.sqrt(3)  # of a 3-fold cross-validation
        np.savez_compressed(file_of(task.name), **arrays)
        best, middle = spread.mean(axis=1).min(), np.median(spread.mean(axis=1))
        seconds = time.process_time() - start
        size = file_of(task.name).stat().st_size
        print(
            f"{task.name}: {len(folds)} points, {seconds:.0f} s, {size} bytes, best {best:.4f}, median {middle:.4f}, "
            f"noise {arrays['noise']:.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
