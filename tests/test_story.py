"""The story of a newcomer, typed as they would type it: real processes, a fresh home, no server and no network."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parent.parent
TUTORIAL = ROOT / "examples" / "tutorial"

GRID = """\
program: train.py
method: grid
metric: {name: val_loss, goal: minimize}
parameters:
  lr: {values: [1e-1, 1e-2, 1e-3, 1e-4, 1e-5]}
  drop_out: {values: [0.0, 0.1, 0.2, 0.3, 0.4]}
"""

FAST = """\
import argparse, besom
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--drop_out", type=float)
args = parser.parse_args()
besom.init(project="dkt", config=vars(args))
for step in range(5):
    besom.log({"val_loss": abs(args.lr - 1e-2) + abs(args.drop_out - 0.2) + 1 / (step + 1)})
besom.finish()
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the newcomer works in; the store is where it is by default, under their home."""
    monkeypatch.delenv("BESOM_DIR")
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # whoever asks the network gets nothing
    folder = tmp_path / "desk"
    shutil.copytree(TUTORIAL, folder)
    return folder


def run(desk: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(words, cwd=desk, capture_output=True, text=True, timeout=300)
    said = f"$ {shlex.join(words)}\n{done.stdout}\n{done.stderr}"
    assert done.returncode == code, f"exit code {done.returncode}, expected {code}\n{said}"
    assert "Traceback" not in done.stderr, said
    return done


def python(desk: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    return run(desk, sys.executable, *words, code=code)


def besom(desk: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    return python(desk, "-m", "besom", *words, code=code)


def besom_json(desk: Path, *words: str) -> dict:
    return json.loads(besom(desk, *words, "--json").stdout)


def test_one_run(desk: Path) -> None:
    python(desk, "train.py", "--lr=1e-3", "--drop_out=0.2", "--epochs=5")
    page = besom_json(desk, "runs", "dkt")
    assert page["total"] == 1
    (seen,) = page["runs"]
    assert re.fullmatch(r"[a-z]+-[a-z]+-\d+", seen["name"]), "a readable random name when none is given"
    assert seen["state"] == "finished" and seen["project"] == "dkt"
    assert seen["config"]["lr"] == 1e-3 and seen["config"]["drop_out"] == 0.2
    assert seen["config"]["train_size"] == 9000, "config.update during the run"
    assert {"train_loss", "train_acc", "val_loss", "val_acc", "norm"} <= set(seen["metrics"])
    assert seen["metrics"]["val_loss"]["count"] == 5 and seen["metrics"]["norm"]["last_step"] == 5
    assert seen["summary"]["final_val_loss"] == seen["metrics"]["val_loss"]["last"]

    shown = besom(desk, "run", seen["id"]).stdout
    for word in (seen["name"], "finished", "drop_out", "val_loss", "┤", "final_val_loss", "console"):
        assert word in shown
    rows = list(csv.DictReader(io.StringIO(besom(desk, "export", "dkt", "--history").stdout)))
    first = rows[0]
    assert first["train_loss"] and first["val_loss"] and first["_step"] == "0", (
        "log(commit=False) and log() are one row"
    )


def test_the_same_script_under_the_other_name(desk: Path) -> None:
    text = (desk / "train.py").read_text()
    text = text.replace("import besom\n", "import besom as wandb\n").replace("besom.", "wandb.")
    (desk / "train_w.py").write_text(text)
    python(desk, "train_w.py", "--epochs=2", "--name", "my run")
    assert [view["name"] for view in besom_json(desk, "runs", "dkt")["runs"]] == ["my run"]


def test_a_sweep_from_the_file_to_the_best(desk: Path) -> None:
    said = besom(desk, "sweep", "sweep.yaml").stdout
    line = next(part.strip() for part in said.splitlines() if part.strip().startswith("besom agent "))
    entity, project, sweep = line.split()[-1].split("/")
    assert project == "dkt", "the sweep lands where its program logs"
    assert entity == besom_json(desk, "settings")["settings"]["entity"]["value"]

    ran = besom(desk, *line.split()[1:], "--count", "4")
    assert "val_loss" in ran.stdout
    besom(desk, "agent", f"{project}/{sweep}", "--count", "1")
    besom(desk, "agent", sweep, "--count", "1")

    page = besom_json(desk, "runs", "--sweep", sweep, "--sort", "val_loss")
    assert page["matched"] == 6
    losses = [view["metrics"]["val_loss"]["min"] for view in page["runs"]]
    assert losses == sorted(losses)
    assert all(
        view["config"]["lr"] in (1e-2, 1e-3, 1e-4) and 0 <= view["config"]["drop_out"] <= 0.5 for view in page["runs"]
    )
    shown = besom(desk, "runs", "--sweep", sweep, "--sort", "val_loss").stdout
    best = next(part for part in shown.splitlines() if part.startswith("best"))
    assert page["runs"][0]["id"] in best
    assert [view["id"] for view in besom_json(desk, "sweep", "list")] == [sweep]
    assert besom_json(desk, "sweep", "show", sweep)["best"]["run"] == page["runs"][0]["id"]


@pytest.mark.parametrize("agents", [1, 4])
def test_a_grid_of_25_ends_by_itself_after_25_runs(desk: Path, agents: int) -> None:
    (desk / "train.py").write_text(FAST)
    (desk / "grid.yaml").write_text(GRID)
    made = besom_json(desk, "sweep", "grid.yaml")
    assert made["budget"] == 25
    ran = besom(desk, "agent", made["command"].split()[-1], "-n", str(agents), "--quiet")
    page = besom_json(desk, "runs", "--sweep", made["id"])
    points = {(view["config"]["lr"], view["config"]["drop_out"]) for view in page["runs"]}
    assert page["matched"] == 25 and len(points) == 25
    view = besom_json(desk, "sweep", "show", made["id"])
    assert view["state"] == "finished" and view["best"]["params"] == {"drop_out": 0.2, "lr": 0.01}
    last = ran.stdout.strip().splitlines()[-1]
    assert last.startswith("best") and "lr=0.01" in last and "drop_out=0.2" in last, "the best is named at the end"


def test_from_python(desk: Path) -> None:
    (desk / "sweep.py").write_text(
        """
