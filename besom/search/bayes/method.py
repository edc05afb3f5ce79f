"""`method: bayes`: a Gaussian process for mixed spaces that chooses its own output scale, and expected improvement.

The walk: trials -> rows of u and one number each -> first points until there are enough -> the scale and
hyperparameters of most evidence -> the process, with pending trials taken at its own mean -> the point of greatest
expected improvement that was not tried. What the next call should start from (hyperparameters, scale, when they were
fitted) travels in `info["model"]`. Answers do not depend on the order of the trials.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from besom.search.bayes.acquire import Search, log_ei
from besom.search.bayes.gp import Likelihood, Posterior, Prior
from besom.search.bayes.layout import Layout
from besom.search.bayes.outputs import NAMES, Output, output
from besom.search.engine import Problem
from besom.search.error import SpaceError
from besom.search.goal import Goal, observe
from besom.search.heavy import one_thread
from besom.search.laws import Floats
from besom.search.quasi import sobol_point
from besom.search.random import Seen, random_point
from besom.search.trial import Suggestion, Trial

LARGE = 400  # trials above which the process is built on some of them
BEST, LATEST, OTHERS = 200, 66, 133
LEARN = 200  # rows that hyperparameters are learnt on, at most
EVERY = 40  # trials below which each call fits again
ENUMERATE = 1500  # points of a finite space that are all judged


@dataclass(frozen=True)
class Data:
    """What the trials say, in an order of its own. `rows`: (n, d) with values `y`; `age`: (n,) larger is later."""

    rows: Floats
    y: Floats
    age: Floats
    pending: Floats


@dataclass(frozen=True)
class Model:
    """What a fit leaves for the next call. `fit`: how many values it saw. `thetas`: per scale; `scale`: the chosen one."""

    fit: int
    scale: str
    thetas: dict[str, list[float]] = field(default_factory=dict)


class Bayes:
    """Gaussian process and expected improvement."""

    def check(self, problem: Problem) -> list[str]:
        if problem.goal is None:
            raise SpaceError("metric", "bayes needs to know what to optimise, like `{name: val_loss, goal: minimize}`")
        if not problem.space.free:
            return ["parameters: every parameter is a constant, so there is one point to try"]
        return []

    def suggest(self, problem: Problem, trials: Sequence[Trial], n: int) -> list[Suggestion]:
        goal = problem.goal
        assert goal is not None
        seen = Seen(problem.space, trials)
        call = _Call(problem, goal, trials, seen)
        found: list[Suggestion] = []
        while len(found) < n and not seen.full:
            found.append(call.next())
        return found


class _Call:
    """One call of suggest: points come one after the other, each pending for the next."""

    def __init__(self, problem: Problem, goal: Goal, trials: Sequence[Trial], seen: Seen) -> None:
        self.problem, self.goal, self.seen = problem, goal, seen
        self.layout = Layout(problem.space)
        self.data = _data(goal, trials, seen.encoded, self.layout)
        self.number = len(trials)
        self.model = _latest(trials, self.layout.d)
        self.start = 1 + max((k for t in trials if type(k := t.info.get("point")) is int), default=-2)
        self.enough = min(max(4, self.layout.d + 1), 10)
        self.scale: Output | None = None
        self.posterior: Posterior | None = None
        self.fitted = False

    def next(self) -> Suggestion:
        known = len(self.data.y)
        suggestion = None
        if known >= 2 and known + len(self.data.pending) >= self.enough:
            with one_thread():
                suggestion = self._modelled()
        if suggestion is None:
            suggestion = self._first()
        self.number += 1
        row = self.layout.snap(self.problem.space.encode([suggestion.params]))
        self.data = Data(self.data.rows, self.data.y, self.data.age, np.concatenate([self.data.pending, row]))
        if self.posterior is not None:
            with one_thread():
                self.posterior = self.posterior.believe(row)
        return suggestion

    def _first(self) -> Suggestion:
        """The centre, then a Sobol sequence."""
        if self.start < 0:
            params = self.problem.space.decode([0.5] * self.layout.d)
            if self.seen.add(params):
                self.start = 0
                return Suggestion(params, self._info("start", point=-1))
            self.start = 0
        params, point = sobol_point(self.problem, self.seen, self.start)
        self.start = point + 1
        return Suggestion(params, self._info("start", point=point))

    def _modelled(self) -> Suggestion | None:
        """The point of greatest expected improvement; None when the model has no answer."""
        if self.posterior is None:
            self._prepare()
        posterior, scale = self.posterior, self.scale
        assert posterior is not None and scale is not None
        incumbent = self._incumbent(posterior)
        generator = self.problem.generator(self.number, 1)
        size = self.problem.space.size
        if size is not None and size <= ENUMERATE:
            rows = self._rest()
            score = log_ei(*posterior.predict(rows), incumbent)
            # equal scores are common in a small space: the generator breaks ties, not the order of the names
            rows = rows[np.lexsort([generator.random(len(rows)), -score])]
        else:
            rows, _ = Search(posterior, incumbent, generator).ranked()
        params = self._unseen(rows)
        if params is None:
            return None
        return Suggestion(params, self._told(params, posterior, scale, incumbent))

    def _rest(self) -> Floats:
        """(m, d) all points of a small finite space that are not tried."""
        space = self.problem.space
        assert space.size is not None
        left = [i for i in range(space.size) if i not in self.seen.used]
        return self.layout.snap(space.encode([space.at(i) for i in left]))

    def _unseen(self, rows: Floats) -> dict[str, Any] | None:
        """The first of the rows that is no tried point, as params."""
        for row in rows:
            params = self.problem.space.decode(row.tolist())
            if self.seen.add(params):
                return params
        if self.seen.size is None:
            return None
        return random_point(self.problem, self.seen, self.number)

    def _prepare(self) -> None:
        """Fit, or take over the last fit, and build the process with the pending trials."""
        data = self.data
        n = len(data.y)
        rows, y = _some(data, self.problem.generator(self.number, 2))
        model = self.model
        due = model is None or n < EVERY or abs(n - model.fit) >= max(1, n / 20)
        if due:
            model = _fit(self.layout, rows, y, model, n, self.problem.generator(n, 3))
            self.fitted = True
        assert model is not None
        self.model = model
        self.scale = output(model.scale, y)
        theta = np.asarray(model.thetas[model.scale])
        self.posterior = Posterior(self.layout, rows, self.scale.t, theta)
        if len(data.pending):
            self.posterior = self.posterior.believe(data.pending[-LARGE:])

    def _incumbent(self, posterior: Posterior) -> float:
        """What to improve on: the least value, or under noise the least mean at the points tried."""
        if posterior.s > 1e-3 and len(self.data.y) < LARGE:
            return float(posterior.mean(posterior.rows).min())
        return float(posterior.t.min())

    def _told(self, params: dict[str, Any], posterior: Posterior, scale: Output, incumbent: float) -> dict[str, Any]:
        """Why this point: the model's words in the metric's own unit."""
        row = self.layout.snap(self.problem.space.encode([params]))
        means, deviations = posterior.predict(row)
        mean, deviation = float(means[0]), float(deviations[0])
        low, high = scale.undo(mean - deviation), scale.undo(mean + deviation)
        info = self._info(
            "model",
            predicted=self.goal.sign * scale.undo(mean),
            deviation=min(max(high / 2 - low / 2, 0.0), 1e308),
            probability_to_improve=0.5 * math.erfc((mean - incumbent) / deviation / math.sqrt(2.0)),
            log_expected_improvement=float(log_ei(means, deviations, incumbent)[0]),
        )
        if self.fitted and self.model is not None:
            info["model"] = {"fit": self.model.fit, "scale": self.model.scale, "thetas": self.model.thetas}
            self.fitted = False
        return info

    def _info(self, arm: str, **more: Any) -> dict[str, Any]:
        return {"method": "bayes", "arm": arm, "number": self.number, **more}


def _data(goal: Goal, trials: Sequence[Trial], encoded: Floats, layout: Layout) -> Data:
    """Rows and values in canonical order. A trial that lacks a number, or has none of ours, is left out."""
    seen = observe(goal, trials)
    rows = layout.snap(encoded)
    usable = ~np.isnan(rows[:, ~layout.category]).any(axis=1)
    number = np.array([k if type(k := t.info.get("number")) is int else -1 for t in trials], dtype=float)
    pick = np.flatnonzero(seen.known & usable)
    by = [number[pick], seen.value[pick], *(np.nan_to_num(rows[pick, j], nan=-1.0) for j in range(layout.d))]
    pick = pick[np.lexsort(by)]
    wait = np.flatnonzero(seen.pending & usable)
    wait = wait[np.lexsort([number[wait], *(np.nan_to_num(rows[wait, j], nan=-1.0) for j in range(layout.d))])]
    return Data(rows[pick], seen.value[pick], number[pick], rows[wait])


def _some(data: Data, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """The rows and values that the process is built on: all, or the best, the latest and some others."""
    n = len(data.y)
    if n <= LARGE:
        return data.rows, data.y
    best = np.argsort(data.y, kind="stable")[:BEST]
    rest = np.setdiff1d(np.arange(n), best)
    late = rest[np.argsort(-data.age[rest], kind="stable")[:LATEST]]
    rest = np.setdiff1d(rest, late)
    others = generator.choice(rest, size=min(OTHERS, len(rest)), replace=False)
    pick = np.concatenate([best, late, others])
    return data.rows[pick], data.y[pick]


def _latest(trials: Sequence[Trial], d: int) -> Model | None:
    """The last fit that the trials carry, whatever their order; None when there is none that fits this space."""
    best: tuple[tuple[int, int, str], Model] | None = None
    for trial in trials:
        told = trial.info.get("model")
        if not isinstance(told, dict):
            continue
        try:
            thetas = {str(k): [float(x) for x in v] for k, v in told["thetas"].items()}
            model = Model(int(told["fit"]), str(told["scale"]), thetas)
            rank = (model.fit, int(trial.info.get("number", 0)), json.dumps(told, sort_keys=True))
        except (KeyError, TypeError, ValueError, AttributeError):
            continue  # another method's words, or a hand's: a fit is made again
        good = all(len(v) == d + 2 and all(map(math.isfinite, v)) for v in thetas.values())
        if good and model.scale in thetas and model.scale in NAMES and (best is None or rank > best[0]):
            best = (rank, model)
    return best[1] if best else None


def _fit(layout: Layout, rows: Floats, y: Floats, last: Model | None, n: int, generator: np.random.Generator) -> Model:
    """The scale of most evidence and the hyperparameters on it. `n`: how many values the sweep has in all."""
    if len(y) > LEARN:
        pick = np.sort(generator.choice(len(y), size=LEARN, replace=False))
        rows, y = rows[pick], y[pick]
    likelihood = Likelihood(layout, rows)
    prior = Prior.of(layout.d)
    full = 40 if n < 100 else 15
    thetas: dict[str, Floats] = {}
    best: tuple[float, str, Output] | None = None
    for name in NAMES:
        scale = output(name, y)
        if scale.name != name:  # all values are equal: there is one scale
            continue
        warm = last.thetas.get(name) if last else None
        start, rounds = (prior.start, full) if warm is None else (np.asarray(warm), 12)
        value, thetas[name] = likelihood.minimise(start, scale.t, rounds)
        if best is None or value + scale.cost < best[0]:
            best = (value + scale.cost, name, scale)
    if best is None:
        return Model(n, "plain", {"plain": prior.start.tolist()})
    _, name, scale = best
    value = best[0] - scale.cost
    starts = [prior.start] if last else []
    if n < 60:
        starts.append(prior.start + 0.3 * prior.deviation * generator.standard_normal(layout.d + 2))
    for start in starts:
        other, theta = likelihood.minimise(start, scale.t, full)
        if other < value - 1e-6:
            value, thetas[name] = other, theta
    return Model(n, name, {k: [round(float(x), 4) for x in v] for k, v in thetas.items()})
