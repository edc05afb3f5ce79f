"""`besom alerts`: the channels that alerts and the ends of runs go to, and what became of them. Sending is the hub's."""

from __future__ import annotations

import click

from besom.cli.output import ago, json_option, note, say, show_json, table
from besom.cli.session import session
from besom.core.errors import UsageError


@click.group("alerts")
def alerts() -> None:
    """Send alerts and the ends of runs to Slack.

    A run's `besom.alert(title=..., text=...)`, and "finished", "failed" and "crashed", go to every channel.
    """


@alerts.command("add")
@click.argument("kind", type=click.Choice(["slack"]))
@click.argument("url")
@json_option
def add(kind: str, url: str, as_json: bool) -> None:
    """Add a channel: `besom alerts add slack URL`, where URL is an incoming webhook."""
    if not url.startswith(("https://", "http://")):
        raise UsageError(f"an incoming webhook begins with https://, and {url!r} does not")
    with session() as (_, client):
        found = client.add_channel(kind, url)
    if as_json:
        show_json(found)
        return
    say(f"channel {found.channels[-1].id}: {kind} {found.channels[-1].url}")
    note("try it: besom alerts test")


@alerts.command("list")
@click.option("--limit", default=20, show_default=True, help="Alerts to list.")
@json_option
def list_alerts(limit: int, as_json: bool) -> None:
    """List channels and the latest alerts."""
    with session() as (_, client):
        found = client.alerts()
    if as_json:
        show_json(found)
        return
    if found.channels:
        rows = [(str(c.id), c.kind, c.url, ago(c.last) if c.last else "never", c.outcome) for c in found.channels]
        table(("CHANNEL", "KIND", "URL", "LAST", "OUTCOME"), rows)
    else:
        note("there is no channel yet: besom alerts add slack URL")
    latest = sorted(found.alerts, key=lambda alert: alert.time, reverse=True)[:limit]
    if latest:
        say()
        table(
            ("WHEN", "LEVEL", "TITLE", "RUN", "STATE", "WHY"),
            [(ago(a.time), a.level, a.title, a.run, a.state, a.reason) for a in latest],
        )


@alerts.command("remove")
@click.argument("number", type=int, metavar="CHANNEL")
@json_option
def remove(number: int, as_json: bool) -> None:
    """Remove a channel by its number."""
    with session() as (_, client):
        found = client.remove_channel(number)
    if as_json:
        show_json(found)
    else:
        say(f"removed channel {number}; {len(found.channels)} left")


@alerts.command("test")
@json_option
@click.pass_context
def test(ctx: click.Context, as_json: bool) -> None:
    """Send a test message to every channel now. Exit code 1 when one did not take it."""
    with session() as (_, client):
        if not client.alerts().channels:
            raise UsageError("there is no channel to test: besom alerts add slack URL")
        found = client.test_channels()
    if as_json:
        show_json(found)
    else:
        table(("CHANNEL", "KIND", "URL", "OUTCOME"), [(str(c.id), c.kind, c.url, c.outcome) for c in found.channels])
    if any(channel.outcome != "sent" for channel in found.channels):
        ctx.exit(1)
