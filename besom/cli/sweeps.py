"""`besom sweep`: create a sweep from a file; list, show, pause, resume, stop and cancel sweeps.

`besom sweep sweep.yaml` stays the plain spelling: what is no subcommand is a file, or with `--stop` and its like an id.
What a sweep.yaml may say is hub/sweep/config's to know, and what the space may say is search's.
"""

from __future__ import annotations

import ast
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from besom.cli.output import ago, duration, fields, json_option, note, number, say, show_json, state, table, warn
from besom.cli.session import chosen_project, find_sweep, path_of, project_options, session
from besom.core.errors import ConfigError, UsageError, did_you_mean

if TYPE_CHECKING:
    from besom.core.wire import Importance, SweepView, TrialView
    from besom.settings import Settings

STEER = {"pause": "paused", "resume": "running", "stop": "finished", "cancel": "canceled"}
"""Word of the command -> state that the hub is asked for."""
_SAID = {
    "pause": "paused: running trials go on, no new ones start",
    "resume": "resumed: agents take trials again",
    "stop": "stopped: running trials go on to their end, no new ones start",
    "cancel": "canceled: running trials are being ended",
}


class FileOrCommand(click.Group):
    """A group whose first word may be a file: `besom sweep sweep.yaml` means `besom sweep create sweep.yaml`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["create", *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "FILE.yaml [OPTIONS]")
        formatter.write_usage(ctx.command_path, "COMMAND [ARGS]...", prefix="       ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.commands["create"].format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


class Unnamed(click.Command):
    """`create` is never typed, so messages do not name it."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        return super().make_context(None, args, parent, **extra)


@click.group(cls=FileOrCommand)
def sweep() -> None:
    """Create a sweep from a YAML file, or list, show and steer sweeps.

    The file says the program, the method, the metric and the parameters (docs/sweep-yaml.md). The command prints the line
    that starts an agent; agents run the trials, and you may start as many as you like.
    """


@sweep.command("create", cls=Unnamed, hidden=True)
@click.argument("target", metavar="FILE.yaml", nargs=-1)
@project_options
@click.option("--name", help="Name of the sweep; wins over the file's.")
@click.option("--program", metavar="FILE", help="Program to run; wins over the file's.")
@click.option("--strict", is_flag=True, help="What would be a warning about the file is an error.")
@click.option("--pause", "verb", flag_value="pause", help="Pause the sweep named instead of a file.")
@click.option("--resume", "verb", flag_value="resume", help="Resume it.")
@click.option("--stop", "verb", flag_value="stop", help="Stop it: running trials go on to their end.")
@click.option("--cancel", "verb", flag_value="cancel", help="Cancel it: running trials are ended.")
@json_option
def create(
    target: tuple[str, ...],
    project: str | None,
    entity: str | None,
    name: str | None,
    program: str | None,
    strict: bool,
    verb: str | None,
    as_json: bool,
) -> None:
    """Create a sweep."""
    if len(target) != 1:
        raise click.UsageError(f"name one {'sweep' if verb else 'YAML file'}")
    if verb:
        _steer(verb, target[0], project, entity, as_json)
        return
    file = Path(target[0])
    config, warnings = read(file, overrides={"name": name, "program": program})
    with session(project=project, entity=entity) as (settings, client):
        warnings += [text for text in (missing_program(config),) if text]
        if strict and warnings:
            raise ConfigError("; ".join(warnings), where=str(file))
        home, why = project_for(config, settings)
        made = client.create_sweep(entity or str(config.get("entity") or settings.entity), home, config)
    warnings += [text for text in made.warnings if text not in warnings]
    line = shlex.join(["besom", "agent", path_of(made)])
    for text in warnings:
        warn(text)
    if as_json:
        show_json({**_plain(made), "command": line, "warnings": warnings})
        return
    goal = f"{made.goal} {made.metric}" if made.metric else "no metric"
    end = f"{made.budget} runs" if made.budget is not None else "no end: stop it with Ctrl-C, or give the agent --count"
    fields(
        [
            ("sweep", made.id),
            ("name", made.name),
            ("project", f"{made.entity}/{made.project}{why}"),
            ("search", f"{made.method}, {goal}, {end}"),
        ]
    )
    say("\nStart an agent, as many as you like (add -n 4 for four at once):\n")
    say(f"    {line}\n", style="bold")


def _plain(view: Any) -> dict[str, Any]:
    import msgspec

    built = msgspec.to_builtins(view)
    assert isinstance(built, dict)
    return built


