"""`terminate: auto`: whether a sweep has had enough, because what its model still expects to gain is below the noise.

A model-based method says with each point what it expects there. When none of the latest points promised more than the
noise of the metric, going on is not worth its price. After Makarova et al. (AutoML 2022) and Ishibashi et al. (AISTATS
2023), with the expected improvement in the place of a regret bound. A sweep whose method has no model (random, grid)
asks `bayes` what it would expect. It knows no budget of time or cost; those are the controller's.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from besom.search.around import read_repeats, split
from besom.search.bayes.method import Bayes
from besom.search.domain import number
from besom.search.engine import check_terminate
from besom.search.goal import Goal, observe, own, read_goals
from besom.search.problem import Problem
from besom.search.reader import parse
from besom.search.trial import Trial

LATEST = 5  # points in a row that must promise too little
EVERY_COLUMN = 5  # trials per parameter, and ENOUGH in all, before the question is asked
ENOUGH = 20
SMALL = 0.01  # of the way from the median of the first trials to the best: the noise of a metric whose trials are not repeated


def done(sweep: Mapping[str, Any], trials: Sequence[Trial]) -> str | None:
    """Why the sweep should end now, in a sentence with its numbers; None while it should go on, or does not ask."""
    if sweep.get("terminate") in (None, False):
        return None
    goals, _ = read_goals(sweep, [])
    check_terminate(sweep, goals)
    mine = [t for t in split(trials)[0] if t.state not in ("pending", "running")]
    problem = Problem(parse(sweep), goals[0], None, sweep, goals)
    seen = observe(goals[0], mine)
    value = seen.value[seen.known]
    if len(value) < max(ENOUGH, EVERY_COLUMN * len(problem.space.free)):
        return None
    noise, source = _noise(sweep, goals[0], mine, value)
    promised = _promised(goals[0], mine, float(value.min()))
    if not promised:
        found = Bayes().suggest(problem, mine, 1)
        promised = [_gain(goals[0], s.info, float(value.min())) for s in found] * LATEST
    if len(promised) < LATEST or not (most := max(promised[-LATEST:])) < noise:
        return None
    return (
        f"the model expects to gain at most {most:.3g} of {goals[0].name} from each of its latest points, below {noise:.3g}, "
        f"{source}, after {len(value)} trials with {goals[0].sign * float(value.min()):.6g} at best"
    )


def _promised(goal: Goal, trials: Sequence[Trial], best: float) -> list[float]:
    """What the latest points that a model chose promise over today's best, or have brought; oldest first."""
    told = [t for t in trials if _told(t.info) and t.info.get("arm") == "model"]
    latest = sorted(told, key=_age)[-LATEST:]
    late = {t.id for t in latest}
    before = min((v for t in trials if t.id not in late and (v := own(goal, t)) is not None), default=math.inf)
    return [max(_gain(goal, t.info, best), before - best) for t in latest]


def _age(trial: Trial) -> tuple[float, str]:
    return number(trial.info.get("number")) or 0.0, trial.id


def _told(info: Mapping[str, Any]) -> bool:
    return number(info.get("predicted")) is not None and number(info.get("deviation")) is not None


def _gain(goal: Goal, info: Mapping[str, Any], best: float) -> float:
    """The expected improvement of a point, in the metric's own unit: as its method told, or on `best` of a normal belief."""
    told = number(info.get("expected_improvement"))
    if told is not None:
        return told
    if not _told(info):
        return math.inf
    mean, deviation = goal.sign * float(info["predicted"]), float(info["deviation"])
    if deviation <= 0:
        return max(best - mean, 0.0)
    z = (best - mean) / deviation
    density = math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return max(deviation * (density + z * 0.5 * math.erfc(-z / math.sqrt(2))), 0.0)


def _noise(sweep: Mapping[str, Any], goal: Goal, trials: Sequence[Trial], value: Any) -> tuple[float, str]:
    """How much of the metric is nothing, and where that is known from."""
    first = sorted((t for t in trials if own(goal, t) is not None), key=_age)[:ENOUGH]  # a model's later points crowd
    small = SMALL * (float(np.median([v for t in first if (v := own(goal, t)) is not None])) - float(value.min()))
    points: dict[str, list[float]] = defaultdict(list)
    for t in trials:
        if (worth := own(goal, t)) is not None:
            points[str(t.info.get("of", t.id))].append(worth)
    squares = [(len(v) - 1, float(np.var(v, ddof=1))) for v in points.values() if len(v) > 1]
    free = sum(n for n, _ in squares)
    if free < LATEST:
        return small, f"{SMALL:.0%} of the way from the median of the first trials to the best"
    repeats = max(read_repeats(sweep, []).count, 1)
    deviation = math.sqrt(sum(n * s for n, s in squares) / free / repeats)
    return max(small, deviation), f"the noise of a point tried {repeats} times"
