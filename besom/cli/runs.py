"""`besom projects`, `besom runs` and `besom run`: what was logged, as tables and a chart. Filtering and sorting are the hub's."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from besom.cli import chart
from besom.cli.output import ago, duration, fields, json_option, note, number, say, show_json, state, table
from besom.cli.script import SCRIPT, RunCommand, run_script
from besom.cli.session import check_project, find_project, find_run, find_sweep, project_options, session
from besom.core.errors import FilterError, UsageError, did_you_mean
from besom.core.names import RunPath, flatten, goal_of

if TYPE_CHECKING:
    from besom.client import Client
    from besom.core.wire import RunPage, RunView, SweepView

COUNTERS = ("epoch", "step", "iteration", "global_step", "trainer/global_step")
OWN_FIELDS = (
    "id",
    "name",
    "state",
    "created",
    "started",
    "seen",
    "ended",
    "group",
    "job_type",
    "sweep",
    "notes",
    "tags",
    "attempt",
)
"""Fields of a run that may be sorted by, as the hub spells them."""


@click.command("projects")
@json_option
def projects(as_json: bool) -> None:
    """List projects, the latest first."""
    with session() as (_, client):
        found = sorted(client.projects().projects, key=lambda view: view.last, reverse=True)
    if as_json:
        show_json(found)
    elif not found:
        note("there are no runs yet: a script that calls besom.init() makes the first")
    else:
        rows = [(f"{v.entity}/{v.project}", v.runs, v.states.get("running", 0), v.sweeps, ago(v.last)) for v in found]
        table(("PROJECT", "RUNS", "RUNNING", "SWEEPS", "LAST"), rows, right=("RUNS", "RUNNING", "SWEEPS"))


@click.command("runs")
@click.argument("project", metavar="[PROJECT]", required=False)
@click.option("-p", "--project", "project_option", metavar="NAME", help="The same as the argument.")
@click.option("-e", "--entity", metavar="NAME", help="Entity. Default: your login name.")
@click.option("--sweep", "sweep_name", metavar="ID", help="Runs of this sweep only.")
@click.option("--filter", "filter_text", metavar="TEXT", help="e.g. 'config.lr < 1e-3 and state = finished'")
@click.option(
    "--sort",
    metavar="KEY",
    help="A metric (best first), or a key such as config.lr or created; a - in front turns it round.",
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="Runs to list.")
@json_option
def runs(
    project: str | None,
    project_option: str | None,
    entity: str | None,
    sweep_name: str | None,
    filter_text: str | None,
    sort: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List the runs of PROJECT, newest first; with --sort METRIC the best is on top and named at the end."""
    with session(entity=entity, project=project_option) as (settings, client):
        sweep: SweepView | None = None
        if sweep_name:
            sweep = client.sweep(*find_sweep(client, settings, sweep_name))
            where = sweep.entity, sweep.project
        else:
            where = find_project(client, settings, project)
            check_project(client, *where)
        page, metric, goal = select(client, where, sweep, filter_text, sort, limit)
    if as_json:
        show_json(page)
        return
    if not page.runs:
        note(f"no run of {'/'.join(where)} matches" if page.total else f"there are no runs in {'/'.join(where)}")
        return
    _list(page, metric, goal)


def select(
    client: Client,
    where: tuple[str, str],
    sweep: SweepView | None,
    filter_text: str | None,
    sort: str | None,
    limit: int,
    offset: int = 0,
) -> tuple[RunPage, str, str]:
    """(runs, metric sorted by or "", its goal). Raises UsageError that points into the filter or names near keys."""
    key, metric, goal = sort_key(client, where, sweep, sort)
    text = " and ".join(f"({part})" for part in (f'sweep = "{sweep.id}"' if sweep else "", filter_text) if part)
    try:
        page = client.runs(*where, filter=text, sort=key, limit=limit, offset=offset)
    except FilterError as error:
        if not filter_text:
            raise
        at = min(max(0, error.position - text.rindex(f"({filter_text})") - 1), len(filter_text))
        raise UsageError(f"{error}\n  {filter_text}\n  {' ' * at}^") from None
    return page, metric, goal


