"""What curves that came to their end tell of one that did not: the gain that the nearest of them still made from there.

Smaller is better. A curve is what would count if its trial ended at each of its values: the best so far, or as logged
where the last value counts. It knows nothing of trials, rules or parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from besom.search.laws import Floats

NEAR = 8


def ended(curves: Sequence[Floats]) -> Floats:
    """(m, longest) curves of at least one value, each held at its last value where it was shorter."""
    table = np.empty((len(curves), max(map(len, curves))))
    for row, curve in zip(table, curves, strict=True):
        row[: len(curve)] = curve
        row[len(curve) :] = curve[-1]
    return table


def finals(begun: Floats, table: Floats) -> Floats:
    """(s, k) where each begun curve (s, n) would end with the further gain of each of its nearest in `table`, (m, longest),
    the nearest first: by the mean squared difference of the n values."""
    n = begun.shape[1]
    known = table[:, :n]
    with np.errstate(over="ignore", invalid="ignore"):
        apart = (begun**2).sum(axis=1)[:, None] - 2 * begun @ known.T + (known**2).sum(axis=1)
        pick = np.argsort(apart, axis=1, kind="stable")[:, :NEAR]
        return np.asarray(np.nan_to_num(begun[:, -1:] - (table[:, n - 1] - table[:, -1])[pick]))


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
