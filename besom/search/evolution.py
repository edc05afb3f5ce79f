"""`method: evolution`: a population that breeds, for many cheap trials on any kind of space, and for several goals.

One goal: differential evolution. Every trial belongs to a place of the population, and a place holds the best of its
trials; the next trial of a place mixes it with one of the best and the difference of two others. Several goals, or bounds on
other metrics: the population is the first of a ranking by bounds, fronts and crowding, and parents are crossed. Both
follow from the trials alone, so nothing is carried along, and lost or late trials do no harm.

Sources: Storn and Price, "Differential evolution" (Journal of Global Optimization 1997); Zhang and Sanderson, "JADE"
(IEEE TEC 2009) for moves towards one of the best; Deb et al., "NSGA-II" (IEEE TEC 2002) with simulated binary crossover
and polynomial mutation of Deb and Agrawal (1995).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from besom.search.domain import Choice
from besom.search.laws import Floats
from besom.search.problem import Problem
from besom.search.quasi import sobol_point
from besom.search.random import TRIES, random_point
from besom.search.standing import Flags, Standing, need_goal, options, stand, whole
from besom.search.trial import Suggestion, Trial

BEST = 0.2  # share of the population that others move towards
CROSS = 15.0  # distribution index of crossover: larger keeps children near their parents
MUTATE = 20.0  # and of mutation
PURPOSE = 41


class Evolution:
    """Differential evolution for one goal, NSGA-II for several."""

    def check(self, problem: Problem) -> list[str]:
        _population(problem)
        return need_goal(problem)

    def suggest(self, problem: Problem, trials: Sequence[Trial], n: int) -> list[Suggestion]:
        found = stand(problem, trials)
        space, seen, size = problem.space, found.seen, _population(problem)
        several = len(problem.goals) > 1 or bool(problem.limits)
        breed = _Nsga(problem, found, size) if several else _Differential(problem, found, size)
        category = [isinstance(p.domain, Choice) and not p.domain.ordered for p in space.free]
        start = 1 + max((whole(t.info.get("point"), -1) for t in found.trials), default=-1)
        points: list[Suggestion] = []
        while len(points) < n and not seen.full:
            number = len(found.trials) + len(points)
            place = breed.place(number)
            info: dict[str, Any] = {"method": "evolution", "arm": "start", "number": number, "place": place}
            generator = problem.generator(number, PURPOSE)
            params: dict[str, Any] | None = None
            for _ in range(TRIES if breed.ready else 0):
                row, parents = breed.child(place, np.array(category, dtype=bool), generator)
                drawn = space.decode(np.where(np.isnan(row), generator.random(len(row)), row).tolist())
                if seen.add(drawn):
                    params = drawn
                    info |= {"arm": "child", "parents": parents}
                    break
            else:
                if breed.ready:
                    info["arm"] = "random"
                    params = random_point(problem, seen, number)
            if params is None:
                params, point = sobol_point(problem, seen, start)
                info["point"] = point
                start = point + 1
            points.append(Suggestion(params, info))
        return points


def _population(problem: Problem) -> int:
    default = max(8, min(40, 2 * len(problem.space.free)))
    return max(4, int(options(problem.sweep, "evolution", {"population": default})["population"]))


class _Differential:
    """Places and the best trial of each."""

    def __init__(self, problem: Problem, found: Standing, size: int) -> None:
        self.found, self.size = found, size
        self.holder: dict[int, int] = {}
        for i in found.best_first():
            # a trial that was not ours (queued, or of another method) takes the place its number gives it
            place = whole(found.trials[i].info.get("place"), int(i)) % size
            self.holder.setdefault(place, int(i))
        self.ranked = sorted(self.holder.values(), key=lambda i: (found.value[i], i))
        self.ready = len(self.holder) >= min(size, 4) and len(found.trials) >= size

    def place(self, number: int) -> int:
        return number % self.size

    def child(self, place: int, category: Flags, generator: np.random.Generator) -> tuple[Floats, list[str]]:
        """A row in which NaN means any value, and the trials it comes from."""
        rows, ranked = self.found.rows, self.ranked
        target = self.holder.get(place, ranked[int(generator.integers(len(ranked)))])
        best = ranked[int(generator.integers(max(2, math.ceil(BEST * len(ranked)))))]
        first, second = generator.choice([i for i in ranked if i != target], size=2, replace=False)
        f, cross = generator.uniform(0.4, 0.9), generator.uniform(0.5, 1.0)
        x = rows[target]
        move = x + f * (rows[best] - x) + f * (rows[first] - rows[second])
        move = np.where(
            move < 0.0, x * generator.random(), np.where(move > 1.0, 1.0 - (1.0 - x) * generator.random(), move)
        )
        # a category is inherited from one of the three, now and then from none
        source = generator.random(len(x))
        other = np.where(source < 0.5, rows[best], np.where(source < 0.9, rows[first], math.nan))
        move = np.where(category, other, move)
        move = np.where(np.isnan(move) & ~category, rows[best], move)
        take = generator.random(len(x)) < cross
        take[int(generator.integers(len(x)))] = True
        names = [self.found.trials[i].id for i in (target, best, first, second)]
        return np.where(take, move, x), names


class _Nsga:
    """The best of all trials by bounds, fronts and crowding; two tournaments choose the parents."""

    def __init__(self, problem: Problem, found: Standing, size: int) -> None:
        self.found = found
        self.ranked = [int(i) for i in found.best_first()[:size]]
        self.ready = len(self.ranked) >= 4 and len(found.trials) >= size

    def place(self, number: int) -> int:
        return 0

    def child(self, place: int, category: Flags, generator: np.random.Generator) -> tuple[Floats, list[str]]:
        """A row in which NaN means any value, and the trials it comes from."""
        first, second = (self.ranked[int(generator.integers(len(self.ranked), size=2).min())] for _ in range(2))
        a, b = self.found.rows[first], self.found.rows[second]
        d = len(a)
        u = generator.random(d)
        spread = np.where(u < 0.5, (2.0 * u) ** (1.0 / (CROSS + 1.0)), (0.5 / (1.0 - u)) ** (1.0 / (CROSS + 1.0)))
        swap = np.where(generator.random(d) < 0.5, 1.0, -1.0)
        child = ((a + b) + swap * spread * (a - b)) / 2.0
        other = np.where(swap > 0, a, b)
        child = np.where(
            category | np.isnan(child), np.where(np.isnan(other), np.where(np.isnan(a), b, a), other), child
        )
        v = generator.random(d)
        low = (2.0 * v) ** (1.0 / (MUTATE + 1.0)) - 1.0
        high = 1.0 - np.maximum(2.0 * (1.0 - v), 1e-300) ** (1.0 / (MUTATE + 1.0))
        mutate = generator.random(d) < max(1.0 / d, 0.1)
        moved = np.where(category, math.nan, child + np.where(v < 0.5, low, high))
        child = np.clip(np.where(mutate, moved, child), 0.0, 1.0)
        return child, [self.found.trials[i].id for i in (first, second)]
