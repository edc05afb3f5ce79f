"""`besom agent --launcher slurm|ray`: hand a sweep's agents to a cluster and come back; stop those that were handed over.

Their handles are kept in the sweep's folder of the store, so that another call finds them. Knows no trial.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from besom.agents.launch import Launcher
from besom.agents.launch.ray import Ray
from besom.agents.launch.slurm import Slurm
from besom.agents.loop import Rules
from besom.cli.crowd import command, shares
from besom.cli.output import note, say
from besom.core.errors import UsageError

if TYPE_CHECKING:
    from besom.core.names import SweepPath
    from besom.settings import Settings

KINDS: dict[str, Callable[[Sequence[str], str], Launcher]] = {"slurm": Slurm, "ray": Ray}


class Cluster:
    """The agents of one sweep on one kind of cluster. `options`: words for the launcher, as in a shell."""

    def __init__(self, settings: Settings, path: SweepPath, kind: str, options: str) -> None:
        try:
            words = shlex.split(options)
        except ValueError as error:
            raise UsageError(f"--launcher-options: {error} in {options!r}") from None
        self._settings, self._path, self._kind = settings, path, kind
        self._launcher: Launcher = KINDS[kind](words, f"besom-{path.id}")
        self._file = settings.dir.absolute() / "sweeps" / path.id / f"agents-{kind}"

    def start(self, parallel: int, limits: Rules) -> None:
        """Start the agents, which share out `limits.count`, and say how to see and to stop them."""
        env = {**os.environ, "BESOM_DIR": str(self._settings.dir.absolute())}
        if self._settings.server:
            env["BESOM_SERVER"] = self._settings.server
        handles: list[str] = []
        try:
            for share, agents in Counter(shares(limits.count, parallel)).items():
                argv = command(self._path, dataclasses.replace(limits, count=share))
                handles += self._launcher.launch(argv, count=agents, env=env, cwd=os.getcwd())  # noqa: PTH109
        except UsageError:
            self._launcher.stop(handles, grace=0)
            raise
        if not self._settings.server:
            note(
                f"no server is set, so agents write to the store in {self._settings.dir.absolute()}: right for agents of this"
                " machine only; those of other machines need a server, see `besom login --host`"
            )
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.writelines(f"{handle}\n" for handle in handles)
        say(
            f"{len(handles)} {'agent' if len(handles) == 1 else 'agents'} on {self._kind.capitalize()}: {' '.join(handles)}"
        )
        say(f"see the sweep    besom sweep show {self._path}")
        if self._kind == "slurm":
            say(f"see the agents   squeue --name besom-{self._path.id}")
        say(f"stop the agents  besom agent {self._path} --launcher {self._kind} --stop")

    def stop(self, limits: Rules) -> None:
        """End those that are still there, and forget all."""
        handles = self._file.read_text(encoding="utf-8").split() if self._file.exists() else []
        states = self._launcher.states(handles)
        living = [handle for handle, code in zip(handles, states, strict=True) if code is None]
        self._launcher.stop(living, grace=limits.kill_delay)
        self._file.unlink(missing_ok=True)
        if living:
            said = "agent has" if len(living) == 1 else "agents have"
            say(f"{len(living)} {said} left; their trials are back in the sweep")
        else:
            say(f"no agent that was started here runs on {self._kind.capitalize()} any more")
