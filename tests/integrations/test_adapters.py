"""Training with another framework, the real one, leaves runs that look as if the script had logged them itself.

Lightning and the Trainer of Transformers need torch, whose wheels are gigabytes: they are shown by with_torch.py (see
CONTRIBUTING), and here as far as it goes without: the real callback handler of Transformers, and for Lightning a stand-in for its
base class, called as its Trainer calls it. The examples of docs/integrations.md run as they stand.
"""

from __future__ import annotations

import abc
import importlib
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import besom

os.environ.setdefault("KERAS_BACKEND", "jax")
RNG = np.random.default_rng(0)
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "integrations.md").read_text()
X = RNG.normal(size=(200, 4))
Y = (X[:, 0] + 0.1 * RNG.normal(size=200) > 0).astype(int)


def only(project: str) -> Any:
    """The one run of a project."""
    (run,) = besom.Api().runs(project)
    return run


def curve(run: Any, key: str) -> list[Any]:
    return [row[key] for row in run.scan_history(keys=[key])]


def test_xgboost_logs_every_iteration(own_home: Path) -> None:
    import xgboost

    from besom.integrations.xgboost import BesomCallback

    train, valid = xgboost.DMatrix(X[:150], Y[:150]), xgboost.DMatrix(X[150:], Y[150:])
    params = {"objective": "binary:logistic", "eval_metric": "auc", "max_depth": 3, "eta": 0.5, "nthread": 1}
    with besom.init(project="trees", config={"max_depth": 3}):
        xgboost.train(
            params,
            train,
            8,
            evals=[(valid, "valid")],
            early_stopping_rounds=20,
            callbacks=[BesomCallback()],
            verbose_eval=False,
        )
    run = only("trees")
    aucs = curve(run, "valid/auc")
    assert len(aucs) == 8 and max(aucs) == pytest.approx(run.summary["best_score"])
    assert run.summary["best_iteration"] == int(np.argmax(aucs))
    assert (run.config["objective"], run.config["max_depth"]) == ("binary:logistic", 3)
    assert run.config["eta"] == pytest.approx(0.5)
    assert run.summary["feature_importance"]["rows"] >= 1


def test_xgboost_cv_and_its_estimators(own_home: Path) -> None:
    import xgboost

    from besom.integrations.xgboost import BesomCallback

    with besom.init(project="cv"):
        params = {"eval_metric": "logloss", "nthread": 1}
        xgboost.cv(params, xgboost.DMatrix(X, Y), 4, nfold=3, callbacks=[BesomCallback(period=2)])
    run = only("cv")
    assert len(curve(run, "test/logloss")) == len(curve(run, "test/logloss_std")) == 2
    with besom.init(project="estimator"):
        model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1, callbacks=[BesomCallback(prefix="xgb/")])
        model.fit(X[:150], Y[:150], eval_set=[(X[150:], Y[150:])], verbose=False)
    assert len(curve(only("estimator"), "xgb/validation_0/logloss")) == 3
    with besom.init(project="linear"):
        data = xgboost.DMatrix(X, Y)
        xgboost.train(
            {"booster": "gblinear"}, data, 2, evals=[(data, "t")], verbose_eval=False, callbacks=[BesomCallback()]
        )
    assert len(curve(only("linear"), "t/rmse")) == 2
    with pytest.raises(ValueError, match="period counts iterations from 1"):
        BesomCallback(period=0)


def test_a_fitted_estimator_of_scikit_learn(own_home: Path) -> None:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import Ridge

    from besom.integrations.sklearn import log_estimator

    with besom.init(project="forest"):
        model = RandomForestClassifier(n_estimators=20, random_state=0).fit(X[:150], Y[:150])
        scores = log_estimator(model, X[150:], Y[150:], names=["a", "b", "c", "d"])
    run = only("forest")
    assert run.summary["accuracy"] == scores["accuracy"] > 0.8
    assert set(scores) == {"accuracy", "f1", "log_loss", "roc_auc"}
    assert run.config["n_estimators"] == 20
    assert run.summary["confusion_matrix"]["rows"] == 2 and run.summary["feature_importance"]["rows"] == 4

    with besom.init(project="ridge"):
        scores = log_estimator(Ridge(alpha=0.5).fit(X, X[:, 0]), X, X[:, 0], prefix="all/")
    assert only("ridge").summary["all/r2"] == scores["all/r2"] > 0.9


