"""An existing script, unchanged, logs to besom: what it did is there, each thing once, whatever happens on the way."""

from __future__ import annotations

import json
import math
import subprocess

import pytest

from besom.core.errors import NotFound
from besom.core.names import RunPath

from .conftest import ENTITY, Client, House, Outside, finish, wait

TRAIN = """
import sys, wandb
wandb.login()
run = wandb.init(project="digits", id="whole", name="first", tags=["a", "b"], group="g", job_type="train", notes="why not",
                 config={"lr": 1e-3, "net": {"depth": 3}})
run.define_metric("val/*", step_metric="epoch")
run.define_metric("loss", summary="min,mean")
for i in range(20):
    run.log({"loss": 1 / (i + 1), "nest": {"a": i, "b": {"c": 2 * i}}, "epoch": i // 5, "val/acc": i * 0.05,
             "odd": float("nan"), "big": float("inf")})
run.log({"late": 1}, step=100)
run.log({"late_too": 2}, step=100)
print("to the terminal"); print("and about an error", file=sys.stderr)
run.config.update({"added": [1, 2]})
run.summary["best"] = 0.9
run.alert("mind this", "it burns", level="WARN", wait_duration=5)
for name in ("notes.txt", "at 5%20.txt"):
    open(name, "w").write("kept"); wandb.save(name)
table = wandb.Table(columns=["a"], data=[[1], [2]])
run.log({"table": table}, step=101)
weights = wandb.Artifact("weights", "model"); weights.add_file("notes.txt"); run.log_artifact(weights)
run.finish()
"""

FAILS = """
import wandb
wandb.init(project="digits", id="broken")
wandb.log({"loss": 1})
raise ValueError("no more")
"""


OFFLINE = """
import subprocess, sys, wandb
run = wandb.init(project="digits", id="offline", mode="offline", config={"lr": 1})
for i in range(1500):
    run.log({"x": i})
run.finish()
print(subprocess.run([sys.executable, "-m", "wandb", "sync", run.sync_dir], capture_output=True, text=True))
"""

SWEEPS = """
import json, wandb
from wandb.agents import pyagent
pyagent.Agent.HEARTBEAT_SLEEP_SECONDS = 0.3
id = wandb.sweep({"method": "grid", "metric": {"name": "loss", "goal": "minimize"},
                  "parameters": {"lr": {"values": [0.1, 0.2]}, "net": {"parameters": {"d": {"values": [1]}}}}}, project="swept")
def train():
    with wandb.init() as run:
        run.log({"loss": run.config.lr * run.config.net["d"]})
wandb.agent(id, train, project="swept")
print(json.dumps([id, wandb.Api().sweep(f"ann/swept/{id}").best_run().config]))
"""


@pytest.fixture(scope="module", autouse=True)
def slow(client: Client) -> dict[str, subprocess.Popen[str]]:
    """Scripts that mostly wait: they begin first, and run beside the others."""
    return {"sweep": client(SWEEPS), "offline": client(OFFLINE)}


def test_two_scripts_at_once_are_kept_whole(house: House, client: Client, outside: Outside) -> None:
    whole, broken = client(TRAIN), client(FAILS)
    said = finish(whole)
    finish(broken)
    run = house.run("digits", "whole")
    assert whole.returncode == 0, said
    assert (run.state, run.exit_code, run.name, run.group, run.job_type) == ("finished", 0, "first", "g", "train")
    assert (run.tags, run.notes) == (("a", "b"), "why not")
    assert run.config == {"lr": 1e-3, "net": {"depth": 3}, "added": [1, 2]}
    assert run.summary["loss.min"] == 0.05 and "loss" not in run.summary
    assert (run.summary["best"], run.summary["nest.b.c"], run.summary["late_too"]) == (0.9, 38, 2)
    assert house.column("digits", "whole", "loss") == [1 / (i + 1) for i in range(20)]
    assert house.column("digits", "whole", "nest.b.c") == [2 * i for i in range(20)]
    assert all(map(math.isnan, house.column("digits", "whole", "odd")))
    assert house.column("digits", "whole", "big") == [math.inf] * 20
    path = RunPath(ENTITY, "digits", "whole")
    assert house.hub.rows(path, keys=["late", "late_too"]).columns["_step"] == [100]
    assert run.last_step == 101
    lines = {(line.stream, line.text) for line in house.hub.console(path).lines}
    assert {("out", "to the terminal"), ("err", "and about an error")} <= lines
    assert any(
        (a.title, a.text, a.level, a.run) == ("mind this", "it burns", "WARN", "whole")
        for a in house.hub.alerts().alerts
    )
    kept = {file.path: file.digest for file in house.hub.files(path).files}
    assert "at 5%20.txt" in kept
    blob = house.folder / "blobs" / kept["notes.txt"][:2] / kept["notes.txt"]
    assert blob.read_text() == "kept"
    assert any(name.startswith("artifacts/weights/") and name.endswith("notes.txt") for name in kept)
    assert run.meta["client"].startswith("wandb ") and run.meta["python"]
    broken_run = house.run("digits", "broken")
    assert (broken_run.state, broken_run.exit_code, broken_run.summary["loss"]) == ("failed", 1, 1)
    assert outside.calls == 0, "the client called somebody else"


