"""`besom server`: the page and the API on this machine, over the user's store. The application is local.py's; this gives it a port."""

from __future__ import annotations

import errno
import socket
import threading
import webbrowser
from collections.abc import Callable
from typing import Any

import click

from besom.cli.output import note, say
from besom.core.errors import BesomError, UsageError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command("server")
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes a free one."
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address of this machine to listen on: loopback only."
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
def server(port: int, host: str, open_page: bool) -> None:
    """Serve the page and the API over your store until Ctrl-C.

    Runs that are being trained appear live; they need not know that a server is there.
    """
    if host not in LOOPBACK:
        raise UsageError(
            f"without access control besom listens on this machine only ({', '.join(LOOPBACK)}), and {host} is reachable "
            "from others. From elsewhere: ssh -L 8080:127.0.0.1:8080 THIS_MACHINE"
        )
    listening = listen(host, port)

    def ready(address: str, store: str) -> None:
        say(f"besom is at {address}", style="bold")
        note(f"store: {store}; Ctrl-C ends the server, runs go on")
        if open_page:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    serve(listening, ready)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises BesomError that says what holds the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(256)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            shown = f"[{host}]" if ":" in host else host
            if is_besom(f"http://{shown}:{port}"):
                raise BesomError(
                    f"a besom server already runs at http://{shown}:{port}; another needs its own port: --port {port + 1}"
                ) from None
            raise BesomError(f"port {port} is in use by another program; choose another: --port {port + 1}") from None
        if error.errno == errno.EACCES:
            raise BesomError(
                f"port {port} needs more rights than you have; choose one above 1023, e.g. --port 8080"
            ) from None
        raise
    return listening


def is_besom(address: str) -> bool:
    """Whether a besom server answers at `address`."""
    import httpx

    try:
        answer = httpx.get(f"{address}/api/health", timeout=2.0, trust_env=False)
        return answer.status_code == 200 and "version" in answer.json()
    except (httpx.HTTPError, ValueError):  # nothing, or something else, is there
        return False


def serve(listening: socket.socket, ready: Callable[[str, str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; `ready(address, store folder)` is called once requests are answered."""
    import uvicorn

    from besom import local
    from besom.settings import load

    settings = load()
    host, port = listening.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets=sockets)
            if self.started:
                ready(address, str(settings.dir))

    config = uvicorn.Config(
        local.application(settings),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
        server_header=False,
    )
    try:
        Server(config).run(sockets=[listening])
    except KeyboardInterrupt:  # uvicorn ends in order, then raises the signal that it had caught
        pass
    finally:
        listening.close()
