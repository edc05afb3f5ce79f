"""`besom.sweep` and `besom.agent`: sweeps from Python. The public face loads this module when one of them is named.

They are thin: a sweep is created through the client, an agent is `work.work` with an observer that prints plain lines.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from besom import settings as settings_module
from besom.agents import work
from besom.agents.loop import Observer, Outcome
from besom.client import connect
from besom.core.dialect import load
from besom.core.errors import ConfigError, UsageError
from besom.core.wire import Command, Done, SweepView, TrialView
from besom.sdk import notice
from besom.settings import Settings


def sweep(
    sweep: Mapping[str, Any] | str | os.PathLike[str] | Callable[[], Mapping[str, Any]],
    entity: str | None = None,
    project: str | None = None,
    prior_runs: Sequence[str] = (),
) -> str:
    """Create a sweep and return its id. `sweep`: a dictionary as in docs/sweep-yaml.md, or the path of a YAML file.

    The project is `project`, else the one that the environment or a settings file chose, else the config's own. Raises
    ConfigError that names the key (or line and column) that is wrong. `prior_runs`: ids of runs to
    learn from, as under the key `warm_start`.
    """
    warnings: list[str] = []
    config = _config(sweep, warnings)
    if prior_runs:
        config["warm_start"] = [*(config.get("warm_start") or ()), *prior_runs]
    settings = settings_module.load(entity=entity, project=project)
    chosen = settings.origin("project") != "default"
    home = settings.project if chosen else str(config.get("project") or settings.project)
    owner = str(config.get("entity") or settings.entity) if settings.origin("entity") == "default" else settings.entity
    with connect(settings) as client:
        made = client.create_sweep(owner, home, config)
    for text in dict.fromkeys([*warnings, *made.warnings]):
        notice.warn(f"sweep {made.id}: {text}")
    notice.say(f"created sweep {made.id}; more agents join it with: besom agent {made.entity}/{made.project}/{made.id}")
    return made.id


def agent(
    sweep_id: str,
    function: Callable[[], Any] | None = None,
    entity: str | None = None,
    project: str | None = None,
    count: int | None = None,
    forward_signals: bool | None = None,
    term_timeout: float | None = None,
    max_consecutive_failed_runs: int | None = None,
    *,
    isolate: bool | str = False,
) -> Outcome:
    """Run trials of a sweep in this process until it ends, or `count` of them.

    `function` is called without arguments for each trial, in the calling thread; its `besom.init()` becomes the trial and
    `besom.config` holds the parameters. Without it the sweep's program runs. A function that raises fails its trial and the
    next one begins; ``isolate=True`` gives each trial a process of its own (see agents/function.py). Signals always go on to
    a program, so `forward_signals` and `term_timeout` change nothing. Raises NotFound for an unknown sweep.
    """
    settings: Settings = settings_module.load(entity=entity, project=project)
    limits = work.rules(count, max_consecutive_failed_runs)
    return work.work(settings, sweep_id, function=function, isolate=isolate, limits=limits, observer=Lines())


class Lines(Observer):
    """Plain lines on stderr, for Python callers. A program's own lines go to stdout as they come."""

    def __init__(self) -> None:
        self._metric = ""
        self._names: dict[str, str] = {}

    def registered(self, agent: str, sweep: SweepView) -> None:
        self._metric = sweep.metric or "value"

    def started(self, command: Command) -> None:
        self._names[command.run] = f"trial {command.number} ({command.name or command.run})"
        params = ", ".join(f"{key}={value}" for key, value in command.params.items())
        again = f", attempt {command.attempt}" if command.attempt > 1 else ""
        notice.say(f"{self._names[command.run]}{again}: {params}")

    def output(self, run: str, text: str) -> None:
        print(text, flush=True)

    def finished(self, run: str, done: Done, seconds: float) -> None:
        reason = f": {done.reason}" if done.reason and done.state != "finished" else ""
        notice.say(f"{self._names.get(run, run)} {done.state} after {seconds:.1f} s{reason}")

    def stopped(self, run: str, reason: str) -> None:
        notice.say(f"{self._names.get(run, run)} is told to stop: {reason}")

    def waiting(self, reason: str) -> None:
        if reason:
            notice.say(f"waiting: {reason}")

    def warning(self, text: str) -> None:
        notice.say(f"warning: {text}")

    def ended(self, outcome: Outcome) -> None:
        notice.say(f"the agent leaves: {outcome.reason}")
        best: TrialView | None = outcome.best
        if best is not None and best.value is not None:
            params = ", ".join(f"{key}={value}" for key, value in best.params.items())
            notice.say(f"best {self._metric} {best.value:.6g} by run {best.run} ({params})")


def _config(sweep: Any, warnings: list[str]) -> dict[str, Any]:
    """A sweep's config as a dictionary, from what `sweep()` takes."""
    if callable(sweep):
        sweep = sweep()
    if isinstance(sweep, (str, os.PathLike)):
        path = Path(sweep)
        try:
            sweep = load(path.read_text(encoding="utf-8"), str(path), warnings)
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"a sweep is a dictionary or a YAML file, and {str(path)!r} cannot be read: {error}"
            ) from None
        if not isinstance(sweep, Mapping):
            raise ConfigError("a sweep is a mapping of keys such as method and parameters", where=str(path))
    if not isinstance(sweep, Mapping):
        raise UsageError(f"a sweep is a dictionary or the path of a YAML file, not {type(sweep).__name__}")
    return {str(key): value for key, value in sweep.items()}
