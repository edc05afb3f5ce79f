"""`method: bohb`: a Parzen estimator on the largest budget that enough trials reached, for sweeps that end trials early.

Made to go with `early_terminate`: a trial's budget is how many values of the metric it logged. The model is built of
the values that trials had at the largest count that enough of them reached; trials that were ended before count as not
good. A part of the points is drawn at random, so that a model which early values mislead does not decide alone.

Source: Falkner et al., "BOHB: robust and efficient hyperparameter optimization at scale" (ICML 2018); there a third of
the points is random.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from besom.search.problem import Problem
from besom.search.random import random_point
from besom.search.standing import need_goal, stand
from besom.search.tpe import START, Evidence, propose
from besom.search.trial import Suggestion, Trial

RANDOM = 0.2
PURPOSE = 53


class Bohb:
    """Bayesian optimisation and hyperband."""

    def check(self, problem: Problem) -> list[str]:
        warnings = need_goal(problem)
        if problem.sweep.get("early_terminate") is None:
            warnings.append("method: bohb is made to go with `early_terminate`, like `{type: hyperband, min_iter: 3}`")
        return warnings

    def suggest(self, problem: Problem, trials: Sequence[Trial], n: int) -> list[Suggestion]:
        goal = problem.goal
        assert goal is not None
        found = stand(problem, trials)
        order, words = found.best_first(), {"method": "bohb"}
        others = np.flatnonzero(found.pending)
        if len(problem.goals) == 1 and not problem.limits:
            curves = [goal.curve(t) for t in found.trials]
            lengths = np.array([len(c) for c in curves], dtype=int)
            usable = ~np.isnan(found.rows).all(axis=1) & (found.known | found.pending)
            enough = max(len(problem.space.free) + 1, START)
            told = np.sort(lengths[usable])[::-1]
            if len(told) >= enough and told[enough - 1] > 0:
                budget = int(told[enough - 1])
                reached = np.flatnonzero(usable & (lengths >= budget))
                values = np.array([curves[i][budget - 1] for i in reached])
                order = reached[np.argsort(values, kind="stable")]
                others = np.flatnonzero(usable & (lengths < budget))
                words = {"method": "bohb", "budget": budget}  # type: ignore[dict-item]
        suggestions: list[Suggestion] = []
        evidence = Evidence(found.rows[order], found.rows[others])
        while len(suggestions) < n and not found.seen.full:
            number = len(found.trials) + len(suggestions)
            if len(order) >= START and problem.generator(number, PURPOSE).random() < RANDOM:
                params = random_point(problem, found.seen, number)
                suggestions.append(Suggestion(params, {**words, "arm": "random", "number": number}))
            else:
                waiting = [Trial("", s.params, "pending", info=s.info) for s in suggestions]
                suggestions += propose(problem, [*found.trials, *waiting], found.seen, evidence, 1, words)
            row = problem.space.encode([suggestions[-1].params])
            evidence = Evidence(evidence.rows, np.concatenate([evidence.others, row]))
        return suggestions
