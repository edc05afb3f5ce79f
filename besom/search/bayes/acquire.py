"""Where to look next: the logarithm of expected improvement, and the search for its greatest value in a mixed space.

Ament et al., "Unexpected improvements to expected improvement" (NeurIPS 2023) for the sound logarithm. The search goes
from a pool of random points and of moves around the best ones to a few leaders, then value by value over coarse
columns and by gradient over smooth ones. Every point that is judged is first snapped to a representable one. All is
minimisation. It knows no trials; what is tried already is for the caller to leave out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from besom.search.bayes.gp import JITTER, Posterior
from besom.search.bayes.layout import Layout
from besom.search.heavy import minimizer, special
from besom.search.laws import Floats

UNIFORM = 512  # points anywhere
AROUND = 5  # best points that moves start from
MOVES = 24  # moves of each scale from each
SCALES = (0.3, 0.1, 0.03, 0.01)
LEADERS = 5
TOP = 200  # of the pool, where leaders are taken from
APART = 1e-3  # least squared distance of two leaders, in lengthscales
ALL = 8  # values of a column that are all tried in turn
ITERATIONS = 30
PARTS = (1.0, 0.7, 0.4, 0.2, 0.1)  # of the way uphill, where constraints may stand in it
CALM = 3e-3  # noise that a fit finds in smooth functions too, as a share of the variance
HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


def log_h(z: Floats) -> Floats:
    """log(phi(z) + z Phi(z)), (n,), exact far below 0 too."""
    lib = special()
    z = np.asarray(z, dtype=float)
    out = np.empty_like(z)
    near, far = z > -1.0, z < -1e4
    mid = ~near & ~far
    x = z[near]
    out[near] = np.log(np.exp(-0.5 * x * x - HALF_LOG_2PI) + x * lib.ndtr(x))
    x = -z[mid]
    out[mid] = -0.5 * x * x - HALF_LOG_2PI + np.log1p(-math.sqrt(math.pi / 2) * x * lib.erfcx(x / math.sqrt(2.0)))
    x = -z[far]
    out[far] = -0.5 * x * x - HALF_LOG_2PI - 2.0 * np.log(x)
    return out


def log_ei(mean: Floats, deviation: Floats, incumbent: Any) -> Floats:
    """The log of the expected improvement below `incumbent`, of the shape that all three broadcast to."""
    return log_h((incumbent - mean) / deviation) + np.log(deviation)


def log_h_slopes(z: Floats, h: Floats) -> tuple[Floats, Floats]:
    """phi(z) / exp(h) and Phi(z) / exp(h), the latter the derivative of h = log_h(z)."""
    return np.exp(-0.5 * z * z - HALF_LOG_2PI - h), np.exp(special().log_ndtr(z) - h)


class Term(Protocol):
    """A part of the acquisition's logarithm, over snapped rows; the parts add up."""

    def score(self, rows: Floats) -> Floats:
        """(n,) its value at each row."""

    def slopes(self, rows: Floats) -> tuple[Floats, Floats]:
        """(n,) its value at each row and (n, d) the gradient, zero in categories and where a row is dead."""


class Improvement:
    """Log expected improvement below `incumbent`, times the share of news that a noisy trial brings.

    Without that share, a plateau under noise is sampled again and again where its mean happens to be least:
    Huang, Allen, Notz and Zeng, "Global optimization of stochastic black-box systems via sequential kriging
    meta-models" (2006).
    """

    def __init__(self, posterior: Posterior, incumbent: float) -> None:
        self.posterior, self.incumbent = posterior, incumbent

    def score(self, rows: Floats) -> Floats:
        mean, deviation = self.posterior.predict(rows)
        return log_ei(mean, deviation, self.incumbent) + self._news(deviation)[0]

    def slopes(self, rows: Floats) -> tuple[Floats, Floats]:
        mean, deviation, pull = self.posterior.moving(rows)
        z = np.maximum((self.incumbent - mean) / deviation, -1e7)
        h = log_h(z)
        phi, ndtr = log_h_slopes(z, h)
        news, by_news = self._news(deviation)
        return h + np.log(deviation) + news, pull(-ndtr / deviation, phi / deviation + by_news)

    def _news(self, deviation: Floats) -> tuple[Floats, Floats]:
        """(n,) log of the share of a trial's deviation that is news, not noise, and its derivative by the deviation."""
        s, variance = max(self.posterior.s - CALM, 0.0) + JITTER, deviation * deviation
        news = -np.expm1(-0.5 * np.log1p(variance / s))
        return np.log(news), (1.0 - news) * deviation / ((variance + s) * news)


