"""When a sweep is over: its target is reached, its budget of trials, time or cost is spent, or no trial can help.

The walk it serves: a beat -> the controller asks `why_over` about what it has read anyway. Pure; time is an argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from besom import search
from besom.hub.sweep.config import metric_of, seconds
from besom.hub.sweep.view import budget_of, ended
from besom.store.sweeps import SweepRow, TrialRow

COST = "cost"
"""The metric whose last value is what a run has cost so far, in the unit of `budget.cost`."""


def why_over(sweep: SweepRow, trials: Sequence[TrialRow], judged: search.Judged, cost: float, now: float) -> str | None:
    """Why the sweep takes no trials any more, as a sentence; None while it does. `cost`: of all runs together."""
    if judged.best is not None and judged.value is not None and _reached(sweep, judged.value):
        return f"run {judged.best} reached the target with {judged.value:.6g}"
    if len(trials) >= (budget_of(sweep.config) or len(trials) + 1) and ended(trials) == len(trials):
        return why_full(sweep, trials)
    budget: dict[str, Any] = sweep.config.get("budget") or {}
    began = min((t.started for t in trials if t.started is not None), default=now)
    if "time" in budget and now - began >= (seconds(budget["time"]) or 0.0):
        return f"the time budget of {budget['time']} is spent"
    if "cost" in budget and cost >= budget["cost"]:
        return f"the runs have cost {cost:.6g}, and the budget is {budget['cost']}"
    return None


def why_full(sweep: SweepRow, trials: Sequence[TrialRow]) -> str:
    """Which end of the number of trials it was."""
    size, cap = search.size(sweep.config), sweep.config.get("run_cap")
    if size is not None and len(trials) >= size:
        return f"all {size} points were tried"
    if cap is not None and len(trials) >= cap:
        return f"run_cap of {cap} runs is reached"
    return f"the method has no further point to try after {len(trials)} runs"


def _reached(sweep: SweepRow, value: float) -> bool:
    """`value` is as good as the target of the first goal."""
    name, goal, _ = metric_of(sweep.config)
    metrics = [sweep.config.get("metric") or {}, *(sweep.config.get("metrics") or ())]
    target = next((m.get("target") for m in metrics if m.get("name") == name), None)
    if target is None:
        return False
    return value >= float(target) if goal == "maximize" else value <= float(target)
