"""The launcher of this machine."""

from __future__ import annotations

import os
from pathlib import Path

from besom.agents.launch.local import Local
from besom.testing.launcher import LauncherContract


class TestLocal(LauncherContract):
    def make(self) -> Local:
        return Local()

    def test_a_pid_that_came_back_as_another_process_is_not_the_agent(self, tmp_path: Path) -> None:
        handle = f"{os.getpid()}:12345.00"
        assert Local().states([handle, "no handle"]) == [-1, -1]
        Local().stop([handle], grace=1)
