"""The launchers: this machine, a real Slurm and a real Ray; and whole sweeps through them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from besom.agents.launch.local import Local
from besom.agents.launch.ray import Ray
from besom.agents.launch.slurm import Slurm
from besom.cli import main
from besom.core.errors import UsageError
from besom.testing.launcher import PATIENCE, LauncherContract

from . import clusters
from .conftest import Bench


class TestLocal(LauncherContract):
    def make(self) -> Local:
        return Local()

    def test_a_pid_that_came_back_as_another_process_is_not_the_agent(self, tmp_path: Path) -> None:
        handle = f"{os.getpid()}:12345.00"
        assert Local().states([handle, "no handle"]) == [-1, -1]
        Local().stop([handle], grace=1)


@pytest.fixture(scope="module")
def slurm() -> Iterator[None]:
    with clusters.slurm():
        yield


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    with clusters.ray():
        yield


needs_slurm = pytest.mark.skipif(bool(clusters.slurm_is_missing()), reason=clusters.slurm_is_missing())
CLUSTERS = pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param("slurm", "--output=/dev/null --cpus-per-task=2", marks=needs_slurm),
        pytest.param("ray", "num_cpus=2"),
    ],
)


@pytest.fixture
def cluster(request: pytest.FixtureRequest, kind: str) -> None:
    """The cluster of this kind runs."""
    request.getfixturevalue(kind)


@needs_slurm
@pytest.mark.usefixtures("slurm")
class TestSlurm(LauncherContract):
    def make(self) -> Slurm:
        return Slurm(["--output=/dev/null"], "besom-test")

    def test_a_job_that_waits_can_be_stopped(self, here: Path) -> None:
        launcher = Slurm(["--output=/dev/null", "--begin=now+3600"])
        handles = self.start(launcher, here, "pass", count=2)
        assert launcher.states(handles) == [None, None]
        launcher.stop(handles, grace=0)
        assert None not in launcher.states(handles) and not list(here.iterdir())

    def test_a_preempted_agent_is_told_to_leave_and_begins_again(self, here: Path) -> None:
        """What Slurm does when a job of higher priority takes the node: SIGTERM, then back into the queue."""
        launcher = self.make()
        code = (
            "import os, signal, sys, pathlib\n"
            "signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path('left').touch(), sys.exit(0)))\n"
            "pathlib.Path('again' if os.path.exists('left') else 'here').touch()\n"
            "while True: signal.pause()"
        )
        handles = self.start(launcher, here, code)
        self.until(launcher, handles, here, 1)
        subprocess.run(["scontrol", "requeue", *handles], check=True)
        self.until(launcher, handles, here, 2)
        assert launcher.states(handles) == [None]
        self.until(launcher, handles, here, 3)
        launcher.stop(handles, grace=PATIENCE)
        assert {path.name for path in here.iterdir()} == {"here", "left", "again"}

    def test_what_slurm_refuses_is_told_in_its_words(self, here: Path) -> None:
        with pytest.raises(UsageError, match="invalid partition specified: nowhere"):
            self.start(Slurm(["--partition=nowhere"]), here, "pass")

    def test_a_job_that_slurm_has_forgotten(self, here: Path) -> None:
        assert self.make().states(["4711_0"]) == [-1]


@pytest.mark.usefixtures("ray")
class TestRay(LauncherContract):
    def make(self) -> Ray:
        return Ray(["num_cpus=0.5"], "besom-test")

    def test_agents_that_wait_for_a_gpu_can_be_stopped(self, here: Path) -> None:
        launcher = Ray(["num_gpus=1"])
        handles = self.start(launcher, here, "pass", count=2)
        assert launcher.states(handles) == [None, None]
        launcher.stop(handles, grace=0)
        assert launcher.states(handles) == [-1, -1] and not list(here.iterdir())

    def test_an_agent_whose_node_is_lost_begins_again(self, here: Path) -> None:
        import ray

        from besom.agents.launch.ray import SPACE

        launcher = self.make()
        code = "import os, time, pathlib; pathlib.Path(str(os.getppid())).touch(); time.sleep(600)"
        handles = self.start(launcher, here, code)
        self.until(launcher, handles, here, 1)
        ray.kill(ray.get_actor(handles[0], namespace=SPACE), no_restart=False)
        self.until(launcher, handles, here, 2)
        assert launcher.states(handles) == [None]
        launcher.stop(handles, grace=PATIENCE)

    @pytest.mark.parametrize(
        ("option", "says"),
        [("num_gpu=1", "num_gpu"), ("num_gpus", "is written num_gpus=1"), ("num_cpus=-1", "num_cpus")],
    )
    def test_a_wrong_option_is_told(self, here: Path, option: str, says: str) -> None:
        with pytest.raises(UsageError, match=says):
            self.start(Ray([option]), here, "pass")


TRAIN = """
import besom
run = besom.init()
besom.log({"loss": (run.config["a"] - 1) ** 2 + (run.config["b"] - 3) ** 2})
"""
WAIT = """
import os, pathlib, time, besom
run = besom.init()
if run.config["a"] == 1 and os.environ["BESOM_ATTEMPT"] == "1":
    pathlib.Path("here").touch()
    time.sleep(600)
