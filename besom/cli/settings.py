"""`besom login`, `besom settings` and `besom version`: where runs go, and why. The rules are settings.py's."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import click

import besom
from besom.cli.output import json_option, note, plain, say, show_json, table, warn
from besom.core.errors import Unavailable, UsageError


@click.command("login")
@click.argument("key", required=False)
@click.option("--host", metavar="URL", help="Address of the besom server, e.g. http://127.0.0.1:8080.")
@click.option("--local", is_flag=True, help="Back to no server: runs stay on this machine.")
@click.option("--verify/--no-verify", default=True, help="Ask the server first whether it is there.")
def login(key: str | None, host: str | None, local: bool, verify: bool) -> None:
    """Choose the server that runs are sent to, and keep KEY for it in your settings file.

    Without a server there is nothing to log in to: runs are kept on this machine.
    """
    from besom import settings as room
    from besom.client import Client

    if local and (key or host):
        raise UsageError("--local takes the server away, so it goes with neither KEY nor --host")
    if local:
        path = room.save(server=None, api_key=None)
        say(f"no server from now on: runs stay in {room.load().dir}  ({path})")
        return
    now = room.load()
    server = host or now.server
    if not server:
        if key:
            raise UsageError("a key belongs to a server: besom login KEY --host URL")
        say(f"No server is set, and none is needed: runs stay on this machine, in {now.dir}")
        return
    address = Client(server, api_key=key).address  # raises UsageError for what is no address
    if verify:
        try:
            with Client(address, api_key=key or now.api_key, patience=3.0) as client:
                client.health()
                if key:
                    client.projects()  # a server with users says here whether it knows the key
        except Unavailable as error:
            raise Unavailable(f"{error}. Nothing was changed; --no-verify keeps it all the same") from None
    changes: dict[str, Any] = {"server": address} if host else {}
    path = room.save(**changes, **({"api_key": key} if key else {}))
    say(f"runs are sent to {address} from now on  ({path})")
    after = room.load()
    if after.server != address:
        warn(f"{after.origin('server')} says {after.server or 'no server'}, and that wins here")


@click.command("settings")
@json_option
def settings(as_json: bool) -> None:
    """Show every setting, its value and where the value came from."""
    from besom import settings as room

    now = room.load()
    if as_json:
        values = {
            field.name: {
                "value": _value(now, field.name),
                "origin": now.origin(field.name),
                "environment": list(field.environment),
            }
            for field in room.FIELDS
        }
        click.echo(
            json.dumps({"settings": values, "file": str(room.config_file()), "warnings": list(now.warnings)}, indent=2)
        )
        return
    table(
        ("SETTING", "VALUE", "FROM", "VARIABLE"),
        [(field.name, now.shown(field.name), now.origin(field.name), field.environment[0]) for field in room.FIELDS],
    )
    note(
        f"\nyour file: {room.config_file()}{'' if room.config_file().exists() else ' (not there yet)'}; ./besom.toml wins over it"
    )
    for text in now.warnings:
        warn(text)


def _value(now: Any, name: str) -> Any:
    value = getattr(now, name)
    if name == "api_key" and value:
        return now.shown(name).strip("'")
    return str(value) if isinstance(value, Path) else plain(value)


@click.command("version")
@json_option
def version(as_json: bool) -> None:
    """Show the version of besom and of Python."""
    words = {"besom": besom.__version__, "python": platform.python_version(), "platform": platform.platform()}
    if as_json:
        show_json(words)
    else:
        say(f"besom {words['besom']}  (Python {words['python']}, {words['platform']})")