import besom
config = {"method": "bayes", "metric": {"name": "loss", "goal": "minimize"}, "parameters": {"x": {"min": -2.0, "max": 2.0}}}

def train():
    run = besom.init()
    for step in range(3):
        besom.log({"loss": (run.config.x - 1) ** 2 + 1 / (step + 1), "twice": 2 * step})
    besom.finish()

sweep_id = besom.sweep(config, project="py")
besom.agent(sweep_id, function=train, count=5)
runs = besom.Api().runs("py")
assert len(runs) == 5, len(runs)
for run in runs:
    assert abs(run.summary["loss"] - ((run.config["x"] - 1) ** 2 + 1 / 3)) < 1e-12
    history = run.history()
    assert list(history["twice"]) == [0, 2, 4], history
    assert [row["loss"] for row in run.scan_history(keys=["loss"])] == list(history["loss"])
print("all well")
"""
    )
    assert "all well" in python(desk, "sweep.py").stdout
    assert besom_json(desk, "runs", "py")["total"] == 5


def test_the_python_example(desk: Path) -> None:
    said = python(desk, str(ROOT / "examples" / "python_sweep.py")).stdout
    assert "best: " in said


def test_the_demo(desk: Path, tmp_path: Path) -> None:
    """It runs the sweep with two agents, names the best, and serves the page until Ctrl-C."""
    pytest.importorskip("sklearn", reason="the demo's data comes with scikit-learn")
    store = tmp_path / "demo"
    words = [sys.executable, str(ROOT / "examples" / "demo.py"), "--store", str(store), "--port", str(free_port())]
    demo = subprocess.Popen(
        words, cwd=desk, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    said = ""
    try:
        assert demo.stdout is not None
        for line in demo.stdout:
            said += line
            if "besom is at" in line:
                break
        address = re.search(r"runs +(http://\S+)", said)
        assert address, said
        page = httpx.get(httpx.URL(address[1]).copy_with(path="/api/health"), timeout=60, trust_env=False)
        assert page.status_code in (200, 503)
    finally:
        os.killpg(demo.pid, signal.SIGINT)
        said += demo.communicate(timeout=120)[0]
    assert demo.returncode == 0 and "Traceback" not in said, said
    best = next(line for line in said.splitlines() if line.startswith("best") and "by run" in line)
    assert float(best.split()[2]) < 0.2, "the network has learnt its digits"
    assert said.count("✓ finished") >= 20, "20 trials, and the runs of the table"
    assert (store / "besom.db").exists() and not list(desk.glob("*.db"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]
