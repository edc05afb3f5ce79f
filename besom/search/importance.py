"""Which parameters matter: shares of variance, permutation importance, interactions of pairs, partial dependence.

The walk: trials -> bins of u and one number each -> forests of regression trees on resampled trials -> exact marginals
of each forest over the whole space -> shares. After Hutter, Hoos and Leyton-Brown (ICML 2014): a tree is a set of boxes,
so its mean over all other parameters is a sum. Every point of the space weighs the same, wherever the trials gathered.

Where a parameter does not live it is filled in at random, a fresh draw per tree: what it is there does not matter, and
it counts by what it does where it lives. Same arguments, same answer. It knows no page and no command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from besom.search.error import SpaceError
from besom.search.goal import Goal, observe, read_goals
from besom.search.laws import Floats
from besom.search.problem import Problem
from besom.search.reader import parse
from besom.search.trial import Trial

FORESTS, TREES = 12, 8  # forests, each on its own resample, whose scatter is the uncertainty; trees in each
BINS = 32  # of a parameter without fewer values
LEAF = 2  # trials in a leaf, at least, and a two-hundredth of all
LARGEST = 1000  # trials that are looked at
PROBES = 2048  # random points for a forest's variance
FENCE = 5.0  # interquartile ranges above the median beyond which a value counts as the fence


@dataclass(frozen=True, slots=True)
class Share:
    """A parameter alone. `share`: of the variance, 0 to 1; `permutation`: the growth of the squared error on trials not
    seen, in units of the variance, when its values are shuffled. Each with its standard deviation over resamples.
    `lives`: in which part of the trials it exists."""

    name: str
    share: float
    deviation: float
    permutation: float
    permutation_deviation: float
    lives: float


@dataclass(frozen=True, slots=True)
class Pair:
    """What two parameters do together beyond what each does alone."""

    first: str
    second: str
    share: float
    deviation: float


@dataclass(frozen=True, slots=True)
class Curve:
    """Partial dependence: the metric, in its own unit, at each value of one parameter, averaged over all others."""

    name: str
    values: tuple[Any, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Importance:
    """`shares`: the largest first. `pairs`: the largest first. `explained`: the part
    of the variance that the forest explains on trials it did not see; near 0 or below, believe none of the rest.
    `notes`: what to keep in mind, in sentences."""

    metric: str
    trials: int
    explained: float
    shares: tuple[Share, ...] = ()
    pairs: tuple[Pair, ...] = ()
    curves: tuple[Curve, ...] = ()
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


@dataclass(frozen=True)
class _Forest:
    """Per column its marginal, (columns, widest); per pair its own, (wide, wide); and what trials not seen say."""

    alone: Floats
    together: dict[tuple[int, int], Floats]
    variance: float
    error: float
    harm: Floats


def importance(sweep: Mapping[str, Any], trials: Sequence[Trial], seed: int = 0) -> Importance:
    """What the trials of a sweep say about its parameters. Raises SpaceError for a sweep that cannot be read or has no
    metric; too few trials give an answer without shares, and say so."""
    goals, _ = read_goals(sweep, [])
    if not goals:
        raise SpaceError("metric", "importance needs a metric, like `{name: val_loss, goal: minimize}`")
    goal = goals[0]
    problem = Problem(parse(sweep), goal, seed, sweep, goals)
    names = [p.name for p in problem.space.free]
    rows, y = _known(problem, goal, trials)
    if len(y) < 4 or not names or float(np.ptp(y)) == 0.0:
        why = "no parameter varies" if not names else "all values are equal" if len(y) >= 4 else "at least 4 are needed"
        return Importance(goal.name, len(y), 0.0, notes=(f"{len(y)} trials with a value of {goal.name}: {why}",))
    notes = []
    low, middle, high = np.percentile(y, [25, 50, 75])
    fence = middle + FENCE * (high - low)
    if high > low and (beyond := int((y > fence).sum())):
        y = np.minimum(y, fence)
        notes.append(f"{beyond} values beyond {goal.sign * fence:.4g} count as that, so that they do not hide the rest")
    return _told(problem, goal, rows, y, notes)


def _known(problem: Problem, goal: Goal, trials: Sequence[Trial]) -> tuple[Floats, Floats]:
    """u values and numbers of the trials that ended with one, in an order of their own."""
    done = [t for t in trials if t.state not in ("pending", "running")]
    seen = observe(goal, done)
    rows = problem.space.encode([t.params for t in done])
    pick = np.flatnonzero(seen.known & ~np.isnan(rows).all(axis=1)) if rows.size else np.zeros(0, dtype=int)
    pick = pick[np.lexsort([seen.value[pick], *np.nan_to_num(rows[pick], nan=-1.0).T])]
    if len(pick) > LARGEST:
        pick = np.sort(problem.generator(len(pick)).choice(pick, LARGEST, replace=False))
    return rows[pick], seen.value[pick]


def _told(problem: Problem, goal: Goal, rows: Floats, y: Floats, notes: list[str]) -> Importance:
    free = problem.space.free
    category = np.array([not p.domain.ordered for p in free])
    sizes = [p.domain.size or BINS for p in free]
    bins = np.array([s if c else min(s, BINS) for s, c in zip(sizes, category, strict=True)])
    centre, scale = float(y.mean()), float(y.std())
    z = (y - centre) / scale
    forests = [_forest(rows, z, bins, category, problem.generator(i, 41)) for i in range(FORESTS)]
    explained = 1.0 - float(np.mean([f.error for f in forests]))
    alone = np.array([[_variance(m[:b]) / f.variance for m, b in zip(f.alone, bins, strict=True)] for f in forests])
    harm = np.array([f.harm for f in forests])
    lives = 1.0 - np.isnan(rows).mean(axis=0)
    shares = [Share(p.name, *_summary(alone[:, j]), *_summary(harm[:, j]), float(lives[j])) for j, p in enumerate(free)]
    pairs = []
    for j, k in set.intersection(*(set(f.together) for f in forests)):
        mixed = [(_variance(f.together[j, k]) - _variance(f.alone[j, : bins[j]]) - _variance(f.alone[k, : bins[k]]))
                 / f.variance for f in forests]  # fmt: skip
        pairs.append(Pair(free[j].name, free[k].name, *_summary(np.maximum(mixed, 0.0))))
    curves = []
    for j, p in enumerate(free):
        lines = goal.sign * (centre + scale * np.array([f.alone[j, : bins[j]] for f in forests]))
        at = tuple(p.domain.value((b + 0.5) / bins[j]) for b in range(bins[j]))
        mean, deviation = lines.mean(axis=0), lines.std(axis=0, ddof=1)
        curves.append(Curve(p.name, at, tuple(mean.tolist()), tuple(deviation.tolist())))
    if len(y) < 5 * len(free) + 10:
        notes.append(f"{len(y)} trials are few for {len(free)} parameters: mind the deviations")
    if explained < 0.2:
        notes.append(
            f"the parameters explain {max(explained, 0.0):.0%} of {goal.name} on trials not seen: little to rely on"
        )
    notes += [
        f"{s.name} lives in {s.lives:.0%} of the trials and counts by what it does there" for s in shares if s.lives < 1
    ]
    shares.sort(key=lambda s: (-s.share, s.name))
    pairs.sort(key=lambda s: (-s.share, s.first, s.second))
    return Importance(goal.name, len(y), explained, tuple(shares), tuple(pairs), tuple(curves), tuple(notes))


def _summary(values: Floats) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values, ddof=1))


def _variance(marginal: Floats) -> float:
    return float(np.var(marginal))


def _forest(
    rows: Floats, y: Floats, bins: NDArray[np.intp], category: NDArray[np.bool_], dice: np.random.Generator
) -> _Forest:
    """Trees on one resample of the trials, each with its own fill of what does not live; judged on the rest."""
    n, d = rows.shape
    taken = dice.integers(n, size=n)
    kept = np.setdiff1d(np.arange(n), taken)
    wide = int(bins.max())
    alone = np.zeros((d, wide))
    probes = (dice.random((PROBES, d)) * bins).astype(int)
    answers, guesses = np.zeros(PROBES), np.zeros(len(kept))
    shuffled = np.zeros((d, len(kept)))
    orders = [dice.permutation(len(kept)) for _ in range(d)]
    trees = []
    for _ in range(TREES):
        filled = np.where(np.isnan(rows), dice.random(rows.shape), rows)
        x = np.minimum((filled * bins).astype(int), bins - 1)
        covers, values = _leaves(x[taken], y[taken], bins, category, max(LEAF, n // 200), dice)
        parts = covers.sum(axis=2) / bins
        trees.append((covers, values, parts))
        answers += _predict(covers, values, probes) / TREES
        guesses += _predict(covers, values, x[kept]) / TREES
        for j in range(d):
            other = x[kept].copy()
            other[:, j] = other[orders[j], j]
            shuffled[j] += _predict(covers, values, other) / TREES
            alone[j] += (values * np.delete(parts, j, axis=1).prod(axis=1)) @ covers[:, j] / TREES
    rest = y[kept]
    harm = _harm(shuffled, guesses, rest)
    together = {}
    for j, k in combinations(range(d), 2):
        whole = np.zeros((bins[j], bins[k]))
        for covers, values, parts in trees:
            weight = values * np.delete(parts, [j, k], axis=1).prod(axis=1)
            whole += (covers[:, j, : bins[j]].T * weight) @ covers[:, k, : bins[k]] / TREES
        together[j, k] = whole
    spread = max(float(np.mean((rest - y[taken].mean()) ** 2)), 1e-12) if len(kept) else 1.0
    error = float(np.mean((rest - guesses) ** 2)) / spread if len(kept) else 1.0
    return _Forest(alone, together, max(float(np.var(answers)), 1e-12), error, harm / spread)


def _harm(shuffled: Floats, guesses: Floats, y: Floats) -> Floats:
    """(d,) how much the squared error grows when a column is shuffled."""
    if not len(y):
        return np.zeros(len(shuffled))
    return np.asarray(((shuffled - y) ** 2).mean(axis=1) - ((guesses - y) ** 2).mean())


def _predict(covers: NDArray[np.bool_], values: Floats, x: NDArray[np.intp]) -> Floats:
    """(m,) the values of the leaves that points fall in."""
    inside = np.ones((len(x), len(values)), dtype=bool)
    for j in range(x.shape[1]):
        inside &= covers[:, j, x[:, j]].T
    return np.asarray(values[inside.argmax(axis=1)])


def _leaves(
    x: NDArray[np.intp],
    y: Floats,
    bins: NDArray[np.intp],
    category: NDArray[np.bool_],
    least: int,
    dice: np.random.Generator,
) -> tuple[NDArray[np.bool_], Floats]:
    """A regression tree as its leaves: (leaves, columns, widest) the bins that each covers, and (leaves,) their values."""
    d, wide = x.shape[1], int(bins.max())
    todo = [(np.arange(len(y)), np.arange(wide) < bins[:, None])]
    covers, values = [], []
    while todo:
        rows, cover = todo.pop()
        split = _split(x[rows], y[rows], cover, category, least, dice) if len(rows) >= 2 * least else None
        if split is None:
            covers.append(cover)
            values.append(float(y[rows].mean()))
            continue
        j, left = split
        for side in (cover[j] & left, cover[j] & ~left):
            part = cover.copy()
            part[j] = side
            todo.append((rows[side[x[rows, j]]], part))
    return np.array(covers).reshape(-1, d, wide), np.array(values)


def _split(
    x: NDArray[np.intp],
    y: Floats,
    cover: NDArray[np.bool_],
    category: NDArray[np.bool_],
    least: int,
    dice: np.random.Generator,
) -> tuple[int, NDArray[np.bool_]] | None:
    """The column and its bins on the left (wide,) that lower the squared error most; equal cuts by lot, some columns
    left out by lot. Categories are cut in the order of their means (Breiman 1984)."""
    d, wide = cover.shape
    place = (x + np.arange(d) * wide).ravel()
    many = np.bincount(place, minlength=d * wide).reshape(d, wide).astype(float)
    total = np.bincount(place, np.repeat(y, d), d * wide).reshape(d, wide)
    mean = np.where(many > 0, total / np.maximum(many, 1), y.mean())
    order = np.where(
        category[:, None], np.argsort(np.where(cover, mean, np.inf), axis=1, kind="stable"), np.arange(wide)
    )
    left = np.cumsum(np.take_along_axis(many, order, 1), axis=1)
    sums = np.cumsum(np.take_along_axis(total, order, 1), axis=1)
    right = len(y) - left
    ok = (left >= least) & (right >= least)
    gain = np.where(ok, sums**2 / np.maximum(left, 1) + (y.sum() - sums) ** 2 / np.maximum(right, 1), -np.inf)
    gain -= y.sum() ** 2 / len(y)
    some = np.asarray(dice.random(d) < 0.7)
    if not some.any():
        some[dice.integers(d)] = True
    gain[~some] = -np.inf
    best = gain.max()
    if not best > 1e-12:
        return None
    ties = np.flatnonzero((gain >= best * (1 - 1e-9)).ravel())
    j, cut = divmod(int(dice.choice(ties)), wide)
    chosen = np.zeros(wide, dtype=bool)
    chosen[order[j, : cut + 1]] = True
    return j, chosen
