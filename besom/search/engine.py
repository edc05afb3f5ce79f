"""The face of search: `suggest`, `stop`, `check`, `size`, and the registries that methods and stopping rules enter.

Values in, values out: a sweep as a dict, the trials so far, and a seed give the next points. No I/O, no clock, no
state between calls. What a method must remember travels in `Suggestion.info` and comes back as `Trial.info`.
The walk it serves: heartbeat -> `stop` -> `suggest` -> claim. It knows no method by name but those that register.

A method may answer fewer points than asked: an empty list while trials are pending means *wait* (one may be lost and
its point become free), with none pending it means that a finite space is used up and the sweep is over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from besom.search.error import SpaceError, nearest
from besom.search.goal import Goal, Limit, read_goal
from besom.search.reader import parse
from besom.search.space import Space
from besom.search.trial import STATES, Stop, Suggestion, Trial


@dataclass(frozen=True)
class Problem:
    """A sweep, read. `seed`: None when nobody gave one. `sweep`: the sweep as given, for a method's own keys.

    `goals`: all objectives, the first of them `goal`. `limits`: outcome constraints. `earlier`: trials of other sweeps,
    which inform a model and count nowhere else.
    """

    space: Space
    goal: Goal | None = None
    seed: int | None = None
    sweep: Mapping[str, Any] = field(default_factory=dict)
    goals: tuple[Goal, ...] = ()
    limits: tuple[Limit, ...] = ()
    earlier: tuple[Trial, ...] = ()

    def generator(self, *numbers: int) -> np.random.Generator:
        """Random numbers that depend on the seed and on `numbers` (a count of trials, a purpose), on nothing else."""
        entropy = [n & (2**64 - 1) for n in ([] if self.seed is None else [self.seed]) + list(numbers)]
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([len(entropy), *entropy])))


class Method(Protocol):
    """A way to choose points. One instance serves all sweeps, from any thread, and keeps nothing between calls."""

    def check(self, problem: Problem) -> list[str]:
        """Warnings about this sweep under this method; raises SpaceError when it cannot run."""

    def suggest(self, problem: Problem, trials: Sequence[Trial], n: int) -> list[Suggestion]:
        """At most n points, never one that is tried or pending in a finite space. Must not depend on the order of
        finished trials, and must be a function of its arguments."""


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
    problem, method, _ = _read(sweep, seed)
    method.check(problem)
    return method.suggest(problem, _known(trials), n) if n > 0 else []


def stop(sweep: Mapping[str, Any], trials: Sequence[Trial]) -> list[Stop]:
    """The running trials that the sweep's `early_terminate` rule ends now; [] when it has none."""
    if sweep.get("early_terminate") is None:
        return []
    warnings: list[str] = []
    goal = read_goal(sweep, warnings)
    rule, spec = _halting(sweep, goal)
    assert goal is not None
    return rule.stop(spec, goal, _known(trials))


def check(sweep: Mapping[str, Any]) -> list[str]:
    """Whether the sweep can run: its warnings, each naming a key; raises SpaceError when it cannot."""
    problem, method, warnings = _read(sweep, None)
    warnings += method.check(problem)
    if problem.space.size is None:
        problem.space.sample(problem.generator())  # raises when there is no admissible point
    if sweep.get("early_terminate") is not None:
        rule, spec = _halting(sweep, problem.goal)
        warnings += rule.check(spec)
    return warnings


def size(sweep: Mapping[str, Any]) -> int | None:
    """How many points the sweep has; None when there is no end of them."""
    return _read(sweep, None)[0].space.size


def _read(sweep: Mapping[str, Any], seed: int | None) -> tuple[Problem, Method, list[str]]:
    """The problem, its method, and warnings."""
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
    goal = read_goal(sweep, warnings)
    goals = () if goal is None else (goal,)
    return Problem(space, goal, None if given is None else int(given), sweep, goals), _methods[name], warnings


def _halting(sweep: Mapping[str, Any], goal: Goal | None) -> tuple[Rule, Mapping[str, Any]]:
    spec = sweep["early_terminate"]
    if not isinstance(spec, Mapping):
        raise SpaceError("early_terminate", f"must be a mapping like `{{type: hyperband, min_iter: 3}}`; got {spec!r}")
    name = spec.get("type")
    if not isinstance(name, str) or name not in _rules:
        got = "is missing" if name is None else f"{name!r} is no stopping rule"
        raise SpaceError("early_terminate.type", f"{got}{nearest(name or '', _rules)}")
    if goal is None:
        raise SpaceError("metric", "early_terminate needs a metric, like `{name: val_loss, goal: minimize}`")
    rule = _rules[name]
    rule.check(spec)
    return rule, spec


def _known(trials: Sequence[Trial]) -> list[Trial]:
    for trial in trials:
        if trial.state not in STATES:
            raise ValueError(f"trial {trial.id}: state {trial.state!r} is none of {', '.join(STATES)}")
    return list(trials)
