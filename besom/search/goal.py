"""What a sweep optimises, and what a trial has to say about it.

`read_goals` reads the sweep's `metric` and `metrics`; a `Goal` is to be minimised or maximised, a `Limit` must be kept.
`history` gives a trial's valid values, `observe` one number per trial for a model. Inside search smaller is always better: a metric to maximise is negated here, once, on the way in.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from besom.search.domain import number
from besom.search.error import SpaceError, nearest
from besom.search.halting.curves import ended, shelved
from besom.search.laws import Floats
from besom.search.trial import Trial

GOALS = {"minimize": 1.0, "maximize": -1.0}
LIKE = {"min": "minimize", "max": "maximize", "minimise": "minimize", "maximise": "maximize"}
IMPUTE = ("worst", "best", "latest")
WHILE_RUNNING = ("false", *IMPUTE)
AGGREGATES = ("best", "last", "mean_last_5")
MEAN_LAST = re.compile(r"mean_last_([1-9]\d{0,5})")
BLOCK = 8  # rows of a front that are compared with all others at once
KEYS = ("name", "goal", "target", "impute", "impute_while_running", "agg")


@dataclass(frozen=True, slots=True)
class Goal:
    """The metric of a sweep. `sign`: 1.0 to minimise, -1.0 to maximise.

    `agg`: which of a trial's values counts ("best" of all it logged, the "last", or "mean_last_k", the mean of the last k). `impute`: what a failed or crashed
    trial counts as: the "worst" of the other trials' values, or its own "best" or "latest" where it has one.
    `running`: how a trial that still runs counts: not yet ("false"), or by what it has logged so far.
    """

    name: str
    sign: float = 1.0
    agg: str = "best"
    impute: str = "worst"
    running: str = "false"

    def history(self, trial: Trial) -> list[float]:
        """The finite values that the trial logged, in order, smaller is better. Text, None, bools, NaN are dropped."""
        logged = trial.metrics.get(self.name, ())
        if len(logged) == 1 and type(only := logged[0]) is float and math.isfinite(only):  # most of ten thousand
            return [self.sign * only]
        found = [self.sign * x for x in logged if type(x) is float and math.isfinite(x)]
        if len(found) == len(logged):
            return found
        found = []
        for value in logged:
            x = number(value)
            if x is not None and math.isfinite(x):
                found.append(self.sign * x)
        return found

    def curve(self, trial: Trial) -> Floats:
        """(n,) what would count if the trial ended at each of its values; smaller is better."""
        history = np.array(self.history(trial))
        return np.minimum.accumulate(history) if self.agg == "best" and len(history) else history


@dataclass(frozen=True, slots=True)
class Limit:
    """An outcome constraint: a metric that must end between `low` and `high` (None: no bound), whatever else is best."""

    name: str
    low: float | None = None
    high: float | None = None
    agg: str = "last"

    @property
    def goal(self) -> Goal:
        """Its metric, for reading a trial's value of it."""
        return Goal(self.name, agg=self.agg, impute="latest", running="latest")

    def excess(self, trial: Trial) -> float | None:
        """How far the trial is outside, in the metric's unit; at most 0 is fine; None when it says nothing."""
        value = own(self.goal, trial)
        if value is None:
            return None
        return max(
            -math.inf if self.low is None else self.low - value, -math.inf if self.high is None else value - self.high
        )


@dataclass(frozen=True, slots=True)
class Observed:
    """One number per trial for a model. Arrays of length n, in the order of the trials given.

    `value`: smaller is better; meaningful where `known`. `pending`: proposed or running, no value yet. `failed`: ended
    without a finite value of its own. A trial that is none of these (killed by a person before it logged anything) only
    marks its point as tried.
    """

    value: Floats
    known: np.ndarray[Any, np.dtype[np.bool_]]
    pending: np.ndarray[Any, np.dtype[np.bool_]]
    failed: np.ndarray[Any, np.dtype[np.bool_]]


def observe(goal: Goal, trials: Sequence[Trial]) -> Observed:
    """What the trials say. Values that are not finite, and failures, count as the worst finite value of the others.

    That worst is taken over each trial's own result, never over the first epochs of good trials, so that one spike
    does not poison the model. With no finite value anywhere a failure is unknown. A trial that a rule stopped counts as
    what it would have come to (halting/curves), never as better than the best.
    """
    n = len(trials)
    value = np.full(n, math.nan)
    known, pending, worst = np.zeros(n, bool), np.zeros(n, bool), np.zeros(n, bool)
    for i, trial in enumerate(trials):
        mine = own(goal, trial)
        if trial.state in ("pending", "running"):
            known[i] = mine is not None and trial.state == "running"
            pending[i] = not known[i]
        elif trial.state in ("failed", "crashed"):
            worst[i] = mine is None
            known[i] = mine is not None
        else:
            known[i] = mine is not None
            worst[i] = mine is None and (trial.state != "killed" or bool(trial.metrics.get(goal.name)))
        if known[i] and mine is not None:
            value[i] = mine
    if known.any():
        _shelve(goal, trials, value, known)
        value[worst] = value[known].max()
        known |= worst
    return Observed(value, known, pending, worst)


def _shelve(goal: Goal, trials: Sequence[Trial], value: Floats, known: NDArray[np.bool_]) -> None:
    """Give each trial that a rule stopped the value it would have come to, by the curves of those that finished."""
    stopped = [i for i, t in enumerate(trials) if t.state == "stopped" and known[i]]
    done = [c for t in trials if stopped and t.state == "finished" and len(c := goal.curve(t))]
    if len(done) >= 2:
        value[stopped] = shelved([goal.curve(trials[i]) for i in stopped], ended(done), float(value[known].min()))


