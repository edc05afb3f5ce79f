"""A PostgreSQL server for tests: started from the system's package in a folder of its own, gone at the end.

Serves tests and benchmarks that need the store on PostgreSQL. It listens on a unix socket only, asks for no password and
syncs nothing to disk. Knows no tables.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

PATIENCE = 60.0
"""Seconds that a start may take."""


def programs() -> Path | None:
    """The folder of the newest PostgreSQL's initdb and postgres; None where it is not installed."""
    found = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return Path(found).parent if found else folders[-1].parent if folders else None


class Server:
    """A running server. `fresh` gives addresses of databases."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()

    def address(self, name: str) -> str:
        """The address of a database."""
        return f"postgresql://postgres@/{name}?host={self._folder}"

    def fresh(self) -> str:
        """The address of a new, empty database."""
        name = f"besom{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.address(name)

    def empty(self, address: str, tables: sa.MetaData) -> None:
        """Make a store as it was when it was new, if its tables are there; nobody may have it open."""
        statements = []
        for table in reversed(tables.sorted_tables):
            statements.append(f"UPDATE {table} SET value = 0" if table.name == "counters" else f'DELETE FROM "{table}"')
            if (column := table.autoincrement_column) is not None:
                statements.append(f"ALTER SEQUENCE {table}_{column.name}_seq RESTART")
        with _engine(address).connect() as c:
            if c.exec_driver_sql("SELECT to_regclass('counters')").scalar() is not None:
                c.exec_driver_sql("; ".join(statements))

    def execute(self, statement: str) -> None:
        """Run a statement outside of any store."""
        with _engine(self.address("postgres")).connect() as c:
            c.exec_driver_sql(statement)


def _engine(address: str) -> sa.Engine:
    driver = address.replace("://", "+psycopg://", 1)
    return sa.create_engine(driver, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)


@contextmanager
def running(bin: Path) -> Iterator[Server]:
    """A server made of the programs in `bin`. As root it runs as the user postgres, because it refuses root."""
    user: dict[str, Any] = {"cwd": "/"}
    folder = Path(tempfile.mkdtemp(prefix="besom-pg-"))
    if os.geteuid() == 0:
        them = pwd.getpwnam("postgres")
        os.chown(folder, them.pw_uid, them.pw_gid)
        user |= {"user": them.pw_uid, "group": them.pw_gid, "extra_groups": []}
    data = folder / "data"
    try:
        # An order of texts that is not ours: the store must not depend on it.
        options = "-U postgres -A trust -E UTF8 --no-sync --locale=C --locale-provider=icu --icu-locale=en"
        make = [str(bin / "initdb"), "-D", str(data), *options.split()]
        subprocess.run(make, check=True, capture_output=True, **user)
        settings = ("listen_addresses=", f"unix_socket_directories={folder}", "fsync=off", "full_page_writes=off")
        command = [str(bin / "postgres"), "-D", str(data), *(f"--{setting}" for setting in settings)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, **user)
        try:
            yield _ready(Server(folder), process, folder / "log")
        finally:
            process.send_signal(signal.SIGQUIT)  # at once, whoever is connected
            process.wait(PATIENCE)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ready(server: Server, process: subprocess.Popen[bytes], log: Path) -> Server:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            server.execute("SELECT 1")
            return server
        except sa.exc.OperationalError as error:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}") from error
            time.sleep(0.05)
