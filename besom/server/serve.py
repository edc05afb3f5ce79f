"""A socket and a process around the application: what `besom server` runs.

The port is taken first, so that a wrong one is an error in words; the store opens while callers already get 503 with
Retry-After; SIGTERM and Ctrl-C let answers under way finish. Does not know what the application serves.
"""

from __future__ import annotations

import errno
import http.client
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from besom.core.errors import BesomError, UsageError
from besom.server.app import Application
from besom.server.auth import check_address

log = logging.getLogger("besom.server")
DRAIN = 10
"""Seconds for answers under way when the server is told to stop."""
LONGEST_HEAD = 1 << 20
"""Bytes of a request's line and headers: a chart may name a thousand runs."""


def listen(host: str, port: int, team: bool = False) -> socket.socket:
    """A listening socket. `team`: it has users. Raises UsageError for an address that others can reach, and for a port that is in use."""
    check_address(host, team)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return _bound(family, host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            free = next_free(family, host, port)
            way_out = f"; port {free} is free: besom server --port {free}" if free else ""
            who = "a besom server runs on it already" if answers(host, port) else "another program listens on it"
            raise UsageError(f"port {port} of {host} is in use, {who}{way_out}") from error
        if error.errno == errno.EACCES:
            raise UsageError(f"port {port} needs the rights of root; choose one above 1023, e.g. 8080") from error
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    except OverflowError as error:
        raise UsageError(f"a port is a number from 0 to 65535, not {port}") from error


def next_free(family: socket.AddressFamily, host: str, port: int) -> int | None:
    """The first of the next 100 ports on which one can listen."""
    for candidate in range(port + 1, min(port + 101, 65536)):
        try:
            _bound(family, host, candidate).close()
        except OSError:
            continue
        return candidate
    return None


def answers(host: str, port: int) -> bool:
    """Whether a besom server answers there."""
    line = http.client.HTTPConnection(host, port, timeout=2.0)
    try:
        line.request("GET", "/api/health")
        body = line.getresponse().read(1000)
        return b'"version"' in body or b"besom" in body
    except (OSError, http.client.HTTPException):
        return False
    finally:
        line.close()


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(512)
    except BaseException:
        sock.close()
        raise
    return sock


def address(sock: socket.socket) -> str:
    """What to type into a browser."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """uvicorn that ends event streams when it stops, and returns from `run` instead of raising the signal again."""

    def __init__(self, app: Application) -> None:
        self._live = app.live
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=DRAIN,
                timeout_keep_alive=30,
                h11_max_incomplete_event_size=LONGEST_HEAD,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._live.close()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[int, Any] = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Timer(threading.Thread):
    """Does `work` again and again until `stop`. `work` returns the seconds to wait; what it raises is logged, once in a row."""

    def __init__(self, name: str, work: Callable[[], float]) -> None:
        super().__init__(name=f"besom-{name}", daemon=True)
        self._work = work
        self._over = threading.Event()

    def run(self) -> None:
        said, pause = "", 0.0
        while not self._over.wait(pause):
            try:
                pause, said = self._work(), ""
            except Exception as error:  # a timer that died would leave a server that serves and does not know it
                pause = min(max(pause, 0.5) * 2, 30.0)
                if str(error) != said:
                    said = str(error)
                    log.warning("%s: %s", self.name, error, exc_info=not isinstance(error, (BesomError, OSError)))

    def stop(self, wait: float = 5.0) -> None:
        """End it, after what it is doing now."""
        self._over.set()
        if self.is_alive():
            self.join(wait)