def front(values: Floats) -> NDArray[np.intp]:
    """The rows of (n, k) values, smaller is better, that no other row beats: none as good in all and better in one. Ascending."""
    values = np.asarray(values, dtype=float)
    left, kept = np.lexsort(values.T[::-1]), [np.empty(0, np.intp)]
    while len(left):  # none of them is beaten by one further back
        ahead, rest = values[left[:BLOCK]].T[:, :, None], values[left].T[:, None, :]
        fine = ~np.any((ahead <= rest).all(axis=0) & (ahead < rest).any(axis=0), axis=0)
        kept.append(left[:BLOCK][fine[:BLOCK]])
        left = left[BLOCK:][fine[BLOCK:]]
    return np.sort(np.concatenate(kept))


def own(goal: Goal, trial: Trial) -> float | None:
    """The trial's own number, smaller is better; None when it has none or it must not count."""
    how = goal.agg
    if trial.state in ("failed", "crashed"):
        how = goal.impute
    elif trial.state in ("pending", "running"):
        how = goal.running
    if how in ("worst", "false"):
        return None
    values = goal.history(trial)
    if not values:
        return None
    return aggregate(values, how)


def aggregate(values: Sequence[float], how: str) -> float:
    """One number for a trial's values (at least one, smaller is better): "best", "mean_last_k", else the last."""
    if how == "best":
        return min(values)
    several = MEAN_LAST.fullmatch(how)
    last = values[-int(several[1]) :] if several else values[-1:]
    return sum(v / len(last) for v in last)


def read_goals(sweep: Mapping[str, Any], warnings: list[str]) -> tuple[tuple[Goal, ...], tuple[Limit, ...]]:
    """The objectives and the outcome constraints of a sweep. Raises SpaceError; appends to `warnings`.

    An entry of `metrics` with only `min` or `max` is a constraint; one with a goal too is both.
    """
    goals, limits = [], []
    if sweep.get("metric") is not None:
        goals.append(_goal(_mapping(sweep["metric"], "metric", warnings), "metric", warnings))
    entries = sweep.get("metrics") or []
    if not isinstance(entries, list | tuple):
        raise SpaceError(
            "metrics", f"must be a list, like `[{{name: val_loss}}, {{name: latency, max: 20}}]`; got {entries!r}"
        )
    for i, entry in enumerate(entries):
        where = f"metrics[{i}]"
        spec = _mapping(entry, where, warnings)
        goal = _goal(spec, where, warnings, ("min", "max"))
        low, high = (_bound(spec, key, where) for key in ("min", "max"))
        if low is not None and high is not None and low > high:
            raise SpaceError(f"{where}.min", f"min must not be above max; got min {low!r} and max {high!r}: swap them")
        bounded = low is not None or high is not None
        if bounded:
            limits.append(Limit(goal.name, low, high, goal.agg if spec.get("agg") else "last"))
        if not bounded or spec.get("goal") is not None:
            goals.append(goal)
    for i, goal in enumerate(goals):
        if any(goal.name == other.name for other in goals[:i]):
            raise SpaceError("metrics", f"the metric {goal.name!r} has two goals; name each once")
    return tuple(goals), tuple(limits)


def _mapping(spec: Any, where: str, warnings: list[str]) -> Mapping[str, Any]:
    if isinstance(spec, str):
        warnings.append(f"{where}: the text {spec!r} is read as `{{name: {spec}, goal: minimize}}`")
        spec = {"name": spec}
    if not isinstance(spec, Mapping):
        raise SpaceError(where, f"must be a mapping like `{{name: val_loss, goal: minimize}}`; got {spec!r}")
    return spec


def _goal(spec: Mapping[str, Any], where: str, warnings: list[str], more: tuple[str, ...] = ()) -> Goal:
    name = spec.get("name")
    if not isinstance(name, str) or not name:
        raise SpaceError(f"{where}.name", f"must be the name of a metric that the script logs; got {name!r}")
    known = KEYS + more
    warnings.extend(f"{where}.{key}: is no key of metric{nearest(key, known)}" for key in spec if key not in known)
    sign = GOALS[_word(spec, "goal", where, tuple(GOALS), "minimize", warnings)]
    agg = str(spec.get("agg"))
    if not MEAN_LAST.fullmatch(agg):
        agg = _word(spec, "agg", where, AGGREGATES, "best", warnings)
    impute = _word(spec, "impute", where, IMPUTE, "worst", warnings)
    running = _word(spec, "impute_while_running", where, WHILE_RUNNING, "false", warnings)
    target = spec.get("target")
    if target is not None and number(target) is None:
        raise SpaceError(f"{where}.target", f"must be a number; got {target!r}")
    return Goal(name, sign, agg, impute, "latest" if running == "worst" else running)


def _bound(spec: Mapping[str, Any], key: str, where: str) -> float | None:
    if spec.get(key) is None:
        return None
    x = number(spec[key])
    if x is None or not math.isfinite(x):
        raise SpaceError(f"{where}.{key}", f"must be a finite number; got {spec[key]!r}")
    return x


def _word(
    spec: Mapping[str, Any], key: str, where: str, known: tuple[str, ...], default: str, warnings: list[str]
) -> str:
    """One of some words; a plain variant spelling is understood with a warning."""
    given = spec.get(key)
    if given is None:
        return default
    if given in known and isinstance(given, str):
        return given
    plain = str(given).strip().lower()
    plain = LIKE.get(plain, plain)
    if plain not in known:
        raise SpaceError(f"{where}.{key}", f"{given!r} is not understood{nearest(given, known)}")
    if given is not False:
        warnings.append(f"{where}.{key}: {given!r} is read as {plain}")
    return plain