def read(file: Path, overrides: dict[str, str | None]) -> tuple[dict[str, Any], list[str]]:
    """(config, warnings) of a sweep.yaml. Raises ConfigError with the line and column, or the key, that is wrong."""
    from besom.hub.sweep.config import parse

    if not file.exists():
        near = did_you_mean(
            file.name, (path.name for path in file.parent.glob("*.y*ml")) if file.parent.is_dir() else ()
        )
        raise UsageError(f"there is no file {file}.{near}")
    if file.is_dir():
        raise UsageError(f"{file} is a folder; name a YAML file in it")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"a sweep file is UTF-8 text, and byte {error.start} is not", where=str(file)) from None
    spec = parse(text, str(file))
    config = {**spec.config, **{key: value for key, value in overrides.items() if value is not None}}
    return config, list(spec.warnings)


def missing_program(config: dict[str, Any]) -> str:
    """A warning when the program is no file here; "" when it is, or when the command says how to run."""
    program = config.get("program")
    if not isinstance(program, str) or not program or Path(program).exists() or "${" in program:
        return ""
    if "command" in config and "${program}" not in config["command"]:
        return ""
    folder = Path(program).parent
    near = did_you_mean(Path(program).name, (path.name for path in folder.glob("*.py")) if folder.is_dir() else ())
    return f"the program {program} is not in {os.getcwd()}, where an agent started here would look.{near}"  # noqa: PTH109 (as the shell shows it)


def project_for(config: dict[str, Any], settings: Settings) -> tuple[str, str]:
    """(project, where it comes from): option, environment or settings; the file; what the program gives init()."""
    chosen = chosen_project(settings)
    if chosen:
        return chosen, ""
    if isinstance(config.get("project"), str) and config["project"]:
        return config["project"], ""
    program = config.get("program")
    named = project_in(Path(program)) if isinstance(program, str) else None
    if named:
        return named, f"  (as in {program})"
    return settings.project, ""


def project_in(program: Path) -> str | None:
    """The literal that a script passes as `init(project=...)`, so that a sweep lands beside the script's own runs."""
    try:
        tree = ast.parse(program.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError, RecursionError):  # no such file, no text, no Python
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "init":
            for word in node.keywords:
                if word.arg == "project" and isinstance(word.value, ast.Constant) and isinstance(word.value.value, str):
                    return word.value.value or None
    return None


@sweep.command("list")
@project_options
@json_option
def list_sweeps(project: str | None, entity: str | None, as_json: bool) -> None:
    """List sweeps, newest first."""
    with session(project=project, entity=entity) as (settings, client):
        found = client.sweeps(entity, chosen_project(settings)).sweeps
    found = tuple(sorted(found, key=lambda view: view.created, reverse=True))
    if as_json:
        show_json(found)
    elif not found:
        note("there is no sweep yet: `besom sweep sweep.yaml` creates one")
    else:
        rows = [
            (
                view.id,
                view.project,
                view.name,
                view.method,
                state(view.state),
                progress(view),
                view.metric,
                best_value(view),
                ago(view.created),
            )
            for view in found
        ]
        table(
            ("ID", "PROJECT", "NAME", "METHOD", "STATE", "RUNS", "METRIC", "BEST", "CREATED"),
            rows,
            right=("RUNS", "BEST"),
        )


def progress(view: SweepView) -> str:
    """Ended trials of the budget, e.g. 12/25, or 12 when there is no end."""
    ended = ended_trials(view)
    return f"{ended}/{view.budget}" if view.budget is not None else str(ended)


def ended_trials(view: SweepView) -> int:
    return sum(count for name, count in view.counts.items() if name not in ("pending", "running"))


def best_value(view: SweepView) -> float | None:
    return view.best.value if view.best else None


@sweep.command("show")
@click.argument("name", metavar="ID")
@project_options
@click.option("--limit", default=20, show_default=True, help="Trials to list, best first.")
@json_option
def show(name: str, project: str | None, entity: str | None, limit: int, as_json: bool) -> None:
    """Show a sweep: how far it is, its best trial, and its trials best first."""
    with session(project=project, entity=entity) as (settings, client):
        view = client.sweep(*find_sweep(client, settings, name))
    if as_json:
        show_json(view)
        return
    counts = ", ".join(f"{count} {word}" for word, count in view.counts.items() if count)
    fields(
        [
            ("sweep", path_of(view)),
            ("name", view.name),
            ("state", state(view.state)),
            ("why", view.reason),
            ("search", f"{view.method}, {view.goal} {view.metric}" if view.metric else view.method),
            ("runs", f"{progress(view)}  ({counts})" if counts else progress(view)),
            ("front", ", ".join(view.front)),
            ("agents", view.agents),
            ("created", ago(view.created)),
        ]
    )
    for text in view.warnings:
        warn(text)
    trials = sorted(view.trials, key=lambda trial: rank(trial, view.goal))
    if trials:
        say()
        trial_table(trials[:limit], view)
    if len(trials) > limit:
        note(f"and {len(trials) - limit} more: --limit {len(trials)}")


