"""What every launcher owes its users, as a test class to inherit.

`make()` gives a launcher; the agents that the tests start are small programs of `argv`. The laws: as many start as were
asked for, or none; exit codes come back in order; what was asked to leave may do so in good order and is ended otherwise;
a handle means the same to another launcher of its kind.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from besom.agents.launch import Launcher
from besom.core.errors import UsageError

PATIENCE = 60.0


class LauncherContract:
    """Inherit and give `make`. `here` is a folder that both this process and the agents see."""

    @pytest.fixture
    def here(self, tmp_path: Path) -> Path:
        """An empty folder."""
        folder = tmp_path / "agents"
        folder.mkdir()
        return folder

    def make(self) -> Launcher:
        """A fresh launcher of the kind under test."""
        raise NotImplementedError

    def start(self, launcher: Launcher, here: Path, code: str, count: int = 1, **env: str) -> list[str]:
        """Agents that run `code`."""
        return launcher.launch([sys.executable, "-c", code], count=count, env={**os.environ, **env}, cwd=str(here))

    def until(self, launcher: Launcher, handles: list[str], here: Path, files: int) -> None:
        """Wait until the agents have written `files` files."""
        end = time.monotonic() + PATIENCE
        while len(list(here.iterdir())) < files and time.monotonic() < end:
            time.sleep(0.02)
        assert len(list(here.iterdir())) == files, launcher.states(handles)

    def ended(self, launcher: Launcher, handles: list[str]) -> list[int | None]:
        """Their exit codes, once they have all ended."""
        end = time.monotonic() + PATIENCE
        while None in launcher.states(handles) and time.monotonic() < end:
            time.sleep(0.02)
        return launcher.states(handles)

    def test_as_many_agents_start_as_were_asked_for_in_their_folder_and_environment(self, here: Path) -> None:
        launcher = self.make()
        code = "import os; open(f'{os.getpid()}', 'w').write(os.environ['WORD'])"
        handles = self.start(launcher, here, code, count=3, WORD="hello")
        assert len(set(handles)) == 3
        assert self.ended(launcher, handles) == [0, 0, 0]
        assert [path.read_text() for path in here.iterdir()] == ["hello"] * 3

    def test_exit_codes_come_back_in_the_order_of_the_handles(self, here: Path) -> None:
        launcher = self.make()
        handles = [self.start(launcher, here, f"raise SystemExit({code})")[0] for code in (3, 0, 5)]
        assert self.ended(launcher, handles) == [3, 0, 5]
        assert launcher.states(handles[::-1]) == [5, 0, 3]

    def test_an_agent_that_is_asked_to_leave_does_so_in_good_order(self, here: Path) -> None:
        launcher = self.make()
        code = (
            "import signal, sys, pathlib\n"
            "signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path('left').touch(), sys.exit(0)))\n"
            "pathlib.Path('here').touch()\n"
            "while True: signal.pause()"
        )
        handles = self.start(launcher, here, code)
        self.until(launcher, handles, here, 1)
        assert launcher.states(handles) == [None]
        launcher.stop(handles, grace=PATIENCE)
        assert (here / "left").exists() and launcher.states(handles) == [0]
        launcher.stop(handles, grace=0)

    def test_an_agent_that_does_not_listen_is_ended(self, here: Path) -> None:
        launcher = self.make()
        code = (
            "import signal, pathlib\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "pathlib.Path('here').touch()\n"
            "while True: signal.pause()"
        )
        handles = self.start(launcher, here, code)
        self.until(launcher, handles, here, 1)
        launcher.stop(handles, grace=0.2)
        assert launcher.states(handles)[0] not in (None, 0)

    def test_a_handle_means_the_same_to_another_launcher(self, here: Path) -> None:
        handles = self.start(self.make(), here, "import time, pathlib; pathlib.Path('here').touch(); time.sleep(600)")
        other = self.make()
        self.until(other, handles, here, 1)
        assert other.states(handles) == [None]
        other.stop(handles, grace=PATIENCE)
        assert other.states(handles) != [None]

    def test_all_start_or_none(self, here: Path) -> None:
        with pytest.raises(UsageError, match="cannot be started"):
            self.make().launch(["no-such-agent"], count=2, env=dict(os.environ), cwd=str(here))
