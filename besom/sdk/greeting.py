"""The two lines that a run says: where to see it, when it begins and when it ends.

With a server that is the run's page, without one the exact command to paste. Also whoever the page's address is asked of.
"""

from __future__ import annotations

import os
import shlex
from typing import Protocol

from besom.sdk import notice
from besom.sdk.ending import End
from besom.settings import Settings


class Greeted(Protocol):
    """What is told of a run."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def step(self) -> int: ...
    @property
    def resumed(self) -> bool: ...
    @property
    def ended(self) -> End | None: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def dropped(self) -> dict[str, int]: ...


def page(server: str, path: str) -> str:
    """The address of a run's page. `path`: ENTITY/PROJECT/ID."""
    return f"{server}/{path.rpartition('/')[0]}/runs/{path.rpartition('/')[2]}"


def see(run: Greeted) -> str:
    """The run's page, or the exact line that shows it without a server."""
    settings = run.settings
    if settings.server:
        return page(settings.server, run.path)
    before = ""
    if settings.origin("server").startswith("mode"):
        before += "BESOM_MODE=offline "
    if settings.origin("dir") == "argument":
        before += f"BESOM_DIR={shlex.quote(os.fspath(settings.dir))} "
    return f"{before}besom run {run.id}"


def hello(run: Greeted) -> None:
    """Said when the run begins."""
    if run.settings.mode == "disabled":
        return
    again = f" goes on at step {run.step}" if run.resumed else ""
    notice.say(f"run {run.name} in {run.path.split('/')[1]}{again}. See it: {see(run)}")


def goodbye(run: Greeted) -> None:
    """Said when the run has ended."""
    if run.settings.mode == "disabled" or run.ended is None:
        return
    state, reason = run.ended.state, run.ended.reason.partition("\n")[0]
    lost = sum(run.dropped.values())
    parts = [f"run {run.name} {state}{f' ({reason})' if reason else ''}"]
    if lost:
        parts.append(f"{lost} records were lost ({', '.join(f'{n} {why}' for why, n in run.dropped.items())})")
    notice.say(f"{'; '.join(parts)}. See it: {see(run)}")
