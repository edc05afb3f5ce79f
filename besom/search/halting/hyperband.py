"""`early_terminate: {type: hyperband}`: asynchronous successive halving with one bracket.

After Li et al., "Hyperband" (JMLR 2018), in the form that W&B sweeps made common: a trial that reaches band b is
measured against the values that all trials had there, and must be in the best 1/eta. Bands count logged values of the
metric, not steps; what is no finite number is not counted. A tie lives. Bands are judged again whenever more trials
arrive, so a trial may be stopped between bands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from besom.search.domain import number
from besom.search.error import SpaceError, nearest
from besom.search.goal import Goal
from besom.search.trial import Stop, Trial

KEYS = ("type", "min_iter", "max_iter", "s", "eta", "strict")
LEVELS = 100  # bands above min_iter that are worth listing
FAR = 1e15  # no trial logs as many values


class Hyperband:
    """Stop running trials that are not in the best 1/eta at the largest band they reached."""

    def check(self, spec: Mapping[str, Any]) -> list[str]:
        bands(spec)
        _strict(spec)
        where = "early_terminate"
        warnings = [f"{where}.{key}: is no key of hyperband{nearest(key, KEYS)}" for key in spec if key not in KEYS]
        if spec.get("max_iter") is not None and spec.get("s") is None:
            warnings.append(f"{where}.s: max_iter needs s to mean anything; without it the bands start at min_iter")
        elif spec.get("max_iter") is not None and spec.get("min_iter") is not None:
            warnings.append(f"{where}.min_iter: is ignored beside max_iter and s")
        elif spec.get("s") is not None and spec.get("max_iter") is None:
            warnings.append(f"{where}.s: is ignored without max_iter")
        return warnings

    def stop(self, spec: Mapping[str, Any], goal: Goal, trials: Sequence[Trial]) -> list[Stop]:
        eta, strict = _eta(spec), _strict(spec)
        histories = [goal.history(t) for t in trials]
        steps = bands(spec)
        limits: dict[int, tuple[float, int]] = {}
        stops = []
        for trial, history in zip(trials, histories, strict=True):
            reached = [b for b in steps if b <= len(history)]
            if trial.state != "running" or not reached:
                continue
            band = reached[-1]
            if band not in limits:
                limits[band] = _limit([h[band - 1] for h in histories if len(h) >= band], eta)
            limit, count = limits[band]
            value = history[band - 1] if strict else min(history)
            if value > limit:
                side = "above" if goal.sign > 0 else "below"
                when = f"at value {band}" if strict else f"by value {len(history)}"
                reason = (
                    f"{goal.name} {goal.sign * value:.6g} {when} is {side} {goal.sign * limit:.6g}, "
                    f"the bound of the best 1/{eta:g} of {count} trials at value {band}"
                )
                stops.append(Stop(trial.id, "hyperband", reason))
        return stops


def bands(spec: Mapping[str, Any]) -> list[int]:
    """The counts of logged values at which trials are judged, ascending. Raises SpaceError."""
    eta = _eta(spec)
    top, low, s = _whole(spec, "max_iter"), _whole(spec, "min_iter"), _whole(spec, "s")
    if top is not None and s is not None:
        found = []
        for i in range(1, s + 1):
            band = int(top / eta**i) if i * math.log(eta) < 700 else 0
            if band < 1:
                break
            found.append(band)
        if not found:
            way = "raise max_iter or lower eta"
            raise SpaceError("early_terminate.max_iter", f"{top} / eta leaves no band of at least one value; {way}")
        return sorted(found)
    if low is None:
        missing, way = (
            ("s", "max_iter needs s")
            if top is not None
            else ("min_iter", "hyperband needs min_iter, or max_iter and s")
        )
        raise SpaceError(f"early_terminate.{missing}", f"is missing: {way}, like `{{type: hyperband, min_iter: 3}}`")
    found = []
    for k in range(LEVELS):
        if k * math.log(eta) + math.log(low) > math.log(FAR):
            break
        found.append(int(low * eta**k))
    return found


def _limit(values: list[float], eta: float) -> tuple[float, int]:
    """The value that a trial must not exceed at a band, and how many trials it is drawn from."""
    values.sort()
    return values[min(int(len(values) / eta), len(values) - 1)], len(values)


def _whole(spec: Mapping[str, Any], key: str) -> int | None:
    """A whole number of at least 1, whole floats included; None when the key is absent."""
    value = spec.get(key)
    if value is None:
        return None
    x = number(value)
    if x is None or not math.isfinite(x) or x != int(x) or x < 1:
        raise SpaceError(f"early_terminate.{key}", f"must be a whole number of at least 1; got {value!r}")
    return int(x)


def _eta(spec: Mapping[str, Any]) -> float:
    value = spec.get("eta", 3)
    x = number(value)
    if x is None or not math.isfinite(x) or x <= 1:
        raise SpaceError("early_terminate.eta", f"must be a number above 1; got {value!r}")
    return x


def _strict(spec: Mapping[str, Any]) -> bool:
    value = spec.get("strict", True)
    if not isinstance(value, bool):
        raise SpaceError("early_terminate.strict", f"must be true or false; got {value!r}")
    return value
