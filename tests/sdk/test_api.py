"""`besom.Api()`: what was logged, as Python objects, over the user's own store."""

from __future__ import annotations

import math
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

import besom
from besom.core.errors import NotFound, StoreError, UsageError
from besom.core.mongo import filter_text, order_text
from besom.sdk.kept import inside
from besom.settings import load


@pytest.fixture
def runs(store: Any) -> list[str]:
    """Three runs of one project; the ids in the order they were made."""
    ids = []
    for n, lr in enumerate((0.1, 0.01, 0.001)):
        with besom.init(project="dkt", name=f"run {n}", config={"lr": lr, "net": {"depth": n}}, tags=[f"t{n}"]) as run:
            for epoch in range(5):
                run.log({"loss": lr * 10 / (epoch + 1), "epoch": epoch}, step=epoch)
                if epoch % 2 == 0:
                    run.log({"val": {"acc": epoch / 4}}, step=epoch)
            run.summary["note"] = "good"
            print("a line")
            ids.append(run.id)
    return ids


def test_runs_of_a_project(runs: list[str]) -> None:
    found = besom.Api().runs("dkt")
    assert len(found) == 3 and [run.id for run in found] == runs[::-1]
    assert found[0].id == runs[2] and found[-1].id == runs[0] and [run.id for run in found[:2]] == runs[:0:-1]
    with pytest.raises(IndexError):
        found[3]
    run = found[2]
    assert (run.name, run.state, run.project, run.tags, run.url) == ("run 0", "finished", "dkt", ["t0"], None)
    assert run.config == {"lr": 0.1, "net": {"depth": 0}}
    assert run.summary["loss"] == pytest.approx(0.2) and run.summary["val"]["acc"] == run.summary["val.acc"] == 1
    assert run.summary.get("none") is None and run.summary._json_dict["note"] == "good"
    assert run.metrics["loss"].best == pytest.approx(0.2) and run.metrics["loss"].count == 5
    assert (run.lastHistoryStep, run.path, run.sweep) == (4, [run.entity, "dkt", runs[0]], None)
    assert run.created_at.endswith("+00:00") and run.metadata["pid"] and "a line" in run.console()


def test_pages_are_loaded_as_they_are_asked_for(runs: list[str]) -> None:
    found = besom.Api().runs("dkt", per_page=1)
    assert [run.id for run in found] == [run.id for run in found] == runs[::-1]
    assert len(besom.Api().runs("dkt", {"config.lr": 5})) == 0
    assert list(besom.Api().runs("nothing-here")) == []


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ("config.lr < 0.05", {"run 1", "run 2"}),
        ({"config.lr": 0.1}, {"run 0"}),
        ({"config.lr": {"$gt": 0.005, "$lt": 0.05}}, {"run 1"}),
        ({"config.lr.value": {"$in": [0.1, 0.001]}}, {"run 0", "run 2"}),
        ({"$or": [{"display_name": "run 0"}, {"display_name": "run 2"}]}, {"run 0", "run 2"}),
        ({"$and": [{"state": "finished"}, {"summary_metrics.loss": {"$lte": 0.02}}]}, {"run 1", "run 2"}),
        ({"$nor": [{"name": "run 0"}]}, {"run 1", "run 2"}),
        ({"display_name": {"$regex": "[01]$"}}, {"run 0", "run 1"}),
        ({"config.net.depth": {"$ne": 1}}, {"run 0", "run 2"}),
        ({"tags": {"$in": ["t0", "t1"]}}, {"run 0", "run 1"}),
        ({"tags": {"$nin": ["t0", "t1"]}}, {"run 2"}),
        ({"config.lr": {"$not": {"$gt": 0.005}}}, {"run 2"}),
        ({"group": {"$exists": False}, "config.lr": {"$exists": True}}, {"run 0", "run 1", "run 2"}),
        ({}, {"run 0", "run 1", "run 2"}),
    ],
)
def test_filters(runs: list[str], filters: Any, names: set[str]) -> None:
    assert {run.name for run in besom.Api().runs("dkt", filters)} == names


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("+created_at", ["run 0", "run 1", "run 2"]),
        ("-config.lr", ["run 0", "run 1", "run 2"]),
        ("summary_metrics.loss", ["run 2", "run 1", "run 0"]),
        ("metrics.loss.best", ["run 2", "run 1", "run 0"]),
    ],
)
def test_orders(runs: list[str], order: str, names: list[str]) -> None:
    assert [run.name for run in besom.Api().runs("dkt", order=order)] == names


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        ({"config.a b": 'x"y\\z'}, '`config.a b` = "x\\"y\\\\z"'),
        ({"config.on": True, "config.none": None}, "(config.on = true and config.none = null)"),
        ({"jobType": {"$eq": "eval"}}, 'job_type = "eval"'),
        ("already = text", "already = text"),
        (None, ""),
    ],
)
def test_filters_as_text(filters: Any, text: str) -> None:
    assert filter_text(filters) == text


@pytest.mark.parametrize("filters", [{"a": {"$lte2": 1}}, {"$lt": 1}, {"$or": {}}, {"a": {}}])
def test_filters_that_cannot_be_meant(filters: Any) -> None:
    with pytest.raises(UsageError):
        filter_text(filters)


