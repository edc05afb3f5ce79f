"""`method: pbt`: population based training: trials that go on from each other's checkpoints.

A population of members starts at spread points. A trial trains for as long as the script likes, saves a checkpoint
under its run, and ends; the member's next trial goes on from there. A member among the worst goes on from one of the
best instead, with changed parameters. `info` names the trial to go on from (`parent`, none at the start) and the
`generation`, counted from 0; an agent hands the parent to the script as BESOM_PARENT. The method never waits for the
whole population: a member is compared with what the others last reached. It ends after `generations`.

A member that goes on unchanged tries the same parameters again, from another checkpoint: not a repeat of a point.

Source: Jaderberg et al., "Population based training of neural networks" (2017), truncation selection.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from besom.search.domain import Choice
from besom.search.error import SpaceError
from besom.search.laws import Floats
from besom.search.problem import Problem
from besom.search.quasi import sobol_point
from besom.search.random import TRIES
from besom.search.standing import Standing, need_goal, options, stand, whole
from besom.search.trial import Suggestion, Trial

DEFAULTS: dict[str, float] = {"population": 10, "generations": 10, "exploit": 0.2, "step": 0.1, "resample": 0.25}
PURPOSE = 51


@dataclass(frozen=True)
class _Member:
    """One line of trials. `last`: the number of its latest trial in the standing, None before its first."""

    place: int
    generation: int = -1
    last: int | None = None


class Pbt:
    """Population based training."""

    def check(self, problem: Problem) -> list[str]:
        runs, cap = self.runs(problem), problem.sweep.get("run_cap")
        warnings = need_goal(problem)
        if problem.sweep.get("repeats") not in (None, 1):
            raise SpaceError(
                "repeats", "a run of pbt goes on from a checkpoint, so it cannot be repeated; leave it out"
            )
        if isinstance(cap, int) and cap < runs:
            warnings.append(f"run_cap: {cap} ends the sweep before its {runs} trials (population times generations)")
        return warnings

    def runs(self, problem: Problem) -> int:
        """Members times generations."""
        given = options(problem.sweep, "pbt", DEFAULTS)
        return int(given["population"] * given["generations"])

    def suggest(self, problem: Problem, trials: Sequence[Trial], n: int) -> list[Suggestion]:
        found, given = stand(problem, trials), options(problem.sweep, "pbt", DEFAULTS)
        start = 1 + max((whole(t.info.get("point"), -1) for t in found.trials), default=-1)
        ready = [m for m in _members(found, given["population"]) if _ready(found, m, given["generations"])]
        suggestions: list[Suggestion] = []
        for member in sorted(ready, key=lambda m: (m.generation, m.place))[: max(n, 0)]:
            number = len(found.trials) + len(suggestions)
            info: dict[str, Any] = {
                "method": "pbt",
                "number": number,
                "member": member.place,
                "generation": member.generation + 1,
            }
            if member.last is None:
                if found.seen.full:
                    break  # more members than points
                params, point = sobol_point(problem, found.seen, start)
                info |= {"arm": "start", "parent": None, "point": point}
                start = point + 1
            else:
                params, more = _next(problem, found, given, member, number)
                info |= more
            suggestions.append(Suggestion(params, info))
        return suggestions


def _members(found: Standing, size: int) -> list[_Member]:
    members = {place: _Member(place) for place in range(size)}
    for i, trial in enumerate(found.trials):
        place, generation = whole(trial.info.get("member"), -1), whole(trial.info.get("generation"), -1)
        if place in members and generation > members[place].generation:
            members[place] = _Member(place, generation, i)
    return list(members.values())


def _ready(found: Standing, member: _Member, generations: int) -> bool:
    """Whether the member's next trial may begin."""
    if member.last is None:
        return True
    return member.generation + 1 < generations and found.trials[member.last].state not in ("pending", "running")


def _next(
    problem: Problem, found: Standing, given: dict[str, Any], member: _Member, number: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Params of a member's next trial, and its parent: itself, or one of the best with changed parameters."""
    last = member.last
    assert last is not None
    standing = _reached(found, given["population"])
    generator = problem.generator(number, PURPOSE)
    count = max(1, math.floor(given["exploit"] * len(standing))) if given["exploit"] and len(standing) > 1 else 0
    alive = last in standing
    if alive and last not in standing[len(standing) - count :]:
        return dict(found.trials[last].params), {"arm": "continue", "parent": found.trials[last].id}
    if not standing:  # nothing to go on from: begin again where the member stood
        return dict(found.trials[last].params), {"arm": "continue", "parent": None}
    best = standing[: max(count, 1)]
    parent = best[int(generator.integers(len(best)))]
    info = {"arm": "exploit", "parent": found.trials[parent].id, "instead_of": found.trials[last].id}
    for _ in range(TRIES):
        params = problem.space.decode(_explored(problem, found.rows[parent], given, generator).tolist())
        if problem.space.admits(params):
            return params, info
    return dict(found.trials[parent].params), info


def _reached(found: Standing, size: int) -> list[int]:
    """Of each member the latest trial that has a value and ended well, the best first."""
    latest: dict[int, tuple[int, int]] = {}
    for i, trial in enumerate(found.trials):
        place = whole(trial.info.get("member"), -1)
        if found.known[i] and trial.state in ("finished", "stopped") and 0 <= place < size:
            latest[place] = max(latest.get(place, (-1, -1)), (whole(trial.info.get("generation"), -1), i))
    return sorted((i for _, i in latest.values()), key=lambda i: (found.value[i], i))


def _explored(problem: Problem, row: Floats, given: dict[str, Any], generator: np.random.Generator) -> Floats:
    """A row a step away in every number; now and then a parameter is drawn anew, and a category only so."""
    drawn, redraw = generator.random(len(row)), generator.random(len(row)) < given["resample"]
    side = np.where(generator.random(len(row)) < 0.5, -1.0, 1.0)
    moved = row.copy()
    for j, p in enumerate(problem.space.free):
        if math.isnan(row[j]) or redraw[j]:
            moved[j] = drawn[j]
        elif not isinstance(p.domain, Choice) or p.domain.ordered:
            step = max(given["step"], 1.0 / p.domain.size if p.domain.size else 0.0)
            moved[j] = np.clip(row[j] + side[j] * step, 0.0, 1.0)
    return moved
