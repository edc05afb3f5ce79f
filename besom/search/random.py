"""`method: random`: independent draws from every parameter's law.

Draw number k depends on the seed and on k alone, so that three suggestions at once are the same as three in turn, and
agents that restart go on where they were. A finite space is drawn without repeats and ends when it is used up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from besom.search.engine import Problem
from besom.search.space import Space, keys
from besom.search.trial import Suggestion, Trial

TRIES = 64  # draws before the rest of a finite space is picked from directly


class Seen:
    """The points that are tried or pending, and those that this call adds. `encoded`: the trials' rows."""

    def __init__(self, space: Space, trials: Sequence[Trial]) -> None:
        self.space = space
        self.size = space.size
        self.rows: set[bytes] = set()
        self.used: set[int] = set()
        points = [t.params for t in trials]
        self.encoded = space.encode(points)
        if self.size is None:
            self.rows = set(keys(self.encoded))
        else:
            self.used = {i for i in (space.index(p) for p in points) if i is not None}

    def add(self, params: dict[str, Any]) -> bool:
        """Note a point; False when it was there."""
        if self.size is not None:
            index = self.space.index(params)
            assert index is not None
            if index in self.used:
                return False
            self.used.add(index)
            return True
        key = keys(self.space.encode([params]))[0]
        if key in self.rows:
            return False
        self.rows.add(key)
        return True

    @property
    def full(self) -> bool:
        return self.size is not None and len(self.used) >= self.size

    def unused(self, generator: np.random.Generator) -> dict[str, Any]:
        """A point of a finite space that is not used yet, each with the same probability."""
        assert self.size is not None
        rank = int(generator.integers(min(self.size - len(self.used), 2**62)))
        for index in sorted(self.used):
            if index > rank:
                break
            rank += 1
        return self.space.at(rank)


class Random:
    """Independent draws."""

    def check(self, problem: Problem) -> list[str]:
        return []

    def suggest(self, problem: Problem, trials: Sequence[Trial], n: int) -> list[Suggestion]:
        seen = Seen(problem.space, trials)
        found: list[Suggestion] = []
        while len(found) < n and not seen.full:
            params = random_point(problem, seen, len(trials) + len(found))
            found.append(Suggestion(params, {"method": "random"}))
        return found


def random_point(problem: Problem, seen: Seen, number: int) -> dict[str, Any]:
    """Random draw `number`, noted as seen. The space must not be full."""
    generator = problem.generator(number)
    params: dict[str, Any] = {}
    for _ in range(TRIES):
        params = problem.space.draw(generator.random(len(problem.space.free)).tolist())
        if seen.add(params):
            return params
    if seen.size is not None:
        params = seen.unused(generator)
        seen.add(params)
    return params
