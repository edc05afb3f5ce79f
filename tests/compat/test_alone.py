"""Without a server of the user's: an agent, or `besom run`, sees to it that a script's own client finds besom."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from besom import local
from besom import settings as settings_module
from besom.agents.loop import Observer, Rules
from besom.agents.work import work
from besom.core.names import SweepPath

TRIAL = """
import sys, wandb
run = wandb.init(project="alone")
for i in range(3):
    run.log({"loss": run.config.get("a", 5) + i})
print(wandb.__name__, *sys.argv[1:])
sys.exit(3 if sys.argv[1:] else 0)
"""


class Heard(Observer):
    """What the agent had to say."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


def test_an_agent_and_besom_run_bring_the_client_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    for name, value in {
        "BESOM_DIR": str(tmp_path / "store"),
        "BESOM_ENTITY": "ann",
        "BESOM_PROJECT": "alone",
        "WANDB_SILENT": "true",
    }.items():
        monkeypatch.setenv(name, value)
    Path("train.py").write_text(TRIAL)
    settings = settings_module.load()
    alone = subprocess.Popen(
        [sys.executable, "-m", "besom", "run", "train.py", "--lr=1"], stdout=subprocess.PIPE, text=True
    )
    sweep = local.hub(settings).create_sweep(
        "ann", "alone", {"program": "train.py", "method": "grid", "metric": {"name": "loss"}, "parameters": {"a": {"values": [1]}},
                         "command": ["python", "${program}"]},
    )  # fmt: skip
    heard = Heard()
    outcome = work(settings, f"ann/alone/{sweep.id}", limits=Rules(beat=0.2), observer=heard)
    said, _ = alone.communicate()
    (trial,) = local.hub(settings).sweep(SweepPath("ann", "alone", sweep.id)).trials
    runs = {run.id: run for run in local.hub(settings).runs("ann", "alone").runs}
    (other,) = [run for run in runs.values() if run.id != trial.run]
    local.close(settings)
    assert (outcome.ok, outcome.finished, trial.value, trial.state) == (True, 1, 1, "finished")
    assert (runs[trial.run].sweep, runs[trial.run].summary["loss"], runs[trial.run].config) == (sweep.id, 3, {"a": 1})
    assert (said.split(), alone.returncode) == (["wandb", "--lr=1"], 3)
    assert (other.state, other.exit_code, other.summary["loss"]) == ("failed", 3, 7)
    assert heard.warnings == []