def sort_key(client: Client, where: tuple[str, str], sweep: SweepView | None, sort: str | None) -> tuple[str, str, str]:
    """(key in the hub's spelling, metric or "", goal). A bare name is a metric first, then a config key, then a field.

    A metric is sorted by each run's best value, best first. Raises UsageError for a name that no run has.
    """
    if not sort:
        return "-created", "", ""
    keys = client.keys(*where)
    known = {view.key for view in keys.keys}
    sign, name = ("-", sort[1:]) if sort.startswith("-") and sort not in keys.metrics else ("", sort)
    if name in keys.metrics:
        goal = sweep.goal if sweep and sweep.metric == name else goal_of(name)
        down = (goal == "maximize") != bool(sign)
        key = f"{'-' if down else ''}metrics.`{name}`.{'max' if goal == 'maximize' else 'min'}"
        return key, "" if sign else name, goal
    for prefix in ("config.", "summary."):
        if prefix + name in known:
            return f"{sign}{prefix}`{name}`", "", ""
    if name in OWN_FIELDS or "," in name or re.match(r"(config|summary|metrics)\.", name):
        return sort, "", ""
    choices = [*keys.metrics, *(key.partition(".")[2] or key for key in known), *OWN_FIELDS]
    metrics = f" Metrics: {', '.join(keys.metrics[:20])}." if keys.metrics else " No metric was logged yet."
    raise UsageError(
        f"no run of {'/'.join(where)} logged {name!r} or has it in its config.{did_you_mean(name, choices)}{metrics}"
    )


def _list(page: RunPage, metric: str, goal: str) -> None:
    from rich.text import Text

    shown = page.runs
    config = {run.id: dict(flatten(run.config)) for run in shown}
    keys = list(dict.fromkeys(key for values in config.values() for key in values))
    differing = [key for key in keys if len({repr(values.get(key)) for values in config.values()}) > 1]
    keys = (differing or keys)[:6]
    names = by_interest(dict.fromkeys(name for run in shown for name in run.metrics))
    metrics = [metric, *(name for name in names if name != metric)][:4] if metric else names[:4]
    heads = [f"best {name}" if name == metric else name for name in metrics]
    rows = []
    for i, run in enumerate(shown):
        cells: list[Any] = []
        for name in metrics:
            value = (
                run_value(run, name, goal)
                if name == metric
                else (run.metrics[name].last if name in run.metrics else None)
            )
            cells.append(Text(number(value), style="bold yellow" if name == metric and i == 0 else ""))
        rows.append(
            (
                run.id,
                run.name,
                state(run.state),
                *cells,
                *(number(config[run.id].get(key)) for key in keys),
                ago(run.created),
            )
        )
    titles = [f"{key} " if key in heads else key for key in keys]  # a schedule is logged under its parameter's name
    spare = [*reversed(heads[2:]), *reversed(titles[3:]), "CREATED", *heads[1:2], *reversed(titles[1:3]), "NAME"]
    table(("ID", "NAME", "STATE", *heads, *titles, "CREATED"), rows, right=(*heads, *titles), droppable=spare)
    if page.matched > len(shown):
        note(f"{len(shown)} of {page.matched} runs: --limit {page.matched} shows all")
    if metric and (value := run_value(shown[0], metric, goal)) is not None:
        say(f"\nbest    {metric} {number(value)}  by run {shown[0].id}  ({shown[0].name})", style="bold")


def run_value(run: RunView, metric: str, goal: str) -> float | None:
    """The best value of `metric` in a run, None when it logged none."""
    stat = run.metrics.get(metric)
    return None if stat is None else stat.max if goal == "maximize" else stat.min