besom.log({"loss": run.config["a"]})
"""


def besom(*words: str, code: int = 0) -> str:
    """The command line; what it printed."""
    result = CliRunner().invoke(main, list(words), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def until(said: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not said():
        assert time.monotonic() < end
        time.sleep(0.1)


@CLUSTERS
@pytest.mark.usefixtures("cluster")
def test_a_grid_of_25_through_a_cluster_is_25_runs(bench: Bench, kind: str, options: str) -> None:
    axis = {"values": [0, 1, 2, 3, 4]}
    sweep = bench.sweep(program=bench.program(TRAIN), parameters={"a": axis, "b": axis})
    said = besom("agent", sweep.id, "--launcher", kind, "-n", "4", "--launcher-options", options)
    first, *hints = [line for line in said.splitlines() if not line.startswith("no server is set")]
    assert first.startswith(f"4 agents on {kind.capitalize()}: ") and len(first.split()) == 8
    assert hints[-1] == f"stop the agents  besom agent ann/dkt/{sweep.id} --launcher {kind} --stop"

    until(lambda: bench.look(sweep).state == "finished")
    runs = bench.runs().runs
    assert len(runs) == len({(run.config["a"], run.config["b"]) for run in runs}) == 25
    assert {(trial.state, trial.attempt) for trial in bench.look(sweep).trials} == {("finished", 1)}
    best = bench.look(sweep).best
    assert best is not None and best.params == {"a": 1, "b": 3}
    agents = {"slurm": Slurm, "ray": Ray}[kind]()
    until(lambda: None not in agents.states(first.split()[4:]))
    assert besom("agent", sweep.id, "--launcher", kind, "--stop").startswith("no agent that was started here")


@CLUSTERS
@pytest.mark.usefixtures("cluster")
def test_a_trial_whose_agent_is_cancelled_goes_back_to_the_sweep(bench: Bench, kind: str, options: str) -> None:
    sweep = bench.sweep(program=bench.program(WAIT), parameters={"a": {"values": [0, 1, 2]}})
    besom("agent", sweep.id, "--launcher", kind, "--launcher-options", options)
    until((bench.folder / "here").exists)
    if kind == "slurm":
        subprocess.run(["scancel", "--name", f"besom-{sweep.id}"], check=True)
    else:
        assert "1 agent has left" in besom("agent", sweep.id, "--launcher", kind, "--stop")
    until(lambda: bench.look(sweep).trials[1].state == "pending")

    assert bench.work(sweep).finished == 2
    view = bench.look(sweep)
    assert (view.state, [trial.attempt for trial in view.trials]) == ("finished", [1, 2, 1])
    assert len(bench.runs().runs) == 3
