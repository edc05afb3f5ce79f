"""What one parameter may be: a constant, a list of choices, a real number, or a number on a lattice.

A domain maps u in [0, 1] to a value and a value back to the u that stands for it, so that a candidate of a model and
the record of a trial are the same point. Values are told apart by identity of type and value: 1, 1.0 and True are
three choices; only when no choice is identical does a whole float match an integer, because JSON writers of other
languages turn 1.0 into 1 and tuples into lists. Domains know nothing of YAML, methods or trials.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Any, Protocol

import numpy as np

from besom.search.laws import Floats, Law


class Domain(Protocol):
    """One parameter's values."""

    @property
    def size(self) -> int | None:
        """How many values there are; None when there is no end of them."""

    @property
    def ordered(self) -> bool:
        """Whether near u means near values; False for choices without an order."""

    def value(self, u: float) -> Any:
        """The value that `u` in [0, 1] stands for."""

    def at(self, index: int) -> Any:
        """Value number `index`, 0 <= index < size. Only where there is a size."""

    def index(self, value: Any) -> int | None:
        """The number of `value`, None when it is no value of this domain. Only where there is a size."""

    def contains(self, value: Any) -> bool:
        """Whether `value` is one of this domain's."""

    def units(self, values: Sequence[Any]) -> Floats:
        """(n,) the u that stands for each value: of unordered choices (index + 1/2)/size; NaN for what is none of ours."""

    def snap(self, u: Floats) -> Floats:
        """(n,) the nearest u that stands for a value. Identity for real numbers."""


def identity(value: Any, *, loose: bool = False) -> tuple[Any, ...]:
    """A hashable that is equal exactly for identical values. `loose`: a whole float equals its integer."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return ("none",)
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, int):
        return ("int", value)
    if isinstance(value, float):
        if math.isnan(value):
            return ("nan",)
        if loose and value.is_integer():
            return ("int", int(value))
        return ("float", value + 0.0)
    if isinstance(value, str):
        return ("str", value)
    if isinstance(value, list | tuple):
        return ("list", *(identity(v, loose=loose) for v in value))
    if isinstance(value, dict):
        return ("dict", *sorted((str(k), identity(v, loose=loose)) for k, v in value.items()))
    return ("other", type(value).__name__, repr(value))


def number(value: Any) -> float | None:
    """`value` as a float when it is a number (never a bool), else None. NaN and infinities are numbers."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def numbers(values: Sequence[Any]) -> Floats:
    """(n,) each value as `number` sees it, NaN for what is none. Ten thousand floats or ints take half a millisecond."""
    if set(map(type, values)) <= {int, float}:
        try:
            return np.array(values, dtype=float)
        except OverflowError:
            pass
    return np.array([math.nan if (v := number(value)) is None else v for value in values], dtype=float)


@dataclass(frozen=True)
class Constant:
    """One value that never changes. Whatever a trial says, it is this value."""

    fixed: Any
    size: int = 1
    ordered: bool = True

    def value(self, u: float) -> Any:
        return self.fixed

    def at(self, index: int) -> Any:
        return self.fixed

    def index(self, value: Any) -> int | None:
        return 0

    def contains(self, value: Any) -> bool:
        return identity(value, loose=True) == identity(self.fixed, loose=True)

    def units(self, values: Sequence[Any]) -> Floats:
        return np.full(len(values), 0.5)

    def snap(self, u: Floats) -> Floats:
        return np.full(len(u), 0.5)


