"""Optuna's storages: each trial of each study a run."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from besom.settings import load


def objective(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", 0, 1)
    trial.suggest_categorical("kind", ["a", "b"])
    for step in range(3):
        trial.report(x + trial.number, step)
        if trial.number == 3:
            raise optuna.TrialPruned
    if trial.number == 2:
        raise ValueError
    return x


@pytest.fixture(params=["sqlite", "journal"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    place = tmp_path / f"study.{request.param}"
    if request.param == "sqlite":
        held = f"sqlite:///{place}"
    else:
        held = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(place)))
    study = optuna.create_study(study_name="my study", storage=held, direction="maximize")
    study.optimize(objective, n_trials=4, catch=ValueError)
    both = optuna.create_study(study_name="two", storage=held, directions=["minimize", "maximize"])
    both.optimize(lambda trial: (trial.suggest_int("n", 1, 3), 2.0), n_trials=1)
    both.ask()
    return place


def test_trials_come_over_and_go_on(besom, runs, client, storage: Path) -> None:
    besom("import", "optuna", storage)
    found = runs("my-study")
    assert {name: run.state for name, run in found.items()} == {
        "trial-0": "finished", "trial-1": "finished", "trial-2": "failed", "trial-3": "finished"
    }  # fmt: skip
    first = found["trial-0"]
    assert set(first.config) == {"x", "kind", "trial"} and first.group == "my study"
    x = first.config["x"]
    assert client.rows(load().entity, "my-study", first.id).columns["value"] == [x, x, x, x]
    assert first.metrics["value"].goal == "maximize" and found["trial-3"].summary["pruned"] is True
    two = runs("two")
    assert two["trial-0"].summary["value_1"] == 2.0 and two["trial-1"].state == "crashed"
    if storage.suffix == ".sqlite":
        again = optuna.load_study(study_name="two", storage=f"sqlite:///{storage}")
        again.tell(1, [5, 6])
        assert "1 with something new" in besom("import", "optuna", storage).stdout
        went_on = runs("two")["trial-1"]
        assert (went_on.state, went_on.reason, went_on.summary["value_0"]) == ("finished", "", 5)
    assert besom("import", "optuna", storage).stdout.count("0 with something new") == 2