@sweep.command("importance")
@click.argument("name", metavar="ID")
@project_options
@json_option
def importance(name: str, project: str | None, entity: str | None, as_json: bool) -> None:
    """Show which parameters matter: their shares of the metric's variance, alone and in pairs."""
    with session(project=project, entity=entity) as (settings, client):
        found = client.importance(*find_sweep(client, settings, name))
    if as_json:
        show_json(found)
        return
    if found.shares:
        said = f"of the variance of {found.metric}, {found.trials} trials; the model explains {found.explained:.0%}"
        note(f"shares {said}")
        rows = [(s.name, *_share(s.share, s.deviation), _best_at(found, s.name)) for s in found.shares]
        rows += [(f"{p.first} x {p.second}", *_share(p.share, p.deviation), "") for p in found.pairs if p.share > 0.01]
        table(("PARAMETER", "SHARE", "", "BEST NEAR"), rows, right=("SHARE",))
    for text in found.notes:
        note(text)


def _share(share: float, deviation: float) -> tuple[str, str]:
    """A share with its deviation, and as a bar of at most 20 cells."""
    return f"{share:.0%} ± {deviation:.0%}", "█" * round(20 * share)


def _best_at(found: Importance, name: str) -> str:
    """The value of a parameter at which the metric is best, all others averaged."""
    curve = next((c for c in found.curves if c.name == name), None)
    if curve is None or not curve.mean:
        return ""
    pick = max if found.goal == "maximize" else min
    return number(curve.values[pick(range(len(curve.mean)), key=curve.mean.__getitem__)])


def rank(trial: TrialView, goal: str) -> tuple[bool, float, int]:
    """Sort key: best value first, trials without one last in their order."""
    if trial.value is None or trial.value != trial.value:
        return True, 0.0, trial.number
    return False, -trial.value if goal == "maximize" else trial.value, trial.number


def trial_table(trials: list[TrialView], view: SweepView) -> None:
    """Trials with their parameters as columns; those that are the same in all are left out when others differ."""
    from rich.text import Text

    keys = list(dict.fromkeys(key for trial in trials for key in trial.params))
    others = list(dict.fromkeys(name for trial in trials for name in trial.outcomes if name != view.metric))
    if len(trials) > 1:
        keys = [key for key in keys if len({repr(trial.params.get(key)) for trial in trials}) > 1] or keys
    best = view.best.run if view.best else ""
    rows = []
    for trial in trials:
        spent = (trial.ended or 0.0) - trial.started if trial.started and trial.ended else None
        value = Text(number(trial.value), style="bold yellow" if trial.run == best else "")
        params = [number(trial.params.get(key)) for key in keys]
        rows.append(
            (
                trial.run,
                str(trial.number),
                state(trial.state),
                value,
                *(number(trial.outcomes.get(name)) for name in others),
                *params,
                duration(spent) if spent is not None else "–",
            )
        )
    heading = view.metric.upper() or "VALUE"
    table(
        ("RUN", "#", "STATE", heading, *(name.upper() for name in others), *keys, "TOOK"),
        rows,
        right=("#", heading, *(name.upper() for name in others), *keys, "TOOK"),
        droppable=["TOOK", *reversed(keys)],
    )


def _steer(verb: str, name: str, project: str | None, entity: str | None, as_json: bool) -> None:
    with session(project=project, entity=entity) as (settings, client):
        view = client.set_sweep(*find_sweep(client, settings, name), state=STEER[verb])
    if as_json:
        show_json(view)
    else:
        say(f"{path_of(view)} {_SAID[verb]}")


def _steering(verb: str, text: str) -> None:
    @sweep.command(verb, help=text)
    @click.argument("name", metavar="ID")
    @project_options
    @json_option
    def command(name: str, project: str | None, entity: str | None, as_json: bool) -> None:
        _steer(verb, name, project, entity, as_json)


_steering("pause", "Pause a sweep: running trials go on, no new ones start.")
_steering("resume", "Resume a paused or ended sweep.")
_steering("stop", "Stop a sweep: running trials go on to their end, then it is finished.")
_steering("cancel", "Cancel a sweep and end its running trials.")


def best_line(view: SweepView) -> None:
    """Name the best trial on standard output, or say why there is none."""
    if view.best is None:
        ended = ended_trials(view)
        if ended and view.metric:
            within = " and keeps the bounds" if view.config.get("metrics") else ""
            note(f"no trial has a value of {view.metric}{within}, so there is no best")
        return
    params = "  ".join(f"{key}={number(value)}" for key, value in view.best.params.items())
    say(
        f"best    {view.metric} {number(view.best.value)}  by run {view.best.run}  {params}",
        style="bold" if sys.stdout.isatty() else None,
    )
