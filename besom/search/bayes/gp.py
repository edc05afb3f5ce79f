"""A Gaussian process over rows of u: the maximum a posteriori fit of its hyperparameters, and its posterior.

Kernel a k(r^2) + q (1 + g)^2 + (s + 1e-8) I: a Matern-5/2 k of r^2 = sum of distance_j / l_j^2 (see `layout`), a
quadratic surface of the numbers x_j in [-1, 1], g = sum of x_j x'_j / l_j^2, and noise. The second is Bayesian
regression on all linear, square and product terms: a bowl is known from few values however it is turned, and what is
no bowl is left to the first. Its prior is small, so that evidence lets it in. A constant mean c ~
N(0, 1) by generalised least squares. theta = (log l_1..d, log a, log s, log q). Rasmussen and Williams (2006,
sections 2.7 and 5.4) for the mathematics; Hvarfner et al. (2024) for a lengthscale prior that grows with the root of
the dimension. Values are standardised by the caller. It knows no acquisition and no space.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from besom.search.bayes.layout import Layout
from besom.search.heavy import blas, lapack, minimizer
from besom.search.laws import Floats

JITTER = 1e-8
Pull = Callable[[Floats, Floats], Floats]
Lifted = tuple[
    Floats, Floats, Floats
]  # rows as vectors: two whose product is 5 r^2, and one whose square product is curved
FAILED = 1e15  # the objective where the kernel matrix has no Cholesky factor


@dataclass(frozen=True)
class Prior:
    """Independent normal priors of theta, (d + 3,), and its bounds."""

    mean: Floats
    deviation: Floats
    low: Floats
    high: Floats
    start: Floats

    @classmethod
    def of(cls, d: int) -> Prior:
        length = min(math.log(0.55) + 0.5 * math.log(max(d, 1)), math.log(1.6))
        mean = np.array([length] * d + [0.0, -6.5, -8.0])
        start = mean.copy()
        start[-2:] = -6.0, -4.0  # from where a slope leads either way
        return cls(
            mean,
            np.array([0.9] * d + [1.0, 1.8, 2.0]),
            np.array([-4.0] * d + [-4.0, -13.8, -12.0]),
            np.array([4.0] * d + [3.0, 0.5, 3.0]),
            start,
        )


def matern(r2: Floats) -> tuple[Floats, Floats]:
    """Matern-5/2 at squared distances, and its derivative by the squared distance."""
    root = np.sqrt(5.0 * r2)
    decay = np.exp(-root)
    slope = (1.0 + root) * decay
    return slope + (5.0 / 3.0) * r2 * decay, (-5.0 / 6.0) * slope


class Likelihood:
    """The negative log posterior of theta, with its gradient, for given rows; values may differ from call to call."""

    def __init__(self, layout: Layout, rows: Floats) -> None:
        self.n, self.d = len(rows), layout.d
        self.prior = Prior.of(self.d)
        self.apart, self.i, self.j = layout.distances(rows)
        self.numeric = np.flatnonzero(~layout.category)
        self.x = layout.curve(rows, np.ones(self.d))
        self.flat = self.i * self.n + self.j  # below the diagonal, row by row
        self.diagonal = np.arange(self.n) * (self.n + 1)

    def __call__(self, theta: Floats, t: Floats, slopes: bool = True) -> tuple[float, Floats]:
        """Objective and gradient, (d + 3,); without `slopes` the gradient is not worked out. `t`: (n,)."""
        n, d, lib = self.n, self.d, lapack()
        weight = np.exp(-2.0 * theta[:d])
        a, s, q = np.exp(theta[d:]).tolist()
        k, slope = matern(self.apart @ weight)
        matrix = np.zeros(n * n)
        matrix[self.flat] = a * k
        matrix[self.diagonal] = a + s + JITTER
        product = (self.x * weight[self.numeric]) @ self.x.T
        product += 1.0
        matrix += (q * product * product).ravel()
        # row-wise lower is column-wise upper: the transpose is in LAPACK's own order, so nothing is copied
        factor, failed = lib.dpotrf(matrix.reshape(n, n).T, lower=0, clean=0, overwrite_a=1)
        gradient = np.zeros(d + 3)
        if failed:
            return FAILED, gradient
        both = np.empty((n, 2), order="F")
        both[:, 0], both[:, 1] = t, 1.0
        solved, _ = lib.dpotrs(factor, both, lower=0)
        c = float(solved[:, 0].sum() / (solved[:, 1].sum() + 1.0))
        alpha = solved[:, 0] - c * solved[:, 1]
        log_root = float(np.log(factor.diagonal()).sum())
        gap = (theta - self.prior.mean) / self.prior.deviation
        value = 0.5 * float((t - c) @ alpha) + 0.5 * c * c + log_root + 0.5 * float(gap @ gap)
        if not slopes:
            return value, gradient
        inverse, _ = lib.dpotri(factor, lower=0, overwrite_c=1)
        packed = inverse.T.ravel()  # row-wise lower again, a view
        pairs = (
            packed[self.flat] - alpha[self.i] * alpha[self.j]
        )  # of twice the derivative by the matrix, below its diagonal
        own = 0.5 * (packed[self.diagonal] - alpha * alpha)
        trace = float(own.sum())
        gradient += gap / self.prior.deviation
        gradient[:d] += -2.0 * a * weight * ((pairs * slope) @ self.apart)
        gradient[d] += a * (float(pairs @ k) + trace)
        gradient[d + 1] += s * trace
        below, diagonal = product.ravel()[self.flat], product.ravel()[self.diagonal]
        pairs *= below
        own *= diagonal
        gradient[d + 2] += q * (float(pairs @ below) + float(own @ diagonal))
        matrix = np.zeros(n * n)
        matrix[self.flat] = pairs
        matrix[self.diagonal] = own
        moment = np.einsum("ij,ij->j", self.x, matrix.reshape(n, n) @ self.x)
        gradient[self.numeric] -= 4.0 * q * weight[self.numeric] * moment
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
    """The process given rows and values, (n,), at one theta."""

    def __init__(self, layout: Layout, rows: Floats, t: Floats, theta: Floats) -> None:
        d, lib = layout.d, lapack()
        self.layout, self.rows, self.t, self.theta = layout, rows, t, theta
        self.weight = np.exp(-2.0 * theta[:d])
        self.a, self.s, self.q = np.exp(theta[d:]).tolist()
        self.known = self._lift(rows)
        matrix = self._kernel(self.known)
        diagonal = np.einsum("ii->i", matrix)
        own = self._own(self.known)
        extra = self.s + JITTER
        while True:
            diagonal[:] = own + extra
            factor, failed = lib.dpotrf(matrix.T, lower=1, clean=1)
            if not failed:
                break
            extra *= 10.0
        self.root, _ = lib.dtrtri(factor, lower=1, overwrite_c=1)  # one product then gives a variance
        white, ones = self.root @ self.t, self.root.sum(axis=1)
        self.c = float((ones @ white) / (ones @ ones + 1.0))
        self.alpha = self.root.T @ (white - self.c * ones)

    def _lift(self, rows: Floats) -> Lifted:
        flat = self.layout.embed(rows, 5.0 * self.weight)
        ones = np.ones((len(rows), 1))
        norms = (flat * flat).sum(axis=1)[:, None]
        curve = np.concatenate([ones, self.layout.curve(rows, self.weight)], axis=1) * self.q**0.25
        return np.concatenate([-2.0 * flat, norms, ones], axis=1), np.concatenate([flat, ones, norms], axis=1), curve

    def _own(self, here: Lifted) -> Floats:
        """(m,) prior variance of each row."""
        return np.asarray(self.a + np.einsum("ij,ij->i", here[2], here[2]) ** 2)

    def _kernel(self, here: Lifted) -> Floats:
        """(m, n) prior covariance of lifted rows with the known ones. In place: it is most of the work of a search."""
        r2 = here[0] @ self.known[1].T  # five times the squared distance
        np.maximum(r2, 0.0, out=r2)
        root = np.sqrt(r2)
        r2 *= 1.0 / 3.0
        r2 += root
        r2 += 1.0
        np.subtract(math.log(self.a), root, out=root)
        r2 *= np.exp(root, out=root)
        curved = np.matmul(here[2], self.known[2].T, out=root)
        curved *= curved
        r2 += curved
        return np.asarray(r2)

    def mean(self, rows: Floats) -> Floats:
        """(m,) the posterior mean at rows."""
        return np.asarray(self._kernel(self._lift(rows)) @ self.alpha + self.c)

    def predict(self, rows: Floats) -> tuple[Floats, Floats]:
        """(m,) mean and deviation at rows: of the function itself, without noise."""
        here = self._lift(rows)
        kernel = self._kernel(here)
        mean = kernel @ self.alpha + self.c
        white = blas().dtrmm(1.0, self.root, kernel.T, lower=1, overwrite_b=1)
        variance = self._own(here) - np.einsum("ij,ij->j", white, white)
        return mean, np.sqrt(np.maximum(variance, 1e-12 * self.a))

    def believe(self, rows: Floats) -> Posterior:
        """The process that also takes its own mean at `rows` for values seen: the Kriging believer of Ginsbourger,
        Le Riche and Carraro (2010). Several imagined outcomes at once (fantasies) were measured and lose against it."""
        t = np.concatenate([self.t, self.mean(rows)])
        return Posterior(self.layout, np.concatenate([self.rows, rows]), t, self.theta)

    def moving(self, rows: Floats) -> tuple[Floats, Floats, Pull]:
        """(m,) mean and deviation at rows, and the gradient, (m, d), of by_mean * mean + by_deviation * deviation as a
        function of the two factors, (m,) each. It is zero in categories and where a row is dead."""
        here = self._lift(rows)
        r2 = np.maximum(here[0] @ self.known[1].T, 0.0)
        root = np.sqrt(r2)
        decay = self.a * np.exp(-root)
        product = here[2] @ self.known[2].T
        kernel = (1.0 + root + r2 / 3.0) * decay + product * product
        white = kernel @ self.root.T
        variance = self._own(here) - np.einsum("ij,ij->i", white, white)
        deviation = np.sqrt(np.maximum(variance, 1e-12 * self.a))

        def pull(by_mean: Floats, by_deviation: Floats) -> Floats:
            ratio = (by_deviation / deviation)[:, None]
            share = by_mean[:, None] * self.alpha - ratio * (white @ self.root)
            away = share * (1.0 + root) * decay * (-1.0 / 6.0)  # times the derivative of the first part by 5 r^2
            flat = self.known[1][:, :-2]
            by_flat = 2.0 * (away.sum(axis=1)[:, None] * here[1][:, :-2] - away @ flat)
            norms = np.einsum("ij,ij->i", here[2], here[2])[:, None]
            by_curve = 2.0 * ((share * product) @ self.known[2] + ratio * norms * here[2])
            return self.layout.chain(rows, 5.0 * self.weight, by_flat, by_curve[:, 1:] * self.q**0.25, self.weight)

        return kernel @ self.alpha + self.c, deviation, pull