def test_orders_as_text() -> None:
    assert order_text("-summary_metrics.loss,+created_at, config.lr.value") == "-summary.loss,created,config.lr"


def test_history_comes_as_a_frame(runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run = besom.Api().run(f"dkt/{runs[0]}")
    frame = run.history()
    assert isinstance(frame, pandas.DataFrame) and list(frame["_step"]) == [0, 1, 2, 3, 4]
    assert list(frame["epoch"]) == [0, 1, 2, 3, 4] and frame["val.acc"].isna().sum() == 2
    assert list(run.history(samples=3)["_step"]) == [0, 2, 4]
    assert run.history(keys=["val.acc"], pandas=False) == [
        {"_step": 0, "val.acc": 0.0}, {"_step": 2, "val.acc": 0.5}, {"_step": 4, "val.acc": 1.0}
    ]  # fmt: skip
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "polars", None)
    assert run.history(keys=["epoch", "val.acc"]) == {"_step": [0, 2, 4], "epoch": [0, 2, 4], "val.acc": [0, 0.5, 1]}


def test_every_row_can_be_scanned(runs: list[str]) -> None:
    run = besom.Api().run(runs[1])
    rows = list(run.scan_history())
    assert [row["_step"] for row in rows] == [0, 1, 2, 3, 4] and rows[0]["val.acc"] == 0 and "val.acc" not in rows[1]
    assert [row["_timestamp"] for row in rows] == sorted(row["_time"] for row in rows)
    assert list(run.scan_history(keys=["epoch"], page_size=2, min_step=1, max_step=3)) == [
        {"_step": 1, "epoch": 1}, {"_step": 2, "epoch": 2}
    ]  # fmt: skip
    assert list(run.scan_history(keys=["nothing"])) == []


def test_nan_and_inf_come_back(store: Any) -> None:
    with besom.init(project="dkt") as run:
        run.log({"x": float("nan"), "y": float("-inf")})
    (row,) = besom.Api().run(run.path).scan_history()
    assert math.isnan(row["x"]) and row["y"] == float("-inf")


def test_a_running_run_is_seen_at_once(store: Any) -> None:
    with besom.init(project="dkt") as run:
        run.log({"x": 1})
        seen = besom.Api().run(run.path)
        assert seen.state == "running" and seen.summary["x"] == 1
        run.log({"x": 2})
        assert seen.load().summary["x"] == 2
    seen.wait_until_finished()
    assert seen.state == "finished"


def test_a_forked_child_logs_into_the_same_run(store: Any, script: Any) -> None:
    done = script(
        """
        import besom, os
        run = besom.init(project="dkt", id="mine")
        besom.log({"a": 1})
        pid = os.fork()
        if pid == 0:
            besom.log({"child": 7})
            os._exit(0)
        os.waitpid(pid, 0)
        seen = besom.Api().run("dkt/mine")
        assert seen.state == "running" and seen.summary["child"] == 7, (seen.state, seen.summary)
        """
    )
    assert done.returncode == 0, done.stderr
    run = besom.Api().run("dkt/mine")
    assert run.state == "finished" and dict(run.summary) == {"a": 1, "child": 7}


def test_a_killed_run_is_crashed_at_once(store: Any, script: Any) -> None:
    script("import besom, os\nbesom.init(project='dkt', id='mine')\nbesom.log({'a': 1})\nos.kill(os.getpid(), 9)")
    run = besom.Api().run("dkt/mine")
    assert (run.state, run.summary["a"]) == ("crashed", 1)


