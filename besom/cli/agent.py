"""`besom agent`: one agent in this process, N as processes of this machine with their progress, or N on a cluster.

The loop is agents/'s; N of this machine are cli/crowd's, those of a cluster cli/cluster's.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from besom.cli.commands import FAILED, INTERRUPTED
from besom.cli.session import find_sweep, project_options, session
from besom.cli.sweeps import best_line
from besom.core.errors import UsageError

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
    metavar="N",
    help="Agents to start. [default: 1]",
)
@click.option("--gpus", metavar="LIST", help="One agent for each of these GPUs of this machine: 0-3, or 0,2,5.")
@click.option("--per-gpu", type=click.IntRange(1), metavar="N", help="Agents for each GPU. [default: 1]")
@click.option(
    "--launcher",
    "kind",
    type=click.Choice(["local", "slurm", "ray"]),
    default="local",
    show_default=True,
    help="Where agents start. On a cluster they go on when this command ends.",
)
@click.option(
    "--launcher-options",
    metavar="TEXT",
    help="For slurm, options of sbatch: '--gres=gpu:1 --time=4:00:00'. For ray, an actor's: 'num_gpus=1 num_cpus=4'.",
)
@click.option("--stop", is_flag=True, help="End the agents of this sweep on the cluster; their trials go back to it.")
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
    parallel: int | None,
    gpus: str | None,
    per_gpu: int | None,
    kind: str,
    launcher_options: str | None,
    stop: bool,
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

    devices = _gpus(gpus, per_gpu, parallel, kind)
    if kind == "local" and (stop or launcher_options):
        raise UsageError(
            "--stop and --launcher-options go with --launcher slurm or ray; agents of this machine end by Ctrl-C"
        )
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
        if kind != "local":
            from besom.cli import cluster

            agents = cluster.Cluster(settings, path, kind, launcher_options or "")
            if stop:
                agents.stop(limits)
            else:
                work.recipe(client, settings, path)  # what cannot run here cannot run there
                agents.start(parallel or 1, limits)
            return
        with progress(count, verbose, lambda run: client.run(path.entity, path.project, run)) as observer:
            if devices or (parallel or 1) > 1:
                outcomes = crowd.run(settings, path, len(devices) or parallel or 1, limits, observer, devices)
            else:
                outcomes = [work.work(settings, str(path), limits=limits, observer=observer)]
        best_line(client.sweep(*path))
    if any("SIGINT" in outcome.reason for outcome in outcomes):
        ctx.exit(INTERRUPTED)
    if not all(outcome.ok for outcome in outcomes):
        ctx.exit(FAILED)


def _gpus(gpus: str | None, per_gpu: int | None, parallel: int | None, kind: str) -> list[str]:
    """The GPU of each agent, dealt out in turn: ``0-1`` twice is 0 1 0 1. Raises UsageError."""
    if gpus is None:
        if per_gpu is not None:
            raise UsageError("--per-gpu says how many agents share each GPU of --gpus, which is missing: --gpus 0-3")
        return []
    if parallel is not None or kind != "local":
        raise UsageError(
            "--gpus starts its agents on this machine, one for each GPU or as many as --per-gpu says: leave out -n and --launcher"
        )
    devices: list[str] = []
    for part in gpus.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not (last.isdecimal() and int(first) <= int(last))):
            raise UsageError(f"--gpus names devices by number, such as 0-3 or 0,2,5, and {part.strip()!r} is not one")
        devices += [str(number) for number in range(int(first), int(last or first) + 1)]
    return devices * (per_gpu or 1)


def progress(count: int | None, verbose: bool | None, look: Look) -> Plain:
    """What draws the progress: a board in a terminal, lines elsewhere. A context manager."""
    from besom.cli.progress import Live, Plain

    if sys.stdout.isatty():
        return Live(count=count, verbose=bool(verbose), look=look)
    return Plain(count=count, verbose=verbose is not False, look=look)
