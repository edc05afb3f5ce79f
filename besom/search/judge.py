"""What the trials of a sweep are worth: each one's values, the best of them, and the front of several goals.

The walk it serves: whoever shows a sweep asks here, so that a terminal, a page and a model mean the same by "best". A
limit that a trial does not keep, or says nothing of, bars it; a point with repeats counts once all of them ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from besom.search.around import read_repeats
from besom.search.goal import aggregate, front, read_goals
from besom.search.trial import Trial

OPEN = ("pending", "running")


@dataclass(frozen=True, slots=True)
class Judged:
    """`best`: id of the best trial by the first goal, the earliest of equals (with repeats the trial that began the
    point), None when there is none; `value`: its value, in the metric's own sign. `front`: ids that no other trial beats
    in all goals, when there are several. `values`: id -> metric -> value of each goal and limit; what is absent is not known."""

    best: str | None
    value: float | None
    front: tuple[str, ...]
    values: Mapping[str, Mapping[str, float]]


def judge(sweep: Mapping[str, Any], trials: Sequence[Trial]) -> Judged:
    """The trials of a sweep, weighed. Raises SpaceError for metrics that cannot be read."""
    goals, limits = read_goals(sweep, [])
    repeats = read_repeats(sweep, [])
    named = {limit.name: limit.goal for limit in limits} | {goal.name: goal for goal in goals}

    def worth(trial: Trial) -> dict[str, float]:
        logged = {name: goal.history(trial) for name, goal in named.items()}
        return {name: named[name].sign * aggregate(x, named[name].agg) for name, x in logged.items() if x}

    values = {trial.id: worth(trial) for trial in trials}
    if repeats.count > 1:
        points = [t for t in repeats.folded(trials, goals, limits) if t.state not in OPEN]
        counted = [(t.id, {n: float(x[-1]) for n in named if (x := t.metrics.get(n))}) for t in points]
    else:
        counted = [(t.id, values[t.id]) for t in trials]
    able = [
        (id, own)
        for id, own in counted
        if all(g.name in own for g in goals)
        and all(
            limit.name in own
            and (limit.low is None or own[limit.name] >= limit.low)
            and (limit.high is None or own[limit.name] <= limit.high)
            for limit in limits
        )
    ]
    if not able or not goals:
        return Judged(None, None, (), values)
    first = goals[0]
    order = {trial.id: i for i, trial in enumerate(trials)}
    best, own = min(able, key=lambda pair: (first.sign * pair[1][first.name], order[pair[0]]))
    along: tuple[str, ...] = ()
    if len(goals) > 1:
        table = np.array([[g.sign * own[g.name] for g in goals] for _, own in able])
        along = tuple(able[i][0] for i in sorted(front(table)))
    return Judged(best, own[first.name], along, values)
