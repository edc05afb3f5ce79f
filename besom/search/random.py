"""`method: random`: independent draws from every parameter's law.

Draw number k depends on the seed and on k alone, so that three suggestions at once are the same as three in turn, and
agents that restart go on where they were. A finite space is drawn without repeats and ends when it is used up.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from besom.search.error import SpaceError
from besom.search.problem import Problem
from besom.search.space import DRAWS, Space, keys
from besom.search.trial import Suggestion, Trial

TRIES = 64  # draws before the rest of a finite space is picked from directly


class UsedUp(Exception):
    """No point is left of a finite space whose points were too many to count."""


class Seen:
    """The points that are tried or pending, and those that this call adds. `encoded`: the trials' rows."""

    def __init__(self, space: Space, trials: Sequence[Trial]) -> None:
        self.space = space
        self.size, self.finite = space.size, space.product is not None
        self.rows: set[bytes] = set()
        self.used: set[int] = set()
        points = [t.params for t in trials]
        self.encoded = space.encode(points)
        if not self.finite:
            self.rows = set(keys(self.encoded))
        else:
            fine = space.allowed(self.encoded)
            self.used = {i for p, ok in zip(points, fine, strict=True) if ok and (i := space.index(p)) is not None}

    def add(self, params: dict[str, Any]) -> bool:
        """Note a point; False when it was there, or breaks a constraint."""
        if not self.space.admits(params):
            return False
        if self.finite:
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
        """A point of a finite space that is not used yet; of a space that can be listed, each with the same probability.

        Raises UsedUp, and SpaceError when none was ever found.
        """
        space = self.space
        assert space.product is not None
        if self.size is None:
            return space.at(self._next(generator))
        rank = int(generator.integers(min(self.size - len(self.used), 2**62)))
        if self.size == space.product:
            for index in sorted(self.used):
                if index > rank:
                    break
                rank += 1
            return space.at(rank)
        if space.points is not None:
            return space.at([i for i in space.points if i not in self.used][rank])
        return space.at(self._next(generator))

    def _next(self, generator: np.random.Generator) -> int:
        """The first index that is not used, from a random one on."""
        start = int(generator.integers(min(self.space.product or 1, 2**62)))
        try:
            return next(i for i in chain(self.space.walk(start), self.space.walk()) if i not in self.used)
        except (StopIteration, SpaceError):
            if not self.used:
                raise self.space.empty() from None
            raise UsedUp from None


class Random:
    """Independent draws."""

    def check(self, problem: Problem) -> list[str]:
        return unbelieving(problem)

    def suggest(self, problem: Problem, trials: Sequence[Trial], n: int) -> list[Suggestion]:
        seen = Seen(problem.space, trials)
        found: list[Suggestion] = []
        while len(found) < n and not seen.full:
            params = random_point(problem, seen, len(trials) + len(found))
            found.append(Suggestion(params, {"method": "random"}))
        return found


def unbelieving(problem: Problem) -> list[str]:
    """The warning of a method that makes no use of priors."""
    method = problem.sweep.get("method")
    return [f"prior: `method: {method}` makes no use of it"] if any(p.prior for p in problem.space.parameters) else []


def random_point(problem: Problem, seen: Seen, number: int) -> dict[str, Any]:
    """Random draw `number`, noted as seen. The space must not be full. Raises SpaceError when no admissible one is found,
    UsedUp when there is none any more."""
    generator = problem.generator(number)
    space = problem.space
    params: dict[str, Any] = {}
    for _ in range(DRAWS if seen.finite and seen.size is None else TRIES):
        if not seen.finite:
            params = space.sample(generator)
        else:  # there is another way to a rare point
            params = space.draw(generator.random(len(space.free)).tolist())
        if seen.add(params):
            return params
    if seen.finite:
        params = seen.unused(generator)
        seen.add(params)
    return params
