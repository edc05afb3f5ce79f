"""Launchers start agents somewhere: here, on Slurm, on Ray. They never see a trial; agents ask the hub themselves.

    class Launcher(Protocol)       one way to start agents
    launch/local.py                as processes of this machine
    launch/slurm.py                as tasks of a Slurm job array
    launch/ray.py                  as detached actors of a Ray cluster

An implementation inherits the tests of besom/testing/launcher.py.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Protocol

from besom.core.errors import UsageError


class Launcher(Protocol):
    """Starts and ends agents.

    Ownership: what a launcher started it can end; a handle is a text that stays valid for another launcher object of the
    same kind on the same machine, so that a second command can stop what a first one started. Threads: one caller at a time.
    Unspecified: in which order agents start, and when; a cluster may queue them.
    """

    def launch(self, argv: Sequence[str], *, count: int, env: Mapping[str, str], cwd: str) -> list[str]:
        """Start `count` agents, each with this command line, environment and folder. Returns a handle for each.

        All or none: when one cannot be started, those that were are ended and UsageError is raised.
        """

    def states(self, handles: Sequence[str]) -> list[int | None]:
        """The exit code of each agent, in the order of `handles`; None while it runs or waits to run.

        Of an agent that ended and whose code nobody can know any more it is -1.
        """

    def stop(self, handles: Sequence[str], *, grace: float) -> None:
        """Ask the agents to leave (SIGTERM or its like), so that they give their trials back, and end those that are still
        there after `grace` seconds. Returns when none is left; handles of agents that ended already change nothing."""


def check(argv: Sequence[str], env: Mapping[str, str]) -> None:
    """Raises UsageError when the agent's program is not here; a cluster would tell it late and in a file."""
    if shutil.which(argv[0], path=env.get("PATH")) is None:
        raise UsageError(f"the agent cannot be started as {argv[0]!r}: there is no such program")