def test_every_candidate_of_a_search_becomes_a_run(own_home: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    from besom.integrations.sklearn import log_search

    search = GridSearchCV(LogisticRegression(), {"C": [1e-4, 1.0, 100.0]}, cv=4).fit(X, Y)
    log_search(search, project="search", metric="accuracy")
    runs = {run.config["C"]: run for run in besom.Api().runs("search")}
    assert set(runs) == {1e-4, 1.0, 100.0} and {run.group for run in runs.values()} == {"LogisticRegression"}
    best = runs[search.best_params_["C"]]
    assert best.summary["accuracy"] == search.best_score_ and (best.name, best.summary["rank"]) == ("rank-1", 1)
    assert np.mean(curve(best, "accuracy")) == pytest.approx(search.best_score_) and len(curve(best, "accuracy")) == 4


def test_keras_logs_a_metric_of_each_class(own_home: Path) -> None:
    import keras

    from besom.integrations.keras import BesomCallback

    with besom.init(project="classes"):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
        model.compile("sgd", "categorical_crossentropy", metrics=[keras.metrics.F1Score(average=None)])
        model.fit(X, np.eye(2)[Y], epochs=1, verbose=0, callbacks=[BesomCallback(log_freq=1)])
    run = only("classes")
    assert {"f1_score.0", "f1_score.1", "batch/f1_score.1"} <= run.summary.keys()


def test_keras_logs_epochs_and_batches(own_home: Path) -> None:
    import keras

    from besom.integrations.keras import BesomCallback

    def fit(log_freq: str | int) -> None:
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")])
        model.compile(keras.optimizers.SGD(0.5, name="sgd"), "binary_crossentropy", metrics=["accuracy"])
        split = {"validation_split": 0.25, "batch_size": 50, "epochs": 3, "verbose": 0}
        model.fit(X, Y, callbacks=[BesomCallback(log_freq)], **split)

    with besom.init(project="epochs"):
        fit("epoch")
    run = only("epochs")
    assert len(curve(run, "val_loss")) == 3 and curve(run, "loss")[0] > curve(run, "loss")[-1]
    assert run.config["optimizer"]["name"] == "sgd" and curve(run, "learning_rate") == [0.5] * 3
    assert [row["_step"] for row in run.scan_history(keys=["val_loss", "_step"])] == [0, 1, 2]
    with besom.init(project="batches"):
        fit(2)
    run = only("batches")
    assert len(curve(run, "batch/loss")) == 4, "3 epochs of 3 batches, every second one"
    assert [row["_step"] for row in run.scan_history(keys=["val_loss", "_step"])] == [3, 6, 9]
    with pytest.raises(ValueError, match="a number of batches from 1 on, not 0"):
        BesomCallback(0)


def test_transformers_reports_to_besom(own_home: Path) -> None:
    """What its Trainer does with the callbacks of `report_to`, without torch."""
    from transformers import TrainerControl, TrainerState
    from transformers.integrations.integration_utils import get_reporting_integration_callbacks
    from transformers.trainer_callback import CallbackHandler

    import besom.integrations.huggingface

    args = SimpleNamespace(run_name="first", to_sanitized_dict=lambda: {"learning_rate": 5e-5, "fp16": None})
    model = SimpleNamespace(config=SimpleNamespace(to_dict=lambda: {"hidden_size": 8}), num_parameters=lambda: 42)
    (kind,) = get_reporting_integration_callbacks("besom")
    handler = CallbackHandler([kind], model, None, None, None)
    state, control = TrainerState(is_world_process_zero=True), TrainerControl()
    handler.on_train_begin(args, state, control)
    for step, logs in [
        (10, {"loss": 2.0, "learning_rate": 5e-5, "epoch": 0.5}),
        (20, {"loss": 1.0, "learning_rate": 4e-5, "epoch": 1.0}),
        (20, {"eval_loss": 1.5, "eval_accuracy": 0.75, "epoch": 1.0}),
        (20, {"train_runtime": 3.0, "train_loss": 1.5, "epoch": 1.0}),
    ]:
        state.global_step = step
        handler.on_log(args, state, control, logs)
    handler.on_train_end(args, state, control)
    assert besom.run is not None, "it stays open for what the script adds"
    besom.finish()

    (run,) = besom.Api().runs()
    assert (run.name, run.config["learning_rate"], run.config["model"]) == ("first", 5e-5, {"hidden_size": 8})
    assert [(row["_step"], row["train/loss"]) for row in run.scan_history(keys=["train/loss", "_step"])] == [
        (10, 2.0),
        (20, 1.0),
    ]
    assert (curve(run, "eval/accuracy"), run.summary["train_loss"], run.config["num_parameters"]) == ([0.75], 1.5, 42)
    assert "fp16" not in run.config

    other = TrainerState(is_world_process_zero=False)
    handler.on_train_begin(args, other, control)
    handler.on_log(args, other, control, {"loss": 9.0})
    assert besom.run is None, "only the first process of the world logs"


@pytest.mark.parametrize("package", ["lightning.pytorch", "pytorch_lightning"])
def test_lightning_calls_its_logger(
    own_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str
) -> None:
    """The calls that a `fit` with a checkpoint and a `test` make; the real thing is in with_torch.py."""

    class Logger(abc.ABC):
        name = abc.abstractproperty()
        version = abc.abstractproperty()
        log_metrics = abc.abstractmethod(lambda *_: None)
        log_hyperparams = abc.abstractmethod(lambda *_: None)

    modules = {
        package: {},
        f"{package}.loggers": {},
        f"{package}.loggers.logger": {"Logger": Logger, "rank_zero_experiment": lambda function: function},
        f"{package}.utilities": {"rank_zero_only": lambda function: function},
        **({"lightning": {}} if package.startswith("lightning") else {}),
    }
    for name, content in modules.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "besom.integrations.lightning", raising=False)
    adapter = importlib.import_module("besom.integrations.lightning")
    monkeypatch.delitem(sys.modules, "besom.integrations.lightning")
    checkpoint = tmp_path / "best.ckpt"
    checkpoint.write_bytes(b"weights")

    logger = adapter.BesomLogger(project="lit", name="fit", log_model=True)
    assert (logger.name, logger.version, besom.run) == ("lit", None, None)
    logger.log_hyperparams({"lr": 0.1})
    logger.log_metrics({"train_loss": 0.9, "epoch": 0}, step=49)
    logger.log_metrics({"val_loss": 0.8, "epoch": 0}, step=99)
    logger.after_save_checkpoint(SimpleNamespace(best_model_path=str(checkpoint)))
    logger.finalize("success")
    logger.log_metrics({"test_loss": 0.7}, step=100)
    logger.finalize("success")
    assert logger.experiment is besom.run and logger.version == besom.run.id
    besom.finish()

    run = only("lit")
    assert (run.name, run.config["lr"], run.summary["val_loss"]) == ("fit", 0.1, 0.8)
    assert [row["_step"] for row in run.scan_history(keys=["test_loss", "_step"])] == [100]
    assert curve(run, "trainer/global_step") == [49, 99, 100]


