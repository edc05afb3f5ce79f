"""Doors to methods of other people: `method: optuna`, with any of Optuna's samplers, and `method: custom`, a Python function.

Both are rebuilt from the trials at every call and keep nothing. Optuna is imported when it is first asked for. `custom`
imports what the sweep names and calls it: code of whoever wrote the sweep. `imports(sweep)` tells what that would be, so
that a hub can refuse the sweeps of others; `check` imports nothing.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from besom.search.domain import Choice, Lattice
from besom.search.error import SpaceError, nearest
from besom.search.goal import observe
from besom.search.laws import Uniform
from besom.search.problem import Problem
from besom.search.random import Seen, UsedUp, random_point
from besom.search.space import Parameter
from besom.search.standing import need_goal, whole, whole_rows
from besom.search.trial import Suggestion, Trial

PURPOSE = 61
REPLAYED = ("CmaEsSampler", "QMCSampler")  # what these remember is only made by asking them, trial by trial
ASKS = 4  # points that Optuna is asked for before a random one is taken
LISTED = 1000  # values of a number that Optuna sees as whole numbers
FORM = "`custom: package.module:function` or `custom: path/to/file.py:function`"
TARGET = re.compile(r"(?P<place>[^:]+(?:\.py)?):(?P<name>[A-Za-z_]\w*)")


class Optuna:
    """A sampler of Optuna's, told all trials and asked for points."""

    def check(self, problem: Problem) -> list[str]:
        warnings = need_goal(problem)
        _sampler(_optuna(), problem)
        if problem.limits:
            warnings.append(
                "metrics: Optuna's samplers are not told of bounds on metrics; bayes, tpe or evolution obey them"
            )
        return warnings

    def suggest(self, problem: Problem, trials: Sequence[Trial], n: int) -> list[Suggestion]:
        optuna = _optuna()
        ordered = sorted(trials, key=lambda t: (whole(t.info.get("number"), -1), t.id))
        seen = Seen(problem.space, ordered)
        with _quiet(optuna):
            sampler = _sampler(optuna, problem, len(ordered))
            study = optuna.create_study(sampler=sampler, directions=["minimize"] * len(problem.goals))
            space = {p.name: _distribution(optuna, p) for p in problem.space.free}
            _tell(optuna, study, problem, ordered, seen, space)
            found: list[Suggestion] = []
            while len(found) < n and not seen.full:
                info: dict[str, Any] = {
                    "method": "optuna",
                    "arm": type(sampler).__name__,
                    "number": len(ordered) + len(found),
                }
                for _ in range(ASKS):
                    trial = study.ask(space)
                    row = [_unit(p, trial.params[p.name]) for p in problem.space.free]
                    params = problem.space.decode(row)
                    if seen.add(params):
                        info["attrs"] = _plain(study.get_trials(deepcopy=False)[trial.number].system_attrs)
                        break
                    study.tell(trial, state=optuna.trial.TrialState.FAIL)
                else:
                    params = random_point(problem, seen, info["number"])
                    info["arm"] = "random"
                found.append(Suggestion(params, info))
        return found


def _optuna() -> Any:
    try:
        return importlib.import_module("optuna")
    except ImportError as error:
        message = (
            "needs the package optuna, which is not installed: `pip install optuna`, or use `method: tpe` or `bayes`"
        )
        raise SpaceError("method", message) from error


def _sampler(optuna: Any, problem: Problem, number: int = 0) -> Any:
    """The sampler that the sweep names, seeded. Raises SpaceError."""
    given = problem.sweep.get("optuna") or {}
    if isinstance(given, str):
        given = {"sampler": given}
    if not isinstance(given, Mapping):
        raise SpaceError("optuna", f"must be a mapping like `{{sampler: TPESampler}}`; got {given!r}")
    words = dict(given)
    name = words.pop("sampler", "TPESampler")
    base = optuna.samplers.BaseSampler
    kinds = {k: v for k in optuna.samplers.__all__ if inspect.isclass(v := getattr(optuna.samplers, k))}
    known = sorted(k for k, v in kinds.items() if issubclass(v, base) and not inspect.isabstract(v))
    if name not in known:
        raise SpaceError("optuna.sampler", f"{name!r} is no sampler of Optuna's{nearest(name, known)}")
    if "seed" in inspect.signature(kinds[name]).parameters:
        purpose = (PURPOSE,) if name in REPLAYED else (PURPOSE, number)
        words.setdefault("seed", int(problem.generator(*purpose).integers(2**31)))
    try:
        return kinds[name](**words)
    except (TypeError, ValueError, ImportError) as error:
        raise SpaceError("optuna", f"{name} cannot be made with these keys: {error}") from error


def _tell(
    optuna: Any, study: Any, problem: Problem, trials: Sequence[Trial], seen: Seen, space: dict[str, Any]
) -> None:
    """Add all trials to the study, in the order in which they were proposed."""
    states = optuna.trial.TrialState
    told = [observe(goal, trials) for goal in problem.goals]
    fits = whole_rows(problem, seen.encoded)
    for i, (trial, row) in enumerate(zip(trials, seen.encoded, strict=True)):
        live = {p.name: _point(p, u) for p, u in zip(problem.space.free, row.tolist(), strict=True) if u == u}
        if not fits[i]:
            continue
        known = all(o.known[i] for o in told)
        state = states.COMPLETE if known else states.RUNNING if any(o.pending[i] for o in told) else states.FAIL
        values = [float(o.value[i]) for o in told] if known else None
        if type(study.sampler).__name__ in REPLAYED:
            study.enqueue_trial(live)
            asked = study.ask(space)
            if state != states.RUNNING:
                study.tell(asked, values, state=state)
            continue
        attrs = trial.info.get("attrs")
        study.add_trial(
            optuna.trial.create_trial(
                state=state, values=values, params=live, distributions={name: space[name] for name in live},
                system_attrs=_plain(attrs) if isinstance(attrs, Mapping) else {},
            )
        )  # fmt: skip


