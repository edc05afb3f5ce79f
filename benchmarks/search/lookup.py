"""Read the tables of the real tasks: exact on lists, multilinear between the nodes of numbers, or a forest."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from search.dims import Dim, Point, live

FOLDER = Path(__file__).resolve().parent / "tables"


def file_of(name: str) -> Path:
    return FOLDER / (name.replace(",", "").replace(" ", "_") + ".npz")


def columns(dims: tuple[Dim, ...]) -> list[tuple[Dim, int | None]]:
    """What each column of a forest's rows is: a number's u, or whether a category is chosen."""
    return [(d, i) for d in dims for i in (range(len(d.values)) if d.kind == "cat" else [None])]


def features(dims: tuple[Dim, ...], point: Point) -> list[float]:
    """One row of a forest; a parameter that does not live is -1."""
    row = []
    for d, index in columns(dims):
        if d.name not in point:
            row.append(-1.0)
        else:
            row.append(d.unit(point[d.name]) if index is None else float(point[d.name] == index))
    return row


def roots(dims: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """The parameters that others hang on."""
    return tuple(d for d in dims if any(o.when and o.when[0] == d.name for o in dims))


def branches(dims: tuple[Dim, ...]) -> list[Point]:
    """Every combination of the living roots, as indices; one empty point where nothing is conditional."""
    found: list[Point] = []
    for combination in itertools.product(*[range(len(p.values)) for p in roots(dims)]):
        point = live(roots(dims), dict(zip([p.name for p in roots(dims)], combination, strict=True)))
        if point not in found:
            found.append(point)
    return found


@cache
def _arrays(path: Path) -> dict[str, Any]:
    with np.load(path) as stored:
        return dict(stored)


def noise(name: str) -> float:
    """Standard deviation of a 3-fold cross-validation among the good points."""
    return float(_arrays(file_of(name))["noise"])


def reader(name: str, dims: tuple[Dim, ...]) -> Callable[[Point], float]:
    """The task's value at a point of living parameters."""
    arrays = _arrays(file_of(name))
    if "roots" in arrays:
        return lambda point: _walk(arrays, np.array(features(dims, point)))
    parents = [d.name for d in roots(dims)]
    found: dict[tuple[Any, ...], tuple[Any, list[tuple[Dim, Any]]]] = {}
    for number, branch in enumerate(branches(dims)):
        prefix = f"nodes{number} "
        own = [d for d in dims if prefix + d.name in arrays]
        found[tuple(branch.get(p) for p in parents)] = (
            arrays[f"values{number}"],
            [(d, arrays[prefix + d.name]) for d in own],
        )

    def value(point: Point) -> float:
        table, axes = found[tuple(point.get(p) for p in parents)]
        return _between(table, axes, point)

    return value


def _between(table: Any, axes: list[tuple[Dim, Any]], point: Point) -> float:
    """Multilinear interpolation: each axis in turn is taken at its index, or between its two nodes."""
    for dim, places in axes:
        x = point[dim.name]
        if dim.listed:
            table = table[x]
            continue
        u = min(max(dim.unit(x), 0.0), 1.0)
        i = min(max(int(np.searchsorted(places, u)) - 1, 0), len(places) - 2)
        share = (u - places[i]) / (places[i + 1] - places[i])
        table = (1 - share) * table[i] + share * table[i + 1]
    return float(table)


def _walk(arrays: dict[str, Any], row: Any) -> float:
    """The mean of the leaves that the trees lead to."""
    at = arrays["roots"]
    while True:
        column, threshold = arrays["column"][at], arrays["threshold"][at]
        step = np.where(row[column].astype(np.float32) <= threshold, arrays["left"][at], arrays["right"][at])
        if (step == at).all():
            return float(arrays["value"][at].mean())
        at = step
