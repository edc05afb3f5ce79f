"""XGBoost: a callback that logs every evaluation of a booster, one row an iteration.

>>> xgboost.train(params, data, evals=[(valid, "valid")], callbacks=[BesomCallback()])   # doctest: +SKIP
"""

from __future__ import annotations

import contextlib
import json
from typing import Any

from xgboost.callback import TrainingCallback
from xgboost.core import XGBoostError

import besom


class BesomCallback(TrainingCallback):  # type: ignore[misc,unused-ignore]  # the framework may be absent when types are checked
    """For `xgboost.train`, `xgboost.cv` and the scikit-learn estimators; logs to the active run.

    Metrics are named ``<data set>/<metric>`` (``valid/auc``); `cv` adds ``<metric>_std``. `period`: log every so many iterations. The
    booster's settings (objective, eta, max_depth ...) become config, unless the config has them already. At the end the summary
    gets ``best_iteration`` and ``best_score`` (when it stopped early), and with `log_feature_importance` one row more holds a table
    ``feature_importance`` of `importance_type`. Raises ValueError when `period` is below 1.
    """

    def __init__(
        self,
        *,
        prefix: str = "",
        period: int = 1,
        log_feature_importance: bool = True,
        importance_type: str = "gain",
    ) -> None:
        super().__init__()
        if period < 1:
            raise ValueError(f"period counts iterations from 1, and {period} is less")
        self._prefix, self._period = prefix, period
        self._importance = importance_type if log_feature_importance else ""

    def before_training(self, model: Any) -> Any:
        if hasattr(model, "save_config"):  # the folds of cv have none
            learner = json.loads(model.save_config())["learner"]
            found = {"objective": learner["objective"]["name"], "booster": learner["gradient_booster"]["name"]}
            found |= learner["gradient_booster"].get("tree_train_param", {})
            besom.config.setdefaults({key: _number(value) for key, value in found.items()})
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        if epoch % self._period:
            return False
        row: dict[str, float] = {}
        for data, metrics in evals_log.items():
            for metric, values in metrics.items():
                key, last = f"{self._prefix}{data}/{metric}", values[-1]
                row[key] = float(last[0] if isinstance(last, tuple) else last)
                if isinstance(last, tuple):
                    row[f"{key}_std"] = float(last[1])
        if row:
            besom.log(row, step=epoch)
        return False

    def after_training(self, model: Any) -> Any:
        for name in ("best_iteration", "best_score"):
            with contextlib.suppress(AttributeError, TypeError):  # it did not stop early
                besom.summary[name] = getattr(model, name)
        if self._importance and hasattr(model, "get_score"):
            found: dict[str, Any] = {}
            with contextlib.suppress(XGBoostError):  # a linear booster has no gain
                found = model.get_score(importance_type=self._importance)
            if scores := sorted(found.items(), key=lambda pair: -pair[1]):
                besom.log({"feature_importance": besom.Table(["feature", self._importance], scores)})
        return model


def _number(text: str) -> Any:
    """Settings come as text."""
    with contextlib.suppress(ValueError):
        return int(text) if text.lstrip("-").isdigit() else float(text)
    return text
