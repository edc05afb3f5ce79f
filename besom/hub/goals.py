"""Which way is better for a metric: as the run declared, else as its sweep did, else by the habits of the field.

Serves ingest, which keeps the goal beside a metric's aggregates so that "best" is a column.
"""

from __future__ import annotations

import json

import sqlalchemy as sa

from besom.core.fold import RunState, define_for
from besom.core.names import goal_of
from besom.store.schema import sweeps


def goals_of(c: sa.Connection, state: RunState, key: str) -> str:
    """ "minimize" or "maximize" for the metric `key` of the run."""
    defined = define_for(state.metrics, key)
    declared = defined.goal if defined and defined.goal else _of_sweep(c, state, key)
    return goal_of(key, declared)


def _of_sweep(c: sa.Connection, state: RunState, key: str) -> str | None:
    if not state.sweep:
        return None
    s = sweeps.c
    where = (s.entity == state.entity, s.project == state.project, s.id == state.sweep)
    config = c.execute(sa.select(s.config).where(*where)).scalar()
    metric = json.loads(config).get("metric") if config else None
    if isinstance(metric, dict) and metric.get("name") == key:
        goal = metric.get("goal", "minimize")  # what a sweep.yaml means when it names no goal
        return goal if isinstance(goal, str) else None
    return None
