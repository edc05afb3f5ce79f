"""Scores, ranks and their intervals. Pure functions of cells and of what is known about their tasks.

A score is (random's median - what the engine found) / (random's median - best known) at the same number of trials,
clipped to [-1, 1.5]: 0 is chance, 1 the best known value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from search.cells import Cell
from search.known import Known

Key = tuple[str, int]  # task and seed
RESAMPLES = 2000


def score(cell: Cell, known: Known, budget: int, *, noisy: bool = False) -> float:
    """The score of a cell after `budget` trials."""
    chance = (known.noisy if noisy else known.random)[budget - 1]
    room = chance - known.best
    if room <= 0:
        return 0.0
    return float(np.clip((chance - cell.best(budget)) / room, -1.0, 1.5))


def ranks(columns: Mapping[str, Mapping[Key, float]]) -> dict[str, float]:
    """The mean rank of each engine over the cells that all have; 1 is the best, equals share."""
    from scipy.stats import rankdata

    shared = sorted(set.intersection(*[set(c) for c in columns.values()])) if columns else []
    if not shared:
        return {}
    rows = rankdata([[-round(c[key], 9) for c in columns.values()] for key in shared], axis=1)
    return dict(zip(columns, rows.mean(axis=0).tolist(), strict=True))


def interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval of a mean over cells."""
    rows: Any = np.asarray(values)
    picks = np.random.default_rng(seed).integers(len(rows), size=(RESAMPLES, len(rows)))
    low, high = np.quantile(rows[picks].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def ahead(ours: Mapping[Key, float], theirs: Mapping[Key, float]) -> tuple[float, float, float, int] | None:
    """Mean difference over the cells that both have, its interval, and how many they are."""
    shared = sorted(set(ours) & set(theirs))
    if not shared:
        return None
    differences = [ours[k] - theirs[k] for k in shared]
    return float(np.mean(differences)), *interval(differences), len(shared)
