"""`besom import` and `besom export` themselves: what is wrong is said with its place, and what goes out is what came in."""

from __future__ import annotations

import json
import math
import sqlite3
from pathlib import Path

import pytest

import besom as sdk
from besom.exchange import kinds
from besom.settings import load


@pytest.mark.parametrize(
    ("kind", "content", "words"),
    [
        ("wandbb", b"", "wandb, wandb-api, tensorboard, mlflow, optuna, not 'wandbb'. Did you mean \"wandb\"?"),
        ("wandb", None, "there is no such file or folder"),
        ("wandb", b"import wandb", "source: byte 0: a W&B log begins with"),
        ("wandb", b":W&B\xe1\xbe\x00", "source: the file holds no run"),
        ("tensorboard", b"import tensorboard\n", "source: byte 0: this is no event file of TensorBoard"),
        ("mlflow", b"SQLite format 3\0", "source: this is no database of MLflow"),
        ("mlflow", "db", "source: this is no database of MLflow: no such table"),
        ("optuna", "db", "source: this is no storage of Optuna: "),
        ("optuna", b"hello\nworld\n", "source: this is no storage of Optuna: "),
        ("wandb", "folder", "there is no run of W&B here"),
        ("tensorboard", "folder", "there is no event here"),
        ("mlflow", "folder", "there is no run of MLflow here"),
        ("optuna", "folder", "is a file, or an address"),
        ("wandb-api", b"", "ENTITY/PROJECT or ENTITY/PROJECT/RUN"),
    ],
)
def test_bad_input_is_a_message(
    besom, client, tmp_path: Path, kind: str, content: bytes | str | None, words: str
) -> None:
    source = tmp_path / "source"
    if content == "db":
        sqlite3.connect(source).executescript("CREATE TABLE t (a)")
    elif content == "folder":
        source.mkdir()
    elif isinstance(content, bytes):
        source.write_bytes(content)
    said = besom("import", kind, source if kind != "wandb-api" else "dkt", code=2)
    assert words in said.stderr.replace("\n", " ") and "Traceback" not in said.stderr
    assert client.projects().projects == ()


def test_a_bad_file_among_good_ones_is_named_and_the_rest_comes_over(besom, runs, tmp_path: Path) -> None:
    from tensorboardX import SummaryWriter

    for name in ("a", "b"):
        with SummaryWriter(str(tmp_path / "logs" / name)) as writer:
            writer.add_scalar("loss", 1.0, 0)
    (bad,) = (tmp_path / "logs" / "a").iterdir()
    bad.write_bytes(b"x" * 100)
    said = besom("import", "tensorboard", tmp_path / "logs", "-p", "dkt", "--json", code=1)
    assert bad.name in said.stderr and "byte 0" in said.stderr
    (done,) = json.loads(said.stdout)
    assert (done["project"], done["records"]) == ("dkt", 3 + 2) and set(runs("dkt")) == {"b"}


def test_a_run_that_came_another_way_is_left_alone(besom, client, tmp_path: Path) -> None:
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(tmp_path / "a")) as writer:
        writer.add_scalar("loss", 1.0, 0)
    (source,) = kinds.find("tensorboard", str(tmp_path / "a"), pytest.fail)
    with sdk.init(project="dkt", id=source.id) as run:
        run.log({"loss": 5})
    said = besom("import", "tensorboard", tmp_path / "a", "-p", "dkt", code=2)
    assert "is here already, brought by its own script" in said.stderr
    assert client.rows(load().entity, "dkt", source.id).columns["loss"] == [5]


def test_a_run_whose_library_fails_keeps_no_other_back(besom, runs, tmp_path: Path) -> None:
    store = sqlite3.connect(tmp_path / "ml.db")
    store.executescript("""
        CREATE TABLE experiments (experiment_id, name);
        CREATE TABLE runs (run_uuid, name, experiment_id, status, start_time, end_time, user_id, artifact_uri, lifecycle_stage);
        CREATE TABLE params (run_uuid, key, value);
        CREATE TABLE tags (run_uuid, key, value);
        CREATE TABLE metrics (run_uuid, key, value, timestamp, step, is_nan);
        INSERT INTO experiments VALUES (1, 'dkt');
        INSERT INTO runs VALUES ('r1', 'bad', 1, 'FINISHED', 1, 2, '', '', 'active'), ('r2', 'good', 1, 'FINISHED', 1, 2, '', '', 'active');
        INSERT INTO metrics VALUES ('r1', 'x', 'no number', 1, 1, 0), ('r2', 'x', 5, 1, 1, 0);
    """)
    store.close()
    said = besom("import", "mlflow", tmp_path / "ml.db", code=1)
    assert "bad: this run cannot be read: TypeError" in said.stderr and runs("dkt")["good"].metrics["x"].last == 5


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("what", [(), ("--history",)])
def test_half_a_character_stops_no_export(besom, client, tmp_path: Path, form: str, what: tuple[str, ...]) -> None:
    with sdk.init(project="dkt", name="r", config={"word": "a\ud800"}) as run:
        run.log({"text\ud800": "b\ud800"})
    besom("export", "dkt", *what, "-o", tmp_path / f"out.{form}")
    assert b"\\ud800" in (tmp_path / f"out.{form}").read_bytes()
    if form != "parquet":
        assert "\\ud800" in besom("export", "dkt", *what, "--format", form).stdout


def test_export_as_parquet_and_json_lines(besom, client, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    for n in range(2):
        with sdk.init(
            project="dkt", name=f"r{n}", config={"lr": 0.1**n, "opt": {"kind": "adam"}, "mixed": n or "text"}
        ) as run:
            run.log({"loss": 0.1 + 0.2, "count": 2**53 + n, "ok": True})
            run.log({"loss": math.inf, "note": "hi"})
    rows = tmp_path / "rows.parquet"
    besom("export", "dkt", "--history", "--sort", "name", "-o", rows)
    table = pq.read_table(rows)
    assert (
        table.column("loss").to_pylist() == [0.1 + 0.2, math.inf] * 2
        and table.column("note").to_pylist() == [None, "hi"] * 2
    )
    assert (
        table.column("name").to_pylist() == ["r0", "r0", "r1", "r1"]
        and str(table.schema.field("_step").type) == "int64"
    )
    besom("export", "dkt", "--sort", "name", "--format", "parquet", "-o", tmp_path / "runs")
    runs = pq.read_table(tmp_path / "runs").to_pylist()
    assert [(run["config.lr"], run["config.opt.kind"], run["config.mixed"]) for run in runs] == [(1.0, "adam", "text"), (0.1, "adam", "1")]  # fmt: skip
    lines = [json.loads(line) for line in besom("export", "dkt", "--history", "--format", "jsonl").stdout.splitlines()]
    assert (
        len(lines) == 4 and lines[1]["loss"] == "Infinity" and "note" not in lines[0] and lines[0]["loss"] == 0.1 + 0.2
    )
    besom("export", "dkt", "-o", tmp_path / "runs.jsonl")
    assert [json.loads(line)["config"]["opt"] for line in (tmp_path / "runs.jsonl").open()] == [{"kind": "adam"}] * 2
    assert "name it with -o" in besom("export", "dkt", "--format", "parquet", code=2).stderr
