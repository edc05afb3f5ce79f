"""The launchers: this machine, a real Slurm and a real Ray."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from besom.agents.launch.local import Local
from besom.agents.launch.ray import Ray
from besom.agents.launch.slurm import Slurm
from besom.core.errors import UsageError
from besom.testing.launcher import PATIENCE, LauncherContract

from . import clusters


class TestLocal(LauncherContract):
    def make(self) -> Local:
        return Local()

    def test_a_pid_that_came_back_as_another_process_is_not_the_agent(self, tmp_path: Path) -> None:
        handle = f"{os.getpid()}:12345.00"
        assert Local().states([handle, "no handle"]) == [-1, -1]
        Local().stop([handle], grace=1)


@pytest.mark.skipif(bool(clusters.slurm_is_missing()), reason=clusters.slurm_is_missing())
class TestSlurm(LauncherContract):
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def cluster(cls) -> Iterator[None]:
        with clusters.slurm():
            yield

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


class TestRay(LauncherContract):
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def cluster(cls) -> Iterator[None]:
        with clusters.ray():
            yield

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
