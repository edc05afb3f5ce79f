"""The tasks: spaces with a value at every point, less is better. Real ones read tables, synthetic ones ask coco.

A third of each family is `held`: kept for the final table, so that nothing is chosen by it. Synthetic values are
log10(regret + 0.001), of BBOB functions and of their mixed-integer kin.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from search.dims import Dim, Point, integer, live, real
from search.lookup import file_of, reader
from search.pipe import Child
from search.real import TASKS as REAL

FLOOR = 1e-3  # a regret below it is as good as none
# suite, function, dimension, held
SYNTHETIC = (
    ("bbob", 3, 5, False),
    ("bbob", 6, 5, False),
    ("bbob", 8, 3, False),
    ("bbob", 10, 5, True),
    ("bbob", 13, 5, False),
    ("bbob", 17, 5, True),
    ("bbob", 21, 5, False),
    ("bbob-mixint", 1, 10, False),
    ("bbob-mixint", 8, 5, False),
    ("bbob-mixint", 15, 5, True),
    ("bbob-mixint", 20, 5, False),
    ("bbob-mixint", 21, 5, True),
)
NAMES = {
    1: "sphere",
    3: "Rastrigin, separable",
    6: "attractive sector",
    8: "Rosenbrock",
    10: "ellipsoid",
    13: "sharp ridge",
    15: "Rastrigin",
    17: "Schaffer",
    20: "Schwefel",
    21: "Gallagher",
}


@dataclass(frozen=True)
class Task:
    """`value`: of a point of living parameters. `mark`: changes when the space or the values do."""

    name: str
    family: str  # real, synthetic
    dims: tuple[Dim, ...]
    value: Callable[[Point], float]
    held: bool
    mark: str

    def at(self, point: Point) -> float:
        return self.value(live(self.dims, point))


def mark(dims: tuple[Dim, ...], content: bytes) -> str:
    text = json.dumps([asdict(d) for d in dims], sort_keys=True).encode()
    return hashlib.sha256(text + content).hexdigest()[:12]


@cache
def coco() -> Child:
    from search.engines import COCO

    return COCO.child()


def synthetic(suite: str, function: int, dimension: int, held: bool) -> Task:
    """BBOB variables lie in [-5, 5]; of the mixed ones, four fifths are integers of 2, 4, 8 and 16 values."""
    mixed, fifth = suite == "bbob-mixint", dimension // 5
    dims = tuple(
        integer(f"x{i}", 0, 2 ** (i // fifth + 1) - 1) if mixed and i < 4 * fifth else real(f"x{i}", -5, 5)
        for i in range(dimension)
    )

    def value(point: Point) -> float:
        x = [point[d.name] for d in dims]
        reply = coco().ask({"f": [suite, function, dimension], "x": x})
        return math.log10(max(reply["value"], 0.0) + FLOOR)

    name = f"{NAMES[function]}{', mixed' if mixed else ''}, {dimension}"
    return Task(name, "synthetic", dims, value, held, mark(dims, f"{suite} {function} {FLOOR}".encode()))


def tabulated(name: str, dims: tuple[Dim, ...], held: bool) -> Task:
    path: Path = file_of(name)
    cached: Any = cache(lambda: reader(name, dims))
    return Task(name, "real", dims, lambda point: cached()(point), held, mark(dims, path.read_bytes()))


@cache
def tasks() -> tuple[Task, ...]:
    """All of them, the real ones first."""
    real_ones = [tabulated(t.name, t.dims, t.held) for t in REAL if file_of(t.name).exists()]
    return (*real_ones, *(synthetic(*row) for row in SYNTHETIC))
