"""`besom export`: runs, or every row they logged, as CSV on standard output or in a file. Values are written in full precision."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from besom.cli.output import note, plain
from besom.cli.runs import select
from besom.cli.session import check_project, find_project, find_sweep, session
from besom.core.names import flatten

if TYPE_CHECKING:
    from besom.client import Client
    from besom.core.wire import RunView

PAGE = 1000


@click.command("export")
@click.argument("project", metavar="[PROJECT]", required=False)
@click.option("-e", "--entity", metavar="NAME", help="Entity. Default: your login name.")
@click.option("--sweep", "sweep_name", metavar="ID", help="Runs of this sweep only.")
@click.option("--filter", "filter_text", metavar="TEXT", help="Runs that match only, as in `besom runs`.")
@click.option("--sort", metavar="KEY", help="As in `besom runs`.")
@click.option("--history", is_flag=True, help="One line for each row that was logged, not one for each run.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write. Default: standard output."
)
def export(
    project: str | None,
    entity: str | None,
    sweep_name: str | None,
    filter_text: str | None,
    sort: str | None,
    history: bool,
    output: Path | None,
) -> None:
    """Write the runs of PROJECT as CSV: config, summary, and last and best of each metric."""
    with session(entity=entity) as (settings, client):
        sweep = client.sweep(*find_sweep(client, settings, sweep_name)) if sweep_name else None
        where = (sweep.entity, sweep.project) if sweep else find_project(client, settings, project)
        check_project(client, *where)
        found: list[RunView] = []
        offset: int | None = 0
        while offset is not None:
            page, _, _ = select(client, where, sweep, filter_text, sort, PAGE, offset)
            found += page.runs
            offset = page.next
        lines = rows_of(client, found) if history else map(line_of, found)
        if output is None:
            count = write(sys.stdout, lines)
        else:
            with output.open("w", newline="", encoding="utf-8") as file:
                count = write(file, lines)
            note(f"{count} lines in {output}")


def line_of(run: RunView) -> dict[str, Any]:
    """A run as one flat line."""
    line = {
        "id": run.id, "name": run.name, "state": run.state, "sweep": run.sweep, "group": run.group, "created": run.created,
        "started": run.started, "ended": run.ended, "tags": ",".join(run.tags),
    }  # fmt: skip
    line |= {f"config.{key}": value for key, value in flatten(run.config)}
    line |= {f"summary.{key}": value for key, value in run.summary.items() if key not in run.metrics}
    for name, stat in run.metrics.items():
        line |= {f"{name}.last": stat.last, f"{name}.best": stat.best}
    return line


def rows_of(client: Client, runs: Sequence[RunView]) -> Iterator[dict[str, Any]]:
    """Every row of every run: id, name, _step, _time and the keys that were logged."""
    for run in runs:
        offset: int | None = 0
        while offset is not None:
            page = client.rows(run.entity, run.project, run.id, offset=offset, limit=5000)
            names = list(page.columns)
            for cells in zip(*page.columns.values(), strict=True):
                yield {"id": run.id, "name": run.name, **dict(zip(names, cells, strict=True))}
            offset = page.next


def write(file: TextIO, lines: Iterator[dict[str, Any]]) -> int:
    """Write lines under the union of their keys, in order of first appearance; returns how many."""
    kept = list(lines)
    columns = list(dict.fromkeys(key for line in kept for key in line))
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for line in kept:
        writer.writerow([cell(line.get(column)) for column in columns])
    return len(kept)


def cell(value: Any) -> str:
    """None is empty; numbers in full; lists and mappings as JSON."""
    if value is None:
        return ""
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(plain(value), ensure_ascii=False)
    return str(plain(value))
