"""What most commands begin with: the settings, a client, and the run or sweep that was named.

Names may be short: an id alone is looked up in every project. Knows the client, prints nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from besom.core.errors import NotFound, UsageError, did_you_mean
from besom.core.names import RunPath, SweepPath, parse_sweep_path

if TYPE_CHECKING:
    from besom.client import Client
    from besom.core.wire import SweepView
    from besom.settings import Settings


PATIENCE = 5.0
"""Seconds that a command at the terminal waits for a server that does not answer."""


def project_options(command: Any) -> Any:
    """`-p/--project` and `-e/--entity`."""
    command = click.option("-e", "--entity", metavar="NAME", help="Entity. Default: your login name.")(command)
    return click.option("-p", "--project", metavar="NAME", help="Project.")(command)


@contextmanager
def session(**arguments: Any) -> Iterator[tuple[Settings, Client]]:
    """The settings (arguments that are None do not count) and a client that is closed at the end."""
    from besom.client import connect
    from besom.settings import load

    settings = load(**{name: value for name, value in arguments.items() if value is not None})
    client = connect(settings, patience=PATIENCE)
    try:
        yield settings, client
    finally:
        client.close()


def chosen_project(settings: Settings) -> str | None:
    """The project that the user chose by an option, the environment or a file; None when it is only the default."""
    return settings.project if settings.origin("project") != "default" else None


def find_sweep(client: Client, settings: Settings, text: str) -> SweepPath:
    """The sweep named by ENTITY/PROJECT/ID, PROJECT/ID or ID. Raises NotFound or UsageError."""
    if "/" in text.strip("/"):
        return parse_sweep_path(text, entity=settings.entity, project=None)
    found = client.sweeps().sweeps
    project = chosen_project(settings)
    same = [sweep for sweep in found if sweep.id == text and project in (None, sweep.project)]
    same = same or [sweep for sweep in found if sweep.name == text and project in (None, sweep.project)]
    if len(same) > 1:
        raise UsageError(f"{text} is a sweep in {', '.join(path_of(sweep) for sweep in same)}: name one in full")
    if not same:
        known = {sweep.id: path_of(sweep) for sweep in found}
        hint = did_you_mean(text, known) or (" `besom sweep list` shows all." if known else " There is no sweep yet.")
        raise NotFound(f"there is no sweep {text!r}.{hint}")
    return SweepPath(same[0].entity, same[0].project, same[0].id)


def path_of(sweep: SweepView) -> str:
    """ENTITY/PROJECT/ID."""
    return f"{sweep.entity}/{sweep.project}/{sweep.id}"


def find_project(client: Client, settings: Settings, text: str | None) -> tuple[str, str]:
    """(entity, project) of PROJECT or ENTITY/PROJECT; without a name the chosen one, else the only one there is."""
    if text:
        parts = text.strip("/").split("/")
        if len(parts) > 2:
            raise UsageError(f"a project is PROJECT or ENTITY/PROJECT, and {text!r} is neither")
        return (parts[0], parts[1]) if len(parts) == 2 else (settings.entity, parts[0])
    project = chosen_project(settings)
    if project:
        return settings.entity, project
    there = client.projects().projects
    if len(there) == 1:
        return there[0].entity, there[0].project
    if not there:
        raise NotFound("there are no runs yet: a script that calls besom.init() makes the first")
    names = ", ".join(
        view.project if view.entity == settings.entity else f"{view.entity}/{view.project}" for view in there
    )
    raise UsageError(f"name one of your projects: {names}")


def check_project(client: Client, entity: str, project: str) -> None:
    """Raises NotFound, with what is near, unless the project has a run or a sweep."""
    there = client.projects().projects
    if not any((view.entity, view.project) == (entity, project) for view in there):
        names = [view.project for view in there]
        hint = did_you_mean(project, names) or (
            f" There are: {', '.join(names[:20])}." if names else " There are no runs yet."
        )
        raise NotFound(f"there is no project {entity}/{project}.{hint}")


def find_run(client: Client, settings: Settings, text: str) -> RunPath:
    """The run named by ENTITY/PROJECT/ID, PROJECT/ID, ID, or by its name when only one run has it."""
    parts = text.strip("/").split("/")
    if len(parts) == 3:
        return RunPath(*parts)
    if len(parts) == 2:
        places = [(settings.entity, parts[0])]
    elif len(parts) == 1:
        project = chosen_project(settings)
        places = (
            [(settings.entity, project)] if project else [(v.entity, v.project) for v in client.projects().projects]
        )
    else:
        raise UsageError(f"a run is ENTITY/PROJECT/ID, PROJECT/ID or ID, and {text!r} is none of them")
    word = parts[-1]
    found = []
    for entity, project in places:
        try:
            view = client.run(entity, project, word)
            found.append(RunPath(view.entity, view.project, view.id))
        except NotFound:
            pass
    if not found:
        for entity, project in places:
            page = client.runs(entity, project, filter=f'name = "{word}"' if '"' not in word else "", limit=20)
            found += [RunPath(view.entity, view.project, view.id) for view in page.runs if view.name == word]
    if len(found) > 1:
        raise UsageError(f"{text!r} is the name of {', '.join('/'.join(path) for path in found)}: name one by its id")
    if not found:
        raise NotFound(f"there is no run {text!r}. `besom runs` shows them")
    return found[0]
