"""`method: auto`: picks a method by the space, the budget and what was tried so far, and says why.

Almost always that is `bayes`, which learns most from few trials. The exceptions: without a metric there is nothing to
learn from; a handful of points is all tried anyway; and with hundreds of trials behind, methods that only rank do better on
smooth functions of numbers (`cmaes`) and on several goals (`evolution`), starting from what was found. The choice
depends on the sweep and the number of trials alone. `info` names the method (`by`) and the reason (`why`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from besom.search.bayes.method import Bayes
from besom.search.cmaes import Cmaes
from besom.search.domain import Real
from besom.search.engine import Method
from besom.search.evolution import Evolution
from besom.search.grid import Grid
from besom.search.problem import Problem
from besom.search.quasi import Quasi
from besom.search.tpe import Tpe
from besom.search.trial import Suggestion, Trial

FEW = 12  # points that are simply all tried
ALL = 1000  # points of a space that are tried one after the other when there is no metric and no run_cap
WIDE = 100  # parameters from which on a process has too little to learn from
LEARNT = 400  # trials after which ranking methods take over
SMOOTH = 30  # real numbers that cmaes learns the shape of in time

CHOICES: dict[str, Method] = {
    "bayes": Bayes(),
    "cmaes": Cmaes(),
    "evolution": Evolution(),
    "grid": Grid(),
    "quasi": Quasi(),
    "tpe": Tpe(),
}


class Auto:
    """Another method, by circumstances."""

    def check(self, problem: Problem) -> list[str]:
        return []

    def suggest(self, problem: Problem, trials: Sequence[Trial], n: int) -> list[Suggestion]:
        name, why = choose(problem, len(trials))
        found = CHOICES[name].suggest(problem, trials, n)
        return [replace(s, info={**s.info, "method": "auto", "by": name, "why": why}) for s in found]


def choose(problem: Problem, count: int) -> tuple[str, str]:
    """The method for the next trial after `count`, and the reason in a sentence."""
    space = problem.space
    size, d = space.size, len(space.free)
    cap = problem.sweep.get("run_cap")
    if problem.goal is None:
        if size is not None and size <= (cap if isinstance(cap, int) else ALL):
            return "grid", f"there is no metric to learn from, and all {size} points can be tried"
        return "quasi", "there is no metric to learn from, so points are spread evenly"
    if size is not None and size <= FEW:
        return "grid", f"all {size} points are tried anyway"
    if d > WIDE:
        return "tpe", f"{d} parameters are more than a Gaussian process can tell apart"
    if count >= LEARNT:
        if len(problem.goals) > 1:
            return "evolution", f"{count} trials are enough to breed the front of several goals from"
        smooth = all(isinstance(p.domain, Real) for p in space.free) and not space.conditional
        if smooth and d <= SMOOTH and not space.constrained and not problem.limits:
            return "cmaes", f"{count} trials of {d} real numbers: the best of them are refined"
    return "bayes", "a model learns most from few trials"
