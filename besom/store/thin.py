"""Curves thinned to a grid of buckets, over all points: n, mean, min, max, last of each bucket.

Serves the charts (hub/curves.py). Pure arithmetic on arrays; knows no runs, tables or pages.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from besom.store.chunk import Floats, Ints

Numbers = npt.NDArray[Any]
"""An int64 or float64 array."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Buckets on the x axis. With `places` each of them (sorted, distinct) is a bucket of its own; else bucket i covers
    [low + i width, low + (i + 1) width), and the last one its right end too."""

    count: int
    low: float = 0.0
    width: float = 1.0
    whole: bool = False
    """x are integers, so a bucket's centre is the mean of the integers in it."""
    places: Numbers | None = None

    def index(self, x: Numbers) -> Ints:
        """The bucket of each x, shape (n,) -> (n,), int64. x lie inside the grid."""
        if self.places is not None:
            return np.searchsorted(self.places, x).astype(np.int64, copy=False)
        if self.whole:
            return ((x - int(self.low)) // int(self.width)).astype(np.int64, copy=False)
        return np.clip(((x - self.low) / self.width).astype(np.int64), 0, self.count - 1)

    def centres(self) -> Floats:
        """The x that stands for each bucket, shape (count,)."""
        if self.places is not None:
            return self.places.astype(np.float64)
        middle = (self.width - 1) / 2 if self.whole else self.width / 2
        return np.float64(self.low + middle) + self.width * np.arange(self.count, dtype=np.float64)


class Thinned(NamedTuple):
    """Columns of one curve, each of shape (count,). NaN where n is 0; NaN points count nowhere."""

    n: Ints
    mean: Floats
    min: Floats
    max: Floats
    last: Floats


def grid(parts: Sequence[Numbers], buckets: int, *, exact: bool) -> Grid:
    """A grid of at most `buckets` that covers the x of all parts.

    `exact`: when there are no more distinct x than buckets, each is a bucket (steps, epochs); times are never shared by
    two runs, so there buckets of equal width are asked for. Integers get buckets of whole width at multiples of it, so
    that buckets stay where they are while a run grows.
    """
    parts = [part for part in parts if len(part)]
    if not parts:
        return Grid(0)
    low, high = min(part.min() for part in parts), max(part.max() for part in parts)
    places = _distinct(parts, buckets) if exact or low == high else None
    if places is not None:
        return Grid(len(places), places=places)
    if all(part.dtype.kind == "i" for part in parts):
        return _whole(int(low), int(high), buckets)
    span = float(high) - float(low)
    width_of = span / buckets if math.isfinite(span) and span / buckets > 0 else math.ulp(float(high))
    return Grid(buckets, float(low), width_of)


def _whole(low: int, high: int, buckets: int) -> Grid:
    """Buckets of whole width, at multiples of it where that fits."""
    n = high - low + 1
    for least in (-(-n // buckets), -(-n // max(buckets - 1, 1))):
        width = _rounded(least)
        start, count = low // width * width, high // width - low // width + 1
        if count <= buckets:
            return Grid(count, start, width, True)
    return Grid(1, low, n, True)  # a single bucket, with a multiple of its width inside


def _rounded(width: int) -> int:
    """The next width with at most three leading bits, so that a growing run rarely changes it."""
    places = max(width.bit_length() - 3, 0)
    return -(-width >> places) << places


def _distinct(parts: Sequence[Numbers], most: int) -> Numbers | None:
    """The distinct x of all parts, sorted; None when there are more than `most`."""
    found: Numbers = np.empty(0, parts[0].dtype)
    for part in parts:
        # Steps mostly grow, so neighbours tell distinct ones apart without a sort.
        steps = part if len(part) <= most else part[np.append(True, part[1:] != part[:-1])]
        if len(steps) > most and len(steps) == len(part) and (np.diff(part) > 0).all():
            return None
        found = np.union1d(found, steps)
        if len(found) > most:
            return None
    return found


def thin(index: Ints, values: Floats, count: int) -> Thinned:
    """Columns of one curve. `index`: bucket of each point, in any order; points of a bucket keep their order (for last)."""
    numbers = ~np.isnan(values)
    if not numbers.all():
        index, values = index[numbers], values[numbers]
    if len(index) > 1 and (np.diff(index) < 0).any():
        order = np.argsort(index, kind="stable")
        index, values = index[order], values[order]
    n = np.zeros(count, np.int64)
    columns = [np.full(count, np.nan) for _ in range(4)]
    if len(index):
        starts = np.flatnonzero(np.diff(index, prepend=index[0] - 1))
        ends = np.append(starts[1:], len(index))
        at = index[starts]
        n[at] = ends - starts
        low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
        with np.errstate(over="ignore", invalid="ignore"):
            means = np.add.reduceat(values, starts) / n[at]
            if not np.isfinite(means).all():  # a sum can leave float64 though all of its values are in it
                inside = np.add.reduceat(values / np.repeat(n[at], n[at]), starts)
                means = np.where(np.isfinite(low) & np.isfinite(high) & ~np.isfinite(means), inside, means)
        for column, found in zip(columns, (means, low, high, values[ends - 1]), strict=True):
            column[at] = found
    return Thinned(n, *columns)


class Across(NamedTuple):
    """Columns of a group of curves, each of shape (count,): over its runs' values in each bucket. NaN where n is 0; std has
    ddof = 1 and is NaN where n < 2."""

    n: Ints
    mean: Floats
    std: Floats
    min: Floats
    max: Floats


def across(means: Floats) -> Across:
    """Mean and deviation across runs. `means`: (runs, count), each run's mean in each bucket, NaN where it has no point."""
    there = ~np.isnan(means)
    n = there.sum(axis=0)
    with np.errstate(all="ignore"):
        mean = np.where(there, means, 0.0).sum(axis=0) / np.where(n, n, np.nan)
        squares = np.where(there, (means - mean) ** 2, 0.0).sum(axis=0)
        std = np.sqrt(squares / np.where(n > 1, n - 1, np.nan))
    low = np.where(there, means, np.inf).min(axis=0, initial=np.inf)
    high = np.where(there, means, -np.inf).max(axis=0, initial=-np.inf)
    return Across(n, mean, std, np.where(n, low, np.nan), np.where(n, high, np.nan))
