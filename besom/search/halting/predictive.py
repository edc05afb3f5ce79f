"""`early_terminate: {type: predictive}`: stop a trial that will hardly beat the best one.

Where a running curve would end is extrapolated by the curves that came to their end: what each of the nearest of them
still gained from here on. The share of them that would carry it past the best trial is its probability to improve.
The question of Domhan et al. (IJCAI 2015), with the sweep's own curves in the place of parametric families. It knows
nothing of parameters; a trial that is stopped informs a model by the same extrapolation (`goal.observe`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from besom.search.goal import Goal
from besom.search.halting.curves import ended, finals
from besom.search.halting.keys import count, real, strays
from besom.search.laws import Floats
from besom.search.trial import Stop, Trial


class Predictive:
    """`probability`: a trial goes on while its probability to improve is at least this (0.1). `min_iter`: values before
    it is judged (1). `min_trials`: trials that must have finished first (2). `explore`: while finished trials have less
    than this share of all logged values (0.3), a trial in the best third at its count of values goes on all the same, so
    that there are whole curves to learn from."""

    keys = ("probability", "min_iter", "min_trials", "explore")

    def check(self, spec: Mapping[str, Any]) -> list[str]:
        self._read(spec)
        return strays(spec, self.keys)

    def stop(self, spec: Mapping[str, Any], goal: Goal, trials: Sequence[Trial]) -> list[Stop]:
        enough, low, least, explore = self._read(spec)
        curves = [goal.curve(t) for t in trials]
        done = [c for t, c in zip(trials, curves, strict=True) if t.state == "finished" and len(c)]
        if len(done) < least:
            return []
        table = ended(done)
        standing = [float(c[-1]) if len(c) else np.inf for c in curves]
        left = explore * sum(map(len, curves)) - sum(map(len, done))
        stops = []
        for i, (trial, curve) in enumerate(zip(trials, curves, strict=True)):
            if trial.state != "running" or not low <= len(curve) < table.shape[1]:
                continue
            best = min(standing[:i] + standing[i + 1 :])
            ends = finals(curve[None], table)[0]
            chance = float((ends <= best).mean())
            if chance < enough and not (len(curve) < left and _leads(curve, curves)):
                reason = (
                    f"{goal.name} {goal.sign * curve[-1]:.6g} at value {len(curve)} of {table.shape[1]} would end at "
                    f"{goal.sign * np.median(ends):.6g}, at best {goal.sign * ends.min():.6g}, by the {len(ends)} nearest "
                    f"finished curves; the best trial has {goal.sign * best:.6g}: probability to improve {chance:.2f}"
                )
                stops.append(Stop(trial.id, "predictive", reason))
        return stops

    @staticmethod
    def _read(spec: Mapping[str, Any]) -> tuple[float, int, int, float]:
        enough = real(spec, "probability", 0.1, "a number between 0 and 1", 0.0, 1.0)
        explore = real(spec, "explore", 0.3, "a share of all values, from 0 up to 1", -1e-9, 1.0)
        return enough, count(spec, "min_iter", 1), count(spec, "min_trials", 2), explore


def _leads(curve: Floats, curves: Sequence[Floats]) -> bool:
    """Whether a curve is in the best third of those that came as far."""
    there = [float(c[len(curve) - 1]) for c in curves if len(c) >= len(curve)]
    return len(there) >= 3 and sum(v < curve[-1] for v in there) < len(there) / 3
