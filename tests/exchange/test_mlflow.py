"""MLflow's database and its folder: both as the real library wrote them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from besom import Api as besom_api
from besom.settings import load

from .conftest import python

SCRIPT = """
import sys, mlflow
for uri in ("sqlite:///ml.db", "file:./mlruns"):
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("my digits")
    with mlflow.start_run(run_name="one", tags={"team": "a"}, description="a note") as run:
        mlflow.log_params({"lr": 1e-3, "opt": "adam", "layers": 2, "amsgrad": True, "sizes": [8, 8], "code": "007"})
        for i in range(3):
            mlflow.log_metrics({"val/loss": 1 / (i + 1), "acc": float("nan") if i == 1 else i}, step=i)
        mlflow.log_metric("without_step", 1)
        mlflow.log_metric("without_step", 2)
        mlflow.log_text("hello", "notes/a b.txt")
        with mlflow.start_run(run_name="child", nested=True):
            mlflow.log_metric("x", float("inf"))
    try:
        with mlflow.start_run(run_name="broken"):
            raise ValueError
    except ValueError:
        pass
    with mlflow.start_run(run_name="gone") as gone:
        pass
    mlflow.delete_run(gone.info.run_id)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("mlflow")
    python(SCRIPT, place, MLFLOW_ALLOW_FILE_STORE="true", MLFLOW_DISABLE_TELEMETRY="true")
    return place


@pytest.mark.parametrize("place", ["ml.db", "mlruns", "sqlite:///{}/ml.db"])
def test_runs_come_over(besom, runs, client, kept, folder: Path, place: str) -> None:
    place = place.format(folder) if "://" in place else str(folder / place)
    besom("import", "mlflow", place)
    found = runs("my-digits")
    assert {name: run.state for name, run in found.items()} == {
        "one": "finished",
        "child": "finished",
        "broken": "failed",
    }
    one = found["one"]
    assert one.config == {"lr": 0.001, "opt": "adam", "layers": 2, "amsgrad": True, "sizes": "[8, 8]", "code": "007"}
    assert (one.tags, one.notes, found["child"].group) == (("team=a",), "a note", one.id)
    rows = client.rows(load().entity, "my-digits", one.id).columns
    losses = [(step, loss) for step, loss in zip(rows["_step"], rows["val/loss"], strict=True) if loss is not None]
    assert losses == [(0, 1), (1, 1 / 2), (2, 1 / 3)]
    assert [value for value in rows["without_step"] if value is not None] == [1, 2]
    assert math.isnan(next(acc for step, acc in zip(rows["_step"], rows["acc"], strict=True) if step == 1))
    assert found["child"].metrics["x"].last == math.inf
    assert besom_api().run(f"my-digits/{one.id}").file("notes/a b.txt").read() == b"hello"
    before = kept("my-digits")
    assert "0 with something new" in besom("import", "mlflow", place).stdout
    assert kept("my-digits") == before


def test_a_run_that_is_described_badly_keeps_no_other_back(besom, runs, tmp_path: Path) -> None:
    good = "lifecycle_stage: active\nrun_id: {}\nrun_name: {}\nstatus: 3\nstart_time: 1\nend_time: 2\n"
    described = {
        "state": good.replace("3", "FINISHED").encode(),
        "time": good.replace("start_time: 1", "start_time: then").encode(),
        "deep": b"[" * 3000,
        "none": b"\x80",
        "away": good.format("../../x", "away").encode(),
        "latin": good.format("latin", "caf\xe9").encode("latin-1"),
    }
    for name, text in described.items():
        (tmp_path / "0" / name).mkdir(parents=True)
        (tmp_path / "0" / name / "meta.yaml").write_bytes(text)
    (tmp_path / "0" / "meta.yaml").write_text("name: dkt")
    (tmp_path / "0" / "away" / "params").mkdir()
    (tmp_path / "0" / "away" / "params" / "lr").write_bytes(b"\xff")
    said = besom("import", "mlflow", tmp_path, code=1)
    assert all(
        name in said.stderr.replace("\n", "") for name in ("state/meta.yaml", "time/meta.yaml", "deep/meta.yaml")
    )
    assert set(runs("dkt")) == {"away", "caf\N{REPLACEMENT CHARACTER}"}


def test_a_database_is_opened_as_it_is_whatever_it_is_called(besom, folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "50%20 #1?.db"
    place.write_bytes((folder / "ml.db").read_bytes())
    assert "3 runs" in besom("import", "mlflow", place).stdout
    assert [path.name for path in tmp_path.glob("50*")] == [place.name]
