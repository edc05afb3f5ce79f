"""What scores are measured against: random search's median after every number of trials, and the best known value.

Kept in known.json, made by `benchmarks/search.py --known` for tasks whose mark is new. The best known value is the least
that differential evolution finds from five seeds, or any engine in the cells at hand, whichever is less.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from search.cells import Cell
from search.lookup import noise
from search.tasks import Task

FILE = Path(__file__).resolve().parent / "known.json"
SEEDS, TRIALS = 150, 100
LONG = {"real": 40, "synthetic": 12}  # differential evolution: generations of 15 for each dimension, from five seeds


@dataclass(frozen=True)
class Known:
    """`random`, `noisy`: random search's median after 1, 2, ... trials, the second when it sees noise and is judged without.
    `noise`: standard deviation in the noisy mode: of a 3-fold cross-validation, at most half of what there is to gain
    over ten random trials; a tenth of it for synthetic tasks."""

    mark: str
    best: float
    noise: float
    random: list[float]
    noisy: list[float]


def load() -> dict[str, Known]:
    return {k: Known(**v) for k, v in json.loads(FILE.read_text()).items()} if FILE.exists() else {}


def save(known: dict[str, Known]) -> None:
    rows = [f" {json.dumps(k)}: {json.dumps(asdict(v))}" for k, v in sorted(known.items())]
    FILE.write_text("{\n" + ",\n".join(rows) + "\n}\n")


def medians(rows: Any) -> list[float]:
    return [round(float(m), 6) for m in np.median(rows, axis=0)]


def learn(task: Task) -> Known:
    """Everything about one task."""
    values = np.array([[task.at(draw(task, Random(f"{s} {i}"))) for i in range(TRIALS)] for s in range(SEEDS)])
    best = min(long_run(task), float(values.min()))
    chance = np.minimum.accumulate(values, axis=1)
    room = float(np.median(chance[:, 9])) - best
    spread = min(noise(task.name), room / 2) if task.family == "real" else room / 10
    shown = values + spread * np.random.default_rng(0).normal(size=values.shape)
    picked = [list(accumulate(range(TRIALS), lambda a, b, r=r: b if r[b] < r[a] else a)) for r in shown]
    judged = np.take_along_axis(values, np.array(picked), axis=1)
    return Known(task.mark, round(best, 6), round(spread, 6), medians(chance), medians(judged))


def draw(task: Task, generator: Random) -> dict[str, Any]:
    return {d.name: d.value(generator.random()) for d in task.dims}


def long_run(task: Task) -> float:
    from scipy.optimize import differential_evolution

    def value(row: Any) -> float:
        return task.at({d.name: d.value(float(u)) for d, u in zip(task.dims, row, strict=True)})

    bounds = [(0.0, 1.0)] * len(task.dims)
    runs = [
        differential_evolution(value, bounds, maxiter=LONG[task.family], seed=s, polish=False).fun for s in range(5)
    ]
    return float(min(runs))


def lower(known: dict[str, Known], cells: Iterable[Cell]) -> dict[str, Known]:
    """The table with the best of what engines have found since."""
    found = dict(known)
    for cell in cells:
        at = found.get(cell.task)
        values = cell.true or cell.seen
        if at is not None and at.mark == cell.mark and values and min(values) < at.best:
            found[cell.task] = Known(**asdict(at) | {"best": round(min(values), 6)})
    return found
