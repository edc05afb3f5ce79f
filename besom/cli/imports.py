"""`besom import`: runs of other tools, sent through the client like those of a journal. What a file means is exchange's."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import click

from besom.cli.output import console, json_option, note, say, show_json, warn
from besom.cli.session import session
from besom.core.errors import BesomError, NotFound, UsageError
from besom.core.names import RunPath, clean
from besom.exchange.kinds import KINDS, find
from besom.exchange.source import Source, carry

if TYPE_CHECKING:
    from besom.client import Client


@click.command("import", epilog="; ".join(f"{name}: {kind.takes}" for name, kind in KINDS.items()))
@click.argument("kind", metavar="KIND")
@click.argument("place", metavar="PATH")
@click.option("-p", "--project", metavar="NAME", help="Project to import into. Default: what the source calls it.")
@click.option("-e", "--entity", metavar="NAME", help="Entity. Default: your login name.")
@json_option
def import_(kind: str, place: str, project: str | None, entity: str | None, as_json: bool) -> None:
    """Import runs of another tool: its files, its database or its server.

    KIND says which tool, PATH what to read; both stand below. Importing again adds only what is new.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    problems: list[str] = []

    def tell(text: str) -> None:
        problems.append(text)
        warn(text)

    with session(entity=entity) as (settings, client):
        sources = find(kind, place, tell)
        added: Counter[RunPath] = Counter()
        columns = TextColumn("importing {task.fields[name]}"), BarColumn(), MofNCompleteColumn()
        with Progress(*columns, console=console(True), transient=True, disable=not console(True).is_terminal) as bar:
            task = bar.add_task("", total=len(sources), name="")
            for source in sources:
                bar.update(task, name=source.name)
                path = RunPath(settings.entity, project or clean(source.project) or settings.project, source.id)
                try:
                    added[path] += _bring(client, path, source, kind)
                except UsageError as error:
                    if len(sources) == 1:
                        raise
                    tell(f"{source.name}: {error}")
                except BesomError:
                    raise
                except Exception as error:  # foreign files and libraries: one bad run must not keep back the others
                    tell(f"{source.name}: this run cannot be read: {type(error).__name__}: {error}")
                bar.advance(task)
    _tell(added, as_json)
    if problems:
        raise click.exceptions.Exit(1)


def _bring(client: Client, path: RunPath, source: Source, kind: str) -> int:
    """How many records of a run were not there yet. Raises UsageError where a run of this name came by another way."""
    try:
        before = client.run(*path).meta.get("imported", "")
    except NotFound:
        before = kind
    if before != kind:
        way = f"by besom import {before}" if before else "by its own script"
        raise UsageError(f"the run {'/'.join(path)} is here already, brought {way}; import it into another project")
    return carry(source, partial(client.position, *path), partial(client.append, *path), client.keep)


def _tell(added: Counter[RunPath], as_json: bool) -> None:
    if as_json:
        show_json([{**path._asdict(), "records": n} for path, n in added.items()])
        return
    for project, n in Counter((path.entity, path.project) for path in added).items():
        new = [k for path, k in added.items() if path[:2] == project and k]
        say(f"{n} runs in {'/'.join(project)}: {len(new)} with something new, {sum(new)} records")
        note(f"besom runs {'/'.join(project)}")
