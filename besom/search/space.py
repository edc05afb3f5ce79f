"""The search space of a sweep: parameters parsed from the sweep's own words, and points of it.

`parse(sweep)` reads `parameters` (any depth), or raises a SpaceError that names the key, the value and the way out;
what runs but looks like a mistake becomes a warning. A `Space` turns points into the dicts that a trial receives and
trials back into points. The walk it serves: sweep -> Space -> a method of `engine` -> params. It knows no method's
mathematics and no file format.

Two identities of a point: its `index` in a finite space (the last name varies fastest), and its row of u values
(`encode`), one per searchable parameter in the order of `Space.free`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from besom.search.distributions import parameter
from besom.search.domain import Choice, Domain
from besom.search.error import SpaceError, nearest
from besom.search.laws import Floats


@dataclass(frozen=True)
class Parameter:
    """One leaf of the space. `path`: the names from the top to it; `domain`: what it may be."""

    path: tuple[str, ...]
    domain: Domain

    @property
    def name(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True)
class Space:
    """All parameters, in byte order of their names, and what was odd about them (`warnings`)."""

    parameters: tuple[Parameter, ...]
    warnings: tuple[str, ...] = ()

    @cached_property
    def free(self) -> tuple[Parameter, ...]:
        """The parameters that have more than one value."""
        return tuple(p for p in self.parameters if p.domain.size != 1)

    @cached_property
    def size(self) -> int | None:
        """Number of points; None when a parameter has no end of values."""
        sizes = [p.domain.size for p in self.parameters]
        return None if any(s is None for s in sizes) else math.prod(s for s in sizes if s is not None)

    def at(self, index: int) -> dict[str, Any]:
        """The params of point `index` of a finite space."""
        values: list[Any] = []
        for p in reversed(self.parameters):
            index, digit = divmod(index, p.domain.size or 1)
            values.append(p.domain.at(digit))
        return self._nest(values[::-1])

    def index(self, params: Mapping[str, Any]) -> int | None:
        """The index of a trial's params in a finite space; None when they are no point of it."""
        index = 0
        for p in self.parameters:
            present, value = self._get(params, p.path)
            digit = p.domain.index(value) if present or p.domain.size == 1 else None
            if digit is None:
                return None
            index = index * (p.domain.size or 1) + digit
        return index

    def draw(self, u: Sequence[float]) -> dict[str, Any]:
        """The params of a random point: `u` in [0, 1] per free parameter, probabilities obeyed."""
        pairs = zip(self.free, u, strict=True)
        return self._fill([p.domain.draw(x) if isinstance(p.domain, Choice) else p.domain.value(x) for p, x in pairs])

    def decode(self, u: Sequence[float]) -> dict[str, Any]:
        """The params that a row of u values stands for."""
        return self._fill([p.domain.value(float(x)) for p, x in zip(self.free, u, strict=True)])

    def encode(self, points: Sequence[Mapping[str, Any]]) -> Floats:
        """(n, d) u values of params, d free parameters; NaN where a value is missing or none of its parameter's."""
        rows = np.full((len(points), len(self.free)), math.nan)
        for j, p in enumerate(self.free):
            if len(p.path) == 1:
                name = p.path[0]
                column: list[Any] = [point.get(name) for point in points]
            else:
                column = [self._get(point, p.path)[1] for point in points]
            rows[:, j] = p.domain.units(column)
            if isinstance(p.domain, Choice) and p.domain.index(None) is not None:
                # None is a choice here: a missing value must not pass for it
                absent = [i for i, v in enumerate(column) if v is None and not self._get(points[i], p.path)[0]]
                rows[absent, j] = math.nan
        return rows

    def contains(self, params: Mapping[str, Any]) -> bool:
        """Whether params are a point of the space: every parameter present, every value one of its own."""
        for p in self.parameters:
            present, value = self._get(params, p.path)
            if not present:
                return False
            if not p.domain.contains(value):
                return False
        return True

    def _fill(self, free: Sequence[Any]) -> dict[str, Any]:
        rest = iter(free)
        return self._nest([p.domain.at(0) if p.domain.size == 1 else next(rest) for p in self.parameters])

    def _nest(self, values: Sequence[Any]) -> dict[str, Any]:
        params: dict[str, Any] = {}
        for p, value in zip(self.parameters, values, strict=True):
            inner = params
            for name in p.path[:-1]:
                inner = inner.setdefault(name, {})
            inner[p.path[-1]] = value
        return params

    @staticmethod
    def _get(params: Mapping[str, Any], path: tuple[str, ...]) -> tuple[bool, Any]:
        value: Any = params
        for name in path:
            if not isinstance(value, Mapping) or name not in value:
                return False, None
            value = value[name]
        return True, value


def keys(rows: Floats) -> list[bytes]:
    """A hashable for each row of u values: equal when all agree to 1e-9."""
    whole = np.ascontiguousarray(np.round(np.nan_to_num(rows, nan=-1.0) * 1e9).astype(np.int64))
    return [row.tobytes() for row in whole]


def parse(sweep: Mapping[str, Any]) -> Space:
    """The space of a sweep. In a grid q_uniform counts its steps from `min`; elsewhere its values are multiples of q."""
    if not isinstance(sweep, Mapping):
        raise SpaceError("", f"a sweep is a mapping of keys like method and parameters; got {type(sweep).__name__}")
    tree = sweep.get("parameters")
    warnings: list[str] = []
    leaves: list[Parameter] = []
    _collect(tree, (), "parameters", leaves, warnings, sweep.get("method") == "grid")
    leaves.sort(key=lambda p: p.path)
    return Space(tuple(leaves), tuple(warnings))


def _collect(
    tree: Any, path: tuple[str, ...], where: str, leaves: list[Parameter], warnings: list[str], from_min: bool
) -> None:
    """Append the leaves of one `parameters` mapping, depth first."""
    if not isinstance(tree, Mapping) or not tree:
        got = "nothing" if tree is None or tree == {} else repr(tree)
        raise SpaceError(where, f"needs at least one parameter, like `lr: {{min: 0.001, max: 0.1}}`; got {got}")
    for key, spec in tree.items():
        name = key if isinstance(key, str) else str(key)
        here = f"{where}.{name}"
        if not isinstance(key, str):
            warnings.append(f"{here}: the name {key!r} is no text; it is read as {name!r}")
        if any(p.path == (*path, name) for p in leaves):
            raise SpaceError(here, "this name is given twice")
        if isinstance(spec, Mapping) and "parameters" in spec:
            stray = [k for k in spec if k != "parameters"]
            if stray:
                raise SpaceError(f"{here}.{stray[0]}", "beside nested `parameters` no other key is allowed")
            _collect(spec["parameters"], (*path, name), f"{here}.parameters", leaves, warnings, from_min)
        else:
            leaves.append(Parameter((*path, name), parameter(spec, here, warnings, from_min=from_min)))


__all__ = ["Parameter", "Space", "SpaceError", "keys", "nearest", "parse"]
