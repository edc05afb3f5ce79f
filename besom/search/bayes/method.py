"""`method: bayes`: Gaussian processes for mixed spaces that choose their own output scale, and expected improvement.

The walk: trials -> `data` -> first points until there are enough -> a process for each goal, for each limit and for
whether a trial fails (`fit`) -> the sum of the logarithms of what a good next point must be (`acquire`, `terms`) -> the
point where it is greatest that was not tried. Pending trials count as the mean that their process expects.
Hyperparameters travel in `info["models"]`. Answers do not depend on the order of the trials.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np

from besom.search.bayes.acquire import Improvement, Search, Term, log_ei
from besom.search.bayes.data import Data, read
from besom.search.bayes.fit import EVERY, Model, fit, latest, words
from besom.search.bayes.gp import Posterior
from besom.search.bayes.layout import Layout
from besom.search.bayes.outputs import NAMES, Output, output
from besom.search.bayes.terms import Belief, Below, Hypervolume
from besom.search.engine import Problem
from besom.search.error import SpaceError
from besom.search.goal import front
from besom.search.heavy import one_thread
from besom.search.laws import Floats
from besom.search.quasi import sobol_point
from besom.search.random import Seen, random_point
from besom.search.trial import Suggestion, Trial

ENUMERATE = 1500  # points of a finite space that are all judged
QUANTILES = [NormalDist().inv_cdf((i + 0.5) / 32) for i in range(32)]
NOISY = 1e-3  # share of noise in the variance from which on the best value found is not believed
FAITH = 10.0  # weight of the user's belief, divided by the number of values


class Bayes:
    """Gaussian process and expected improvement."""

    def check(self, problem: Problem) -> list[str]:
        if problem.goal is None:
            raise SpaceError("metric", "bayes needs to know what to optimise, like `{name: val_loss, goal: minimize}`")
        if not problem.space.free:
            return ["parameters: every parameter is a constant, so there is one point to try"]
        return []

    def suggest(self, problem: Problem, trials: Sequence[Trial], n: int) -> list[Suggestion]:
        seen = Seen(problem.space, trials)
        call = _Call(problem, trials, seen)
        found: list[Suggestion] = []
        while len(found) < n and not seen.full:
            found.append(call.next())
        return found


class _Call:
    """One call of suggest: points come one after the other, each pending for the next."""

    def __init__(self, problem: Problem, trials: Sequence[Trial], seen: Seen) -> None:
        self.problem, self.seen = problem, seen
        tasks = 1 + len({str(t.info.get("from")) for t in problem.earlier})
        self.layout = Layout(problem.space, tasks)
        self.data = read(problem, trials, seen.encoded, self.layout)
        self.number = len(trials)
        self.models = latest(trials, self.layout.d)
        self.start = 1 + max((k for t in trials if type(k := t.info.get("point")) is int), default=-2)
        self.enough = min(max(4, self.layout.d + 1), 10)
        self.outlook: _Outlook | None = None

    def next(self) -> Suggestion:
        data = self.data
        failed, valued = int(data.failed.sum()), int((~data.failed).sum())
        suggestion = None
        if valued >= max(2, self.enough // 2) and valued + failed // 4 + len(data.pending) >= self.enough:
            with one_thread():
                suggestion = self._modelled()
        if suggestion is None:
            suggestion = self._first()
        self.number += 1
        row = self.layout.snap(self.problem.space.encode([suggestion.params]))
        self.data = replace(data, pending=np.concatenate([data.pending, row]))
        return suggestion

    def _first(self) -> Suggestion:
        """The centre, or the point the user believes in; then a Sobol sequence, every other point of it as believed."""
        space = self.problem.space
        believed = [p.prior for p in space.free]
        if self.start < 0:
            self.start = 0
            params = space.decode([0.5 if prior is None else prior[0] for prior in believed])
            if self.seen.add(params):
                return Suggestion(params, self._info("start", point=-1))
        if any(believed) and self.start % 2:
            dice = self.problem.generator(self.start, 5)
            drawn = zip(believed, dice.random(len(believed)), dice.standard_normal(len(believed)), strict=True)
            row = [float(u) if prior is None else min(max(prior[0] + prior[1] * z, 0.0), 1.0) for prior, u, z in drawn]
            if self.seen.add(params := space.decode(row)):
                self.start += 1
                return Suggestion(params, self._info("start", point=self.start - 1))
        params, point = sobol_point(self.problem, self.seen, self.start)
        self.start = point + 1
        return Suggestion(params, self._info("start", point=point))

    def _modelled(self) -> Suggestion | None:
        """The point where the acquisition is greatest; None when the models have no answer."""
        if self.outlook is None:
            self.outlook = _Outlook(self.problem, self.layout, self.data, self.models, self.number)
        outlook, space = self.outlook, self.problem.space
        terms = outlook.terms(self.data.pending)
        generator = self.problem.generator(self.number, 1)
        search = Search(terms, outlook.goals[0], outlook.best(), generator)
        if space.size is not None and space.points is not None and space.size <= ENUMERATE:
            left = [i for i in space.points if i not in self.seen.used]
            rows = self.layout.snap(space.encode([space.at(i) for i in left]))
            # equal scores are common in a small space: the generator breaks ties, not the order of the names
            rows = rows[np.lexsort([generator.random(len(rows)), -search.score(rows)])]
        else:
            rows, _ = search.ranked()
        params = self._unseen(rows)
        if params is None:
            return None
        row = self.layout.snap(space.encode([params]))
        info = self._info("model", **outlook.told(row), log_acquisition=float(search.score(row)[0]))
        if outlook.fresh:
            info["models"] = {name: words(outlook.models[name]) for name in sorted(outlook.fresh)}
            outlook.fresh = set()
        return Suggestion(params, info)

    def _unseen(self, rows: Floats) -> dict[str, Any] | None:
        """The first of the rows that is no tried point, as params."""
        for row in rows:
            params = self.problem.space.decode(row[: len(self.problem.space.free)].tolist())
            if self.seen.add(params):
                return params
        if self.seen.size is None:
            return None
        return random_point(self.problem, self.seen, self.number)

    def _info(self, arm: str, **more: Any) -> dict[str, Any]:
        return {"method": "bayes", "arm": arm, "number": self.number, **more}


class _Outlook:
    """What one call expects of the sweep: a process for each goal, each limit, and for whether a trial fails.

    `fresh`: names of the models that were fitted in this call. `number`: of the suggestion that is asked for.
    """

    def __init__(self, problem: Problem, layout: Layout, data: Data, models: dict[str, Model], number: int) -> None:
        self.problem, self.layout = problem, layout
        self.models, self.fresh = dict(models), set[str]()
        self.count = len(data.rows)
        self.data = data = data.some(problem.generator(number, 2))
        fine = ~data.failed
        self.scales: list[Output] = []
        self.goals: list[Posterior] = []
        for goal, y in zip(problem.goals, data.values[fine].T, strict=True):
            scales = [scale for name in NAMES if (scale := output(name, y)).name == name]
            scale, posterior = self._process(f"goal {goal.name}", data.rows[fine], scales or [output("plain", y)])
            self.scales.append(scale)
            self.goals.append(posterior)
        self.bounds: dict[str, Below] = {}
        for limit, excess in zip(problem.limits, data.excess.T, strict=True):
            said = np.isfinite(excess)
            if said.any():
                self._below(limit.name, data.rows[said], excess[said])
        if data.failed.any():
            self._below("", data.rows, np.where(data.failed, 1.0, -1.0))

    def _process(self, name: str, rows: Floats, scales: list[Output]) -> tuple[Output, Posterior]:
        """The scale and the process of some values, after a fit where one is due."""
        model = self.models.get(name)
        known = {scale.name: scale for scale in scales}
        if model is None or model.scale not in known or model.due(self.count):
            dice = self.problem.generator(self.count, 3)
            model = self.models[name] = fit(self.layout, rows, scales, model, self.count, dice)
            self.fresh.add(name)
        scale = known[model.scale]
        return scale, Posterior(self.layout, rows, scale.t, np.asarray(model.thetas[model.scale]))

    def _below(self, name: str, rows: Floats, excess: Floats) -> None:
        """Note the process of an excess: of a limit, or ("") of whether a trial fails. Large ones are squeezed."""
        squeezed = np.arcsinh(excess / (float(np.median(np.abs(excess))) or 1.0))
        scale = output("plain", squeezed)
        _, posterior = self._process(f"limit {name}" if name else "failure", rows, [scale])
        # where all are equal, the scale is flat and tells nothing
        bound = -scale.mean / scale.deviation if scale.width else -3.0 * float(np.sign(excess[0] - 1e-300))
        self.bounds[name] = Below(posterior, bound)

    def best(self) -> Floats:
        """The known rows, the most promising first."""
        fine = ~self.data.failed
        within = self.data.within[fine]
        order = np.lexsort([self.goals[0].t, ~within])
        return self.data.rows[fine][order]

    def incumbent(self) -> float:
        """What to improve on, on the scale of the first goal: the least value, or under noise the least mean at
        the points tried. Infinite when none keeps the limits."""
        posterior, fine = self.goals[0], ~self.data.failed
        within = self.data.within[fine]
        if not self.data.own.any():  # what other sweeps tried, were it tried here
            return float(posterior.mean(self.layout.snap(posterior.rows)).min())
        if not within.any():
            return math.inf
        if posterior.s > NOISY and self.count < EVERY * 10:
            return float(posterior.mean(posterior.rows[within]).min())
        return float(posterior.t[within].min())

    def terms(self, pending: Floats) -> list[Term]:
        """What the next point must be, with `pending` rows on their way."""
        terms: list[Term] = list(self.bounds.values())
        incumbent = self.incumbent()
        if len(self.goals) > 1:
            terms.append(self._volume(pending))
        elif math.isfinite(incumbent):
            terms.append(self._improvement(pending, incumbent))
        belief = [p.prior or (0.5, math.inf) for p in self.problem.space.free]
        if any(p.prior for p in self.problem.space.free):
            rest = [(0.5, math.inf)] * (self.layout.d - len(belief))
            mean, deviation = np.array(belief + rest).T
            terms.append(Belief(mean, deviation, FAITH / max(self.count, 1)))
        return terms

    def _improvement(self, pending: Floats, incumbent: float) -> Improvement:
        if not len(pending):
            return Improvement(self.goals[0], incumbent)
        posterior = self.goals[0].believe(pending)
        believed = posterior.t[-len(pending) :][self._feasible(pending) > 0.5]
        return Improvement(posterior, min([incumbent, *believed.tolist()]))

    def _volume(self, pending: Floats) -> Hypervolume:
        fine = ~self.data.failed
        values = np.stack([p.t for p in self.goals], axis=1)
        posteriors = self.goals
        within = self.data.within[fine]
        if len(pending):
            hopeful = pending[self._feasible(pending) > 0.5]
            posteriors = [p.believe(pending) for p in self.goals]
            values = np.concatenate([values, np.stack([p.mean(hopeful) for p in self.goals], axis=1)])
            within = np.concatenate([within, np.ones(len(hopeful), bool)])
        worst = values.max(axis=0) + 0.1
        good = values[within]
        return Hypervolume(posteriors, good[front(good)] if len(good) else worst[None, :], worst)

    def _feasible(self, rows: Floats) -> Floats:
        """(n,) probability that a trial finishes and keeps all limits."""
        return np.asarray(np.exp(sum((b.score(rows) for b in self.bounds.values()), np.zeros(len(rows)))))

    def told(self, row: Floats) -> dict[str, Any]:
        """What is expected of a point, (1, d), in the metrics' own units."""
        found: list[tuple[float, float]] = []
        for goal, scale, posterior in zip(self.problem.goals, self.scales, self.goals, strict=True):
            means, deviations = posterior.predict(row)
            mean, deviation = float(means[0]), float(deviations[0])
            low, high = scale.undo(mean - deviation), scale.undo(mean + deviation)
            found.append((goal.sign * scale.undo(mean), min(max(high / 2 - low / 2, 0.0), 1e308)))
        told: dict[str, Any] = {"predicted": found[0][0], "deviation": found[0][1]}
        if len(found) > 1:
            told["goals"] = {g.name: list(f) for g, f in zip(self.problem.goals, found, strict=True)}
        incumbent = self.incumbent()
        means, deviations = self.goals[0].predict(row)
        if math.isfinite(incumbent):
            z = (float(means[0]) - incumbent) / float(deviations[0])
            told["probability_to_improve"] = 0.5 * math.erfc(z / math.sqrt(2.0))
            told["log_expected_improvement"] = float(log_ei(means, deviations, incumbent)[0])
            best, mean, deviation = self.scales[0].undo(incumbent), float(means[0]), float(deviations[0])
            gains = [max(best - self.scales[0].undo(mean + deviation * z), 0.0) / len(QUANTILES) for z in QUANTILES]
            told["expected_improvement"] = min(sum(gains), 1e308)  # in the metric's own unit
        if self.bounds:
            told["probability_feasible"] = float(self._feasible(row)[0])
        return told
