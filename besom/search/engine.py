"""The face of search: `suggest`, `stop`, `check`, `size`, and the registries that methods and stopping rules enter.

Values in, values out: a sweep as a dict, the trials so far, and a seed give the next points. No I/O, no clock, no
state between calls. What a method must remember travels in `Suggestion.info` and comes back as `Trial.info`.
The walk it serves: heartbeat -> `stop` -> `suggest` -> claim. It knows no method by name but those that register.

A method may answer fewer points than asked: an empty list while trials are pending means *wait* (one may be lost and
its point become free), with none pending it means that a finite space is used up and the sweep is over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from besom.search.around import Repeats, enqueued, first_points, read_repeats, split
from besom.search.error import SpaceError, nearest
from besom.search.goal import Goal, read_goals
from besom.search.problem import Problem
from besom.search.random import Seen, UsedUp, random_point
from besom.search.reader import parse
from besom.search.trial import STATES, Stop, Suggestion, Trial


class Method(Protocol):
    """A way to choose points. One instance serves all sweeps, from any thread, and keeps nothing between calls."""

    def check(self, problem: Problem) -> list[str]:
        """Warnings about this sweep under this method; raises SpaceError when it cannot run."""

    def suggest(self, problem: Problem, trials: Sequence[Trial], n: int) -> list[Suggestion]:
        """At most n points, never one that is tried or pending in a finite space. Must not depend on the order of
        finished trials, and must be a function of its arguments."""


@runtime_checkable
class Counted(Protocol):
    """A method whose trials are no single points, as of a population that goes on from checkpoints."""

    def runs(self, problem: Problem) -> int:
        """How many trials it makes in all."""


class Rule(Protocol):
    """A way to end running trials early. Keeps nothing between calls."""

    def check(self, spec: Mapping[str, Any]) -> list[str]:
        """Warnings about the sweep's `early_terminate`; raises SpaceError when it cannot run."""

    def stop(self, spec: Mapping[str, Any], goal: Goal, trials: Sequence[Trial]) -> list[Stop]:
        """The running trials that should end now, by their values so far."""


_methods: dict[str, Method] = {}
_rules: dict[str, Rule] = {}


def register_method(name: str, method: Method) -> None:
    """Make `method: name` mean `method`. A later registration of a name wins."""
    _methods[name] = method


def register_rule(name: str, rule: Rule) -> None:
    """Make `early_terminate: {type: name}` mean `rule`. A later registration of a name wins."""
    _rules[name] = rule


def methods() -> list[str]:
    """Names of the registered methods."""
    return sorted(_methods)


def rules() -> list[str]:
    """Names of the registered stopping rules."""
    return sorted(_rules)


def suggest(sweep: Mapping[str, Any], trials: Sequence[Trial], n: int = 1, seed: int | None = None) -> list[Suggestion]:
    """The next points to try, at most `n`; fewer, or [], when a finite space is used up.

    `sweep`: a sweep.yaml as a dict. `trials`: all trials of the sweep, of any state. `seed`: the sweep's own `seed`
    key wins over it. Raises SpaceError for a sweep that cannot run. Same arguments, same answer.
    """
    problem, method, repeats, _ = _read(sweep, seed)
    method.check(problem)
    mine, earlier = split(_known(trials))
    problem = replace(problem, earlier=earlier)
    found = repeats.due(sweep["method"], mine)[: max(n, 0)]
    points = repeats.folded(mine, problem.goals, problem.limits)
    first = first_points(problem, points, n - len(found)) if n > len(found) else []
    points += [Trial(f"enqueue {k}", s.params, "pending", info=s.info) for k, s in enumerate(first)]
    found += first
    for k in range(n - len(found), 0, -1):
        try:
            return found + method.suggest(problem, points, k)
        except UsedUp:  # fewer than k points are left
            continue
    return found


def stop(sweep: Mapping[str, Any], trials: Sequence[Trial]) -> list[Stop]:
    """The running trials that the sweep's `early_terminate` ends now, each by the first rule to say so; [] when it has none."""
    if sweep.get("early_terminate") is None:
        return []
    goals, _ = read_goals(sweep, [])
    mine = split(_known(trials))[0]
    found: dict[str, Stop] = {}
    for rule, spec in _halting(sweep, goals):
        for end in rule.stop(spec, goals[0], mine):
            found.setdefault(end.id, end)
    return list(found.values())


