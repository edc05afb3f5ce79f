"""What else a good next point must be: within limits, likely to finish, near where the user looks, off the front.

Each is a `Term` of `acquire`, the logarithm of a probability or of a weight, so that the acquisition is a sum. Gelbart,
Snoek and Adams, "Bayesian optimization with unknown constraints" (UAI 2014) for the first two; Hvarfner et al., "piBO"
(ICLR 2022) for the third; Daulton, Balandat and Bakshy (NeurIPS 2020) and Ament et al. (NeurIPS 2023) for the last.
All is minimisation. They know no trials.
"""

from __future__ import annotations

import itertools

import numpy as np

from besom.search.bayes.acquire import HALF_LOG_2PI, log_ei
from besom.search.bayes.gp import Posterior
from besom.search.heavy import special
from besom.search.laws import Floats

CELLS = 800  # boxes below a front, at most


class Below:
    """Log of the probability that a process is at most `bound`."""

    def __init__(self, posterior: Posterior, bound: float) -> None:
        self.posterior, self.bound = posterior, bound

    def score(self, rows: Floats) -> Floats:
        mean, deviation = self.posterior.predict(rows)
        return np.asarray(special().log_ndtr((self.bound - mean) / deviation))

    def slopes(self, rows: Floats) -> tuple[Floats, Floats]:
        mean, deviation, pull = self.posterior.moving(rows)
        z = (self.bound - mean) / deviation
        values = special().log_ndtr(z)
        ratio = np.exp(np.minimum(-0.5 * z * z - HALF_LOG_2PI - values, 700.0)) / deviation
        return values, pull(-ratio, -ratio * z)


class Belief:
    """`weight` times the log density, up to a constant, of independent normal laws in u: what the user expects.

    `mean`, `deviation`: (d,), a deviation of infinity where nothing is expected.
    """

    def __init__(self, mean: Floats, deviation: Floats, weight: float) -> None:
        self.mean, self.deviation, self.weight = mean, deviation, weight

    def score(self, rows: Floats) -> Floats:
        z = (rows - self.mean) / self.deviation
        return np.asarray(-0.5 * self.weight * np.nansum(z * z, axis=1))

    def slopes(self, rows: Floats) -> tuple[Floats, Floats]:
        return self.score(rows), np.nan_to_num(-self.weight * (rows - self.mean) / self.deviation**2)


class Hypervolume:
    """Log expected hypervolume improvement of independent processes over a front, (n, m), m > 1, up to `worst`."""

    def __init__(self, posteriors: list[Posterior], front: Floats, worst: Floats) -> None:
        self.posteriors = posteriors
        m = len(worst)
        most = max(2, int(CELLS ** (1.0 / (m - 1))) - 1)
        if len(front) > most:
            front = front[np.lexsort(front.T[::-1])][np.unique(np.linspace(0, len(front) - 1, most).astype(int))]
        front = np.minimum(front, worst)
        self.edges = [np.unique(np.append(front[:, k], worst[k])) for k in range(m)]
        cells = np.array(list(itertools.product(*(range(len(e)) for e in self.edges[:-1]))))
        # a cell of the first m - 1 objectives reaches, in the last, from the least front point better in them down
        lower = np.stack([np.append(-np.inf, e)[cells[:, k]] for k, e in enumerate(self.edges[:-1])], axis=1)
        better = (front[None, :, :-1] <= lower[:, None, :]).all(axis=2)
        top = np.where(better, front[None, :, -1], worst[-1]).min(axis=1)
        self.cells = np.column_stack([cells, np.searchsorted(self.edges[-1], top)])

    def value(self, means: Floats, deviations: Floats) -> Floats:
        """(n,) from means and deviations, (n, m)."""
        total = np.zeros((len(means), len(self.cells)))
        for k, edges in enumerate(self.edges):
            volume = log_ei(means[:, k, None], deviations[:, k, None], edges)
            if k < len(self.edges) - 1:  # between two edges; the first cell has no lower one
                gap = np.minimum(volume[:, :-1] - volume[:, 1:], -1e-15)
                volume = np.concatenate([volume[:, :1], volume[:, 1:] + np.log(-np.expm1(gap))], axis=1)
            total += volume[:, self.cells[:, k]]
        top = total.max(axis=1)
        return np.asarray(top + np.log(np.exp(total - top[:, None]).sum(axis=1)))

    def score(self, rows: Floats) -> Floats:
        found = [p.predict(rows) for p in self.posteriors]
        return self.value(np.stack([m for m, _ in found], axis=1), np.stack([s for _, s in found], axis=1))

    def slopes(self, rows: Floats) -> tuple[Floats, Floats]:
        found = [p.moving(rows) for p in self.posteriors]
        here = np.stack([mean for mean, _, _ in found] + [deviation for _, deviation, _ in found], axis=1)
        m = len(found)
        gradient = np.zeros(rows.shape)
        for k, (_, _, pull) in enumerate(found):
            slopes = []
            for column in (k, m + k):
                step = np.zeros(here.shape)
                step[:, column] = 1e-5 * here[:, m + k]
                up, down = here + step, here - step
                gap = self.value(up[:, :m], up[:, m:]) - self.value(down[:, :m], down[:, m:])
                slopes.append(gap / (2.0 * step[:, column]))
            gradient += pull(*slopes)
        return self.value(here[:, :m], here[:, m:]), gradient
