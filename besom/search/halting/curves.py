"""What curves that came to their end tell of one that did not: the gain that the nearest of them still made from there.

Smaller is better. A curve is what would count if its trial ended at each of its values: the best so far, or as logged
where the last value counts. It knows nothing of trials, rules or parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from besom.search.laws import Floats

NEAR = 8
TINY = 1e-300


def ended(curves: Sequence[Floats]) -> Floats:
    """(m, longest) curves of at least one value, each held at its last value where it was shorter."""
    table = np.empty((len(curves), max(map(len, curves))))
    for row, curve in zip(table, curves, strict=True):
        row[: len(curve)] = curve
        row[len(curve) :] = curve[-1]
    return table


def finals(begun: Floats, table: Floats) -> Floats:
    """(s, k) where each begun curve (s, n) would end with the further gain of each of its nearest in `table`, (m, longest),
    the nearest first: by the mean squared difference of the n values. A gain is a ratio of the way to zero where all
    values are positive, to one where all are between 0 and 1 and larger is better; else a difference."""
    n = begun.shape[1]
    zero = _zero(min(table.min(), begun.min()), max(table.max(), begun.max()))
    with np.errstate(over="ignore", invalid="ignore"):
        known = table[:, :n]
        apart = (begun**2).sum(axis=1)[:, None] - 2 * begun @ known.T + (known**2).sum(axis=1)
        pick = np.argsort(apart, axis=1, kind="stable")[:, :NEAR]
        now, here, there = begun[:, -1:], table[:, n - 1][pick], table[:, -1][pick]
        if zero is None:
            return np.asarray(np.nan_to_num(now - (here - there)))
        return np.asarray(np.nan_to_num(zero + (now - zero) * ((there - zero) / np.maximum(here - zero, TINY))))


def _zero(low: float, high: float) -> float | None:
    """The value that no trial can be better than, where the values suggest one: 0 for losses, -1 for shares to maximise."""
    return 0.0 if low >= 0 else -1.0 if low >= -1 and high <= 0 else None


def shelved(begun: Sequence[Floats], table: Floats, best: float) -> Floats:
    """(s,) what curves that were stopped count as: where they would end in the median, but no better than the best."""
    out = np.array([curve[-1] for curve in begun])
    lengths = np.array([len(curve) for curve in begun])
    for n in np.unique(lengths[lengths < table.shape[1]]):
        rows = np.flatnonzero(lengths == n)
        with np.errstate(over="ignore"):
            ends = np.median(finals(np.array([begun[int(i)] for i in rows]), table), axis=1)
        out[rows] = np.minimum(np.maximum(ends, best), out[rows])
    return out
