"""`besom user`, `team`, `key`, `audit`: who may use a team's server. On the server's machine, by the owner of its store.

The rules are hub/access.py's. Changes hold for a server that runs within a second.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import click

from besom.cli.output import note, say, table
from besom.core.errors import BesomError, StoreError, UsageError
from besom.core.names import login_name

if TYPE_CHECKING:
    from besom.hub.access import Access

SPANS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def _access() -> Access:
    from besom import local
    from besom.settings import load

    return local.hub(load()).access


@click.group("user")
def user() -> None:
    """Add, remove and list the users of a server that a team shares."""


@user.command("add")
@click.argument("name")
@click.option("--admin", is_flag=True, help="May do everything, and manage the server.")
@click.option("--api-key", metavar="KEY", help="Give them this key, for automation; no password is asked for.")
def add(name: str, admin: bool, api_key: str | None) -> None:
    """Add a user. Asks for their password; an empty one: they use keys only. The first user is an admin."""
    access = _access()
    ask = api_key is None
    word = click.prompt("Password", "", hide_input=True, confirmation_prompt=True, show_default=False) if ask else ""
    access.add_user(login_name(), name, password=word, admin=admin)
    if api_key is not None:
        try:
            access.create_key(login_name(), name, key=api_key)
        except BesomError:
            access.remove_user(login_name(), name)
            raise
    say(f"{name} may use besom server --team{' as its admin' if admin else ''}")
    if ask:
        note(f"a key for their programs: besom key create --user {name}")


@user.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Remove a user, their keys, logins and roles. Their runs stay."""
    _access().remove_user(login_name(), name)
    say(f"{name} is no user any more")


@user.command("list")
def users() -> None:
    """List users, and their roles in teams."""
    access = _access()
    teams = access.teams()
    rows = []
    for found in access.users():
        roles = ", ".join(f"{role} of {team}" for team, name, role in teams if name == found.name)
        rows.append((found.name, "admin" if found.admin else "", "yes" if found.password else "keys only", roles))
    table(("USER", "SERVER", "PASSWORD", "TEAMS"), rows)


@click.group("team")
def team() -> None:
    """Give users roles in teams, which own projects together, and share projects."""


@team.command("add")
@click.argument("name")
@click.argument("user")
@click.option("--role", default="member", show_default=True, metavar="ROLE", help="viewer, member or admin.")
def join(name: str, user: str, role: str) -> None:
    """Give USER a role in the team NAME, which begins with its first member."""
    _access().set_role(login_name(), name, user, role)
    say(f"{user} is {role} of {name}")


@team.command("remove")
@click.argument("name")
@click.argument("user")
def quit_(name: str, user: str) -> None:
    """Take USER out of the team NAME. The team's projects stay."""
    _access().set_role(login_name(), name, user, None)
    say(f"{user} has left {name}")


@team.command("list")
def teams() -> None:
    """List teams with their members."""
    table(("TEAM", "USER", "ROLE"), _access().teams())


@team.command("share")
@click.argument("project")
@click.argument("visibility", metavar="team|private|public")
@click.option("--owner", metavar="USER", help="Who keeps seeing a private project, beside admins.")
def share(project: str, visibility: str, owner: str | None) -> None:
    """Say who sees ENTITY/PROJECT: its team, one user alone (private), or every user of the server (public)."""
    entity, slash, name = project.partition("/")
    if not slash:
        raise UsageError(f"a project is ENTITY/PROJECT, and {project!r} is not")
    _access().share(login_name(), entity, name, visibility, owner or entity)
    say(f"{project} is {visibility}")


@click.group("key")
def key() -> None:
    """Create, list and revoke the API keys of users."""


@key.command("create")
@click.option("--user", "name", metavar="NAME", help="Whose key; by default your login name.")
@click.option("--expires", metavar="SPAN", help="Good for so long: 12h, 30d, 8w. By default for ever.")
@click.option("--read-only", is_flag=True, help="It can look, and change nothing.")
def create(name: str | None, expires: str | None, read_only: bool) -> None:
    """Make a key and print it, this once."""
    made = _access().create_key(login_name(), name or login_name(), lasts=_span(expires), reads_only=read_only)
    click.echo(made)
    note("keep it: it is shown this once. On their machine: besom login KEY --host URL")


@key.command("list")
def keys() -> None:
    """List keys by the first digits of their SHA-256; the keys themselves are kept nowhere."""
    rows = [
        (k.digest[:8], k.user, "read" if k.reads_only else "all", _day(k.created), _day(k.expires), _day(k.used))
        for k in _access().api_keys()
    ]
    table(("KEY", "USER", "MAY", "CREATED", "EXPIRES", "USED"), rows)


@key.command("revoke")
@click.argument("key")
def revoke(key: str) -> None:
    """End the key that `besom key list` shows as KEY, within a second."""
    _access().revoke_key(login_name(), key)
    say(f"the key {key} opens nothing any more")


@click.command("audit")
@click.option("--limit", default=50, show_default=True, metavar="N", help="The last N lines.")
def audit(limit: int) -> None:
    """Show logins and changes of users, roles, keys and channels, and check that no line was changed."""
    access = _access()
    lines = access.audit()
    table(("WHEN", "WHO", "ACT", "WHAT"), [(_time(e.time), e.who, e.act, e.what) for e in lines[-limit:]])
    wrong = access.tampered()
    if wrong is not None:
        raise StoreError(
            f"the line of {_time(wrong.time)} ({wrong.act}) or the one before it was changed after it was written"
        )
    note(f"{len(lines)} lines, whole")


def _span(text: str | None) -> float | None:
    if text is None:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,5})([hdw])", text.strip())
    if match is None:
        raise UsageError(f"a span is like 12h, 30d or 8w, and {text!r} is not")
    return int(match[1]) * SPANS[match[2]]


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _day(seconds: float | None) -> str:
    return _time(seconds)[:10] if seconds else "never"
