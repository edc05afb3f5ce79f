"""The space as a model sees it: which of its columns are numbers, which are categories, which can move freely.

Rows are u values, (n, d) in [0, 1], as `Space.encode` gives them, NaN where a parameter does not live. A category
enters the model as equal or different only; everything else by its distance in u. A number that may be dead lies on
an arc of radius and angle 1 whose centre stands for dead: two live values are about as far apart as their u, and a
dead one is one full range from each (Swersky et al., "Raiders of the lost architecture", 2014). It knows no kernel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from besom.search.domain import Choice
from besom.search.laws import Floats
from besom.search.space import Space

COARSE = 100  # a number with at most as many values is searched value by value, a finer one as if it were real


class Layout:
    """Columns of a space. `category[j]`: unordered. `arc[j]`: a number that may be dead. `levels[j]`: the u of each
    value of a coarse column, else None.

    `smooth`: columns to move by gradient. `coarse`: columns to move value by value. With more than one task, one more
    column at the end says which: points are of task 0, what other sweeps tried of others (Bonilla, Chai and Williams,
    "Multi-task Gaussian process prediction", 2007, here with one correlation for all).
    """

    def __init__(self, space: Space, tasks: int = 1) -> None:
        self.space, self.tasks = space, tasks
        domains = [p.domain for p in space.free]
        self.d = len(domains)
        self.category = np.array([isinstance(x, Choice) and not x.ordered for x in domains], dtype=bool)
        self.arc = np.array([p.when is not None for p in space.free], dtype=bool) & ~self.category
        self.plain = ~self.category & ~self.arc
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
        if tasks > 1:
            self.category, self.arc, self.plain = (
                np.append(a, b) for a, b in ((self.category, True), (self.arc, False), (self.plain, False))
            )
            self.levels.append((np.arange(tasks) + 0.5) / tasks)
            self.d += 1
        self._edges = [None if v is None else (v[1:] + v[:-1]) / 2 for v in self.levels]

    def snap(self, rows: Floats) -> Floats:
        """(n, d) each row at the nearest representable point, NaN where dead or unknown; a new array."""
        rows = np.array(rows[:, : len(self.space.free)], dtype=float)
        unknown = np.isnan(rows)
        for j in self.coarse:
            levels, edges = self.levels[j], self._edges[j]
            assert levels is not None and edges is not None
            rows[:, j] = levels[np.searchsorted(edges, rows[:, j])]
        for j in self.fine:
            rows[:, j] = self.space.free[j].domain.snap(rows[:, j])
        rows[unknown] = np.nan
        rows = self.space.canonical(rows)
        return rows if self.tasks == 1 else np.column_stack([rows, np.full(len(rows), self.task(0))])

    def task(self, number: int) -> float:
        """What stands for a task in the last column."""
        return (number + 0.5) / self.tasks

    def usable(self, rows: Floats) -> NDArray[np.bool_]:
        """(n,) whether each row has all numbers that live in it."""
        free = rows[:, : len(self.space.free)]
        lacks = np.isnan(free) & ~self.category[: free.shape[1]]
        if self.space.conditional:
            lacks &= ~self.space.dead(free)
        return np.asarray(~lacks.any(axis=1))

    def allowed(self, rows: Floats) -> NDArray[np.bool_]:
        """(n,) whether each row keeps the constraints of the space."""
        return self.space.allowed(rows[:, : len(self.space.free)])

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
        root = np.sqrt(weight)
        parts = [rows[:, self.plain] * root[self.plain]]
        if self.arc.any():
            on = rows[:, self.arc]
            parts += [np.nan_to_num(turn(on)) * root[self.arc] for turn in (np.cos, np.sin)]
        for j in np.flatnonzero(self.category):
            levels = self.levels[j]
            assert levels is not None
            hot = np.abs(rows[:, j, None] - levels[None, :]) < 0.25 / len(levels)
            parts.append(hot * np.sqrt(weight[j] / 2))
        return np.concatenate(parts, axis=1)

    def curve(self, rows: Floats, weight: Floats) -> Floats:
        """(n, m) the m numbers of each row in [-1, 1], times the root of their weight; 0 where dead."""
        numeric = ~self.category
        return np.asarray(np.nan_to_num(2.0 * rows[:, numeric] - 1.0) * np.sqrt(weight[numeric]))

    def chain(self, rows: Floats, weight: Floats, by_flat: Floats, by_curve: Floats, curve_weight: Floats) -> Floats:
        """(n, d) the gradient by rows of what has these by `embed(rows, weight)` and `curve(rows, curve_weight)`."""
        slopes = np.zeros(rows.shape)
        root, plain, arcs = np.sqrt(weight), int(self.plain.sum()), int(self.arc.sum())
        slopes[:, self.plain] = by_flat[:, :plain] * root[self.plain]
        if arcs:
            on, by_cos, by_sin = (
                rows[:, self.arc],
                by_flat[:, plain : plain + arcs],
                by_flat[:, plain + arcs : plain + 2 * arcs],
            )
            slopes[:, self.arc] = (np.cos(on) * by_sin - np.sin(on) * by_cos) * root[self.arc]
        slopes[:, ~self.category] += by_curve * 2.0 * np.sqrt(curve_weight[~self.category])
        return np.nan_to_num(slopes)

    def distances(self, rows: Floats) -> tuple[Floats, NDArray[np.intp], NDArray[np.intp]]:
        """(pairs, d) distance of each pair of rows in each column, with the pairs' row numbers, first > second."""
        i, j = np.tril_indices(len(rows), -1)
        with np.errstate(invalid="ignore"):
            apart = np.subtract(rows[i], rows[j])
            apart *= apart
        for c in np.flatnonzero(self.arc):
            dead = np.isnan(rows[:, c])
            arc = 2.0 - 2.0 * np.cos(rows[i, c] - rows[j, c])
            apart[:, c] = np.where(dead[i] | dead[j], dead[i] ^ dead[j], arc)
        for c in np.flatnonzero(self.category):
            column = rows[:, c]
            unknown = np.isnan(column)
            half = np.where(unknown[i] ^ unknown[j], 0.5, np.where(unknown[i], 0.0, 1.0))
            apart[:, c] = np.where(np.abs(column[i] - column[j]) < 1e-9, 0.0, half)
        return apart, i, j