class Search:
    """One search for the point where the sum of `terms` is greatest. `centres`: rows, the most promising known ones."""

    def __init__(
        self, terms: Sequence[Term], posterior: Posterior, centres: Floats, generator: np.random.Generator
    ) -> None:
        self.terms, self.posterior, self.centres, self.generator = terms, posterior, centres, generator
        self.layout: Layout = posterior.layout
        self.reach = np.clip(1.0 / np.sqrt(posterior.weight), 0.05, 1.0)

    def score(self, rows: Floats) -> Floats:
        """(n,) the acquisition's logarithm at snapped rows."""
        return np.asarray(sum(term.score(rows) for term in self.terms))

    def judge(self, rows: Floats) -> Floats:
        """(n,) the score, minus infinity where a constraint of the space is broken."""
        return np.where(self.layout.allowed(rows), self.score(rows), -np.inf)

    def ranked(self) -> tuple[Floats, Floats]:
        """Rows and their scores, the best first: the leaders after their climb, then the pool."""
        pool = self.pool()
        scores = self.judge(pool)
        rows = self.leaders(pool, scores)
        rows, climbed = self.climb(rows)
        if len(self.layout.coarse) and len(self.layout.smooth):
            again, better = self.climb(rows[np.argsort(-climbed, kind="stable")[:3]])
            rows, climbed = np.concatenate([rows, again]), np.concatenate([climbed, better])
        rows, scores = np.concatenate([rows, pool]), np.concatenate([climbed, scores])
        order = np.argsort(-scores, kind="stable")
        return rows[order], scores[order]

    def pool(self) -> Floats:
        """(m, d) snapped points: anywhere, and around the best known ones."""
        d = self.layout.d
        anywhere = self.generator.random((UNIFORM, d))
        if self.layout.space.constrained:  # more of them, so that some are allowed
            many = self.generator.random((3 * UNIFORM, d))
            anywhere = np.concatenate([anywhere, many[self.layout.allowed(self.layout.snap(many))][:UNIFORM]])
        centres = np.where(np.isnan(c := self.centres[:AROUND]), self.generator.random(c.shape), c)
        steps = np.repeat(np.tile(SCALES, len(centres)), MOVES)
        return self.layout.snap(
            np.concatenate([anywhere, self.moved(np.repeat(centres, MOVES * len(SCALES), 0), steps)])
        )

    def moved(self, rows: Floats, scale: Floats) -> Floats:
        """(m, d) each row after a random move of its scale (m,): columns by a normal step, some categories redrawn."""
        m, d = rows.shape
        dice = self.generator
        moves = dice.random((m, d)) < max(0.3, 2.0 / d)
        moves[np.arange(m), dice.integers(d, size=m)] = True
        step = dice.standard_normal((m, d)) * scale[:, None] * self.reach
        redraw = moves & (dice.random((m, d)) < 0.5)
        new = np.abs(rows + np.where(moves & ~self.layout.category, step, 0.0))
        new = np.clip(1.0 - np.abs(1.0 - new), 0.0, 1.0)
        return np.where(redraw & self.layout.category, dice.random((m, d)), new)

    def leaders(self, pool: Floats, scores: Floats) -> Floats:
        """A few distinct rows among the best of the pool."""
        order = np.argsort(-scores, kind="stable")[:TOP]
        embedded = self.layout.embed(pool[order], self.posterior.weight)
        chosen = [0]
        nearest = ((embedded - embedded[0]) ** 2).sum(axis=1)
        while len(chosen) < LEADERS:
            free = np.flatnonzero(nearest > APART)
            if not len(free):
                break
            chosen.append(int(free[0]))
            nearest = np.minimum(nearest, ((embedded - embedded[free[0]]) ** 2).sum(axis=1))
        return pool[order[chosen]]

    def climb(self, rows: Floats) -> tuple[Floats, Floats]:
        """Each row improved over coarse columns, then over smooth ones; and the scores."""
        rows = self.by_value(rows) if len(self.layout.coarse) else rows.copy()
        scores = self.judge(rows)
        if len(self.layout.smooth):
            goal = self.by_gradient(rows)
            for part in PARTS if self.layout.space.constrained else (1.0,):  # a constraint may bar the way's end only
                smooth = self.layout.snap(rows + part * (goal - rows))
                better = self.judge(smooth)
                rows = np.where((better > scores)[:, None], smooth, rows)
                scores = np.maximum(scores, better)
        return rows, scores

    def by_value(self, rows: Floats) -> Floats:
        """Coordinate search of all rows at once over the coarse columns, up to three sweeps."""
        rows = rows.copy()
        scores = self.judge(rows)
        for _ in range(3):
            changed = False
            for j in self.layout.coarse:
                trial, owner = self._alternatives(rows, j)
                if not len(trial):
                    continue
                found = self.judge(trial)
                for i in range(len(rows)):
                    mine = np.flatnonzero(owner == i)
                    if len(mine) and found[best := mine[np.argmax(found[mine])]] > scores[i] + 1e-12:
                        rows[i], scores[i], changed = trial[best], found[best], True
            if not changed:
                break
        return rows

    def _alternatives(self, rows: Floats, j: int) -> tuple[Floats, Any]:
        """Rows with another value in coarse column j, and whose alternative each is."""
        levels = self.layout.levels[j]
        assert levels is not None
        k = len(levels)
        owners: list[int] = []
        places: list[int] = []
        for i, row in enumerate(rows):
            if math.isnan(row[j]):
                continue
            here = self.layout.place(row, j)
            if k <= ALL:
                options = set(range(k))
            elif self.layout.category[j]:
                options = set(self.generator.integers(k, size=8).tolist())
            else:
                jump = max(k // 8, 3)
                options = {here - 1, here + 1, here - 2, here + 2, here - jump, here + jump}
                options.add(int(self.generator.integers(k)))
            for place in sorted(options):
                if place != here and 0 <= place < k:
                    owners.append(i)
                    places.append(place)
        trial = rows[owners]
        trial[:, j] = levels[places]
        if self.layout.space.conditional:  # what comes to life takes any value
            trial = self.layout.snap(np.where(np.isnan(trial), self.generator.random(trial.shape), trial))
        return trial, np.array(owners, dtype=int)

    def by_gradient(self, rows: Floats) -> Floats:
        """The rows with smooth columns moved uphill, all at once: the sum of the scores has each one's gradient."""
        smooth = self.layout.smooth
        alive = ~np.isnan(rows[:, smooth])

        def at(x: Floats) -> Floats:
            new = rows.copy()
            new[:, smooth] = np.where(alive, x.reshape(alive.shape), np.nan)
            return new

        def descend(x: Floats) -> tuple[float, Floats]:
            parts = [term.slopes(at(x)) for term in self.terms]
            values, gradients = (sum(part[k] for part in parts) for k in range(2))
            return -float(np.sum(values)), -np.asarray(gradients)[:, smooth].ravel()

        start = np.nan_to_num(rows[:, smooth], nan=0.5).ravel()
        options = {"maxiter": ITERATIONS, "maxfun": 2 * ITERATIONS}
        bounds = [(0.0, 1.0)] * len(start)
        result: Any = minimizer()(descend, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        return at(np.clip(result.x, 0.0, 1.0))
