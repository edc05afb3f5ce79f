"""`besom server`: the page and the API over the user's store, for themselves or for a team. The serving is local.py's."""

from __future__ import annotations

import threading
import webbrowser

import click

from besom.cli.output import note, say


@click.command("server")
@click.option("--port", default=8080, show_default=True, metavar="N", help="Port; 0 takes a free one.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address of this machine to listen on: loopback without --team.",
)
@click.option("--team", is_flag=True, help="For the users of `besom user`, and nobody else.")
@click.option(
    "--allowed-host", "hosts", multiple=True, metavar="NAME", help="Answer to this host name only; may be repeated."
)
@click.option("--store", metavar="URL", help="Keep everything in PostgreSQL: postgresql://USER:PASSWORD@HOST/NAME.")
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
def server(port: int, host: str, team: bool, hosts: tuple[str, ...], store: str | None, open_page: bool) -> None:
    """Serve the page and the API over your store until Ctrl-C.

    Runs that are being trained appear live; they need not know that a server is there.
    """
    from besom import local
    from besom.server.wandb.door import Door
    from besom.settings import load

    settings = load(store=store)

    def ready(address: str) -> None:
        say(f"besom is at {address}", style="bold")
        note(
            f"store: {settings.shown('store') if settings.store else settings.dir}; Ctrl-C ends the server, runs go on"
        )
        if open_page:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    local.serve(settings, host=host, port=port, ready=ready, doors=[Door], team=team, hosts=hosts)
