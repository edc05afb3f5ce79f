"""`besom export`: runs, or every row they logged, on standard output or in a file. How a value is written is exchange's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from besom.cli.output import note
from besom.cli.runs import select
from besom.cli.session import check_project, find_project, find_sweep, session
from besom.core.errors import UsageError
from besom.core.plain import name
from besom.core.wire import Rows
from besom.exchange import parquet
from besom.exchange.csv import rows_to_csv, runs_to_csv
from besom.exchange.jsonl import rows_to_jsonl, runs_to_jsonl

if TYPE_CHECKING:
    from besom.client import Client
    from besom.core.wire import RunView

PAGE = 1000
"""Runs asked for at once."""
ROWS = 10_000


@click.command("export")
@click.argument("project", metavar="[PROJECT]", required=False)
@click.option("-e", "--entity", metavar="NAME", help="Entity. Default: your login name.")
@click.option("--sweep", "sweep_name", metavar="ID", help="Runs of this sweep only.")
@click.option("--filter", "filter_text", metavar="TEXT", help="Runs that match only, as in `besom runs`.")
@click.option("--sort", metavar="KEY", help="As in `besom runs`.")
@click.option("--history", is_flag=True, help="One line for each row that was logged, not one for each run.")
@click.option(
    "--format",
    "form",
    type=click.Choice(("csv", "jsonl", "parquet")),
    help="What to write. Default: what the file's name ends in, else csv.",
)
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
    form: str | None,
    output: Path | None,
) -> None:
    """Write runs, or every row they logged, as CSV, JSON lines or Parquet.

    For each run of PROJECT its config, its summary, and last and best of each metric.
    """
    ending = output.suffix.lstrip(".").lower() if output else ""
    form = form or (ending if ending in ("jsonl", "parquet") else "csv")
    if form == "parquet" and output is None:
        raise UsageError("Parquet is written to a file: name it with -o FILE")
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
        write(found, list(rows_of(client, found)) if history else None, form, output)
    if output is not None:
        note(f"{len(found)} runs in {output}")


def write(runs: list[RunView], pages: list[Rows] | None, form: str, output: Path | None) -> None:
    """Write the rows of `pages`, or without them the runs, in the form asked for."""
    if form == "parquet" and output is not None:
        parquet.write_runs(runs, output) if pages is None else parquet.write_rows(list(joined(pages)), output)
        return
    if form == "csv":
        lines = runs_to_csv(runs) if pages is None else rows_to_csv(joined(pages))
    else:
        lines = runs_to_jsonl(runs) if pages is None else rows_to_jsonl(pages)
    lines = map(name, lines)  # half a character has no bytes
    if output is None:
        sys.stdout.writelines(lines)
        return
    with output.open("w", newline="", encoding="utf-8") as file:
        file.writelines(lines)


def rows_of(client: Client, runs: list[RunView]) -> Iterator[Rows]:
    """All rows of all runs in pages, with the run's id and name as the first columns."""
    for run in runs:
        offset: int | None = 0
        while offset is not None:
            page = client.rows(run.entity, run.project, run.id, offset=offset, limit=ROWS)
            n = len(next(iter(page.columns.values()), []))
            yield Rows({"id": [run.id] * n, "name": [run.name] * n, **page.columns})
            offset = page.next


def joined(pages: list[Rows]) -> Iterator[Rows]:
    """The pages behind an empty one that has the columns of them all."""
    columns = dict.fromkeys(["id", "name", "_step", "_time"])
    for page in pages:
        columns |= dict.fromkeys(page.columns)
    yield Rows({name: [] for name in columns})
    yield from pages
