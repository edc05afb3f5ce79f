"""Rules that look at one trial alone: `patience` and `threshold`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from besom.search.domain import number
from besom.search.error import SpaceError
from besom.search.goal import Goal
from besom.search.halting.keys import count, needed, real, strays
from besom.search.trial import Stop, Trial


class Patience:
    """`{type: patience, patience: 10, min_delta: 0}`: stop a trial whose metric got no better, by more than min_delta,
    in its latest `patience` values. `min_iter`: values before it is judged.
    """

    keys = ("patience", "min_delta", "min_iter")

    def check(self, spec: Mapping[str, Any]) -> list[str]:
        needed(spec, "patience", "patience", "{type: patience, patience: 10}")
        self._read(spec)
        return strays(spec, self.keys)

    def stop(self, spec: Mapping[str, Any], goal: Goal, trials: Sequence[Trial]) -> list[Stop]:
        patience, delta, low = self._read(spec)
        stops = []
        for trial in trials:
            history = goal.history(trial) if trial.state == "running" else []
            if len(history) <= patience or len(history) < low:
                continue
            before, lately = min(history[:-patience]), min(history[-patience:])
            if lately >= before - delta:
                reason = (
                    f"{goal.name} was {goal.sign * before:.6g} at best before its latest {patience} values, and "
                    f"{goal.sign * lately:.6g} at best in them: no gain of more than {delta:g}"
                )
                stops.append(Stop(trial.id, "patience", reason))
        return stops

    @staticmethod
    def _read(spec: Mapping[str, Any]) -> tuple[int, float, int]:
        delta = real(spec, "min_delta", 0.0)
        if delta < 0:
            raise SpaceError("early_terminate.min_delta", f"must be 0 or more; got {delta:g}")
        return count(spec, "patience", 10), delta, count(spec, "min_iter", 1)


class Threshold:
    """`{type: threshold, lower: 0, upper: 10}`: stop a trial whose latest value of the metric is outside the bounds (in
    the metric's own unit, either may be missing), or is NaN or infinite. `min_iter`: values before it is judged.
    """

    keys = ("lower", "upper", "min_iter")

    def check(self, spec: Mapping[str, Any]) -> list[str]:
        self._read(spec)
        return strays(spec, self.keys)

    def stop(self, spec: Mapping[str, Any], goal: Goal, trials: Sequence[Trial]) -> list[Stop]:
        lower, upper, low = self._read(spec)
        stops = []
        for trial in trials:
            logged = trial.metrics.get(goal.name, ())
            if trial.state != "running" or len(logged) < low or (value := number(logged[-1])) is None:
                continue
            why = "is no finite number" if not math.isfinite(value) else ""
            why = f"is below {lower:g}" if value < lower else f"is above {upper:g}" if value > upper else why
            if why:
                stops.append(Stop(trial.id, "threshold", f"{goal.name} {value:.6g} at value {len(logged)} {why}"))
        return stops

    @staticmethod
    def _read(spec: Mapping[str, Any]) -> tuple[float, float, int]:
        if spec.get("lower") is None and spec.get("upper") is None:
            needed(spec, "upper", "threshold", "{type: threshold, upper: 10}")
        lower, upper = real(spec, "lower", -math.inf), real(spec, "upper", math.inf)
        if lower >= upper:
            raise SpaceError("early_terminate.lower", f"must be below upper; got {lower:g} and {upper:g}")
        return lower, upper, count(spec, "min_iter", 1)
