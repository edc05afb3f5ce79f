"""What a sweep looks like from outside: rows of the store become the views of core/wire.py.

What a trial is worth is search's to say (`search.judge`); here it is given the few values that decide it. No I/O.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from besom import search
from besom.core.wire import SweepView, TrialView
from besom.hub.sweep.config import metric_of
from besom.store.sweeps import OPEN, Logged, SweepRow, TrialRow


def digest(trial: TrialRow, logged: Mapping[str, Logged | None], aggs: Mapping[str, str]) -> search.Trial:
    """The trial with just those values of each metric that decide what it is worth."""
    metrics: dict[str, list[float]] = {}
    for name, found in logged.items():
        if found is None:
            continue
        if aggs[name] == "best":
            candidates = [found.min, found.max, found.summary]
        elif aggs[name] == "last":
            candidates = [found.last if found.summary is None else found.summary]
        else:
            candidates = [found.last]  # the controller has put the mean of the last values there
        metrics[name] = [x for x in candidates if x is not None]
    return search.Trial(trial.run, {}, trial.state, metrics, trial.info)


def budget_of(config: dict[str, object]) -> int | None:
    """How many trials the sweep has at most: the size of a finite space, or its run_cap if that is less; None: no end."""
    ends = [end for end in (search.size(config), config.get("run_cap")) if isinstance(end, int)]
    return min(ends, default=None)


def trial_view(trial: TrialRow, metric: str, values: Mapping[str, float]) -> TrialView:
    """One trial. `values`: of each goal and limit."""
    return TrialView(
        number=trial.number,
        run=trial.run,
        params=trial.params,
        state=trial.state,
        attempt=trial.attempt,
        created=trial.created,
        value=values.get(metric),
        info=trial.info,
        agent=trial.agent,
        started=trial.started,
        ended=trial.ended,
        reason=trial.reason,
        steps=trial.logged.count if trial.logged else 0,
        outcomes=dict(values) if len(values) > 1 else {},
    )


def best_view(trials: Sequence[TrialRow], metric: str, judged: search.Judged) -> TrialView | None:
    """The best trial, with the value it is the best by."""
    found = next((trial for trial in trials if trial.run == judged.best), None)
    if found is None or judged.value is None:
        return None
    return trial_view(found, metric, {**judged.values[found.run], metric: judged.value})


def sweep_view(
    sweep: SweepRow, trials: Sequence[TrialRow], judged: search.Judged, agents: int, *, whole: bool
) -> SweepView:
    """One sweep. `agents`: how many are at work. `whole`: with its trials."""
    metric, goal, _ = metric_of(sweep.config)
    return SweepView(
        id=sweep.path.id,
        entity=sweep.path.entity,
        project=sweep.path.project,
        name=sweep.name,
        method=str(sweep.config["method"]),
        config=sweep.config,
        state=sweep.state,
        created=sweep.created,
        metric=metric,
        goal=goal,
        budget=budget_of(sweep.config),
        counts=dict(Counter(trial.state for trial in trials)),
        best=best_view(trials, metric, judged),
        trials=tuple(trial_view(trial, metric, judged.values[trial.run]) for trial in trials) if whole else (),
        agents=agents,
        warnings=sweep.warnings,
        reason=sweep.reason,
        front=judged.front,
    )


def ended(trials: Sequence[TrialRow]) -> int:
    """How many trials will not run again."""
    return sum(trial.state not in OPEN for trial in trials)
