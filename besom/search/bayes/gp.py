"""A Gaussian process over rows of u: the maximum a posteriori fit of its hyperparameters, and its posterior.

Kernel a k(r^2) + (s + 1e-8) I with Matern-5/2 k, r^2 = sum of distance_j / l_j^2 (squared difference of numbers, one
for different categories); a constant mean c ~ N(0, 1) by generalised least squares. theta = (log l_1..d, log a,
log s). Rasmussen and Williams (2006) for the mathematics; Hvarfner et al. (2024) for a lengthscale prior that grows
with the root of the dimension. Values are standardised by the caller. It knows no acquisition and no space.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from besom.search.bayes.layout import Layout
from besom.search.heavy import lapack, minimizer
from besom.search.laws import Floats

JITTER = 1e-8
ROOT5 = math.sqrt(5.0)
FAILED = 1e15  # the objective where the kernel matrix has no Cholesky factor


@dataclass(frozen=True)
class Prior:
    """Independent normal priors of theta, (d + 2,), and its bounds."""

    mean: Floats
    deviation: Floats
    low: Floats
    high: Floats
    start: Floats

    @classmethod
    def of(cls, d: int) -> Prior:
        length = min(math.log(0.55) + 0.5 * math.log(max(d, 1)), math.log(1.6))
        mean = np.array([length] * d + [0.0, -6.5])
        start = mean.copy()
        start[-1] = -6.0
        return cls(
            mean,
            np.array([0.9] * d + [1.0, 1.8]),
            np.array([-4.0] * d + [-4.0, -13.8]),
            np.array([4.0] * d + [3.0, 0.5]),
            start,
        )


def matern(r2: Floats) -> tuple[Floats, Floats]:
    """Matern-5/2 at squared distances, and its derivative by the squared distance."""
    root = np.sqrt(5.0 * r2)
    decay = np.exp(-root)
    slope = (1.0 + root) * decay
    return slope + (5.0 / 3.0) * r2 * decay, (-5.0 / 6.0) * slope


class Likelihood:
    """The negative log posterior of theta, with its gradient, for given rows; the values may differ from call to call."""

    def __init__(self, layout: Layout, rows: Floats) -> None:
        self.n, self.d = len(rows), layout.d
        self.prior = Prior.of(self.d)
        self.apart, self.i, self.j = layout.distances(rows)
        self.flat = self.i * self.n + self.j  # below the diagonal, row by row
        self.diagonal = np.arange(self.n) * (self.n + 1)

    def __call__(self, theta: Floats, t: Floats) -> tuple[float, Floats]:
        """Objective and gradient, (d + 2,). `t`: (n,)."""
        n, d, lib = self.n, self.d, lapack()
        weight, a, s = np.exp(-2.0 * theta[:d]), math.exp(theta[d]), math.exp(theta[d + 1])
        k, slope = matern(self.apart @ weight)
        matrix = np.zeros(n * n)
        matrix[self.flat] = a * k
        matrix[self.diagonal] = a + s + JITTER
        # row-wise lower is column-wise upper: the transpose is in LAPACK's own order, so nothing is copied
        factor, failed = lib.dpotrf(matrix.reshape(n, n).T, lower=0, clean=0, overwrite_a=1)
        if failed:
            return FAILED, np.zeros(d + 2)
        both = np.empty((n, 2), order="F")
        both[:, 0], both[:, 1] = t, 1.0
        solved, _ = lib.dpotrs(factor, both, lower=0)
        c = float(solved[:, 0].sum() / (solved[:, 1].sum() + 1.0))
        alpha = solved[:, 0] - c * solved[:, 1]
        log_root = float(np.log(factor.diagonal()).sum())
        inverse, _ = lib.dpotri(factor, lower=0, overwrite_c=1)
        packed = inverse.T.ravel()  # row-wise lower again, a view
        pairs = packed[self.flat] - alpha[self.i] * alpha[self.j]
        trace = 0.5 * float((packed[self.diagonal] - alpha * alpha).sum())
        gap = (theta - self.prior.mean) / self.prior.deviation
        value = 0.5 * float((t - c) @ alpha) + 0.5 * c * c + log_root + 0.5 * float(gap @ gap)
        gradient = gap / self.prior.deviation
        gradient[:d] += -2.0 * a * weight * ((pairs * slope) @ self.apart)
        gradient[d] += a * (float(pairs @ k) + trace)
        gradient[d + 1] += s * trace
        return value, gradient

    def minimise(self, start: Floats, t: Floats, iterations: int) -> tuple[float, Floats]:
        """The least objective found from `start`, and its theta."""
        prior = self.prior
        bounds = list(zip(prior.low.tolist(), prior.high.tolist(), strict=True))
        options = {"maxiter": iterations, "maxfun": 2 * iterations + 10}
        begin = np.clip(start, prior.low, prior.high)
        result: Any = minimizer()(self, begin, args=(t,), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        return float(result.fun), np.clip(np.asarray(result.x, dtype=float), prior.low, prior.high)


class Posterior:
    """The process given rows and values at one theta."""

    def __init__(self, layout: Layout, rows: Floats, t: Floats, theta: Floats) -> None:
        d, lib = layout.d, lapack()
        self.layout, self.rows, self.t, self.theta = layout, rows, t, theta
        self.weight = np.exp(-2.0 * theta[:d])
        self.a, self.s = math.exp(theta[d]), math.exp(theta[d + 1])
        self.known = layout.embed(rows, self.weight)
        self.norms = (self.known * self.known).sum(axis=1)
        kernel = self._kernel(self.known)
        extra = self.s + JITTER
        while True:
            matrix = kernel + extra * np.eye(len(rows))
            factor, failed = lib.dpotrf(matrix, lower=1, clean=1)
            if not failed:
                break
            extra *= 10.0
        self.root, _ = lib.dtrtri(factor, lower=1)  # the inverse of the factor: one product gives a variance
        white, ones = self.root @ t, self.root @ np.ones(len(t))
        self.c = float((ones @ white) / (ones @ ones + 1.0))
        self.alpha = self.root.T @ (white - self.c * ones)

    def _kernel(self, embedded: Floats) -> Floats:
        """(m, n) prior covariance of embedded rows with the known ones."""
        r2 = (embedded * embedded).sum(axis=1)[:, None] + self.norms - 2.0 * (embedded @ self.known.T)
        return self.a * matern(np.maximum(r2, 0.0, out=r2))[0]

    def mean(self, rows: Floats) -> Floats:
        """(m,) the posterior mean at rows."""
        return np.asarray(self.c + self._kernel(self.layout.embed(rows, self.weight)) @ self.alpha)

    def predict(self, rows: Floats) -> tuple[Floats, Floats]:
        """(m,) mean and deviation at rows, of the function itself, without noise."""
        kernel = self._kernel(self.layout.embed(rows, self.weight))
        white = kernel @ self.root.T
        variance = self.a - np.einsum("ij,ij->i", white, white)
        return self.c + kernel @ self.alpha, np.sqrt(np.maximum(variance, 1e-12 * self.a))

    def believe(self, rows: Floats) -> Posterior:
        """The process that also takes its own mean at `rows` for values seen: how pending trials count."""
        return Posterior(
            self.layout, np.concatenate([self.rows, rows]), np.concatenate([self.t, self.mean(rows)]), self.theta
        )

    def along(self, row: Floats, smooth: Any) -> Line:
        """The process as a function of the columns `smooth` alone, the others as in `row`."""
        return Line(self, row, smooth)


class Line:
    """Mean and deviation with their gradients, over some numeric columns around one row."""

    def __init__(self, posterior: Posterior, row: Floats, smooth: Any) -> None:
        self.p, self.smooth = posterior, smooth
        weight = posterior.weight.copy()
        weight[smooth] = 0.0
        here = posterior.layout.embed(row[None, :], weight)
        rest = posterior.layout.embed(posterior.rows, weight)
        self.fixed = ((rest - here) ** 2).sum(axis=1)
        self.columns = posterior.rows[:, smooth]
        self.weight = posterior.weight[smooth]

    def __call__(self, x: Floats) -> tuple[float, float, Floats, Floats]:
        """Mean, deviation, and their gradients, each (len(smooth),), at x."""
        p = self.p
        apart = x - self.columns
        k, slope = matern(self.fixed + (apart * apart) @ self.weight)
        k *= p.a
        slope *= 2.0 * p.a
        white = p.root @ k
        deviation = math.sqrt(max(p.a - float(white @ white), 1e-12 * p.a))
        mean_gradient = self.weight * ((slope * p.alpha) @ apart)
        gradient = self.weight * ((slope * (white @ p.root)) @ apart) / -deviation
        return p.c + float(k @ p.alpha), deviation, mean_gradient, gradient
