"""A team's server as it is started: two `besom server` over one PostgreSQL, each with a folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from besom.client import Client
from besom.core.batch import Batch
from besom.core.errors import Unavailable
from besom.core.record import History, Record, Run
from besom.settings import Settings
from besom.testing.postgres import Server as Postgres


class Server:
    """`besom server --store ...`."""

    def __init__(self, folder: Path, store: str) -> None:
        command = [sys.executable, "-m", "besom", "server", "--port", "0", "--store", store]
        env = {**os.environ, "BESOM_DIR": str(folder), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().split()[-1]

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        self.process.communicate(timeout=60)
        return self.process.returncode


def test_two_servers_over_one_database_are_one(tmp_path: Path, postgres: Postgres) -> None:
    """Batches go to both in turn; one is killed in the middle; what was answered is there, once, and the other goes on."""
    store = postgres.fresh()
    servers = [Server(tmp_path / name, store) for name in ("one", "two")]
    sent = 0

    def batch(*records: Record) -> Batch:
        return Batch(sent, sent + len(records), tuple(range(sent, sent + len(records))), records)

    try:
        with Client(servers[0].address) as first, Client(servers[1].address) as second:
            sent = first.append("ann", "dkt", "r1", "s", batch(Run(1.0, starts=True)))
            second.health()  # it waits until the server is ready
            second.patience = 0
            for i in range(60):
                if i == 40:
                    threading.Timer(0.02, servers[1].process.kill).start()
                for client in (second, first):  # both get it, as when an answer was lost
                    try:
                        held = client.append("ann", "dkt", "r1", "s", batch(History(i, 1.0 + i, {"loss": i / 2})))
                    except Unavailable:
                        assert client is second and i >= 40
                sent = held
            assert first.rows("ann", "dkt", "r1").columns["loss"] == [i / 2 for i in range(60)]
            assert not (tmp_path / "one" / "besom.db").exists()
    finally:
        servers[1].process.kill()
        servers[1].process.communicate()
        assert servers[0].end(signal.SIGTERM) == 0


def test_a_password_is_not_shown() -> None:
    settings = Settings(store="postgresql://ann:se:cr@et@db/besom")
    assert settings.shown("store") == "'postgresql://ann:***@db/besom'"
    assert "cr@et" not in repr(settings)
