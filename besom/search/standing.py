"""What the trials of a sweep say to methods that only ask which trial is better: one number each, in an order of its own.

One goal gives its own values. Several goals, or bounds on other metrics, are folded into a place in a ranking: what
keeps all bounds before what breaks one, then by fronts, and within a front the lonelier trial first. The walk it
serves: trials -> `stand` -> tpe, bohb, cmaes, evolution, pbt. It knows no method.

Source: Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II" (IEEE TEC 2002).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from besom.search.domain import number
from besom.search.error import SpaceError, nearest
from besom.search.goal import front, observe
from besom.search.laws import Floats
from besom.search.problem import Problem
from besom.search.random import Seen
from besom.search.trial import Trial

Flags = NDArray[np.bool_]
SORTED = 400  # trials that are sorted into fronts one front after the other; those behind share the last
MOST = 10_000  # members of a population, or generations


@dataclass(frozen=True)
class Standing:
    """Trials in the order in which they were proposed. `rows`: (n, d) in u. `value`: (n,) smaller is better, where `known`.

    `known`: has a value and a whole row. `pending`: has no value yet. `seen`: the points that are taken.
    """

    trials: tuple[Trial, ...]
    rows: Floats
    value: Floats
    known: Flags
    pending: Flags
    seen: Seen

    def best_first(self) -> NDArray[np.intp]:
        """The known trials, the best first."""
        pick = np.flatnonzero(self.known)
        return pick[np.argsort(self.value[pick], kind="stable")]


def stand(problem: Problem, trials: Sequence[Trial]) -> Standing:
    """The trials' standing. The sweep must have a metric. Does not depend on the order of the trials."""
    ordered = tuple(sorted(trials, key=lambda t: (whole(t.info.get("number"), -1), t.id)))
    seen = Seen(problem.space, ordered)
    rows = seen.encoded
    found = [observe(goal, ordered) for goal in problem.goals]
    known = np.logical_and.reduce([o.known for o in found]) & whole_rows(problem, rows)
    value = found[0].value
    if len(found) > 1 or problem.limits:
        value = np.full(len(ordered), math.nan)
        broken = np.array([_broken(problem, t) for t in ordered]).reshape(len(ordered), len(problem.limits))[known]
        value[known] = ranking(np.stack([o.value[known] for o in found], axis=1), broken)
    return Standing(ordered, rows, value, known, np.logical_or.reduce([o.pending for o in found]), seen)


def whole_rows(problem: Problem, rows: Floats) -> Flags:
    """(n,) whether a row has a value for every parameter that lives in it."""
    return np.asarray(~(np.isnan(rows) & ~problem.space.dead(rows)).any(axis=1))


def _broken(problem: Problem, trial: Trial) -> list[float]:
    """By how much the trial breaks each bound; infinite when it does not say."""
    found = [limit.excess(trial) for limit in problem.limits]
    return [math.inf if x is None or math.isnan(x) else max(x, 0.0) for x in found]


def ranking(values: Floats, broken: Floats) -> Floats:
    """(n,) the place of each of (n, k) values, smaller is better. `broken`: (n, m) how far each bound is exceeded."""
    n = len(values)
    finite = np.where(np.isfinite(broken), broken, -1.0)
    scale = finite.max(axis=0, initial=0.0)
    share = np.where(np.isfinite(broken), broken / np.where(scale > 0, scale, 1.0), 2.0).sum(axis=1)
    place, rank = np.zeros(n), 0
    fine = np.flatnonzero(share == 0.0)
    while len(fine) and rank < SORTED:
        best = front(values[fine])
        lonely = crowding(values[fine[best]])
        order = np.argsort(-lonely, kind="stable")
        place[fine[best[order]]] = rank + np.arange(len(best))
        rank += len(best)
        fine = np.delete(fine, best)
    place[fine] = rank
    rest = np.flatnonzero(share > 0.0)
    place[rest] = n + np.searchsorted(np.unique(share[rest]), share[rest])
    return place


def crowding(values: Floats) -> Floats:
    """(n,) how far apart the neighbours of each row of one front are; infinite at its ends."""
    n, k = values.shape
    apart = np.zeros(n)
    for j in range(k):
        order = np.argsort(values[:, j], kind="stable")
        column = values[order, j] / 4.0  # a quarter, so that a difference of huge values stays finite
        width = column[-1] - column[0]
        apart[order[[0, -1]]] = math.inf
        if width > 0:
            apart[order[1:-1]] += (column[2:] - column[:-2]) / width
    return apart


def whole(value: Any, default: int) -> int:
    """A whole number out of a trial's info, which may hold anything."""
    return value if type(value) is int else default


def options(sweep: Mapping[str, Any], name: str, defaults: Mapping[str, float]) -> dict[str, Any]:
    """The numbers under a method's own key, like `pbt: {population: 8}`: counts up to MOST where the default is whole,
    else shares."""
    given = sweep.get(name)
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise SpaceError(name, f"must be a mapping of {', '.join(defaults)}; got {given!r}")
    found = dict(defaults)
    for key, value in given.items():
        if key not in defaults:
            raise SpaceError(f"{name}.{key}", f"is no key of {name}{nearest(key, defaults)}")
        x = number(value)
        entire = isinstance(defaults[key], int)
        if x is None or not entire <= x <= (MOST if entire else 1) or (entire and x != int(x)):
            law = f"a whole number from 1 to {MOST}" if entire else "a number from 0 to 1"
            raise SpaceError(f"{name}.{key}", f"must be {law}; got {value!r}")
        found[key] = int(x) if entire else x
    return found


def need_goal(problem: Problem) -> list[str]:
    """What every method that learns asks first. Raises SpaceError."""
    if problem.goal is None:
        method = problem.sweep.get("method")
        raise SpaceError(
            "metric", f"{method} needs to know what to optimise, like `{{name: val_loss, goal: minimize}}`"
        )
    if not problem.space.free:
        return ["parameters: every parameter is a constant, so there is one point to try"]
    return []
