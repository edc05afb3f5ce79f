"""Training with another framework leaves runs that look as if the script had logged them itself."""

from __future__ import annotations

from pathlib import Path

import lightgbm
import numpy as np
import optuna
import pytest

import besom
from besom.integrations import lightgbm as lightgbm_adapter
from besom.integrations.optuna import log_trial


def test_a_lightgbm_training_logs_every_iteration(own_home: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4))
    y = (x[:, 0] + 0.1 * rng.normal(size=200) > 0).astype(float)
    train = lightgbm.Dataset(x[:150], y[:150])
    valid = lightgbm.Dataset(x[150:], y[150:], reference=train)

    run = besom.init(project="trees")
    lightgbm.train(
        {"objective": "binary", "metric": "auc", "verbosity": -1, "num_leaves": 4},
        train,
        num_boost_round=7,
        valid_sets=[valid],
        callbacks=[lightgbm_adapter.log_evaluation()],
    )
    run.finish()

    (kept,) = besom.Api().runs("trees")
    curve = [row["valid_0/auc"] for row in kept.scan_history(keys=["valid_0/auc"])]
    assert len(curve) == 7
    assert curve[-1] == kept.summary["valid_0/auc"] > 0.8
    assert kept.config["num_leaves"] == 4


def test_a_study_becomes_a_group_of_runs(own_home: Path) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(study_name="parabola", sampler=optuna.samplers.RandomSampler(seed=1))

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", -2, 2)
        trial.report(x * x + 1, 0)
        return x * x

    study.optimize(objective, n_trials=3, callbacks=[log_trial(project="studies", metric="loss")])

    runs = sorted(besom.Api().runs("studies"), key=lambda run: run.config["trial"])
    assert [run.name for run in runs] == ["trial-0", "trial-1", "trial-2"]
    assert {run.group for run in runs} == {"parabola"}
    for run, trial in zip(runs, study.trials, strict=True):
        assert run.config["x"] == trial.params["x"]
        assert [row["loss"] for row in run.scan_history(keys=["loss"])] == [trial.value + 1, trial.value]


def test_a_period_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="period counts iterations from 1"):
        lightgbm_adapter.log_evaluation(period=0)
