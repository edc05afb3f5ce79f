"""The real wandb client, as a process, against our real server on 127.0.0.1. Nothing else may be reached."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from besom.core.names import RunPath
from besom.core.wire import RunView
from besom.hub.hub import Hub
from besom.server.app import Application
from besom.server.serve import Server, answers, listen
from besom.server.wandb.door import Door
from besom.store.blobs import Blobs
from besom.store.migrations import open_database

ENTITY = "ann"
PATIENCE = 60.0


class House:
    """A real server over a store of its own. It can stop, start again on its port, be ahead of time, and lose answers."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.late, self.lost = folder, 0.0, 0
        self.lose = 0
        self.seen: list[str] = []
        self._port = 0
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        sock = listen("127.0.0.1", self._port)
        self._port = sock.getsockname()[1]
        self.hub = Hub(open_database(self.folder / "besom.db"), clock=lambda: time.time() + self.late)
        door = Door(lambda: self.hub, Blobs(self.folder / "blobs"), ENTITY)
        self._app = Application(lambda: self.hub, doors=door.routes)
        self.live = self._app.live
        self._server = Server(self)  # type: ignore[arg-type]  # an application that sometimes loses an answer
        self._thread = threading.Thread(target=self._server.run, args=([sock],))
        self._thread.start()
        wait(lambda: answers("127.0.0.1", self._port))

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._app.close()
        self.hub.database.close()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append(scope.get("path", ""))
        if self.lose > 0 and scope["path"].endswith("/file_stream"):
            self.lose -= 1
            self.lost += 1

            async def nowhere(message: Any) -> None: ...

            await self._app(scope, receive, nowhere)
            await send({"type": "http.response.start", "status": 502, "headers": []})
            await send({"type": "http.response.body", "body": b"<html>bad gateway</html>"})
        else:
            await self._app(scope, receive, send)

    def run(self, project: str, id: str) -> RunView:
        return self.hub.run(RunPath(ENTITY, project, id))

    def column(self, project: str, id: str, key: str) -> list[Any]:
        return self.hub.rows(RunPath(ENTITY, project, id), keys=[key], limit=100_000).columns[key]


class Outside:
    """What the client would reach instead of the internet: it counts who comes, and lets nobody through."""

    def __init__(self) -> None:
        self.calls = 0
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._sock.getsockname()[1]}"
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                line, _ = self._sock.accept()
            except OSError:
                return
            self.calls += 1
            line.close()

    def close(self) -> None:
        self._sock.close()


Client = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    server = House(tmp_path_factory.mktemp("house"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    proxy = Outside()
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def client(house: House, outside: Outside, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Starts a Python program that may `import wandb`; `argv` follows the program."""
    tmp_path = tmp_path_factory.mktemp("client")
    started: list[subprocess.Popen[str]] = []
    keep = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("WANDB_", "BESOM_")) and not k.upper().endswith("_PROXY")
    }
    home = {
        "HOME": str(tmp_path),
        "WANDB_DIR": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
    }
    env = keep | home | {
        "WANDB_BASE_URL": house.address, "WANDB_API_KEY": "k" * 40, "WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true",
        "HTTPS_PROXY": outside.address, "HTTP_PROXY": outside.address, "NO_PROXY": "127.0.0.1",
    }  # fmt: skip

    def start(program: str, *argv: str, **more: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", program, *argv], cwd=tmp_path, env=env | more, stdin=subprocess.PIPE, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for the end of a client; what it printed."""
    out, _ = process.communicate(timeout=PATIENCE)
    return out


def wait(until: Callable[[], Any]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
