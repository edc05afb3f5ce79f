"""The two lines that a run says: where to see it, when it begins and when it ends.

With a server that is the run's page, without one the exact command to paste.
"""

from __future__ import annotations

import os
import shlex

from besom.sdk import notice
from besom.sdk.ending import End
from besom.sdk.identity import Identity


def see(run: Identity) -> str:
    """The run's page, or the exact line that shows it without a server."""
    settings = run.settings
    if run.url is not None:
        return run.url
    before = ""
    if settings.origin("server").startswith("mode"):
        before += "BESOM_MODE=offline "
    if settings.origin("dir") == "argument":
        before += f"BESOM_DIR={shlex.quote(os.fspath(settings.dir))} "
    return f"{before}besom run {run.id}"


def hello(run: Identity) -> None:
    """Said when the run begins."""
    if run.disabled:
        return
    again = f" goes on at step {run.step}" if run.resumed else ""
    notice.say(f"run {run.name} in {run.project}{again}. See it: {see(run)}")


def goodbye(run: Identity, end: End, dropped: dict[str, int]) -> None:
    """Said when the run has ended. `dropped`: reason -> number of records."""
    if run.disabled:
        return
    reason = end.reason.partition("\n")[0]
    lost = sum(dropped.values())
    parts = [f"run {run.name} {end.state}{f' ({reason})' if reason else ''}"]
    if lost:
        parts.append(f"{lost} records were lost ({', '.join(f'{n} {why}' for why, n in dropped.items())})")
    notice.say(f"{'; '.join(parts)}. See it: {see(run)}")