def check(sweep: Mapping[str, Any]) -> list[str]:
    """Whether the sweep can run: its warnings, each naming a key; raises SpaceError when it cannot."""
    problem, method, _, warnings = _read(sweep, None)
    warnings += method.check(problem)
    if problem.space.size is None:
        random_point(problem, Seen(problem.space, []), 0)  # raises when there is no admissible point
    first_points(problem, [], 10**9)  # raises when one is no point
    check_terminate(sweep, problem.goals)
    if sweep.get("early_terminate") is not None:
        for rule, spec in _halting(sweep, problem.goals):
            warnings += rule.check(spec)
    return warnings


def check_terminate(sweep: Mapping[str, Any], goals: Sequence[Goal]) -> None:
    """Raise SpaceError when `terminate` is not understood, or cannot be answered."""
    given = sweep.get("terminate")
    if given not in (None, False, "auto"):
        raise SpaceError("terminate", f"must be auto, or left out; got {given!r}")
    if given == "auto" and len(goals) != 1:
        raise SpaceError("terminate", "auto goes by one metric, like `{name: val_loss, goal: minimize}`")


def size(sweep: Mapping[str, Any]) -> int | None:
    """How many trials the sweep has, a repeat counted as one; None when there is no end of points."""
    problem, method, repeats, _ = _read(sweep, None)
    if isinstance(method, Counted):
        return method.runs(problem) + len(enqueued(sweep, problem.space))
    return None if problem.space.size is None else problem.space.size * repeats.count


def _read(sweep: Mapping[str, Any], seed: int | None) -> tuple[Problem, Method, Repeats, list[str]]:
    """The problem, its method, how often each point is tried, and warnings."""
    if not isinstance(sweep, Mapping):
        raise SpaceError("", f"a sweep is a mapping of keys like method and parameters; got {type(sweep).__name__}")
    name = sweep.get("method")
    if not isinstance(name, str) or name not in _methods:
        got = "is missing" if name is None else f"{name!r} is no method"
        raise SpaceError("method", f"{got}{nearest(name or '', _methods)}")
    own = sweep.get("seed")
    given = seed if own is None else own
    if given is not None and (isinstance(given, bool) or not isinstance(given, int | np.integer)):
        raise SpaceError("seed", f"must be a whole number; got {given!r}")
    space = parse(sweep)
    if space.size == 0:
        raise space.empty()
    warnings = list(space.warnings)
    goals, limits = read_goals(sweep, warnings)
    goal = goals[0] if goals else None
    problem = Problem(space, goal, None if given is None else int(given), sweep, goals, limits)
    return problem, _methods[name], read_repeats(sweep, warnings), warnings


def _halting(sweep: Mapping[str, Any], goals: Sequence[Goal]) -> list[tuple[Rule, Mapping[str, Any]]]:
    """The rules of `early_terminate`, one or a list of them, with their keys. They go by the first goal."""
    given = sweep["early_terminate"]
    found = []
    for spec in given if isinstance(given, list | tuple) and given else [given]:
        if not isinstance(spec, Mapping):
            raise SpaceError(
                "early_terminate", f"must be a mapping like `{{type: hyperband, min_iter: 3}}`; got {spec!r}"
            )
        name = spec.get("type")
        if not isinstance(name, str) or name not in _rules:
            got = "is missing" if name is None else f"{name!r} is no stopping rule"
            raise SpaceError("early_terminate.type", f"{got}{nearest(name or '', _rules)}")
        if not goals:
            raise SpaceError("metric", "early_terminate needs a metric, like `{name: val_loss, goal: minimize}`")
        _rules[name].check(spec)
        found.append((_rules[name], spec))
    return found


def _known(trials: Sequence[Trial]) -> list[Trial]:
    for trial in trials:
        if trial.state not in STATES:
            raise ValueError(f"trial {trial.id}: state {trial.state!r} is none of {', '.join(STATES)}")
    return list(trials)


__all__ = ["Method", "Problem", "Rule", "check", "methods", "register_method", "register_rule", "rules", "size", "stop"]
__all__ += ["suggest"]
