"""What the trials say to a model: rows and numbers, in an order that does not depend on that of the trials.

The walk: trials -> `read` -> the fits of `fit` and the posteriors of `method`. Trials of other sweeps come as rows of
another task. It knows no mathematics of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from besom.search.bayes.layout import Layout
from besom.search.engine import Problem
from besom.search.goal import observe
from besom.search.laws import Floats
from besom.search.trial import Trial

LARGE = 300  # values above which a process is built on some of them
BEST, LATEST, OTHERS = 150, 50, 100


@dataclass(frozen=True)
class Data:
    """n trials with an outcome: `rows` (n, d); `values` (n, goals) smaller is better, NaN where the trial `failed`;
    `excess` (n, limits) at most 0 is fine, NaN where it said nothing; `age` (n,) larger is later, negative for trials
    of other sweeps. `pending`: rows without an outcome yet.
    """

    rows: Floats
    values: Floats
    excess: Floats
    failed: NDArray[np.bool_]
    age: Floats
    pending: Floats

    @property
    def own(self) -> NDArray[np.bool_]:
        """(n,) which trials are of this sweep and have values."""
        return ~self.failed & (self.age >= 0.0)

    @property
    def within(self) -> NDArray[np.bool_]:
        """(n,) which trials of this sweep have values and keep all limits."""
        return np.asarray(self.own & (self.excess <= 0.0).all(axis=1))

    def some(self, generator: np.random.Generator) -> Data:
        """All of it, or the best, the latest and some others, chosen by `generator`."""
        n = len(self.rows)
        if n <= LARGE:
            return self
        rank = (
            np.where(self.failed[:, None], np.inf, self.values)
            .argsort(axis=0, kind="stable")
            .argsort(axis=0)
            .min(axis=1)
        )
        best = np.argsort(rank, kind="stable")[:BEST]
        rest = np.setdiff1d(np.arange(n), best)
        late = rest[np.argsort(-self.age[rest], kind="stable")[:LATEST]]
        rest = np.setdiff1d(rest, late)
        others = generator.choice(rest, size=min(OTHERS, len(rest)), replace=False)
        pick = np.concatenate([best, late, others])
        return Data(
            self.rows[pick],
            self.values[pick],
            self.excess[pick],
            self.failed[pick],
            self.age[pick],
            self.pending[-LARGE:],
        )


def read(problem: Problem, trials: Sequence[Trial], encoded: Floats, layout: Layout) -> Data:
    """The data of a sweep. `encoded`: the trials' rows as the space encodes them."""
    everyone = [*trials, *problem.earlier]
    rows = layout.snap(encoded)
    if problem.earlier:
        tasks = sorted({str(t.info.get("from")) for t in problem.earlier})
        other = layout.snap(problem.space.encode([t.params for t in problem.earlier]))
        other[:, -1] = [layout.task(1 + tasks.index(str(t.info.get("from")))) for t in problem.earlier]
        rows = np.concatenate([rows, other])
    seen = [observe(goal, everyone) for goal in problem.goals]
    known = np.all([s.known | s.failed for s in seen], axis=0)
    failed = np.any([s.failed for s in seen], axis=0)
    values = np.stack([s.value for s in seen], axis=1)
    values[failed] = np.nan
    limits = [
        [limit.excess(t) if ok else None for t, ok in zip(everyone, known, strict=True)] for limit in problem.limits
    ]
    excess = np.array(limits, dtype=float).reshape(len(limits), len(everyone)).T
    excess[~np.isfinite(excess)] = np.nan
    excess[:, np.isnan(excess).all(axis=0)] = 0.0  # a limit that no trial says anything of is none yet
    usable = layout.usable(rows)
    numbers = [t.info.get("number") for t in everyone]
    age = np.array([float(k) if type(k) is int and k > 0 else 0.0 for k in numbers])
    age[len(trials) :] = -1.0
    flat = np.nan_to_num(rows, nan=-1.0)
    pick = np.flatnonzero(known & usable)
    pick = pick[np.lexsort([age[pick], *np.nan_to_num(values[pick]).T, *flat[pick].T])]
    wait = np.flatnonzero(np.all([s.pending for s in seen], axis=0) & usable & (age >= 0.0))
    wait = wait[np.lexsort([age[wait], *flat[wait].T])]
    return Data(rows[pick], values[pick], excess[pick], failed[pick], age[pick], rows[wait])
