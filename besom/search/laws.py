"""Probability laws of one number, as a pair of maps: `ppf` from u in [0, 1] to a number, `cdf` back.

Both take and give float64 arrays of any shape (or floats). They are monotone, `cdf(ppf(u)) = u` up to rounding, and
the ends are exact: `ppf(0)` and `ppf(1)` of a bounded law are its bounds. They know nothing of sweeps or lattices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from besom.search.heavy import special

Floats = NDArray[np.float64]

# u is kept this far from 0 and 1 where a law has no end: +-7 standard deviations of a normal law.
EDGE = 1e-12


class Law(Protocol):
    """One number's law. `low`, `high`: the ends of its support, possibly infinite."""

    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    def ppf(self, u: Any) -> Floats: ...
    def cdf(self, x: Any) -> Floats: ...
    def value(self, u: float) -> float:
        """One number, the same on every machine: the last bits of exp differ between processors, 12 digits do not."""


@dataclass(frozen=True, slots=True)
class Uniform:
    """Even between `low` and `high`."""

    low: float
    high: float

    def ppf(self, u: Any) -> Floats:
        u = np.asarray(u, dtype=float)
        return np.asarray(np.clip(self.low * (1.0 - u) + self.high * u, self.low, self.high))

    def value(self, u: float) -> float:
        return min(max(self.low * (1.0 - u) + self.high * u, self.low), self.high)

    def cdf(self, x: Any) -> Floats:
        # halves, so that a width beyond the largest float stays finite
        x = np.clip(np.asarray(x, dtype=float), self.low, self.high)
        return np.asarray((x / 2 - self.low / 2) / (self.high / 2 - self.low / 2))


@dataclass(frozen=True, slots=True)
class Log:
    """Even in the logarithm, between `low` > 0 and `high`."""

    low: float
    high: float

    def ppf(self, u: Any) -> Floats:
        u = np.asarray(u, dtype=float)
        x = np.exp(math.log(self.low) * (1.0 - u) + math.log(self.high) * u)
        return np.asarray(np.clip(x, self.low, self.high))

    def value(self, u: float) -> float:
        return min(
            max(_digits(math.exp(math.log(self.low) * (1.0 - u) + math.log(self.high) * u)), self.low), self.high
        )

    def cdf(self, x: Any) -> Floats:
        low, high = math.log(self.low), math.log(self.high)
        x = np.clip(np.asarray(x, dtype=float), self.low, self.high)
        return np.asarray(np.clip((np.log(x) - low) / (high - low), 0.0, 1.0))


@dataclass(frozen=True, slots=True)
class Normal:
    """Mean `mu`, standard deviation `sigma` > 0; with `log`, the law of exp(x)."""

    mu: float
    sigma: float
    log: bool = False

    @property
    def low(self) -> float:
        return 0.0 if self.log else -math.inf

    @property
    def high(self) -> float:
        return math.inf

    def ppf(self, u: Any) -> Floats:
        inverse = NormalDist(self.mu, self.sigma).inv_cdf
        flat = np.clip(np.asarray(u, dtype=float), EDGE, 1.0 - EDGE)
        x = np.array([inverse(float(v)) for v in flat.ravel()]).reshape(flat.shape)
        if self.log:
            with np.errstate(over="ignore"):
                x = np.minimum(np.exp(x), np.finfo(float).max)
        return x

    def value(self, u: float) -> float:
        x = self.mu + self.sigma * _digits(NormalDist().inv_cdf(min(max(u, EDGE), 1.0 - EDGE)))
        return _digits(math.exp(min(x, 709.0))) if self.log else x

    def cdf(self, x: Any) -> Floats:
        x = np.asarray(x, dtype=float)
        if self.log:
            with np.errstate(divide="ignore"):
                x = np.log(np.maximum(x, 0.0))
        z = (x - self.mu) / (self.sigma * math.sqrt(2.0))
        return np.array([0.5 * math.erfc(-float(v)) for v in z.ravel()]).reshape(z.shape)


@dataclass(frozen=True, slots=True)
class Beta:
    """The beta law on [0, 1] with shapes `a`, `b` > 0."""

    a: float
    b: float
    low: float = 0.0
    high: float = 1.0

    def ppf(self, u: Any) -> Floats:
        return np.asarray(special().betaincinv(self.a, self.b, np.clip(np.asarray(u, dtype=float), 0.0, 1.0)))

    def value(self, u: float) -> float:
        return min(_digits(float(self.ppf(u))), 1.0)

    def cdf(self, x: Any) -> Floats:
        return np.asarray(special().betainc(self.a, self.b, np.clip(np.asarray(x, dtype=float), 0.0, 1.0)))


def _digits(x: float) -> float:
    """x to 12 significant digits."""
    return float(f"{x:.12g}")
