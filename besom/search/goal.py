"""What a sweep optimises, and what a trial has to say about it.

`Goal` reads the sweep's `metric`; `history` gives a trial's valid values of it, `values` one number per trial for a
model. Inside search smaller is always better: a metric to maximise is negated here, once, on the way in.
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
from besom.search.laws import Floats
from besom.search.trial import Trial

GOALS = {"minimize": 1.0, "maximize": -1.0}
LIKE = {"min": "minimize", "max": "maximize", "minimise": "minimize", "maximise": "maximize"}
IMPUTE = ("worst", "best", "latest")
WHILE_RUNNING = ("false", *IMPUTE)
AGGREGATES = ("best", "last")
KEYS = ("name", "goal", "target", "impute", "impute_while_running", "agg")


@dataclass(frozen=True, slots=True)
class Goal:
    """The metric of a sweep. `sign`: 1.0 to minimise, -1.0 to maximise.

    `agg`: which of a trial's values counts ("best" of all it logged, or the "last"). `impute`: what a failed or crashed
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
        found = [self.sign * x for x in logged if type(x) is float and math.isfinite(x)]
        if len(found) == len(logged):
            return found
        found = []
        for value in logged:
            x = number(value)
            if x is not None and math.isfinite(x):
                found.append(self.sign * x)
        return found


@dataclass(frozen=True, slots=True)
class Limit:
    """An outcome constraint: a metric that must end between `low` and `high` (None: no bound), whatever else is best."""

    name: str
    low: float | None = None
    high: float | None = None
    agg: str = "last"

    def excess(self, trial: Trial) -> float | None:
        """How far the trial is outside, in the metric's unit; at most 0 is fine; None when it says nothing."""
        own = _own(Goal(self.name, agg=self.agg, impute="latest", running="latest"), trial)
        if own is None:
            return None
        return max(
            -math.inf if self.low is None else self.low - own, -math.inf if self.high is None else own - self.high
        )


@dataclass(frozen=True, slots=True)
class Observed:
    """One number per trial for a model. Arrays of length n, in the order of the trials given.

    `value`: smaller is better; meaningful where `known`. `pending`: proposed or running, no value yet.
    A trial that is neither (killed by a person before it logged anything) only marks its point as tried.
    """

    value: Floats
    known: np.ndarray[Any, np.dtype[np.bool_]]
    pending: np.ndarray[Any, np.dtype[np.bool_]]


def observe(goal: Goal, trials: Sequence[Trial]) -> Observed:
    """What the trials say. Values that are not finite, and failures, count as the worst finite value of the others.

    That worst is taken over each trial's own result, never over the first epochs of good trials, so that one spike
    does not poison the model. With no finite value anywhere a failure is unknown.
    """
    n = len(trials)
    value = np.full(n, math.nan)
    known, pending, worst = np.zeros(n, bool), np.zeros(n, bool), np.zeros(n, bool)
    for i, trial in enumerate(trials):
        own = _own(goal, trial)
        if trial.state in ("pending", "running"):
            known[i] = own is not None and trial.state == "running"
            pending[i] = not known[i]
        elif trial.state in ("failed", "crashed"):
            worst[i] = own is None
            known[i] = own is not None
        else:
            known[i] = own is not None
            worst[i] = own is None and (trial.state != "killed" or bool(trial.metrics.get(goal.name)))
        if known[i] and own is not None:
            value[i] = own
    if known.any():
        value[worst] = value[known].max()
        known |= worst
    return Observed(value, known, pending)


def front(values: Floats) -> NDArray[np.intp]:
    """The rows of (n, k) values, smaller is better, that no other row beats: none as good in all and better in one."""
    values = np.asarray(values, dtype=float)
    no_worse = (values[:, None, :] <= values[None, :, :]).all(axis=2)
    better = (values[:, None, :] < values[None, :, :]).any(axis=2)
    return np.flatnonzero(~(no_worse & better).any(axis=0))


def _own(goal: Goal, trial: Trial) -> float | None:
    """The trial's own number, None when it has none or it must not count."""
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
    return min(values) if how == "best" else values[-1]


def read_goal(sweep: Mapping[str, Any], warnings: list[str]) -> Goal | None:
    """The goal of a sweep, None when it has no metric. Raises SpaceError; appends to `warnings`."""
    spec = sweep.get("metric")
    if spec is None:
        return None
    if isinstance(spec, str):
        warnings.append(f"metric: the text {spec!r} is read as `{{name: {spec}, goal: minimize}}`")
        spec = {"name": spec}
    if not isinstance(spec, Mapping):
        raise SpaceError("metric", f"must be a mapping like `{{name: val_loss, goal: minimize}}`; got {spec!r}")
    name = spec.get("name")
    if not isinstance(name, str) or not name:
        raise SpaceError("metric.name", f"must be the name of a metric that the script logs; got {name!r}")
    warnings.extend(f"metric.{key}: is no key of metric{nearest(key, KEYS)}" for key in spec if key not in KEYS)
    sign = GOALS[_word(spec, "goal", tuple(GOALS), "minimize", warnings)]
    agg = _word(spec, "agg", AGGREGATES, "best", warnings)
    impute = _word(spec, "impute", IMPUTE, "worst", warnings)
    running = _word(spec, "impute_while_running", WHILE_RUNNING, "false", warnings)
    target = spec.get("target")
    if target is not None and number(target) is None:
        raise SpaceError("metric.target", f"must be a number; got {target!r}")
    return Goal(name, sign, agg, impute, "latest" if running == "worst" else running)


def _word(spec: Mapping[str, Any], key: str, known: tuple[str, ...], default: str, warnings: list[str]) -> str:
    """One of some words; a plain variant spelling is understood with a warning."""
    given = spec.get(key)
    if given is None:
        return default
    if given in known and isinstance(given, str):
        return given
    plain = str(given).strip().lower()
    plain = LIKE.get(plain, plain)
    if plain not in known:
        raise SpaceError(f"metric.{key}", f"{given!r} is not understood{nearest(given, known)}")
    if given is not False:
        warnings.append(f"metric.{key}: {given!r} is read as {plain}")
    return plain