def test_fields_can_be_changed_and_runs_deleted(runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    run = besom.Api().run(f"dkt/{runs[0]}")
    run.name, run.notes, run.tags, run.group = "better", "looks good", ["x", "y"], "g"
    run.config["lr"] = 7
    run.update()
    assert "config and summary of an ended run cannot be changed" in capsys.readouterr().err
    again = besom.Api().run(f"dkt/{runs[0]}")
    assert (again.name, again.notes, again.tags, again.group) == ("better", "looks good", ["x", "y"], "g")
    assert again.config["lr"] == 0.1
    again.delete()
    with pytest.raises(NotFound):
        again.load()
    assert len(besom.Api().runs("dkt")) == 2


def test_projects(runs: list[str], store: Any) -> None:
    besom.init(project="other", entity="ada").finish()
    api = besom.Api()
    assert {project.name for project in api.projects()} == {"dkt", "other"}
    assert [project.id for project in api.projects("ada")] == ["ada/other"]
    assert len(api.project("dkt").runs()) == 3 and api.project("other", "ada").sweeps() == []
    with pytest.raises(NotFound, match="there is no project"):
        api.project("none")


@pytest.mark.parametrize("path", ["none", "dkt/none", "a/dkt/none"])
def test_a_run_that_is_not_there(runs: list[str], path: str) -> None:
    with pytest.raises(NotFound, match="there is no run"):
        besom.Api().run(path)


def test_paths_that_cannot_be_meant(store: Any) -> None:
    with pytest.raises(UsageError, match="a run is ENTITY/PROJECT/ID"):
        besom.Api().run("a/b/c/d")
    with pytest.raises(UsageError, match="a project is PROJECT"):
        besom.Api().runs("a/b/c")


def test_a_sweep_and_its_best_run(store: Any) -> None:
    config = {
        "method": "grid",
        "metric": {"name": "loss", "goal": "minimize"},
        "parameters": {"x": {"values": [3, 1, 2]}},
    }
    id = besom.sweep(config, project="dkt")

    def train() -> None:
        with besom.init() as run:
            run.log({"loss": run.config.x})

    besom.agent(id, function=train, project="dkt")
    api = besom.Api()
    sweep = api.sweep(id)
    assert (sweep.state, sweep.expected_run_count, sweep.order, sweep.url) == ("finished", 3, "summary.loss", None)
    assert len(sweep.runs) == 3 and sorted(run.config["x"] for run in sweep.runs) == [1, 2, 3]
    best = sweep.best_run()
    assert best is not None and best.config["x"] == 1 and best.sweep is not None and best.sweep.id == id
    other = sweep.best_run(order="-summary_metrics.loss")
    assert other is not None and other.config["x"] == 3
    assert [found.id for found in api.sweeps()] == [found.id for found in api.sweeps("dkt")] == [id]
    assert sweep.load().path == [sweep.entity, "dkt", id] and api.sweep(f"dkt/{id}").config["method"] == "grid"
    with pytest.raises(NotFound):
        api.sweep("dkt/none")


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "link/x", "", ".", "a/..", "x\0y"])
def test_a_file_of_a_stranger_stays_below_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="would lie outside"):
        inside(tmp_path / "out", name)
    assert inside(tmp_path / "out", "a/x..y") == tmp_path / "out" / "a" / "x..y"


def test_all_ranks_fetch_into_one_folder(tmp_path: Path) -> None:
    content = b"weights" * 100_000
    (tmp_path / "m.pt").write_bytes(content)
    with besom.init(project="dkt") as run:
        run.log_artifact(tmp_path / "m.pt", name="model")
    api = besom.Api(overrides={"project": "dkt"})
    with ThreadPoolExecutor(8) as ranks:
        folders = list(ranks.map(lambda _: api.artifact("model").download(tmp_path / "out"), range(24)))
    assert len(set(folders)) == 1 and [path.name for path in (tmp_path / "out").iterdir()] == ["m.pt"]
    assert (tmp_path / "out" / "m.pt").read_bytes() == content
    (blob,) = {path for path in load().blobs.rglob("*") if path.is_file()}
    blob.write_bytes(b"other")
    with pytest.raises(StoreError, match="is not what was asked for"):
        api.artifact("model").download(tmp_path / "out")
    assert (tmp_path / "out" / "m.pt").read_bytes() == content


def test_files_and_artifacts_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.txt").write_text("first")
    with besom.init(project="dkt") as run:
        run.log_artifact("data", name="set", type="dataset")
        besom.save("data/x.txt")
        run.log({"picture": besom.Image(np.zeros((2, 2), np.uint8))})
        (tmp_path / "data" / "x.txt").write_text("second")
        run.log_artifact("data", name="set", type="dataset", aliases=["clean"])
    seen = besom.Api().run(f"dkt/{run.id}")
    names = [file.name for file in seen.files()]
    assert names[0] == "data/x.txt" and names[1].startswith("media/picture_")
    assert seen.file("data/x.txt").read() == b"first" and seen.file(names[1]).read().startswith(b"\x89PNG")
    target = seen.file("data/x.txt").download(root=str(tmp_path / "out"))
    assert Path(target).read_text() == "first"
    with pytest.raises(UsageError, match="is there already"):
        seen.file("data/x.txt").download(root=str(tmp_path / "out"))
    with pytest.raises(NotFound, match="has no file 'none'"):
        seen.file("none")
    with besom.init(project="dkt") as run:
        latest = run.use_artifact("set:latest")
        assert Path(latest.download(), "x.txt").read_text() == "second" and latest.version == "v1"
        assert Path(run.use_artifact("dkt/set:v0").download("old"), "x.txt").read_text() == "first"
        with pytest.raises(NotFound, match="no version 'none'"):
            run.use_artifact("set:none").download()
    api = besom.Api(overrides={"project": "dkt"})
    assert api.artifact("set:clean").aliases == ["clean", "latest"]
    with besom.init(project="dkt") as run:
        run.log_artifact(api.artifact("set:v0"), aliases=["prod", "v1"])
        run.log_artifact("data", name="a/b:c")
        run.log_artifact(run.use_artifact("set:none"))
    assert [api.artifact(f"set:{alias}").version for alias in ("prod", "v1", "latest")] == ["v0", "v1", "v0"]
    assert Path(api.artifact("set:prod").download("third"), "x.txt").read_text() == "first"
    assert list(api.artifact("a-b-c").entries) == ["x.txt"] and "is kept as 'a-b-c'" in capsys.readouterr().err
    assert sum(run.dropped.values()) == 1
    with pytest.raises(NotFound):
        besom.Api().artifact("dkt/other:latest")
