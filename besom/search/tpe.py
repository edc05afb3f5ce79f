"""`method: tpe`: a tree-structured Parzen estimator, over all parameters together.

The trials are split into a few good ones and the rest; points are drawn from the density of the good ones, and the one
is tried where that density exceeds the others' most. Pending trials count as not good, so that agents spread. Cheap,
and at home in spaces with conditions and many categories. The walk: trials -> standing -> two densities -> a point.

Sources: Bergstra et al., "Algorithms for hyper-parameter optimization" (NeurIPS 2011); Falkner et al., "BOHB" (ICML
2018); Watanabe, "Tree-structured Parzen estimator" (2023). Several goals are split by their fronts, after Ozaki et al.,
"Multiobjective tree-structured Parzen estimator" (JAIR 2022), with crowding in place of hypervolume.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from besom.search.laws import Floats
from besom.search.parzen import Columns, Parzen
from besom.search.problem import Problem
from besom.search.quasi import sobol_point
from besom.search.random import Seen, random_point
from besom.search.standing import need_goal, stand, whole
from besom.search.trial import Suggestion, Trial

START = 10  # values before the first model
GOOD, MOST = 0.1, 25  # share of good trials, and how many at most
REST = 1000  # rows of the other trials that a density is made of, at most
DRAWS = 64  # points that the best is picked from
NEAR, FAR = 0.5, 0.1  # widths: of the good in their own spread, of the rest in the whole range


@dataclass(frozen=True)
class Evidence:
    """(n, d) `rows` in u, the best first, and others that are known not to be good."""

    rows: Floats
    others: Floats

    def split(self) -> tuple[Floats, Floats]:
        good = min(math.ceil(GOOD * len(self.rows)), MOST)
        rest = np.concatenate([self.rows[good:], self.others])
        return self.rows[:good], rest[:: math.ceil(len(rest) / REST) or 1]


class Tpe:
    """Tree-structured Parzen estimator."""

    def check(self, problem: Problem) -> list[str]:
        return need_goal(problem)

    def suggest(self, problem: Problem, trials: Sequence[Trial], n: int) -> list[Suggestion]:
        found = stand(problem, trials)
        evidence = Evidence(found.rows[found.best_first()], found.rows[found.pending])
        return propose(problem, found.trials, found.seen, evidence, n, {"method": "tpe"})


def propose(
    problem: Problem, trials: Sequence[Trial], seen: Seen, evidence: Evidence, n: int, words: dict[str, Any]
) -> list[Suggestion]:
    """Up to n points, each pending for the next. `words`: what every info says."""
    told = _Beliefs(problem)
    start = 1 + max((whole(t.info.get("point"), -1) for t in trials), default=-1)
    found: list[Suggestion] = []
    while len(found) < n and not seen.full:
        number = len(trials) + len(found)
        info: dict[str, Any] = {**words, "arm": "start", "number": number}
        if len(evidence.rows) + len(told.good) < START:
            params = _believed(problem, seen, number)
            if params is None:
                params, info["point"] = sobol_point(problem, seen, start)
                start = info["point"] + 1
        else:
            params, more = _best(problem, seen, evidence, told, number)
            info |= more
        found.append(Suggestion(params, info))
        row = problem.space.encode([params])
        evidence = Evidence(evidence.rows, np.concatenate([evidence.others, row]))
    return found


def _believed(problem: Problem, seen: Seen, number: int) -> dict[str, Any] | None:
    """Every other of the first points lies where the user believes good values to lie, the very first in the middle."""
    priors = [p.prior for p in problem.space.free]
    if number % 2 or not any(priors):
        return None
    generator = problem.generator(number, 22)
    row, step = (
        generator.random(len(priors)),
        generator.standard_normal(len(priors)) if number else np.zeros(len(priors)),
    )
    for j, prior in enumerate(priors):
        row[j] = row[j] if prior is None else min(max(prior[0] + prior[1] * step[j], 0.0), 1.0)
    params = problem.space.decode(row.tolist())
    return params if seen.add(params) else None


class _Beliefs:
    """What was known before the sweep: good and other rows of earlier sweeps, and the user's prior as one good row."""

    def __init__(self, problem: Problem) -> None:
        d = len(problem.space.free)
        self.good, self.rest = np.empty((0, d)), np.empty((0, d))
        for sweep in sorted({str(t.info.get("from")) for t in problem.earlier}):
            found = stand(problem, [t for t in problem.earlier if str(t.info.get("from")) == sweep])
            good, rest = Evidence(found.rows[found.best_first()], np.empty((0, d))).split()
            self.good, self.rest = np.concatenate([self.good, good]), np.concatenate([self.rest, rest])
        if any(p.prior for p in problem.space.free):
            row = [[math.nan if p.prior is None else p.prior[0] for p in problem.space.free]]
            self.good = np.concatenate([self.good, row])


def _best(
    problem: Problem, seen: Seen, evidence: Evidence, told: _Beliefs, number: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The drawn point where the good trials' density exceeds the others' most, and why."""
    space, columns = problem.space, Columns.of(problem.space)
    good, rest = evidence.split()
    good, rest = np.concatenate([good, told.good]), np.concatenate([rest, told.rest])
    near = Parzen(columns, good, columns.width(good, NEAR, own=True))
    far = Parzen(columns, rest, columns.width(rest, FAR, own=False))
    generator = problem.generator(number, 21)
    points = np.empty((0, len(space.free)))
    for _ in range(8 if space.constrained else 1):
        drawn = near.draw(DRAWS, generator)
        for j, p in enumerate(space.free):
            drawn[:, j] = p.domain.snap(drawn[:, j])
        drawn = space.canonical(drawn)
        points = np.concatenate([points, drawn[space.allowed(drawn)]])
        if len(points) >= DRAWS:
            break
    score = near.log(points) - far.log(points)
    for i in np.argsort(-score, kind="stable"):
        params = space.decode(points[i].tolist())
        if seen.add(params):
            return params, {"arm": "model", "good": len(good), "log_ratio": float(score[i])}
    return random_point(problem, seen, number), {"arm": "random"}
