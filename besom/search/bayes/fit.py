"""Hyperparameters and output scale of a process: what a fit leaves for the next call, and how the next call goes on.

A fit travels in `info["models"]` under the name of what it models. The scale of most evidence is chosen among those of
`outputs`. While there are few values every scale is fitted each time; later they take turns, the best one every second
time: the others are judged by what their last turn found, and no call pays for all of them. It knows no trials' values.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from besom.search.bayes.gp import Likelihood, Prior
from besom.search.bayes.layout import Layout
from besom.search.bayes.outputs import Output
from besom.search.laws import Floats
from besom.search.trial import Trial

LEARN = 200  # rows that hyperparameters are learnt on, at most
EVERY = 40  # values below which each call fits every scale again


@dataclass(frozen=True)
class Model:
    """What a fit leaves. `fit`: values it saw. `thetas`: per scale; `scale`: the chosen one; `turn`: of fits."""

    fit: int
    scale: str
    thetas: dict[str, list[float]] = field(default_factory=dict)
    turn: int = 0

    def due(self, n: int) -> bool:
        """Whether n values call for another fit."""
        return n < EVERY or abs(n - self.fit) >= max(1, n // 50)


def latest(trials: Sequence[Trial], d: int) -> dict[str, Model]:
    """The last fit of each name that the trials carry, whatever their order, of those that fit d columns."""
    found: dict[str, tuple[tuple[int, int], str, Model]] = {}
    for trial in trials:
        told = trial.info.get("models")
        number = trial.info.get("number")
        for name, spec in told.items() if isinstance(told, dict) else ():
            try:
                thetas = {str(k): [float(x) for x in v] for k, v in spec["thetas"].items()}
                model = Model(int(spec["fit"]), str(spec["scale"]), thetas, int(spec["turn"]))
            except (KeyError, TypeError, ValueError, AttributeError):
                continue  # another method's words, or a hand's: a fit is made again
            if model.scale not in thetas or not all(
                len(v) == d + 3 and all(map(math.isfinite, v)) for v in thetas.values()
            ):
                continue
            rank = (model.fit, number if type(number) is int else -1)
            if name not in found or rank >= found[name][0]:
                text = json.dumps(spec, sort_keys=True)
                if name not in found or (rank, text) > found[name][:2]:
                    found[name] = (rank, text, model)
    return {name: model for name, (_, _, model) in found.items()}


def fit(
    layout: Layout, rows: Floats, scales: Sequence[Output], last: Model | None, n: int, generator: np.random.Generator
) -> Model:
    """The next model of values on several scales, each of len(rows) values. `n`: values that the sweep has."""
    prior = Prior.of(layout.d)
    if not scales:  # all values are equal
        return Model(n, "plain", {"plain": prior.start.tolist()})
    pick = np.arange(len(rows))
    if len(rows) > LEARN:
        pick = np.sort(generator.choice(len(rows), size=LEARN, replace=False))
    likelihood = Likelihood(layout, rows[pick])
    values = {s.name: s.t[pick] for s in scales}
    full = 40 if n < 100 else 15
    turn = 0 if last is None else last.turn + 1
    known = {} if last is None else {k: np.asarray(v) for k, v in last.thetas.items() if k in values}
    others = [s.name for s in scales if last is None or s.name != last.scale]
    everyone = n < EVERY or len(known) < len(scales)
    due = others[turn // 2 % len(others)] if turn % 2 and others else (last.scale if last else "")
    found: dict[str, tuple[float, Floats]] = {}
    for scale in scales:
        start, rounds = (known[scale.name], 12) if scale.name in known else (prior.start, full)
        if everyone or scale.name == due:
            found[scale.name] = likelihood.minimise(start, values[scale.name], rounds)
            if scale.name == "plain":  # a bowl is found from a start that is one
                bowl = likelihood.minimise(np.append(prior.start[:-1], -1.0), values["plain"], rounds)
                found["plain"] = min(found["plain"], bowl, key=lambda f: f[0])
        else:
            found[scale.name] = likelihood(start, values[scale.name], slopes=False)[0], start
    share = len(pick) / len(rows)
    best = min(scales, key=lambda s: found[s.name][0] + share * s.cost).name
    if everyone or best == due:
        starts = [prior.start] if last else []
        if n < 60:
            starts.append(prior.start + 0.3 * prior.deviation * generator.standard_normal(layout.d + 3))
        for start in starts:
            other = likelihood.minimise(start, values[best], full)
            if other[0] < found[best][0] - 1e-6:
                found[best] = other
    return Model(n, best, {k: [round(float(x), 4) for x in v] for k, (_, v) in found.items()}, turn)


def words(model: Model) -> dict[str, Any]:
    """The model for `info`."""
    return {"fit": model.fit, "scale": model.scale, "thetas": model.thetas, "turn": model.turn}
