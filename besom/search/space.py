"""The search space of a sweep: parameters, when each lives, and which points are admissible.

A `Space` turns points into the dicts that a trial receives and trials back into points (`reader.parse` makes one from a
sweep's own words). The walk it serves: sweep -> Space -> a method of `engine` -> params. It knows no method's
mathematics and no file format.

Two identities of a point: its `index` in a finite space (the last name varies fastest), and its row of u values
(`encode`), one per searchable parameter in the order of `Space.free`. A parameter whose condition does not hold is
dead: absent from params, NaN in a row, digit 0 of an index. Indexes number the plain product of all values; those that
are points (`walk`) are the canonical, admissible ones.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from besom.search.domain import Choice, Domain
from besom.search.error import SpaceError
from besom.search.expression import Expression, Path
from besom.search.laws import Floats

LISTED = 50_000  # points, or combinations of the parameters that rules mention, that are listed one by one
DRAWS = 20_000  # random points in a row that break a constraint before the search for one ends
SKIPS = 100_000  # steps over a finite space in a row without a point before a walk ends
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Parameter:
    """One column of the space. `path`: the names from the top to it; `domain`: what it may be.

    `when`: the condition that it lives by; None: always. `prior`: where good values are believed to lie, as mean and
    deviation in u. `group`: the paths of a `zip` group, whose values are lists with one value for each.
    """

    path: Path
    domain: Domain
    when: Expression | None = None
    prior: tuple[float, float] | None = None
    group: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        return "+".join(".".join(path) for path in self.paths)

    @property
    def paths(self) -> tuple[Path, ...]:
        return self.group or (self.path,)

    def pairs(self, value: Any) -> Iterable[tuple[Path, Any]]:
        """The value of each path."""
        return zip(self.group, value, strict=True) if self.group else ((self.path, value),)

    def get(self, params: Mapping[str, Any]) -> tuple[bool, Any]:
        """Whether params hold this parameter, and its value."""
        if not self.group:
            return _get(params, self.path)
        found = [_get(params, path) for path in self.group]
        return all(there for there, _ in found), [value for _, value in found]


@dataclass(frozen=True)
class Space:
    """All parameters, in byte order of their names, the constraints, and what was odd about them (`warnings`)."""

    parameters: tuple[Parameter, ...]
    warnings: tuple[str, ...] = ()
    constraints: tuple[Expression, ...] = ()

    @cached_property
    def free(self) -> tuple[Parameter, ...]:
        """The parameters that have more than one value."""
        return tuple(p for p in self.parameters if p.domain.size != 1)

    @cached_property
    def conditional(self) -> bool:
        """Whether some parameter lives by a condition."""
        return any(p.when for p in self.parameters)

    @property
    def constrained(self) -> bool:
        """Whether there are constraints."""
        return bool(self.constraints)

    @cached_property
    def product(self) -> int | None:
        """Number of combinations of all values; None when a parameter has no end of them."""
        sizes = [p.domain.size for p in self.parameters]
        return None if any(s is None for s in sizes) else math.prod(s for s in sizes if s is not None)

    @cached_property
    def size(self) -> int | None:
        """Number of points; None when there is no end of them, or too many combinations to count them."""
        if self.product is None or not (self.conditional or self.constrained):
            return self.product
        core = Space(tuple(p for p in self.parameters if any(path in self._mentioned for path in p.paths)))
        if core.product is None or core.product > LISTED:
            return None
        rest = [p for p in self.parameters if p not in core.parameters]
        always = math.prod(p.domain.size or 1 for p in rest if p.when is None)
        core, count = Space(core.parameters, constraints=self.constraints), 0
        for index in core._walk(0):
            values = core._settle(core._values(index))
            count += math.prod(p.domain.size or 1 for p in rest if p.when and p.when.true(values))
        return always * count

    @cached_property
    def points(self) -> Sequence[int] | None:
        """The indexes of all points, ascending, when they can be listed."""
        if not self.conditional and not self.constrained:
            return None if self.size is None else range(self.size)
        return tuple(self._walk(0)) if self.size is not None and self.size <= LISTED else None

    def walk(self, start: int = 0) -> Iterator[int]:
        """The indexes of points of a space whose `product` is finite, ascending, from `start` on."""
        if self.product is not None and not (self.conditional or self.constrained):
            return iter(range(start, self.product))
        points = self.points
        return self._walk(start) if points is None else iter(points[bisect_left(points, start) :])

    def at(self, index: int) -> dict[str, Any]:
        """The params at `index` of the product; what is dead there is left out."""
        return self._nest(self._settle(self._values(index)))

    def index(self, params: Mapping[str, Any]) -> int | None:
        """The index of a trial's params in a finite product; None when they are none of it."""
        values = self._given(params) if self.conditional else {}
        index = 0
        for p in self.parameters:
            digit: int | None = 0
            if p.when is None or p.when.true(values):
                present, value = p.get(params)
                digit = p.domain.index(value) if present or p.domain.size == 1 else None
            if digit is None:
                return None
            index = index * (p.domain.size or 1) + digit
        return index

    def draw(self, u: Sequence[float]) -> dict[str, Any]:
        """The params of a random point: `u` in [0, 1] per free parameter, probabilities obeyed. Constraints may break."""
        return self._nest(self._settle(self._drawn(u)))

    def sample(self, generator: np.random.Generator, given: Mapping[int, Any] | None = None) -> dict[str, Any]:
        """The params of a random admissible point. `given`: values that it has, by number of the parameter.

        Raises SpaceError when DRAWS in a row break a constraint, or leave a given parameter dead.
        """
        given = given or {}
        for _ in range(DRAWS if self.constrained or given else 1):
            settled = self._random(generator, given)
            alive = all(self.parameters[i].path in settled for i in given)
            if alive and all(_holds(c, settled) for c in self.constraints):
                return self._nest(settled)
        raise self.empty(given)

    def empty(self, given: Mapping[int, Any] | None = None) -> SpaceError:
        """What to raise when no admissible point is found: it names the rule that holds least often."""
        dice = np.random.default_rng(0)
        points = [self._random(dice, given or {}) for _ in range(500)]
        lives = [
            (p.when, [p.path in v for v in points]) for p in map(self.parameters.__getitem__, given or ()) if p.when
        ]
        held = [(c, [_holds(c, v) for v in points]) for c in self.constraints]
        rule, often = min(lives + held, key=lambda pair: sum(pair[1]))
        told = (
            f"of {len(points)} random points{' with these values' if given else ''}, {sum(often)} satisfy `{rule.text}`"
        )
        odd = "".join(f"; {text}" for text in self.warnings if text.startswith("constraints["))
        return SpaceError(
            "constraints", f"no point was found that satisfies all: {told}; widen ranges or loosen the rule{odd}"
        )

    def decode(self, u: Sequence[float]) -> dict[str, Any]:
        """The params that a row of u values stands for. NaN, where it is not dead, counts as 1/2."""
        values = [p.domain.value(0.5 if math.isnan(x) else float(x)) for p, x in zip(self.free, u, strict=True)]
        return self._nest(self._settle(self._whole(values)))

    def encode(self, points: Sequence[Mapping[str, Any]]) -> Floats:
        """(n, d) u values of params, d free parameters; NaN where a parameter is dead, missing, or has none of its values."""
        rows = np.full((len(points), len(self.free)), math.nan)
        for j, p in enumerate(self.free):
            if len(p.path) == 1 and not p.group:
                name = p.path[0]
                column: list[Any] = [point.get(name) for point in points]
            else:
                column = [p.get(point)[1] for point in points]
            rows[:, j] = p.domain.units(column)
            if isinstance(p.domain, Choice) and p.domain.index(None) is not None:
                # None is a choice here: a missing value must not pass for it
                absent = [i for i, v in enumerate(column) if v is None and not p.get(points[i])[0]]
                rows[absent, j] = math.nan
        return self.canonical(rows)

    def dead(self, rows: Floats) -> Flags:
        """(n, d) whether each column's parameter does not live, given the other columns of its row."""
        return ~self._alive(rows)[:, [self._number[p.path] for p in self.free]]

    def canonical(self, rows: Floats) -> Floats:
        """(n, d) the rows with NaN in dead columns."""
        return np.where(self.dead(rows), math.nan, rows) if self.conditional else rows

    def allowed(self, rows: Floats) -> Flags:
        """(n,) whether all constraints hold at each row: `admits` for many points at once."""
        found = np.ones(len(rows), bool)
        if self.constrained:
            live = self._alive(rows)
            for constraint in self.constraints:
                found &= self._judge(constraint, rows, live, _holds)
        return found

    def admits(self, params: Mapping[str, Any]) -> bool:
        """Whether all constraints hold. One that mentions a parameter which is dead or missing does not apply."""
        if not self.constrained:
            return True
        values = self._given(params)
        return all(_holds(c, values) for c in self.constraints)

    def contains(self, params: Mapping[str, Any]) -> bool:
        """Whether params are a point: every live parameter present with a value of its own, no dead one, all constraints hold."""
        values = self._given(params) if self.conditional else {}
        for p in self.parameters:
            present, value = p.get(params)
            if p.when is not None and not p.when.true(values):
                if any(_get(params, path)[0] for path in p.paths):
                    return False
            elif not present or not p.domain.contains(value):
                return False
        return self.admits(params)

    # Which parameters live

    @cached_property
    def _number(self) -> dict[Path, int]:
        """Which parameter each path belongs to."""
        return {path: i for i, p in enumerate(self.parameters) for path in p.paths}

    @cached_property
    def _order(self) -> tuple[int, ...]:
        """The parameters so that each comes after those its condition mentions (reader.parse has refused cycles)."""
        order: dict[int, None] = {}

        def visit(i: int) -> None:
            when = self.parameters[i].when
            for path in sorted(when.uses) if when and i not in order else ():
                visit(self._number[path])
            order[i] = None

        for i in range(len(self.parameters)):
            visit(i)
        return tuple(order)

    def _settle(self, values: Sequence[Any]) -> dict[Path, Any]:
        """What lives, of one value for each parameter."""
        settled: dict[Path, Any] = {}
        for i in self._order:
            p = self.parameters[i]
            if p.when is None or p.when.true(settled):
                settled.update(p.pairs(values[i]))
        return settled

    def _given(self, params: Mapping[str, Any]) -> dict[Path, Any]:
        """What lives and is present in params; a constant has its value whatever they say."""
        settled: dict[Path, Any] = {}
        for i in self._order:
            p = self.parameters[i]
            present, value = (True, p.domain.at(0)) if p.domain.size == 1 else p.get(params)
            if present and (p.when is None or p.when.true(settled)):
                settled.update(p.pairs(value))
        return settled

    def _alive(self, rows: Floats) -> Flags:
        """(n, m) whether each of the m parameters lives in each row."""
        live = np.ones((len(rows), len(self.parameters)), bool)
        for i in self._order:
            when = self.parameters[i].when
            if when is not None:
                live[:, i] = self._judge(when, rows, live, Expression.true)
        return live

    def _judge(self, rule: Expression, rows: Floats, live: Flags, holds: Any) -> Flags:
        """(n,) what `holds(rule, values)` says of each row; asked once for equal values of what the rule mentions."""
        used = sorted({self._number[path] for path in rule.uses})
        column = {self._number[p.path]: j for j, p in enumerate(self.free)}
        u = np.full((len(rows), len(used)), 0.5)
        for k, i in enumerate(used):
            if i in column:
                given = rows[:, column[i]]
                u[:, k] = np.where(np.isnan(given), -1.0, self.parameters[i].domain.snap(np.nan_to_num(given, nan=0.5)))
            u[~live[:, i], k] = -1.0
        different, which = np.unique(u, axis=0, return_inverse=True)
        answers = []
        for row in different.tolist():
            values: dict[Path, Any] = {}
            for i, x in zip(used, row, strict=True):
                if x >= 0.0:
                    values.update(self.parameters[i].pairs(self.parameters[i].domain.value(x)))
            answers.append(holds(rule, values))
        return np.array(answers, bool)[which.reshape(-1)]

    # Walking a finite product

    @cached_property
    def _mentioned(self) -> frozenset[Path]:
        """What conditions and constraints mention."""
        rules = [*self.constraints, *(p.when for p in self.parameters if p.when)]
        return frozenset(path for rule in rules for path in rule.uses)

    @cached_property
    def _reach(self) -> tuple[int, ...]:
        """For each parameter, the last digit of an index that decides whether it lives and what it is."""
        reach = list(range(len(self.parameters)))
        for i in self._order:
            when = self.parameters[i].when
            reach[i] = max([i, *(reach[self._number[path]] for path in (when.uses if when else ()))])
        return tuple(reach)

    def _digits(self, index: int) -> list[int]:
        digits = []
        for p in reversed(self.parameters):
            index, digit = divmod(index, p.domain.size or 1)
            digits.append(digit)
        return digits[::-1]

    def _values(self, index: int) -> list[Any]:
        return [p.domain.at(k) for p, k in zip(self.parameters, self._digits(index), strict=True)]

    def _walk(self, index: int) -> Iterator[int]:
        """Indexes of points, found one after the other. Raises SpaceError when SKIPS steps in a row find none."""
        strides = [1]
        for p in reversed(self.parameters):
            strides.append(strides[-1] * (p.domain.size or 1))
        total, strides = strides[-1], strides[-2::-1]
        skips = 0
        while index < total:
            last = self._fault(index)
            if last is None:
                yield index
                index, skips = index + 1, 0
                continue
            # all indexes with the same digits up to the last one at fault are no points either
            index, skips = (index // strides[last] + 1) * strides[last], skips + 1
            if skips > SKIPS:
                raise self.empty()

    def _fault(self, index: int) -> int | None:
        """Why an index is no point: the last digit that a broken rule depends on; None when it is one."""
        if not self.conditional and not self.constrained:
            return None
        digits = self._digits(index)
        values = self._settle([p.domain.at(k) for p, k in zip(self.parameters, digits, strict=True)])
        found = [self._reach[i] for i, p in enumerate(self.parameters) if digits[i] and p.path not in values]
        for rule in self.constraints:
            if not _holds(rule, values):
                found.append(max(self._reach[self._number[path]] for path in rule.uses))
        return min(found, default=None)

    def _random(self, generator: np.random.Generator, given: Mapping[int, Any]) -> dict[Path, Any]:
        values = self._drawn(generator.random(len(self.free)).tolist())
        for i, value in given.items():
            values[i] = value
        return self._settle(values)

    def _drawn(self, u: Sequence[float]) -> list[Any]:
        pairs = zip(self.free, u, strict=True)
        return self._whole([p.domain.draw(x) if isinstance(p.domain, Choice) else p.domain.value(x) for p, x in pairs])

    def _whole(self, free: Sequence[Any]) -> list[Any]:
        """A value for each parameter, from one for each free one."""
        rest = iter(free)
        return [p.domain.at(0) if p.domain.size == 1 else next(rest) for p in self.parameters]

    def _nest(self, values: Mapping[Path, Any]) -> dict[str, Any]:
        params: dict[str, Any] = {}
        for path in self._number:
            if path in values:
                inner = params
                for name in path[:-1]:
                    inner = inner.setdefault(name, {})
                inner[path[-1]] = values[path]
        return params


def _holds(constraint: Expression, values: Mapping[Path, Any]) -> bool:
    """Whether a constraint holds, or does not apply because a parameter that it mentions has no value."""
    return not constraint.uses <= values.keys() or constraint.true(values)


def _get(params: Mapping[str, Any], path: Path) -> tuple[bool, Any]:
    value: Any = params
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return False, None
        value = value[name]
    return True, value


def keys(rows: Floats) -> list[bytes]:
    """A hashable for each row of u values: equal when all agree to 1e-9. NaN is one value."""
    whole = np.ascontiguousarray(np.round(np.nan_to_num(rows, nan=-1.0) * 1e9).astype(np.int64))
    return whole.view(f"V{8 * whole.shape[1]}").ravel().tolist() if whole.size else [b""] * len(whole)


__all__ = ["Parameter", "Space", "keys"]
