"""Starts the one detached process that ships journals to a server and sends alerts: ``python -m besom deliver``.

Fire and forget: it has its own lock, so a second one leaves at once; if it cannot be started, the journals lie where
they are and the next besom command carries them. Never blocks, never raises.
"""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path
from typing import Any

from besom.sdk import notice
from besom.settings import BY_NAME, Settings

_OF_THE_RUN = ("name", "notes", "tags", "group", "job_type", "run_id", "resume", "sweep_id", "sweep_params", "attempt")
_started: list[Any] = []
"""Carriers that were started here and may still run; `Any`, because most scripts never load `subprocess`."""


def needed(settings: Settings) -> bool:
    """True when there is something to carry to: a server, or alert channels."""
    return bool(settings.server) or (settings.dir / "deliver.on").exists()


def start(settings: Settings) -> None:
    """Start the carrier, detached from this process, its terminal and its group."""
    import subprocess

    for process in list(_started):
        if process.poll() is not None:  # asked, it leaves no zombie behind: an agent begins thousands of runs
            _started.remove(process)

    if not sys.executable:
        return  # embedded in another program: there is no Python to start
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "besom", "deliver"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=settings.home,
            env=environment(settings),
            start_new_session=True,
            close_fds=True,
        )
    except (OSError, ValueError) as error:
        notice.warn(f"the carrier of journals could not be started ({error}); `besom deliver` carries them later")
        return
    if not _started:
        atexit.register(_let_go)
    _started.append(process)


def _let_go() -> None:
    """They outlive us on purpose; Python would warn of children left running."""
    for process in _started:
        process.returncode = 0


def environment(settings: Settings) -> dict[str, str]:
    """This process's environment, without what belongs to its run, and with the store and server it uses."""
    dropped = {name for field in _OF_THE_RUN for name in BY_NAME[field].environment}
    env = {name: value for name, value in os.environ.items() if name not in dropped}
    env["BESOM_DIR"] = str(settings.dir)
    if settings.server:
        env |= {"BESOM_SERVER": settings.server, "BESOM_API_KEY": settings.api_key}
    root = Path(__file__).resolve().parents[2]
    if root.name not in ("site-packages", "dist-packages"):  # run from a source folder, which the carrier must find too
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), env.get("PYTHONPATH", "")]))
    return env
