"""The table of commands, loaded when used, and the one place where errors become messages and exit codes.

Exit codes: 0 done, 1 failed, 2 the input is wrong, 3 the server cannot be reached, 130 ended by Ctrl-C.
Knows no command's content; the short help stands here so that `besom --help` imports none of them.
"""

from __future__ import annotations

import errno
import importlib
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

import besom
from besom.core.errors import BesomError, Unavailable, UsageError, did_you_mean

OK, FAILED, USAGE, UNAVAILABLE, INTERRUPTED = 0, 1, 2, 3, 130

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Sweeps": {
        "sweep": ("besom.cli.sweeps:sweep", "Create a sweep from a YAML file, or list, show and steer sweeps."),
        "agent": ("besom.cli.agent:agent", "Run trials of a sweep until it ends."),
    },
    "Runs": {
        "projects": ("besom.cli.runs:projects", "List projects."),
        "runs": ("besom.cli.runs:runs", "List the runs of a project or a sweep, best first when sorted by a metric."),
        "run": ("besom.cli.runs:run", "Show one run with a chart of its metrics."),
        "import": ("besom.cli.imports:import_", "Import runs of W&B, TensorBoard, MLflow or Optuna."),
        "export": ("besom.cli.export:export", "Write runs, or every row they logged, as CSV, JSON lines or Parquet."),
        "journal": ("besom.cli.journal:journal", "Look into the files that runs write."),
    },
    "Server and settings": {
        "server": ("besom.cli.server:server", "Serve the page and the API, for you or a team."),
        "login": ("besom.cli.settings:login", "Choose the server that runs are sent to, and keep its key."),
        "settings": ("besom.cli.settings:settings", "Show every setting and where its value came from."),
        "alerts": ("besom.cli.alerts:alerts", "Send alerts and the ends of runs to Slack."),
        "version": ("besom.cli.settings:version", "Show the version."),
    },
    "Users of a server": {
        "user": ("besom.cli.users:user", "Add, remove and list users."),
        "team": ("besom.cli.users:team", "Give users roles in teams, and share projects."),
        "key": ("besom.cli.users:key", "Create, list and revoke API keys."),
        "audit": ("besom.cli.users:audit", "Show logins and changes of users, roles and keys."),
    },
    "": {"deliver": ("besom.cli.deliver:deliver", "Carry what runs wrote to the server, and send alerts.")},
}
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


class Failure(click.ClickException):
    """An error of besom as the terminal shows it: one message, no traceback."""

    def __init__(self, error: BesomError | OSError) -> None:
        super().__init__(_message(error))
        self.exit_code = code_of(error)  # type: ignore[misc]  # click reads it from the object

    def show(self, file: Any = None) -> None:
        click.secho("Error: ", fg="red", bold=True, nl=False, err=True)
        click.echo(self.format_message(), err=True)


def code_of(error: BaseException) -> int:
    """The exit code that an error ends the command with."""
    if isinstance(error, UsageError):
        return USAGE
    return UNAVAILABLE if isinstance(error, Unavailable) else FAILED


def _message(error: BesomError | OSError) -> str:
    if not isinstance(error, OSError):
        return str(error)
    if error.errno == errno.ENOSPC:
        return f"no space left on the disk{f' for {error.filename}' if error.filename else ''}; free some and try again"
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


@contextmanager
def messages() -> Iterator[None]:
    """Errors of besom and of the disk inside become a Failure; Ctrl-C becomes exit code 130."""
    try:
        yield
    except BesomError as error:
        raise Failure(error) from error
    except KeyboardInterrupt:
        click.secho("interrupted", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
    except BrokenPipeError:  # `besom runs | head`: click ends quietly
        raise
    except OSError as error:
        raise Failure(error) from error


class Commands(click.Group):
    """The `besom` group: commands by section, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for title, section in SECTIONS.items() if title for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            ctx.fail(f"there is no command {args[0]!r}.{did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, section in SECTIONS.items():
            if title:
                with formatter.section(title):
                    formatter.write_dl([(name, text) for name, (_, text) in section.items()])

    def main(self, *args: Any, **extra: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal of another encoding shows "?" rather than a traceback
        return super().main(*args, **{"prog_name": "besom", **extra})

    def invoke(self, ctx: click.Context) -> Any:
        with messages():
            return super().invoke(ctx)


def _version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        click.echo(f"besom {besom.__version__}")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def main() -> None:
    """Track experiments and run hyperparameter sweeps, on your own machine.

    \b
    python train.py               log a run (the script calls besom.init and besom.log)
    besom sweep sweep.yaml        create a sweep; prints the line that starts an agent
    besom agent PROJECT/ID        run its trials
    besom server --open           see everything live in the browser
    """
