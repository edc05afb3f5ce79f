"""What happens around a method, whichever it is: trials of other sweeps set apart, points to try first, repeats.

The walk it serves: `engine.suggest` -> these -> a method, which sees one trial for each point. It knows no method.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from besom.search.domain import Choice, Real, number
from besom.search.error import SpaceError, nearest
from besom.search.goal import Goal, Limit, own
from besom.search.problem import Problem
from besom.search.random import Seen
from besom.search.reader import flatten
from besom.search.space import Space
from besom.search.trial import Suggestion, Trial

FILLED = 11  # the purpose of the random numbers that complete a point
AGGREGATES: dict[str, Callable[[list[float]], float]] = {
    "mean": lambda values: sum(v / len(values) for v in values),
    "median": lambda values: statistics.median_low(values) / 2 + statistics.median_high(values) / 2,
    "max": max,
    "min": min,
}
WORDS = (*AGGREGATES, "worst")


def split(trials: Sequence[Trial]) -> tuple[list[Trial], tuple[Trial, ...]]:
    """The sweep's own trials, and those of other sweeps, whose info has {"from": sweep}."""
    return [t for t in trials if "from" not in t.info], tuple(t for t in trials if "from" in t.info)


# Points to try first


def enqueued(sweep: Mapping[str, Any], space: Space) -> list[dict[int, Any]]:
    """The points of `enqueue`: for each, the values given by number of the parameter. Raises SpaceError."""
    given = sweep.get("enqueue")
    if given is None:
        return []
    if isinstance(given, Mapping):
        given = [given]
    if not isinstance(given, list | tuple):
        raise SpaceError("enqueue", f"must be a list of points, like `[{{lr: 0.001}}]`; got {given!r}")
    return [_point(params, space, f"enqueue[{k}]") for k, params in enumerate(given)]


def _point(params: Any, space: Space, where: str) -> dict[int, Any]:
    if not isinstance(params, Mapping):
        raise SpaceError(where, f"must be a point, like `{{lr: 0.001}}`; got {params!r}")
    values = dict(flatten(params, [path for p in space.parameters for path in p.paths], where))
    found: dict[int, Any] = {}
    for i, p in enumerate(space.parameters):
        if not any(path in values for path in p.paths):
            continue
        if not all(path in values for path in p.paths):
            raise SpaceError(where, f"give all of {p.name}, or none: they move together")
        value: Any = [values[path] for path in p.paths] if p.group else values[p.path]
        if not p.domain.contains(value):
            raise SpaceError(f"{where}.{p.name}", f"{value!r} is no value of this parameter")
        if isinstance(p.domain, Choice):
            value = p.domain.at(p.domain.index(value) or 0)
        found[i] = float(value) if isinstance(p.domain, Real) else value
    return found


def first_points(problem: Problem, trials: Sequence[Trial], n: int) -> list[Suggestion]:
    """Up to n of the sweep's `enqueue` that no trial stands for yet. What a point leaves open is drawn at random."""
    points = enqueued(problem.sweep, problem.space)
    done = {t.info.get("enqueue") for t in trials if t.info.get("arm") == "enqueue"}
    left = [k for k in range(len(points)) if k not in done]
    if not left:
        return []
    seen = Seen(problem.space, trials)
    found: list[Suggestion] = []
    for k in left:
        if len(found) >= n:
            break
        try:
            params = problem.space.sample(problem.generator(k, FILLED), points[k])
        except SpaceError as error:
            raise SpaceError(f"enqueue[{k}]", f"no point has these values; {error.message}") from None
        if seen.add(params):
            found.append(Suggestion(params, {"method": problem.sweep["method"], "arm": "enqueue", "enqueue": k}))
    return found


# Repeats


@dataclass(frozen=True, slots=True)
class Repeats:
    """How often each point is tried, and what becomes of its values."""

    count: int = 1
    aggregate: str = "mean"

    def due(self, method: str, trials: Sequence[Trial]) -> list[Suggestion]:
        """What must be tried again, by the trial that began each point. A point that failed at first is left alone."""
        found = []
        for group in _groups(trials) if self.count > 1 else ():
            begun = group[0]
            if begun.state in ("pending", "running", "finished"):
                info = {"method": method, "arm": "repeat", "of": begun.id}
                found += [
                    Suggestion(dict(begun.params), {**info, "repeat": k}) for k in range(len(group) + 1, self.count + 1)
                ]
        return found

    def folded(self, trials: Sequence[Trial], goals: Sequence[Goal], limits: Sequence[Limit]) -> list[Trial]:
        """One trial for each point: the first, with the aggregate of all its repeats' values of each metric."""
        if self.count == 1:
            return list(trials)
        named = {limit.name: limit.goal for limit in limits} | {goal.name: goal for goal in goals}
        return [self._one(group, named.values()) for group in _groups(trials)]

    def _one(self, group: Sequence[Trial], goals: Iterable[Goal]) -> Trial:
        begun = group[0]
        state, metrics = "", dict(begun.metrics)
        for goal in goals:
            valued = [(t, goal.sign * v) for t in group if (v := own(goal, t)) is not None]
            how = {1.0: "max", -1.0: "min"}[goal.sign] if self.aggregate == "worst" else self.aggregate
            metrics[goal.name] = [AGGREGATES[how]([v for _, v in valued])] if valued else []
            state = state or next((t.state for t, _ in valued), "")
        waiting = {t.state for t in group} & {"pending", "running"}
        if waiting or (len(group) < self.count and begun.state == "finished"):
            state = "running" if "running" in waiting else "pending"
        return replace(begun, state=state or begun.state, metrics=metrics)


def read_repeats(sweep: Mapping[str, Any], warnings: list[str]) -> Repeats:
    """The sweep's `repeats` and `aggregate`. Raises SpaceError."""
    count, aggregate = sweep.get("repeats"), sweep.get("aggregate")
    x = 1.0 if count is None else number(count)
    if x is None or x != x // 1 or not 1 <= x <= 1000:
        raise SpaceError("repeats", f"must be a whole number from 1 to 1000; got {count!r}")
    if aggregate is not None and (not isinstance(aggregate, str) or aggregate not in WORDS):
        raise SpaceError("aggregate", f"{aggregate!r} is not understood{nearest(aggregate, WORDS)}")
    if aggregate is not None and x == 1:
        warnings.append("aggregate: changes nothing without `repeats` above 1")
    return Repeats(int(x), aggregate or "mean")


def _groups(trials: Sequence[Trial]) -> list[list[Trial]]:
    """The trials of each point: the one that began it, then its repeats."""
    begun = {t.id: [t] for t in sorted(trials, key=lambda t: t.id) if "of" not in t.info}
    for trial in sorted(trials, key=lambda t: (number(t.info.get("repeat")) or 0, t.id)):
        if "of" in trial.info:
            # one whose beginning is gone stands for itself
            begun.setdefault(str(trial.info["of"]), []).append(trial)
    return list(begun.values())