APP = """
import os
import hydra
import besom

@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(config):
    besom.log({"loss": config.model.hidden * config.lr})
    if config.lr > 1:
        raise SystemError("diverged")
    return config.model.hidden * config.lr

main()
"""
CONF = """
lr: 0.1
job: ${hydra:job.name}
model: {hidden: 32, width: "${model.hidden}"}
hydra:
  job: {chdir: true}
  callbacks:
    besom:
      _target_: besom.integrations.hydra.BesomCallback
      project: app
"""


def app(folder: Path, *words: str) -> int:
    (folder / "conf").mkdir(exist_ok=True)
    (folder / "conf" / "config.yaml").write_text(CONF)
    (folder / "app.py").write_text(APP)
    return subprocess.run([sys.executable, "app.py", *words], cwd=folder, capture_output=True).returncode


def test_a_hydra_app_is_a_run(own_home: Path, tmp_path: Path) -> None:
    assert app(tmp_path, "lr=0.5") == 0
    run = only("app")
    assert (run.state, run.group, run.summary["loss"], run.summary["objective"]) == ("finished", "", 16.0, 16.0)
    config = dict(run.config)
    assert config == {"lr": 0.5, "job": "app", "model": {"hidden": 32, "width": 32}}


def test_each_job_of_a_hydra_multirun_is_a_run(own_home: Path, tmp_path: Path) -> None:
    assert app(tmp_path, "-m", "lr=0.1,0.2", "model.hidden=8,16") == 0
    runs = besom.Api().runs("app")
    assert sorted(run.name for run in runs) == [f"lr={lr},model.hidden={h}" for lr in (0.1, 0.2) for h in (16, 8)]
    assert len({run.group for run in runs}) == 1


def test_a_hydra_app_that_raises_is_a_failed_run(own_home: Path, tmp_path: Path) -> None:
    assert app(tmp_path, "lr=2") == 1
    assert only("app").state == "failed"


def example(title: str, language: str = "python") -> str:
    """The first example of a section."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.S)[0]


@pytest.mark.parametrize(
    ("title", "project", "runs", "metric"),
    [
        ("Keras", "lines", 1, "val_loss"),
        ("XGBoost", "trees", 1, "valid/rmse"),
        ("LightGBM", "trees", 1, "valid_0/l2"),
        ("scikit-learn", "forests", 3, "accuracy"),
        ("Optuna", "studies", 3, "value"),
    ],
)
def test_an_example_of_the_docs_leaves_runs(
    own_home: Path, tmp_path: Path, title: str, project: str, runs: int, metric: str
) -> None:
    (tmp_path / "script.py").write_text(example(title))
    runpy.run_path(str(tmp_path / "script.py"), run_name="__main__")
    kept = list(besom.Api().runs(project))
    assert len(kept) == runs and all(metric in run.summary for run in kept)
    assert {run.state for run in kept} == {"finished"}


def test_the_example_of_hydra(own_home: Path, tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").write_text(example("Hydra", "yaml"))
    (tmp_path / "app.py").write_text(example("Hydra"))
    subprocess.run([sys.executable, "app.py", "lr=0.5"], cwd=tmp_path, check=True, capture_output=True)
    (run,) = besom.Api().runs("apps")
    assert dict(run.config) == {"lr": 0.5, "model": {"hidden": 32}}
    assert run.summary["loss"] == 1 / 32 + 0.25


def test_every_adapter_has_its_example() -> None:
    titles = set(re.findall(r"^## (.+)$", PAGE, re.M))
    adapters = {path.stem for path in (Path(besom.__file__).parent / "integrations").glob("[a-z]*.py")}
    missing = {name for name in adapters if f"besom.integrations.{name}" not in PAGE}
    assert not missing and len(titles) == len(adapters)
