"""Optuna: a callback that records every trial of a study as a run.

>>> study.optimize(objective, n_trials=50, callbacks=[log_trial(project="dkt")])   # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import besom


def log_trial(*, project: str, metric: str = "value", group: str | None = None) -> Callable[[Any, Any], None]:
    """A callback for `Study.optimize`: one finished run a trial, in `project`, grouped by the study's name.

    Parameters and user attributes become config; intermediate values become the curve of `metric`, and the final value its
    last point. Several objectives are named ``metric_0``, ``metric_1`` ... A failed trial becomes a failed run, a pruned one a
    finished run with ``pruned`` set in its summary.
    """

    def callback(study: Any, trial: Any) -> None:
        run = besom.init(
            project=project,
            name=f"trial-{trial.number}",
            group=group or study.study_name,
            job_type="optuna",
            config={**trial.params, **trial.user_attrs, "trial": trial.number},
            reinit=True,
        )
        for step, value in sorted(trial.intermediate_values.items()):
            run.log({metric: value}, step=step)
        values = trial.values or []
        for index, value in enumerate(values):
            key = metric if len(values) == 1 else f"{metric}_{index}"
            run.log({key: value}, step=1 + max(trial.intermediate_values, default=-1))
        if trial.state.name == "PRUNED":
            run.summary["pruned"] = True
        if trial.duration is not None:
            run.summary["duration"] = trial.duration.total_seconds()
        run.finish(exit_code=1 if trial.state.name == "FAIL" else 0)

    return callback
