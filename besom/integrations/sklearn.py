"""scikit-learn: log a fitted estimator, or every candidate of a search.

>>> log_estimator(model, x_test, y_test)            # doctest: +SKIP
>>> log_search(search, project="forests")           # doctest: +SKIP
"""

from __future__ import annotations

from typing import Any

from sklearn import metrics
from sklearn.base import is_classifier

import besom


def log_estimator(model: Any, x: Any, y: Any, *, prefix: str = "", names: Any = None) -> dict[str, float]:
    """Log a fitted classifier or regressor to the active run, and return its scores on `x`, `y`.

    Its parameters become config, unless the config has them already. A classifier is scored by accuracy, f1 (macro) and, where it has
    probabilities, log_loss and roc_auc (of two classes); a regressor by r2, mae and rmse. A confusion matrix and, where the model
    has them, feature importances are kept as tables; `names`: those of the features, else the model's own.
    """
    besom.config.setdefaults({key: value for key, value in model.get_params().items() if _plain(value)})
    guess = model.predict(x)
    row: dict[str, Any] = _classified(model, x, y, guess) if is_classifier(model) else _regressed(y, guess)
    scores = {f"{prefix}{key}": float(value) for key, value in row.items()}
    tables: dict[str, Any] = {}
    if is_classifier(model):
        classes = [str(label) for label in model.classes_]
        matrix = metrics.confusion_matrix(y, guess, labels=model.classes_).tolist()
        rows = [[label, *counts] for label, counts in zip(classes, matrix, strict=True)]
        tables[f"{prefix}confusion_matrix"] = besom.Table(["true \\ predicted", *classes], rows)
    weights = getattr(model, "feature_importances_", None)
    if weights is not None:
        given = names if names is not None else getattr(model, "feature_names_in_", range(len(weights)))
        pairs = sorted(zip(map(str, given), map(float, weights), strict=True), key=lambda pair: -pair[1])
        tables[f"{prefix}feature_importance"] = besom.Table(["feature", "importance"], pairs)
    besom.log({**scores, **tables})
    return scores


def log_search(search: Any, *, project: str, metric: str = "score", group: str | None = None) -> None:
    """Log a fitted GridSearchCV, RandomizedSearchCV or halving search: one finished run a candidate, in `project`.

    The candidate's parameters become config. `metric` has one row a split, with the split as step; the summary holds its mean and, as
    ``<metric>_std``, its deviation, and ``rank``. With several scorers each is named as scikit-learn names it. A run is
    named by its rank; `group`: else the estimator's name.
    """
    found = search.cv_results_
    scorers = [key.removeprefix("mean_test_") for key in found if key.startswith("mean_test_")]
    for number, params in enumerate(found["params"]):
        rank = int(found[f"rank_test_{scorers[0]}"][number])
        run = besom.init(
            project=project,
            name=f"rank-{rank}",
            group=group or type(search.estimator).__name__,
            job_type="search",
            config={**params, **({"iter": int(found["iter"][number])} if "iter" in found else {})},
            reinit=True,
        )
        called = {scorer: metric if scorer == "score" else scorer for scorer in scorers}
        for split in range(search.n_splits_):
            run.log(
                {key: float(found[f"split{split}_test_{name}"][number]) for name, key in called.items()}, step=split
            )
        for name, key in called.items():
            run.summary[key] = float(found[f"mean_test_{name}"][number])
            run.summary[f"{key}_std"] = float(found[f"std_test_{name}"][number])
        run.summary.update({"rank": rank, "fit_time": float(found["mean_fit_time"][number])})
        run.finish(quiet=True)


def _classified(model: Any, x: Any, y: Any, guess: Any) -> dict[str, Any]:
    row = {"accuracy": metrics.accuracy_score(y, guess), "f1": metrics.f1_score(y, guess, average="macro")}
    if hasattr(model, "predict_proba"):
        chances = model.predict_proba(x)
        row["log_loss"] = metrics.log_loss(y, chances, labels=model.classes_)
        if len(model.classes_) == 2:
            row["roc_auc"] = metrics.roc_auc_score(y, chances[:, 1])
    return row


def _regressed(y: Any, guess: Any) -> dict[str, Any]:
    return {
        "r2": metrics.r2_score(y, guess),
        "mae": metrics.mean_absolute_error(y, guess),
        "rmse": metrics.mean_squared_error(y, guess) ** 0.5,
    }


def _plain(value: Any) -> bool:
    """A parameter that a run's config can hold as itself; the estimators inside a pipeline are not."""
    return value is None or isinstance(value, (bool, int, float, str, list, tuple))
