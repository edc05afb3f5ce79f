"""`method: grid`: every point of a finite space once, by index.

Points are numbered with the names in byte order and the last name fastest, and a large grid is never listed: one of 10**9
points costs nothing to open. What conditions and constraints leave out is passed over. `info` carries the index; a trial that came without it (a prior run) is recognised by its values.
A point counts as tried whatever became of its trial; trying a failed point again is an attempt of the same trial.
"""

from __future__ import annotations

from collections.abc import Sequence

from besom.search.domain import Choice
from besom.search.engine import Problem
from besom.search.error import SpaceError
from besom.search.random import unbelieving
from besom.search.space import Space
from besom.search.trial import Suggestion, Trial


class Grid:
    """All points in order."""

    def check(self, problem: Problem) -> list[str]:
        warnings = unbelieving(problem)
        for p in problem.space.parameters:
            where = "parameters." + ".parameters.".join(p.path)
            if p.domain.size is None:
                way = "give `values`, or `distribution: q_uniform` with a step `q`, or use `method: bayes` or `random`"
                raise SpaceError(where, f"has no end of values, and a grid needs one; {way}")
            if isinstance(p.domain, Choice) and p.domain.weights:
                warnings.append(f"{where}.probabilities: a grid tries every value once, so they change nothing")
        return warnings

    def suggest(self, problem: Problem, trials: Sequence[Trial], n: int) -> list[Suggestion]:
        used = indices(problem.space, trials)
        found: list[Suggestion] = []
        for index in problem.space.walk():
            if len(found) >= n:
                break
            if index not in used:
                found.append(Suggestion(problem.space.at(index), {"method": "grid", "index": index}))
        return found


def indices(space: Space, trials: Sequence[Trial]) -> set[int]:
    """The points of a finite space that trials stand for, by the index in their info, else by their values."""
    used = set()
    for trial in trials:
        index = trial.info.get("index")
        if not isinstance(index, int) or isinstance(index, bool):
            index = space.index(trial.params)
        if index is not None:
            used.add(index)
    return used
