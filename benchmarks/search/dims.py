"""Dimensions of a task: what every engine is told about a space, whatever its own language for it is.

A point is a dict of the parameters that live: a number for `real` and `int`, the index of the value for `cat` and
`ord`, so that None, True and text pass any engine's pipe unharmed. Standard library only: engines import it too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

Point = dict[str, Any]


@dataclass(frozen=True)
class Dim:
    """One parameter. `values`: of `cat` and `ord`. `when`: (parent, its values for which this one lives), or None."""

    name: str
    kind: str  # real int cat ord
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    values: tuple[Any, ...] = ()
    when: tuple[str, tuple[Any, ...]] | None = None

    @property
    def listed(self) -> bool:
        return self.kind in ("cat", "ord")

    def unit(self, value: Any) -> float:
        """Where `value` (an index, for lists) lies in [0, 1]."""
        if self.listed:
            return float((value + 0.5) / len(self.values))
        if self.log:
            return (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)

    def value(self, unit: float) -> Any:
        """The value at `unit`; integers have half a step beyond each bound, so that the ends are as likely."""
        if self.listed:
            return min(int(unit * len(self.values)), len(self.values) - 1)
        margin = 0.5 if self.kind == "int" else 0.0
        low, high = self.low - margin, self.high + margin
        x = math.exp(math.log(low) + unit * (math.log(high) - math.log(low))) if self.log else low + unit * (high - low)
        return min(max(round(x) if margin else x, self.low), self.high)


def real(name: str, low: float, high: float, when: Any = None) -> Dim:
    return Dim(name, "real", float(low), float(high), when=when)


def log(name: str, low: float, high: float, when: Any = None) -> Dim:
    return Dim(name, "real", float(low), float(high), True, when=when)


def integer(name: str, low: int, high: int, when: Any = None) -> Dim:
    return Dim(name, "int", low, high, when=when)


def logint(name: str, low: int, high: int, when: Any = None) -> Dim:
    return Dim(name, "int", low, high, True, when=when)


def cat(name: str, *values: Any, when: Any = None) -> Dim:
    return Dim(name, "cat", values=values, when=when)


def order(name: str, *values: Any, when: Any = None) -> Dim:
    return Dim(name, "ord", values=values, when=when)


def live(dims: tuple[Dim, ...], point: Point) -> Point:
    """`point` without the parameters that do not live there. A parent comes before its children in `dims`."""
    kept: Point = {}
    for d in dims:
        if d.when is not None:
            parent = next(p for p in dims if p.name == d.when[0])
            if parent.name not in kept or parent.values[kept[parent.name]] not in d.when[1]:
                continue
        kept[d.name] = point[d.name]
    return kept


def named(dims: tuple[Dim, ...], point: Point) -> Point:
    """The point in the values of the task: indices replaced by what they stand for."""
    return {d.name: d.values[point[d.name]] if d.listed else point[d.name] for d in dims if d.name in point}


def parameters(dims: tuple[Dim, ...]) -> dict[str, Any]:
    """The `parameters` of a sweep.yaml."""
    found: dict[str, Any] = {}
    for d in dims:
        if d.listed:
            spec: dict[str, Any] = {"values": list(d.values)}
        elif d.log:
            spec = {"distribution": "log_uniform_values", "min": d.low, "max": d.high}
            if d.kind == "int":
                spec |= {"distribution": "q_log_uniform_values", "q": 1}
        else:
            spec = {"min": d.low, "max": d.high}
        if d.when is not None:
            parent, values = d.when
            spec["condition"] = f"{parent} == {values[0]!r}" if len(values) == 1 else f"{parent} in {list(values)!r}"
        found[d.name] = spec
    return found