@dataclass(frozen=True)
class Choice:
    """Some values of any JSON type, with the probability of each.

    Three or more different numbers are ordered (a list of learning rates or widths), and so is what `order` says, as
    listed unless it is all numbers: `rank[i]` is the place of value i.
    """

    values: tuple[Any, ...]
    weights: tuple[float, ...] = ()
    order: bool | None = None
    _exact: dict[tuple[Any, ...], int] = field(init=False, repr=False, compare=False)
    _loose: dict[tuple[Any, ...], int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        exact: dict[tuple[Any, ...], int] = {}
        loose: dict[tuple[Any, ...], int] = {}
        for i, value in enumerate(self.values):
            exact.setdefault(identity(value), i)
            loose.setdefault(identity(value, loose=True), i)
        object.__setattr__(self, "_exact", exact)
        object.__setattr__(self, "_loose", loose)

    @property
    def size(self) -> int:
        return len(self.values)

    @cached_property
    def rank(self) -> tuple[int, ...]:
        """Place of each value in the order of the model: by size of the number, else as listed."""
        if not self.ordered or not self._numbers:
            return tuple(range(len(self.values)))
        order = sorted(range(len(self.values)), key=lambda i: float(self.values[i]))
        rank = [0] * len(order)
        for place, i in enumerate(order):
            rank[i] = place
        return tuple(rank)

    @cached_property
    def ordered(self) -> bool:
        return (len(self.values) > 2 and self._numbers) if self.order is None else self.order

    @cached_property
    def _numbers(self) -> bool:
        """Whether the values are different, finite numbers."""
        return len({n for v in self.values if (n := number(v)) is not None and math.isfinite(n)}) == len(self.values)

    @cached_property
    def _by_rank(self) -> tuple[int, ...]:
        return tuple(sorted(range(len(self.values)), key=lambda i: self.rank[i]))

    @cached_property
    def _upper(self) -> list[float]:
        """Upper edge of u of each place, when the choices have probabilities."""
        return list(accumulate(self.weights[i] for i in self._by_rank))

    def draw(self, u: float) -> Any:
        """The choice that `u` picks when each has its own probability."""
        if not self.weights:
            return self.value(u)
        place = bisect_right(self._upper, u * self._upper[-1])
        while place >= len(self.values) or self.weights[self._by_rank[place]] == 0.0:
            place -= 1
        return self.values[self._by_rank[place]]

    def value(self, u: float) -> Any:
        n = len(self.values)
        return self.values[self._by_rank[min(int(u * n), n - 1)]]

    def at(self, index: int) -> Any:
        return self.values[index]

    def index(self, value: Any) -> int | None:
        found = self._exact.get(identity(value))
        return self._loose.get(identity(value, loose=True)) if found is None else found

    def contains(self, value: Any) -> bool:
        return self.index(value) is not None

    def units(self, values: Sequence[Any]) -> Floats:
        n = len(self.values)
        kinds = set(map(type, values))
        if len(kinds) == 1 and kinds <= {str, bool, int, float}:  # one plain type: equal is identical
            each = {v: self.index(v) for v in set(values)}
            found = [each[v] for v in values]
        else:
            found = [self.index(v) for v in values]
        return np.array([math.nan if i is None else (self.rank[i] + 0.5) / n for i in found], dtype=float)

    def snap(self, u: Floats) -> Floats:
        n = len(self.values)
        return np.asarray((np.clip(np.floor(u * n), 0, n - 1) + 0.5) / n)


@dataclass(frozen=True)
class Real:
    """A real number under a law."""

    law: Law
    size: None = None
    ordered: bool = True

    def value(self, u: float) -> Any:
        return self.law.value(float(u))

    def at(self, index: int) -> Any:
        raise TypeError("a real number has no index")

    def index(self, value: Any) -> int | None:
        raise TypeError("a real number has no index")

    def contains(self, value: Any) -> bool:
        x = number(value)
        return x is not None and self.law.low <= x <= self.law.high

    def units(self, values: Sequence[Any]) -> Floats:
        x = numbers(values)
        with np.errstate(invalid="ignore"):
            return self.law.cdf(x)

    def snap(self, u: Floats) -> Floats:
        return u


@dataclass(frozen=True)
class Lattice:
    """The numbers origin + k * step, first <= k <= last (None: no end), under a law over the cells around them.

    Every cell reaches half a step to each side, so each end has as much room as the others. `whole`: values are int.
    `low`, `high`: values never leave these bounds, whatever the rounding of k * step.
    """

    law: Law
    step: float | int
    first: int | None
    last: int | None
    origin: float | int = 0
    whole: bool = False
    low: float = -math.inf
    high: float = math.inf
    ordered: bool = True

    @property
    def size(self) -> int | None:
        return None if self.first is None or self.last is None else self.last - self.first + 1

    @cached_property
    def _digits(self) -> int:
        """Decimals of origin and step as written, so that 3 * 0.1 is 0.3."""
        decimals = 0
        for x in (self.step, self.origin):
            mantissa, _, exponent = repr(float(x)).partition("e")
            decimals = max(decimals, len(mantissa.partition(".")[2].rstrip("0")) - int(exponent or 0))
        return decimals

    def point(self, k: int) -> Any:
        """The value at lattice place `k`."""
        if self.whole:
            return int(self.origin) + k * int(self.step)
        value = float(self.origin) + k * float(self.step)
        if self._digits <= 15:
            value = round(value, self._digits) + 0.0
        return min(max(value, self.low), self.high)

    def _clip(self, k: int) -> int:
        k = k if self.first is None else max(k, self.first)
        return k if self.last is None else min(k, self.last)

    def place(self, x: float) -> int:
        """The lattice place nearest to the number x."""
        return self._clip(round((x - float(self.origin)) / float(self.step)))

    def value(self, u: float) -> Any:
        return self.point(self.place(float(self.law.ppf(u))))

    def at(self, index: int) -> Any:
        if self.first is None:
            raise TypeError("a lattice without an end has no index")
        return self.point(self.first + index)

    def index(self, value: Any) -> int | None:
        if self.first is None or not self.contains(value):
            return None
        if self.whole and isinstance(value, int):
            return (value - int(self.origin)) // int(self.step) - self.first
        return self.place(float(value)) - self.first

    def contains(self, value: Any) -> bool:
        x = number(value)
        if x is None or not math.isfinite(x):
            return False
        k = (x - float(self.origin)) / float(self.step)
        near = round(k)
        return abs(k - near) <= 1e-6 + 1e-15 * abs(k) and self._clip(near) == near

    def _cells(self, k: Floats) -> Floats:
        x = float(self.origin) + k * float(self.step)
        half = float(self.step) / 2
        return np.asarray((self.law.cdf(x - half) + self.law.cdf(x + half)) / 2)

    def units(self, values: Sequence[Any]) -> Floats:
        x = numbers(values)
        with np.errstate(invalid="ignore"):
            return self._cells(self._places(x))

    def _places(self, x: Floats) -> Floats:
        k = np.round((x - float(self.origin)) / float(self.step))
        if self.first is not None:
            k = np.maximum(k, float(self.first))
        return k if self.last is None else np.minimum(k, float(self.last))

    def snap(self, u: Floats) -> Floats:
        return self._cells(self._places(self.law.ppf(u)))
