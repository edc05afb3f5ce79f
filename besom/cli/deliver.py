"""`besom deliver` (hidden): the detached process that carries journals to the server and sends alerts. The work is local.py's."""

from __future__ import annotations

import click


@click.command("deliver", hidden=True)
def deliver() -> None:
    """Carry what runs wrote to the server, and send alerts, until nothing is left to do.

    Runs start it by themselves; a second one leaves at once.
    """
    from besom import local
    from besom.settings import load

    local.deliver(load())
