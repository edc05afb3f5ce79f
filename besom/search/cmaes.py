"""`method: cmaes`: covariance matrix adaptation, for many cheap trials on smooth functions of numbers.

A generation is drawn from one normal law over u; once enough of it has values, the law moves towards its good members
and away from its bad ones. Late members count in the next generation. A whole number keeps a margin: its neighbours never
become unlikely. Categories have probabilities that move with the same weights. When the law has shrunk to a point, a new
one starts elsewhere with twice as many members. The law travels in the info of each generation's first member.

Sources: Hansen, "The CMA evolution strategy: a tutorial" (2016), with active update; Hamano et al., "CMA-ES with
margin" (GECCO 2022) and "CatCMA" (GECCO 2024); Auger and Hansen, "A restart CMA evolution strategy with increasing
population size" (CEC 2005); Hansen, "Injecting external solutions into CMA-ES" (2011) for late members; Nomura et al.,
"Warm starting CMA-ES" (AAAI 2021); Ros and Hansen (2008) for the diagonal form in many dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Any

import numpy as np

from besom.search.domain import Choice
from besom.search.heavy import one_thread
from besom.search.laws import Floats
from besom.search.problem import Problem
from besom.search.quasi import sobol_point
from besom.search.random import TRIES, random_point
from besom.search.space import Space
from besom.search.standing import Standing, need_goal, options, stand, whole
from besom.search.trial import Suggestion, Trial

DIAGONAL = 40  # numbers from which on only variances are learnt
SIGMA = 0.25  # deviation of the first law, and of each that starts again
SMALL = 1e-8  # a law that is narrower everywhere has ended
INSIDE = 8  # draws before a member is clipped to the box
PURPOSE = 31


@dataclass(frozen=True)
class Law:
    """What a generation is drawn from. Over m numbers and some categories; `c` is (m, m), or (m,) when diagonal.

    `used`: members of the generation before that it has learnt from. `chances`: one list for each category.
    """

    generation: int
    size: int
    mean: Floats
    sigma: float
    c: Floats
    pc: Floats
    ps: Floats
    chances: tuple[Floats, ...]
    since: int = 0
    used: tuple[int, ...] = ()

    def words(self) -> dict[str, Any]:
        """The law as JSON."""
        lower = self.c[np.tril_indices(len(self.mean))] if self.c.ndim == 2 else self.c
        arrays = {"mean": self.mean, "c": lower, "pc": self.pc, "ps": self.ps}
        return {
            "generation": self.generation, "size": self.size, "since": self.since, "sigma": self.sigma,
            **{name: [float(f"{x:.9g}") for x in array] for name, array in arrays.items()},
            "chances": [[float(f"{x:.9g}") for x in p] for p in self.chances], "used": list(self.used),
        }  # fmt: skip

    @staticmethod
    def read(told: Any, shape: _Shape) -> Law | None:
        """The law of an info; None when it is not for this space."""
        try:
            m = len(shape.numbers)
            mean, lower, pc, ps = (np.array(told[key], dtype=float) for key in ("mean", "c", "pc", "ps"))
            c = lower
            if m <= DIAGONAL:
                c = np.zeros((m, m))
                c[np.tril_indices(m)] = lower
                c = c + np.tril(c, -1).T
            chances = tuple(np.array(p, dtype=float) for p in told["chances"])
            law = Law(
                int(told["generation"]), int(told["size"]), mean, float(told["sigma"]), c, pc, ps, chances,
                int(told["since"]), tuple(int(i) for i in told["used"]),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        arrays = (mean, c, pc, ps, *chances)
        fits = all(len(x) == m for x in (mean, c, pc, ps)) and [len(p) for p in chances] == shape.counts
        return law if fits and all(np.isfinite(x).all() for x in arrays) and 0 < law.sigma < math.inf else None


@dataclass(frozen=True)
class _Shape:
    """Columns of a space: `numbers`, and `categories` with `counts` values each."""

    space: Space
    numbers: list[int] = field(default_factory=list)
    categories: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    @staticmethod
    def of(space: Space) -> _Shape:
        shape = _Shape(space)
        for j, p in enumerate(space.free):
            if isinstance(p.domain, Choice) and not p.domain.ordered:
                shape.categories.append(j)
                shape.counts.append(p.domain.size)
            else:
                shape.numbers.append(j)
        return shape

    def room(self, mean: Floats) -> Floats:
        """(m,) from the mean to the nearest u that stands for another value; 0 for real numbers."""
        found = np.zeros(len(mean))
        for i, j in enumerate(self.numbers):
            domain = self.space.free[j].domain
            if domain.size is not None:
                at = domain.index(domain.value(float(mean[i]))) or 0
                near = range(max(at - 1, 0), min(at + 2, domain.size))
                u = np.sort(domain.units([domain.at(k) for k in near]))
                found[i] = np.abs((u[1:] + u[:-1]) / 2 - mean[i]).min()
        return found


class Cmaes:
    """Covariance matrix adaptation evolution strategy."""

    def check(self, problem: Problem) -> list[str]:
        options(problem.sweep, "cmaes", {"population": 1})
        warnings = need_goal(problem)
        shape = _Shape.of(problem.space)
        if len(shape.categories) > len(shape.numbers):
            warnings.append(
                "method: cmaes learns from numbers, and most parameters are categories; tpe or bayes do better"
            )
        return warnings

    def suggest(self, problem: Problem, trials: Sequence[Trial], n: int) -> list[Suggestion]:
        found = stand(problem, trials)
        shape = _Shape.of(problem.space)
        size = options(problem.sweep, "cmaes", {"population": 4 + int(3 * math.log(max(len(problem.space.free), 1)))})[
            "population"
        ]
        with one_thread():
            law = _latest(found.trials, shape) or _begin(problem, found, shape, max(size, 2))
            while law is not None and (after := _after(problem, found, shape, law)) is not None:
                law = after
            if law is None:
                return _first(problem, found, n)
            return _members(problem, found, shape, law, n)


def _first(problem: Problem, found: Standing, n: int) -> list[Suggestion]:
    """Evenly spread points, the best of which the first law starts at."""
    start = 1 + max((whole(t.info.get("point"), -1) for t in found.trials), default=-1)
    points: list[Suggestion] = []
    while len(points) < n and not found.seen.full:
        number = len(found.trials) + len(points)
        params, point = sobol_point(problem, found.seen, start)
        points.append(Suggestion(params, {"method": "cmaes", "arm": "start", "number": number, "point": point}))
        start = point + 1
    return points


def _latest(trials: Sequence[Trial], shape: _Shape) -> Law | None:
    """The last law that the trials carry."""
    laws = [law for t in trials if "law" in t.info and (law := Law.read(t.info["law"], shape)) is not None]
    return max(laws, key=lambda law: law.generation, default=None)


def _begin(problem: Problem, found: Standing, shape: _Shape, size: int) -> Law | None:
    """A law at the best of the trials there are, as wide as the best tenth; None while they are too few."""
    rows, value = found.rows[found.known], found.value[found.known]
    for name in sorted({str(t.info.get("from")) for t in problem.earlier}):
        other = stand(problem, [t for t in problem.earlier if str(t.info.get("from")) == name])
        rows, value = np.concatenate([rows, other.rows[other.known]]), np.concatenate([value, other.value[other.known]])
    if len(rows) < size:
        return None
    rows = rows[np.argsort(value, kind="stable")][: max(math.ceil(len(rows) / 10), 3)]
    numbers = np.where(np.isnan(rows), 0.5, rows)[:, shape.numbers]
    sigma = float(np.clip(np.sqrt(numbers.var(axis=0).mean()) if shape.numbers else SIGMA, 0.05, SIGMA))
    law = _fresh(shape, numbers[0], sigma, size)
    chances = []
    for j, p in zip(shape.categories, law.chances, strict=True):
        counts = np.full(len(p), 1.0)
        for u in rows[:, j][~np.isnan(rows[:, j])]:
            counts[min(int(u * len(p)), len(p) - 1)] += 1.0
        chances.append(counts / counts.sum())
    return replace(law, chances=tuple(chances))


def _fresh(shape: _Shape, mean: Floats, sigma: float, size: int) -> Law:
    m = len(mean)
    c = np.eye(m) if m <= DIAGONAL else np.ones(m)
    even = tuple(np.full(k, 1.0 / k) for k in shape.counts)
    return Law(0, size, mean, sigma, c, np.zeros(m), np.zeros(m), even)


class _Draw:
    """A law made ready: its axes, and how far whole numbers are stretched so that their neighbours stay likely."""

    def __init__(self, law: Law, shape: _Shape) -> None:
        if law.c.ndim == 2:
            values, self.axes = np.linalg.eigh(law.c)
            self.scale = np.sqrt(np.maximum(values, 1e-20))
            deviation = law.sigma * np.sqrt(np.maximum(np.diag(law.c), 1e-20))
        else:
            self.axes, self.scale = np.empty(0), np.sqrt(np.maximum(law.c, 1e-20))
            deviation = law.sigma * self.scale
        chance = 1.0 / (law.size * max(len(shape.space.free), 1))
        far = NormalDist().inv_cdf(1.0 - chance / 2.0)
        self.stretch = law.sigma * np.maximum(1.0, shape.room(law.mean) / (far * deviation))

    def point(self, z: Floats) -> Floats:
        """A standard normal vector as a step."""
        return np.asarray(self.stretch * (self.axes @ (self.scale * z) if self.axes.size else self.scale * z))

    def standard(self, step: Floats) -> Floats:
        """C^-1/2 times a step in units of sigma."""
        if not self.axes.size:
            return np.asarray(step / self.scale)
        return np.asarray(self.axes @ ((self.axes.T @ step) / self.scale))


def _members(problem: Problem, found: Standing, shape: _Shape, law: Law, n: int) -> list[Suggestion]:
    """The next members of the law's generation; more than its size when agents wait for values."""
    space, seen = problem.space, found.seen
    draw = _Draw(law, shape)
    own = [whole(t.info.get("member"), -1) for t in found.trials if t.info.get("generation") == law.generation]
    member = 1 + max(own, default=-1)
    members: list[Suggestion] = []
    while len(members) < n and not seen.full:
        number = len(found.trials) + len(members)
        info: dict[str, Any] = {"method": "cmaes", "arm": "member", "number": number}
        info |= {"generation": law.generation, "member": member, "sigma": float(f"{law.sigma:.4g}")}
        generator = problem.generator(law.generation, member, PURPOSE)
        for _ in range(TRIES):
            row, x = _member(space, shape, law, draw, generator)
            params = space.decode(row.tolist())
            if seen.add(params):
                info["x"] = [float(f"{v:.9g}") for v in x]
                break
        else:
            params = random_point(problem, seen, number)
            info["arm"] = "random"
        if member == 0:
            info["law"] = law.words()
        members.append(Suggestion(params, info))
        member += 1
    return members


