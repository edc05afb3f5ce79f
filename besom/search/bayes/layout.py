"""The space as a model sees it: which of its columns are numbers, which are categories, which can move freely.

Rows are u values, (n, d) in [0, 1], as `Space.encode` gives them. A category enters the model as equal or different
only; everything else by its distance in u. It knows no kernel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from besom.search.domain import Choice
from besom.search.laws import Floats
from besom.search.space import Space

COARSE = 100  # a number with at most as many values is searched value by value, a finer one as if it were real


class Layout:
    """Columns of a space. `category[j]`: unordered. `levels[j]`: the u of each value of a coarse column, else None.

    `smooth`: columns to move by gradient. `coarse`: columns to move value by value.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        domains = [p.domain for p in space.free]
        self.d = len(domains)
        self.category = np.array([isinstance(x, Choice) and not x.ordered for x in domains], dtype=bool)
        self.levels: list[Floats | None] = []
        for domain in domains:
            size = domain.size
            if isinstance(domain, Choice):
                self.levels.append((np.arange(domain.size) + 0.5) / domain.size)
            elif size is not None and size <= COARSE:
                self.levels.append(domain.units([domain.at(i) for i in range(size)]))
            else:
                self.levels.append(None)
        self.smooth = np.array([j for j in range(self.d) if self.levels[j] is None], dtype=int)
        self.coarse = [j for j in range(self.d) if self.levels[j] is not None]
        self.fine = [j for j in self.smooth if domains[j].snap(np.array([0.123456789]))[0] != 0.123456789]
        self._edges = [None if v is None else (v[1:] + v[:-1]) / 2 for v in self.levels]

    def snap(self, rows: Floats) -> Floats:
        """(n, d) each row at the nearest representable point; a new array. What is unknown (NaN) stays so."""
        rows = np.array(rows, dtype=float)
        unknown = np.isnan(rows)
        for j in self.coarse:
            levels, edges = self.levels[j], self._edges[j]
            assert levels is not None and edges is not None
            rows[:, j] = levels[np.searchsorted(edges, rows[:, j])]
        for j in self.fine:
            rows[:, j] = self.space.free[j].domain.snap(rows[:, j])
        rows[unknown] = np.nan
        return rows

    def place(self, row: Floats, j: int) -> int:
        """Which of the values of coarse column j a row has."""
        edges = self._edges[j]
        assert edges is not None
        return int(np.searchsorted(edges, row[j]))

    def embed(self, rows: Floats, weight: Floats) -> Floats:
        """(n, m) rows as vectors whose squared distance is the sum of weight[j] * distance_j.

        `weight`: (d,) 1/lengthscale^2. A category of k values becomes k columns. An unknown category (NaN) is half as
        far from every known one.
        """
        numeric = ~self.category
        parts = [rows[:, numeric] * np.sqrt(weight[numeric])]
        for j in np.flatnonzero(self.category):
            levels = self.levels[j]
            assert levels is not None
            hot = np.abs(rows[:, j, None] - levels[None, :]) < 0.25 / len(levels)
            parts.append(hot * np.sqrt(weight[j] / 2))
        return np.concatenate(parts, axis=1)

    def distances(self, rows: Floats) -> tuple[Floats, NDArray[np.intp], NDArray[np.intp]]:
        """(pairs, d) distance of each pair of rows in each column, with the pairs' row numbers, first > second."""
        i, j = np.tril_indices(len(rows), -1)
        with np.errstate(invalid="ignore"):
            apart = np.subtract(rows[i], rows[j])
            apart *= apart
        for c in np.flatnonzero(self.category):
            column = rows[:, c]
            unknown = np.isnan(column)
            half = np.where(unknown[i] ^ unknown[j], 0.5, np.where(unknown[i], 0.0, 1.0))
            apart[:, c] = np.where(np.abs(column[i] - column[j]) < 1e-9, 0.0, half)
        return apart, i, j
