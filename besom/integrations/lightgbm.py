"""LightGBM: a callback that logs every evaluation of a booster, one row an iteration.

>>> lgb.train(params, data, valid_sets=[valid], callbacks=[log_evaluation()])   # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import besom


def log_evaluation(*, prefix: str = "", period: int = 1) -> Callable[[Any], None]:
    """A callback for `lightgbm.train`, `lightgbm.cv` and the scikit-learn estimators.

    Metrics are named ``<data set>/<metric>`` (``valid_0/auc``); `cv` adds ``<metric>_std``. `period`: log every so many iterations.
    The parameters that LightGBM was given become config keys of the run, unless the run has them already.
    Raises ValueError when `period` is below 1.
    """
    if period < 1:
        raise ValueError(f"period counts iterations from 1, and {period} is less")

    def callback(env: Any) -> None:
        if env.iteration == env.begin_iteration:
            besom.config.setdefaults({str(key): value for key, value in env.params.items()})
        if (env.iteration - env.begin_iteration) % period:
            return
        row: dict[str, float] = {}
        for name, metric, value, _, *spread in env.evaluation_result_list or ():
            key = f"{prefix}{name}/{metric}"
            row[key] = float(value)
            if spread:
                row[f"{key}_std"] = float(spread[0])
        if row:
            besom.log(row, step=env.iteration)

    callback.order = 20  # type: ignore[attr-defined]  # LightGBM runs callbacks in this order; early stopping is 30
    return callback
