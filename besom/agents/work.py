"""An agent from its first word to its last: settings and a sweep in, an Outcome out. `besom agent` and `besom.agent` call it.

It finds the sweep, chooses how trials run (program or function), and hands over to the loop. Draws nothing.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any

from besom.agents import function as functions
from besom.agents import program as programs
from besom.agents.guard import Guard
from besom.agents.loop import KILL_DELAY, MOST_INITIAL, Child, Driver, Observer, Outcome, Rules, Session, wrote
from besom.client import Client, connect
from besom.core.errors import NotFound, UsageError, did_you_mean
from besom.core.names import SweepPath, parse_sweep_path
from besom.core.wire import Command
from besom.settings import Settings

PATIENCE = 3.0
"""Seconds that one heartbeat tries to reach the hub; the next one comes anyway."""


def rules(count: int | None = None, consecutive: int | None = None) -> Rules:
    """The rules that arguments and the environment (BESOM_AGENT_*, docs/sweep-yaml.md) give. Raises UsageError."""
    for value, name in ((count, "count"), (consecutive, "max_consecutive_failed_runs")):
        if value is not None and value < 1:
            raise UsageError(f"{name} is a number of trials from 1 on, not {value}")
    return Rules(
        count,
        consecutive,
        initial=int(programs.patience("MAX_INITIAL_FAILURES", MOST_INITIAL)),
        flapping=not programs.switched("DISABLE_FLAPPING"),
        kill_delay=programs.patience("KILL_DELAY", KILL_DELAY),
    )


def work(
    settings: Settings,
    sweep: str,
    *,
    function: Callable[[], Any] | None = None,
    isolate: bool | str = False,
    limits: Rules | None = None,
    observer: Observer | None = None,
) -> Outcome:
    """Run trials of `sweep` (ENTITY/PROJECT/ID, PROJECT/ID or ID) in the calling thread until there is nothing left to do.

    `isolate`: give each function trial its own process; "fork" or "spawn" says how. Raises NotFound for an unknown sweep,
    UsageError when nothing can be run, Unavailable when the hub is out of reach at the start.
    """
    with connect(settings, patience=PATIENCE) as client:
        path = find(client, settings, sweep)
        teller = observer or Observer()
        if function is not None and not callable(function):
            raise UsageError(f"function is something to call without arguments, not {function!r}")
        if function is None:
            made = recipe(client, settings, path)
            with programs.foreign(made.program, made.environment, settings.dir / "alias", settings.server) as needed:
                made = dataclasses.replace(made, foreign=needed)
                return _programs(Session(client, path, teller, limits or rules()), made, settings)
        session = Session(client, path, teller, limits or rules())
        if isolate:
            return functions.isolated(session, function, settings, isolate if isinstance(isolate, str) else "")
        return functions.work(session, function, settings)


def find(client: Client, settings: Settings, text: str) -> SweepPath:
    """The sweep that `text` names; an ID alone is looked for in the project that is set, then in all. Raises NotFound."""
    if "/" in text.strip().strip("/"):
        return parse_sweep_path(text, entity=settings.entity, project=None)
    known = [SweepPath(view.entity, view.project, view.id) for view in client.sweeps(settings.entity).sweeps]
    same = [path for path in known if path.id == text.strip()]
    here = [path for path in same if path.project == settings.project] or same
    if not here:
        hint = did_you_mean(text, [path.id for path in known]) or " besom sweep list shows those there are."
        raise NotFound(f"there is no sweep {text!r}.{hint}")
    if len(here) > 1:
        raise UsageError(f"{text} is a sweep of several projects: say which, {' or '.join(map(str, here))}")
    return here[0]


def recipe(client: Client, settings: Settings, path: SweepPath) -> programs.Recipe:
    """How this sweep's trials are run from here. Raises UsageError when nothing can be run."""
    view = client.sweep(*path)
    environment = {**os.environ, "BESOM_DIR": str(settings.dir.absolute())}
    if settings.server:
        environment |= {"BESOM_SERVER": settings.server} | (
            {"BESOM_API_KEY": settings.api_key} if settings.api_key else {}
        )
    return programs.recipe(
        view.config,
        sweep=path.id,
        entity=path.entity,
        project=path.project,
        folder=(settings.dir / "sweeps" / path.id).absolute(),
        environment=environment,
    )


def _programs(session: Session, recipe: programs.Recipe, settings: Settings) -> Outcome:
    guard = Guard()
    session.warn(programs.alias_warning(recipe))

    def start(command: Command, on_exit: Callable[[], None]) -> Child:
        line = recipe.line(command.params, command.run)
        for text in line.warnings:
            session.warn(text)
        recipe.write(command)

        def ended() -> None:
            if not line.carries and not recipe.foreign and not wrote(settings.journals, command.run):
                session.warn(UNREACHED)
            on_exit()

        tell = session.observer.output
        return programs.Process(
            line.argv, recipe.env(command), on_line=lambda text: tell(command.run, text), on_exit=ended
        )

    def group(pid: int, begins: bool) -> None:
        (guard.watch if begins else guard.forget)(pid)

    try:
        return Driver(session, start, settings.journals if settings.server else None, group).run()
    finally:
        guard.close()


UNREACHED = (
    "no parameter reaches the program: its command has no ${args} and the program does not call besom.init(), which would"
    " give it the values in besom.config"
)