def _member(
    space: Space, shape: _Shape, law: Law, draw: _Draw, generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """A row of u, and the numbers in it as they were drawn."""
    for _ in range(INSIDE):
        x = law.mean + draw.point(generator.standard_normal(len(law.mean)))
        if ((x >= 0.0) & (x <= 1.0)).all():
            break
    x = np.clip(x, 0.0, 1.0)
    row = np.empty(len(space.free))
    row[shape.numbers] = x
    for j, chances in zip(shape.categories, law.chances, strict=True):
        pick = int(np.searchsorted(np.cumsum(chances)[:-1], generator.random(), side="right"))
        row[j] = (pick + 0.5) / len(chances)
    return row, x


def _after(problem: Problem, found: Standing, shape: _Shape, law: Law) -> Law | None:
    """The law that follows once enough of a generation has values; None before."""
    now, late = [], []
    for i in np.flatnonzero(found.known):
        info = found.trials[i].info
        generation, member = info.get("generation"), whole(info.get("member"), -1)
        if generation == law.generation and member >= 0:
            now.append(int(i))
        elif generation == law.generation - 1 and member >= 0 and member not in law.used:
            late.append(int(i))
    if len(now) < law.size:
        return None
    pick = np.array(now + late)
    pick = pick[np.argsort(found.value[pick], kind="stable")]
    x = np.stack([_numbers(found, i, shape, law) for i in pick])
    used = tuple(sorted(whole(found.trials[i].info.get("member"), 0) for i in now))
    after = replace(_updated(law, shape, x, found.rows[pick]), used=used)
    deviations = np.sqrt(np.diag(after.c)) if after.c.ndim == 2 else np.sqrt(after.c)
    flat = bool(found.value[pick].max() == found.value[pick].min()) and len(pick) > 2
    if len(shape.numbers) and (flat or after.sigma * deviations.max(initial=0.0) < SMALL or not 0 < after.sigma < 1e3):
        mean = problem.generator(law.generation, PURPOSE, 1).random(len(shape.numbers))
        again = _fresh(shape, mean, SIGMA, min(2 * law.size, 1000))
        return replace(again, generation=after.generation, since=after.generation, used=used)
    return after


def _numbers(found: Standing, i: int, shape: _Shape, law: Law) -> Floats:
    """(m,) the numbers of a trial as they were drawn; where a parameter does not live, the mean, which says nothing."""
    row = found.rows[i, shape.numbers]
    told = found.trials[i].info.get("x")
    if isinstance(told, list) and len(told) == len(row) and all(type(v) is float and math.isfinite(v) for v in told):
        row = np.where(np.isnan(row), math.nan, np.array(told))
    return np.where(np.isnan(row), law.mean, row)


def _updated(law: Law, shape: _Shape, x: Floats, rows: Floats) -> Law:
    """One generation's step. `x`: (k, m) numbers of its members, the best first; `rows`: (k, d) their rows."""
    k, m = x.shape
    raw = math.log((k + 1) / 2) - np.log(np.arange(1, k + 1))
    plus = np.maximum(raw, 0.0) / np.maximum(raw, 0.0).sum()
    mu = 1.0 / float((plus**2).sum())
    chances = tuple(
        _shifted(p, rows[:, j], plus, mu, law.size, len(shape.space.free))
        for j, p in zip(shape.categories, law.chances, strict=True)
    )
    if m == 0:
        return replace(law, generation=law.generation + 1, chances=chances)
    draw = _Draw(law, shape)
    y = (x - law.mean) / draw.stretch
    white = np.stack([draw.standard(step) for step in y])
    length = np.sqrt((white**2).sum(axis=1))
    shrink = np.minimum(1.0, (math.sqrt(m) + 2.0) / np.maximum(length, 1e-300))[:, None]
    y, white, length = y * shrink, white * shrink, length * shrink[:, 0]
    diagonal = law.c.ndim == 1
    more = (m + 2.0) / 3.0 if diagonal else 1.0
    cs, cc = (mu + 2.0) / (m + mu + 5.0), (4.0 + mu / m) / (m + 4.0 + 2.0 * mu / m)
    c1 = min(1.0, more * 2.0 / ((m + 1.3) ** 2 + mu))
    cmu = min(1.0 - c1, more * 2.0 * (0.25 + mu + 1.0 / mu - 2.0) / ((m + 2.0) ** 2 + mu))
    damp = 1.0 + 2.0 * max(0.0, math.sqrt((mu - 1.0) / (m + 1.0)) - 1.0) + cs
    chi = math.sqrt(m) * (1.0 - 1.0 / (4.0 * m) + 1.0 / (21.0 * m * m))
    step, white_step = plus @ y, plus @ white
    ps = (1.0 - cs) * law.ps + math.sqrt(cs * (2.0 - cs) * mu) * white_step
    norm = float(np.sqrt((ps**2).sum()))
    age = law.generation - law.since + 1
    steady = norm / math.sqrt(1.0 - (1.0 - cs) ** (2 * age)) < (1.4 + 2.0 / (m + 1.0)) * chi
    pc = (1.0 - cc) * law.pc + (math.sqrt(cc * (2.0 - cc) * mu) * step if steady else 0.0)
    minus = np.minimum(raw, 0.0)
    away = float((minus.sum() ** 2) / max((minus**2).sum(), 1e-300))
    weight = min(1.0 + c1 / max(cmu, 1e-300), 1.0 + 2.0 * away / (mu + 2.0), (1.0 - c1 - cmu) / (m * max(cmu, 1e-300)))
    minus = weight * minus / max(-float(minus.sum()), 1e-300)
    by = plus + minus * np.where(raw < 0, m / np.maximum(length**2, 1e-300), 1.0)
    keep = 1.0 - c1 - cmu * float((plus + minus).sum()) + (0.0 if steady else c1 * cc * (2.0 - cc))
    if diagonal:
        c = np.maximum(keep * law.c + c1 * pc**2 + cmu * (by @ y**2), 1e-20)
    else:
        c = keep * law.c + c1 * np.outer(pc, pc) + cmu * (y.T * by) @ y
    sigma = law.sigma * math.exp(min(1.0, (cs / damp) * (norm / chi - 1.0)))
    mean = np.clip(law.mean + draw.stretch * step, 0.0, 1.0)
    return replace(
        law, generation=law.generation + 1, mean=mean, sigma=float(sigma), c=c, pc=pc, ps=ps, chances=chances
    )


def _shifted(chances: Floats, column: Floats, plus: Floats, mu: float, size: int, d: int) -> Floats:
    """A category's probabilities after one generation. No value ever becomes so unlikely that it is never drawn."""
    k = len(chances)
    told = ~np.isnan(column)
    good = np.zeros(k)
    np.add.at(good, np.minimum((column[told] * k).astype(int), k - 1), plus[told])
    good += chances * (1.0 - good.sum())
    rate = mu / (mu + size) / math.sqrt(k)
    least = (1.0 - 0.73 ** (1.0 / d)) / max(k - 1, 1) / 2.0
    found = np.maximum((1.0 - rate) * chances + rate * good, min(least, 1.0 / k))
    return np.asarray(found / found.sum())
