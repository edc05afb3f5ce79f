"""`besom agent`: one agent in this process, or N as processes of this machine, with their progress. The loop is agents/'s."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from besom.cli.commands import FAILED, INTERRUPTED
from besom.cli.session import find_sweep, project_options, session
from besom.cli.sweeps import best_line

if TYPE_CHECKING:
    from besom.cli.progress import Look, Plain


@click.command("agent")
@click.argument("sweep", metavar="SWEEP")
@project_options
@click.option(
    "--count", type=click.IntRange(1), metavar="N", help="Leave after N trials, of all agents started here together."
)
@click.option(
    "-n",
    "--parallel",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="Agents to start on this machine.",
)
@click.option("-f", "--forward-signals", is_flag=True, help="Accepted: signals always reach the trials.")
@click.option(
    "-t",
    "--term-timeout",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="Time that a trial told to end has before it is killed. [default: 30]",
)
@click.option(
    "--max-consecutive-failed-runs",
    "consecutive",
    type=click.IntRange(1),
    metavar="N",
    help="Leave after N failures in a row.",
)
@click.option(
    "-v/-q", "--verbose/--quiet", default=None, help="Show what the trials print, or not. Default: not in a terminal."
)
@click.option(
    "--events",
    type=click.Path(path_type=Path),
    hidden=True,
    help="Tell the process that started this agent what happens.",
)
@click.pass_context
def agent(
    ctx: click.Context,
    sweep: str,
    project: str | None,
    entity: str | None,
    count: int | None,
    parallel: int,
    forward_signals: bool,
    term_timeout: float | None,
    consecutive: int | None,
    verbose: bool | None,
    events: Path | None,
) -> None:
    """Run trials of a sweep until it ends.

    SWEEP is ENTITY/PROJECT/ID, PROJECT/ID or ID. Start as many agents as you like. Ctrl-C hands the running trials back
    to the sweep and ends them; a second one insists, a third one kills.
    """
    from besom.agents import work
    from besom.cli import crowd

    limits = work.rules(count, consecutive)
    if term_timeout is not None:
        limits = dataclasses.replace(limits, kill_delay=term_timeout)
    with session(project=project, entity=entity) as (settings, client):
        if events is not None:
            report = crowd.Report(events)
            with crowd.problems_to(report):
                work.work(settings, sweep, limits=limits, observer=report)
            return
        path = find_sweep(client, settings, sweep)
        with progress(count, verbose, lambda run: client.run(path.entity, path.project, run)) as observer:
            if parallel > 1:
                outcomes = crowd.run(settings, path, parallel, limits, observer)
            else:
                outcomes = [work.work(settings, str(path), limits=limits, observer=observer)]
        best_line(client.sweep(*path))
    if any("SIGINT" in outcome.reason for outcome in outcomes):
        ctx.exit(INTERRUPTED)
    if not all(outcome.ok for outcome in outcomes):
        ctx.exit(FAILED)


def progress(count: int | None, verbose: bool | None, look: Look) -> Plain:
    """What draws the progress: a board in a terminal, lines elsewhere. A context manager."""
    from besom.cli.progress import Live, Plain

    if sys.stdout.isatty():
        return Live(count=count, verbose=bool(verbose), look=look)
    return Plain(count=count, verbose=verbose is not False, look=look)
