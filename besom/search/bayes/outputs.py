"""Scales for the values of an objective, one of which the model then sees. Smaller is better throughout.

Each candidate is a monotone map to mean 0 and deviation 1, with `cost`: minus the log of its Jacobian, measured on one
common scale. A model's evidence on the mapped values plus the cost is comparable across candidates; without the cost
the comparison would be wrong (a map that squeezes everything together would always win). Yeo and Johnson (2000);
Snelson, Rasmussen and Ghahramani (2003) for choosing a map by evidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from besom.search.laws import Floats

FLOORS = (0.03, 0.3, 3.0)
NAMES = ("plain", *(f"log{f:g}" for f in FLOORS), "yeo-johnson")
LAMBDAS = np.linspace(-2.0, 3.0, 41)
TINY = 1e-12


@dataclass(frozen=True)
class Output:
    """One scale. `t`: (n,) values on it, mean 0, deviation 1. `cost`: minus the log Jacobian. The rest undoes it."""

    name: str
    t: Floats
    cost: float
    unit: float = 1.0  # values are divided by it first, so that none overflows
    base: float = 0.0
    width: float = 1.0
    shape: float = 1.0  # the floor of a log, the lambda of Yeo-Johnson
    mean: float = 0.0
    deviation: float = 1.0

    def undo(self, t: float) -> float:
        """The objective's value at t; always finite."""
        x = t * self.deviation + self.mean
        if self.name.startswith("log"):
            x = math.exp(min(x, 700.0)) - self.shape
        elif self.name == "yeo-johnson":
            x = _undo_yeo_johnson(x, self.shape)
        with np.errstate(over="ignore"):
            return float(np.clip(np.float64((self.base + self.width * x) * self.unit), -1e308, 1e308))


def output(name: str, y: Floats) -> Output:
    """The scale `name` for the values y, (n,) finite."""
    unit = float(np.abs(y).max()) or 1.0
    y = y / unit
    low, high = float(y.min()), float(y.max())
    if high - low <= 1e-14 * max(abs(low), abs(high)):
        return Output("plain", np.zeros(len(y)), 0.0, unit, base=low, width=0.0)
    spread = max(float(np.median(y)) - low, (high - low) * TINY)
    if spread < (high - low) * 1e-9:  # most values are the best one
        spread = float(y.mean()) - low
    n = len(y)
    if name.startswith("log"):
        floor = float(name[3:])
        z = np.log((y - low) / spread + floor)
        t, mean, deviation = _standard(z)
        return Output(name, t, float(z.sum()) + n * math.log(deviation), unit, low, spread, floor, mean, deviation)
    plain, mean, deviation = _standard(y)
    stretch = n * math.log(deviation / spread)
    if name == "plain":
        return Output(name, plain, stretch, unit, mean=mean, deviation=deviation)
    shape, inner_mean, inner_deviation, z = _best_lambda(plain)
    bend = (shape - 1.0) * float((np.sign(plain) * np.log1p(np.abs(plain))).sum())
    cost = stretch + n * math.log(inner_deviation) - bend
    t = (z - inner_mean) / inner_deviation
    return Output(name, t, cost, unit, mean, deviation, shape, inner_mean, inner_deviation)


def _standard(z: Floats) -> tuple[Floats, float, float]:
    mean, deviation = float(z.mean()), max(float(z.std()), TINY)
    return (z - mean) / deviation, mean, deviation


def _best_lambda(z: Floats) -> tuple[float, float, float, Floats]:
    """The lambda of most normal likelihood, with mean, deviation and the mapped values."""
    best: tuple[float, float, float, float, Floats] | None = None
    jacobian = float((np.sign(z) * np.log1p(np.abs(z))).sum())
    for shape in LAMBDAS.tolist():
        x = yeo_johnson(z, shape)
        deviation = max(float(x.std()), TINY)
        score = (shape - 1.0) * jacobian - len(z) * math.log(deviation)
        if best is None or score > best[0]:
            best = (score, shape, float(x.mean()), deviation, x)
    assert best is not None
    return best[1:]


def yeo_johnson(z: Floats, shape: float) -> Floats:
    """The Yeo-Johnson map of z, (n,)."""
    up, down = np.maximum(z, 0.0), np.maximum(-z, 0.0)
    high = np.log1p(up) if abs(shape) < 1e-9 else ((1.0 + up) ** shape - 1.0) / shape
    rest = 2.0 - shape
    low = np.log1p(down) if abs(rest) < 1e-9 else ((1.0 + down) ** rest - 1.0) / rest
    return np.where(z >= 0, high, -low)


def _undo_yeo_johnson(x: float, shape: float) -> float:
    power = shape if x >= 0 else 2.0 - shape
    inner = abs(x)
    if abs(power) < 1e-9:
        size = math.expm1(min(inner, 700.0))
    else:
        size = math.expm1(min(math.log(max(1.0 + power * inner, TINY)) / power, 700.0))
    return math.copysign(size, x)
