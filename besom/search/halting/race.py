"""Rules that measure a running trial against the others at the same count of logged values: `asha`, `median`,
`percentile`. They know nothing of parameters or of how long a trial will be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from besom.search.goal import Goal
from besom.search.halting.keys import count, real, strays, whole
from besom.search.trial import Stop, Trial

FAR = 1e15  # no trial logs as many values
MOST = 1000  # rungs, so that an eta next to 1 ends
ENDED = ("finished", "stopped", "killed")


class Asha:
    """`{type: asha, min_iter: 1, eta: 3}`: asynchronous successive halving, as it stops rather than pauses.

    Rungs stand at min_iter * eta**s, * eta, ... below max_iter. A trial at a rung goes on while its best value up to
    there is among the best 1/eta of all trials that came to the rung; the first eta - 1 pass. Those who come later
    raise the bar for a trial that is still below its next rung. Li et al., MLSys 2020.
    """

    keys = ("min_iter", "max_iter", "eta", "s")

    def check(self, spec: Mapping[str, Any]) -> list[str]:
        _rungs(spec)
        return strays(spec, self.keys)

    def stop(self, spec: Mapping[str, Any], goal: Goal, trials: Sequence[Trial]) -> list[Stop]:
        rungs, eta = _rungs(spec)
        bests = [list(accumulate(goal.history(t), min)) for t in trials]
        stops = []
        for trial, best in zip(trials, bests, strict=True):
            rung = max((r for r in rungs if r <= len(best)), default=None)
            if trial.state != "running" or rung is None:
                continue
            there = sorted(b[rung - 1] for b in bests if len(b) >= rung)
            kept = int(len(there) / eta)
            if kept and best[rung - 1] > there[kept - 1]:
                reason = (
                    f"{goal.name} {goal.sign * best[rung - 1]:.6g} by value {rung} is not among the best {kept} of "
                    f"{len(there)} trials there, which reach {goal.sign * there[kept - 1]:.6g}"
                )
                stops.append(Stop(trial.id, "asha", reason))
        return stops


class Median:
    """`{type: median, min_iter: 1, min_trials: 5}`: stop a trial whose best value so far is worse than the median of
    the running means that the trials which have ended had at the same count of values. Golovin et al., KDD 2017.

    `min_iter`: values before a trial is judged. `min_trials`: how many others must have come as far.
    """

    keys = ("min_iter", "min_trials")

    def check(self, spec: Mapping[str, Any]) -> list[str]:
        count(spec, "min_iter", 1), count(spec, "min_trials", 5)
        return strays(spec, self.keys)

    def stop(self, spec: Mapping[str, Any], goal: Goal, trials: Sequence[Trial]) -> list[Stop]:
        low, least = count(spec, "min_iter", 1), count(spec, "min_trials", 5)
        ended = [h for t in trials if t.state in ENDED and (h := goal.history(t))]
        means = [np.cumsum(h) / np.arange(1, len(h) + 1) for h in ended]
        stops = []
        for trial, history in _running(goal, trials, low):
            n = len(history)
            there = [float(m[n - 1]) for m in means if len(m) >= n]
            if len(there) >= least and min(history) > (bound := float(np.median(there))):
                reason = (
                    f"best {goal.name} {goal.sign * min(history):.6g} by value {n} is {_worse(goal)} "
                    f"{goal.sign * bound:.6g}, the median of the running means of {len(there)} trials there"
                )
                stops.append(Stop(trial.id, "median", reason))
        return stops


class Percentile:
    """`{type: percentile, percentile: 25}`: stop a trial whose best value so far is not among the best 25 % of what
    all trials that came as far had there. `min_iter`, `min_trials`: as for median.
    """

    keys = ("percentile", "min_iter", "min_trials")

    def check(self, spec: Mapping[str, Any]) -> list[str]:
        _percent(spec), count(spec, "min_iter", 1), count(spec, "min_trials", 5)
        return strays(spec, self.keys)

    def stop(self, spec: Mapping[str, Any], goal: Goal, trials: Sequence[Trial]) -> list[Stop]:
        percent, low, least = _percent(spec), count(spec, "min_iter", 1), count(spec, "min_trials", 5)
        bests = {t.id: list(accumulate(goal.history(t), min)) for t in trials}
        stops = []
        for trial, history in _running(goal, trials, low):
            n, value = len(history), min(history)
            there = [b[n - 1] for name, b in bests.items() if len(b) >= n and name != trial.id]
            if len(there) >= least and value > (bound := float(np.percentile(there, percent))):
                reason = (
                    f"best {goal.name} {goal.sign * value:.6g} by value {n} is {_worse(goal)} {goal.sign * bound:.6g}, "
                    f"the bound of the best {percent:g} % of {len(there)} trials there"
                )
                stops.append(Stop(trial.id, "percentile", reason))
        return stops


def _running(goal: Goal, trials: Sequence[Trial], low: int) -> list[tuple[Trial, list[float]]]:
    """The running trials with at least `low` values, and their values."""
    return [(t, h) for t in trials if t.state == "running" and len(h := goal.history(t)) >= low]


def _worse(goal: Goal) -> str:
    return "above" if goal.sign > 0 else "below"


def _rungs(spec: Mapping[str, Any]) -> tuple[list[int], float]:
    """The counts of values at which trials are judged, ascending, and eta."""
    eta = real(spec, "eta", 3.0, "a number above 1", 1.0)
    low, first = count(spec, "min_iter", 1), count(spec, "s", 0, 0)
    top = whole(spec, "max_iter") or FAR
    rungs: list[int] = []
    while len(rungs) < MOST and (power := (first + len(rungs)) * math.log(eta) + math.log(low)) < math.log(top) - 1e-9:
        rungs.append(round(math.exp(power)) if power < 36 else int(FAR))
    return rungs, eta


def _percent(spec: Mapping[str, Any]) -> float:
    return real(spec, "percentile", 50.0, "a number between 0 and 100, the share that lives", 0.0, 100.0)