@click.command("run", cls=RunCommand)
@click.argument("name", metavar="ID|SCRIPT.py")
@project_options
@click.option(
    "-k",
    "--key",
    "keys",
    multiple=True,
    metavar="METRIC",
    help="Metric to draw; may be given again. Default: the first four.",
)
@click.option("--lines", default=10, show_default=True, type=click.IntRange(0), help="Lines of its console to show.")
@click.option("--files", is_flag=True, help="List the files that it saved instead.")
@json_option
def run(
    name: str, project: str | None, entity: str | None, keys: tuple[str, ...], lines: int, files: bool, as_json: bool
) -> None:
    """Show one run: its state, config, metrics, a chart of each, and the end of its console.

    With a Python file, run it: a script written for W&B then logs to besom. What follows the file is the script's.
    """
    context = click.get_current_context()
    if script := context.meta.get(SCRIPT):
        context.exit(run_script(script))
    with session(project=project, entity=entity) as (settings, client):
        path = find_run(client, settings, name)
        if files:
            _files(client, path, as_json)
            return
        view = client.run(*path)
        if as_json:
            show_json(view)
            return
        for key in keys:
            if key not in view.metrics:
                raise UsageError(f"run {view.id} did not log {key!r}.{did_you_mean(key, view.metrics)}")
        _describe(view)
        _metrics(view)
        for key in keys or _drawn(view):
            _draw(client, view, key)
        if lines:
            _console(client, view, lines)


def _files(client: Client, path: RunPath, as_json: bool) -> None:
    found = client.files(*path)
    if as_json:
        show_json(found)
    elif not found.files:
        note(f"the run {path.id} saved no file")
    else:
        rows = [(file.path, file.size, ago(file.time), file.digest[:12]) for file in found.files]
        table(("FILE", "BYTES", "SAVED", "SHA-256"), rows, right=("BYTES",))


def _describe(view: RunView) -> None:
    spent = (view.ended or view.seen) - view.started
    fields(
        [
            ("run", f"{view.entity}/{view.project}/{view.id}"),
            ("name", view.name),
            ("state", state(view.state)),
            ("why", view.reason),
            ("exit code", view.exit_code if view.exit_code else None),
            ("sweep", view.sweep),
            ("attempt", view.attempt if view.attempt > 1 else None),
            ("group", view.group),
            ("tags", ", ".join(view.tags)),
            ("notes", view.notes),
            ("started", ago(view.started)),
            ("took", duration(spent)),
        ]
    )
    for title, values in (("config", dict(flatten(view.config))), ("summary", _own_summary(view))):
        if values:
            say(f"\n{title}", style="bold")
            fields((f"  {key}", number(value, 7)) for key, value in values.items())


def _own_summary(view: RunView) -> dict[str, Any]:
    """Summary values that are not just the last of a metric."""
    return {key: value for key, value in view.summary.items() if key not in view.metrics and not key.startswith("_")}


def _metrics(view: RunView) -> None:
    if view.metrics:
        say()
        rows = [(name, s.last, s.best, s.min, s.max, s.mean, s.count) for name, s in view.metrics.items()]
        heads = ("LAST", "BEST", "MIN", "MAX", "MEAN", "POINTS")
        table(("METRIC", *heads), rows, right=heads)
    else:
        note("\nthis run logged no metric")


def _drawn(view: RunView) -> list[str]:
    """The four metrics most worth a chart: those with a curve."""
    return by_interest(name for name, stat in view.metrics.items() if stat.count > 1)[:4]


def by_interest(names: Iterable[str]) -> list[str]:
    """Metrics with those of validation first and counters last; else as they came."""

    def rank(name: str) -> int:
        word = name.lower()
        return 0 if word.startswith(("val", "test", "eval")) else 2 if word in COUNTERS else 1

    return sorted(names, key=rank)


def _draw(client: Client, view: RunView, key: str) -> None:
    width = min(100, shutil.get_terminal_size((80, 24)).columns)
    curves = client.curves(view.entity, view.project, keys=[key], runs=[view.id], buckets=width * 2)
    for series in curves.series:
        rows = chart.line(curves.x, series.mean, width=width, height=7)
        if rows:
            say(f"\n{key}", style="bold")
            for row in rows:
                say(row)


def _console(client: Client, view: RunView, lines: int) -> None:
    console = client.console(view.entity, view.project, view.id, start=-lines, limit=lines)
    if console.lines:
        say(f"\nconsole (last {len(console.lines)} of {console.total} lines)", style="bold")
        for line in console.lines:
            say(f"  {line.text.rstrip()}", style="red" if line.stream == "err" and view.state == "failed" else None)