def _distribution(optuna: Any, p: Parameter) -> Any:
    """A parameter as Optuna sees it: a category or a whole number by its place, anything else by u."""
    d = optuna.distributions
    if isinstance(p.domain, Choice) and not p.domain.ordered:
        return d.CategoricalDistribution(list(range(p.domain.size)))
    if _counted(p):
        return d.IntDistribution(0, (p.domain.size or 1) - 1)
    return d.FloatDistribution(0.0, 1.0)


def _counted(p: Parameter) -> bool:
    size = p.domain.size
    even = isinstance(p.domain, Choice) or (isinstance(p.domain, Lattice) and isinstance(p.domain.law, Uniform))
    return even and size is not None and size <= LISTED


def _point(p: Parameter, u: float) -> float | int:
    """What stands for u in Optuna's words."""
    if isinstance(p.domain, Choice):
        return min(int(u * p.domain.size), p.domain.size - 1)
    return (p.domain.index(p.domain.value(u)) or 0) if _counted(p) else u


def _unit(p: Parameter, point: float | int) -> float:
    if isinstance(p.domain, Choice):
        return (point + 0.5) / p.domain.size
    return float(p.domain.units([p.domain.at(int(point))])[0]) if _counted(p) else float(point)


def _plain(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that may travel: numbers and lists of numbers. A text could be a pickle, which runs when it is read."""

    def fine(value: Any) -> bool:
        if isinstance(value, list | tuple):
            return all(fine(v) for v in value)
        return value is None or isinstance(value, bool | int | float)

    return {str(k): v for k, v in attrs.items() if fine(v)}


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Optuna tells of every study it makes; this one is remade at each call. What a sampler raises becomes a SpaceError."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(level, optuna.logging.WARNING))
    try:
        yield
    except (SpaceError, UsedUp):
        raise
    except Exception as error:  # samplers check most of their keys only when they are asked, and need other packages
        raise SpaceError("optuna", f"the sampler raised {type(error).__name__}: {error}") from error
    finally:
        optuna.logging.set_verbosity(level)


class Custom:
    """A function of the user's: `function(sweep, trials, n)` gives at most n params, or Suggestions with an info.

    `sweep`: the sweep as a dict, its `seed` filled in. `trials`: all trials of it. What it gives must be points of
    the space; points that are taken are left out.
    """

    def check(self, problem: Problem) -> list[str]:
        _target(problem.sweep)
        return []

    def suggest(self, problem: Problem, trials: Sequence[Trial], n: int) -> list[Suggestion]:
        target = ":".join(_target(problem.sweep))
        function = _function(problem.sweep)
        seed = int(problem.generator(len(trials), PURPOSE).integers(2**31)) if problem.seed is None else problem.seed
        try:
            given = list(function({**problem.sweep, "seed": seed}, list(trials), n))
        except Exception as error:  # anybody's code may raise anything; the sweep's owner should see what
            raise SpaceError("custom", f"{target} raised {type(error).__name__}: {error}") from error
        seen = Seen(problem.space, trials)
        found: list[Suggestion] = []
        for item in given[:n]:
            params = item.params if isinstance(item, Suggestion) else item
            if not isinstance(params, Mapping) or not problem.space.contains(params):
                raise SpaceError("custom", f"{target} gave {params!r}, which is no point of this sweep's parameters")
            if seen.add(dict(params)):
                info = item.info if isinstance(item, Suggestion) else {}
                found.append(Suggestion(dict(params), {**info, "method": "custom"}))
        return found


def imports(sweep: Mapping[str, Any]) -> str | None:
    """The Python that this sweep would run inside search (`place:name`); None when it would run nothing of its own."""
    return ":".join(_target(sweep)) if sweep.get("method") == "custom" else None


def _target(sweep: Mapping[str, Any]) -> tuple[str, str]:
    """Module or file, and the function in it. Raises SpaceError."""
    given = sweep.get("custom")
    if given is None:
        law = "is missing: `method: custom` means a function of your own, named by " + FORM
        way = "; a sweep written for a scheduler elsewhere needs none here: use `method: auto`, `tpe`, `bayes` or `optuna`"
        raise SpaceError("custom", law + way)
    match = TARGET.fullmatch(given) if isinstance(given, str) else None
    if match is None:
        raise SpaceError("custom", f"must be {FORM}; got {given!r}")
    return match["place"], match["name"]


def _function(sweep: Mapping[str, Any]) -> Callable[..., Any]:
    place, name = _target(sweep)
    try:
        if place.endswith(".py"):
            spec = importlib.util.spec_from_file_location(f"besom_custom_{Path(place).stem}", place)
            if spec is None or spec.loader is None:
                raise ImportError(f"{place} is no Python file")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(place)
    except (Exception, SystemExit) as error:  # a module of anybody's may raise anything on import
        raise SpaceError("custom", f"{place} cannot be imported: {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise SpaceError("custom", f"{place} has no function {name!r}")
    return function  # type: ignore[no-any-return]
