"""What a sweep looks like from outside: rows of the store become the views of core/wire.py.

Here is the one place that says what a trial is worth: the best of all its run logged of the metric (history and summary),
or the last of it when the sweep says ``metric: {agg: last}``. Values that are not finite never count. No I/O.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from besom import search
from besom.core.wire import SweepView, TrialView
from besom.hub.sweep.config import metric_of
from besom.store.sweeps import OPEN, SweepRow, TrialRow


def value_of(trial: TrialRow, goal: str, agg: str) -> float | None:
    """The trial's value, None when it has none."""
    logged = trial.logged
    if logged is None:
        return None
    if agg == "last":
        candidates = [logged.summary if logged.summary is not None else logged.last]
    else:
        candidates = [logged.max if goal == "maximize" else logged.min, logged.summary]
    finite = [x for x in candidates if x is not None and math.isfinite(x)]
    if not finite:
        return None
    return max(finite) if goal == "maximize" else min(finite)


def best_of(sweep: SweepRow, trials: Sequence[TrialRow]) -> tuple[TrialRow, float] | None:
    """The trial with the best value, the earliest of equals, and that value."""
    _, goal, agg = metric_of(sweep.config)
    sign = -1.0 if goal == "maximize" else 1.0
    valued = [(trial, value) for trial in trials if (value := value_of(trial, goal, agg)) is not None]
    return min(valued, key=lambda pair: (sign * pair[1], pair[0].number), default=None)


def budget_of(config: dict[str, object]) -> int | None:
    """How many trials the sweep has at most: the size of a finite space, or its run_cap if that is less; None: no end."""
    ends = [end for end in (search.size(config), config.get("run_cap")) if isinstance(end, int)]
    return min(ends, default=None)


def target_reached(sweep: SweepRow, value: float) -> bool:
    """`value` is as good as metric.target."""
    target = (sweep.config.get("metric") or {}).get("target")
    if target is None:
        return False
    return value >= float(target) if metric_of(sweep.config)[1] == "maximize" else value <= float(target)


def trial_view(trial: TrialRow, goal: str, agg: str) -> TrialView:
    """One trial."""
    return TrialView(
        number=trial.number,
        run=trial.run,
        params=trial.params,
        state=trial.state,
        attempt=trial.attempt,
        created=trial.created,
        value=value_of(trial, goal, agg),
        info=trial.info,
        agent=trial.agent,
        started=trial.started,
        ended=trial.ended,
        reason=trial.reason,
        steps=trial.logged.count if trial.logged else 0,
    )


def sweep_view(sweep: SweepRow, trials: Sequence[TrialRow], agents: int, *, whole: bool) -> SweepView:
    """One sweep. `agents`: how many are at work. `whole`: with its trials."""
    metric, goal, agg = metric_of(sweep.config)
    best = best_of(sweep, trials)
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
        best=trial_view(best[0], goal, agg) if best else None,
        trials=tuple(trial_view(trial, goal, agg) for trial in trials) if whole else (),
        agents=agents,
        warnings=sweep.warnings,
        reason=sweep.reason,
    )


def ended(trials: Sequence[TrialRow]) -> int:
    """How many trials will not run again."""
    return sum(trial.state not in OPEN for trial in trials)