STEADY = """
import sys, wandb
quick = {f"x_file_stream_{name}": 1.0 for name in ("transmit_interval", "retry_wait_min_seconds", "retry_wait_max_seconds")}
run = wandb.init(project="digits", id=sys.argv[1], settings=wandb.Settings(x_disable_stats=True, **quick))
for part in range(3):
    for i in range(100):
        run.log({"x": part * 100 + i})
    print("part", part, flush=True)
    sys.stdin.readline()
"""


def test_lost_answers_and_a_restart_of_the_server_count_nothing_twice(house: House, client: Client) -> None:
    run = client(STEADY, "steady")
    assert run.stdin

    def there(n: int) -> bool:
        try:
            return len(house.column("digits", "steady", "x")) >= n
        except NotFound:
            return False

    wait(lambda: there(100))
    house.lose = 2
    run.stdin.write("\n")
    run.stdin.flush()
    wait(lambda: house.lost == 2)
    house.stop()
    run.stdin.write("\n")
    run.stdin.flush()
    house.start()
    run.stdin.write("\n")
    run.stdin.flush()
    finish(run)
    assert house.column("digits", "steady", "x") == list(range(300))
    assert house.run("digits", "steady").state == "finished"
    text = [line.text for line in house.hub.console(RunPath(ENTITY, "digits", "steady")).lines]
    assert text == ["part 0", "part 1", "part 2"]


RESUMED = """
import sys, wandb
run = wandb.init(project="digits", id="again", resume="allow", config={"k": int(sys.argv[1])})
for i in range(5):
    run.log({"x": i + int(sys.argv[1])})
print(run.resumed)
"""


def test_a_run_goes_on_in_a_second_process(house: House, client: Client) -> None:
    assert "False" in finish(client(RESUMED, "0"))
    assert "True" in finish(client(RESUMED, "100"))
    rows = house.hub.rows(RunPath(ENTITY, "digits", "again")).columns
    assert (rows["_step"], rows["x"]) == (list(range(10)), [0, 1, 2, 3, 4, 100, 101, 102, 103, 104])
    run = house.run("digits", "again")
    assert (run.state, run.config) == ("finished", {"k": 100})


def test_what_was_logged_offline_is_synced(house: House, slow: dict[str, subprocess.Popen[str]]) -> None:
    said = finish(slow["offline"])
    run = house.run("digits", "offline")
    assert (run.state, run.config) == ("finished", {"lr": 1}), said
    assert house.column("digits", "offline", "x") == list(range(1500))


READS = """
import json, sys, wandb
api = wandb.Api()
run = api.run("ann/digits/whole")
print(json.dumps({
    "runs": sorted(r.id for r in api.runs("ann/digits", filters={"$and": [{"state": "finished"}, {"config.lr": {"$lt": 0.1}}]})),
    "best": [r.id for r in api.runs("ann/digits", filters={"tags": "a"}, order="-summary_metrics.best")],
    "config": run.config, "best_value": run.summary["best"], "min": run.summary["loss"]["min"], "state": run.state,
    "scan": [row["loss"] for row in run.scan_history(keys=["loss"])],
    "sampled": [row["epoch"] for row in run.history(keys=["epoch"], pandas=False)],
    "long": len(list(api.run("ann/digits/offline").scan_history())),
    "file": run.file("notes.txt").download(replace=True).read(),
    "projects": sorted(p.name for p in api.projects("ann")),
}))
"""


def test_what_was_logged_is_read_back(house: House, client: Client) -> None:
    said = finish(client(READS))
    assert json.loads(said.splitlines()[-1]) == {
        "runs": ["whole"], "best": ["whole"], "config": {"lr": 1e-3, "net": {"depth": 3}, "added": [1, 2]},
        "best_value": 0.9, "min": 0.05, "state": "finished", "scan": [1 / (i + 1) for i in range(20)],
        "sampled": [i // 5 for i in range(20)], "long": 1500, "file": "kept", "projects": ["digits", "swept"],
    }  # fmt: skip


def test_its_agent_runs_a_sweep_of_ours_to_its_end(house: House, slow: dict[str, subprocess.Popen[str]]) -> None:
    said = finish(slow["sweep"]).splitlines()[-1]
    (sweep,) = house.hub.sweeps(ENTITY, "swept").sweeps
    assert (sweep.state, sweep.counts) == ("finished", {"finished": 2})
    assert sweep.best and sweep.best.value == 0.1
    assert json.loads(said) == [sweep.id, {"lr": 0.1, "net": {"d": 1}}]
    runs = house.hub.runs(ENTITY, "swept").runs
    assert {run.sweep for run in runs} == {sweep.id} and len(runs) == 2


def test_a_killed_script_is_shown_as_crashed(house: House, client: Client) -> None:
    run = client(STEADY, "killed")
    wait(lambda: any("/killed/" in path for path in house.seen))
    wait(lambda: house.run("digits", "killed").last_step == 99)
    run.kill()
    run.wait()
    wait(lambda: house.hub.reap() or _later(house))
    found = house.run("digits", "killed")
    assert (found.state, len(house.column("digits", "killed", "x"))) == ("crashed", 100)
    assert "no sign of life" in found.reason


def _later(house: House) -> bool:
    house.late += 61.0
    return False
