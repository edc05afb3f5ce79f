"""Parzen estimators over rows of a space: a density made of one kernel for each row, and of the space's own law.

A row is a point in u (`Space.encode`); NaN marks a parameter that does not live in it. A kernel is a product over the
columns: a bell truncated to [0, 1] for numbers, a little probability for every other value of a category. A column
that does not live in a row says nothing there, and one that lives only in the candidate is drawn from the space's law:
so one density spans all branches of a conditional space, and columns that live together stay together. That is what
group decomposition buys, without groups. It knows no objective.

Sources: Bergstra et al., "Algorithms for hyper-parameter optimization" (NeurIPS 2011); Falkner et al., "BOHB" (ICML
2018) for products of kernels; Watanabe, "Tree-structured Parzen estimator: understanding its algorithm components"
(2023) for bandwidths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from besom.search.domain import Choice
from besom.search.heavy import special
from besom.search.laws import Floats
from besom.search.space import Space

LEAST = 0.01  # of a kernel's width
SPREAD = 0.29  # the deviation of an even law, which a column's own is shrunk to


@dataclass(frozen=True)
class Columns:
    """`choices`: (d,) how many values a category has, 0 for a number. `cell`: (d,) room of one value of a number."""

    choices: NDArray[np.int64]
    cell: Floats

    @staticmethod
    def of(space: Space) -> Columns:
        domains = [p.domain for p in space.free]
        choices = [x.size if isinstance(x, Choice) and not x.ordered else 0 for x in domains]
        return Columns(np.array(choices, dtype=np.int64), np.array([1.0 / x.size if x.size else 0.0 for x in domains]))

    def width(self, rows: Floats, factor: float, *, own: bool) -> Floats:
        """(d,) widths for kernels at the rows. `own`: by the spread of each column, else by that of the whole range.

        For a category it is the probability of all other values together.
        """
        n, d = rows.shape
        spread = np.full(d, 1.0)
        if own:
            count = 1.0 + (~np.isnan(rows)).sum(axis=0)
            mean = np.nansum(rows, axis=0) / np.maximum(count - 1.0, 1.0)
            spread = np.sqrt((np.nansum((rows - mean) ** 2, axis=0) + SPREAD**2) / count)
        numeric = np.maximum(np.maximum(factor * spread * (n + 1.0) ** (-1.0 / (d + 4.0)), LEAST), self.cell / 2.0)
        k = np.maximum(self.choices, 1)
        return np.asarray(np.where(self.choices > 0, (k - 1.0) / k / (n + k), numeric))


@dataclass(frozen=True)
class Parzen:
    """A density with kernels of `width` (d,) at (n, d) `rows`; the space's law weighs as much as one row."""

    columns: Columns
    rows: Floats
    width: Floats

    def log(self, points: Floats) -> Floats:
        """(m,) the logarithm of the density at each point."""
        n = len(self.rows)
        total = np.zeros((len(points), n + 1))  # the last is the space's law
        for j, k in enumerate(self.columns.choices):
            x, row, h = points[:, j, None], self.rows[None, :, j], self.width[j]
            if k:
                same = np.abs(x - row) < 0.25 / k
                terms = np.where(same, math.log(1.0 - h), math.log(h / (k - 1.0)))
            else:
                mass = special().ndtr((1.0 - row) / h) - special().ndtr(-row / h)
                terms = -0.5 * ((x - row) / h) ** 2 - np.log(mass * (h * math.sqrt(2.0 * math.pi)))
            law = -math.log(k) if k else 0.0
            live = ~np.isnan(x[:, 0])
            total[live, :n] += np.where(np.isnan(row), law, terms)[live]
            total[live, n] += law
        top = total.max(axis=1)
        return np.asarray(top + np.log(np.exp(total - top[:, None]).sum(axis=1)) - math.log(n + 1.0))

    def draw(self, m: int, generator: np.random.Generator) -> Floats:
        """(m, d) points of the density; columns that will be dead have values too."""
        n = len(self.rows)
        pick = np.floor(generator.random(m) * (n + 1)).astype(int)
        at = np.concatenate([self.rows, np.full((1, len(self.width)), math.nan)])[pick]
        points: Floats = np.asarray(generator.random(at.shape))
        for j, k in enumerate(self.columns.choices):
            told = ~np.isnan(at[:, j])
            row, v, h = at[told, j], points[told, j], self.width[j]
            if k:  # a draw below the width is any of the other values
                other = (np.floor(row * k) + 1.0 + np.minimum(np.floor(v / h * (k - 1.0)), k - 2.0)) % k
                points[told, j] = np.where(v < h, (other + 0.5) / k, row)
            else:
                low, high = special().ndtr(-row / h), special().ndtr((1.0 - row) / h)
                points[told, j] = np.clip(row + h * special().ndtri(low + v * (high - low)), 0.0, 1.0)
        return points
