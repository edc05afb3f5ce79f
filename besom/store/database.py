"""One SQLite database: a single writer thread, any number of readers.

`write(work)` runs `work(connection)` on the writer thread inside one ``BEGIN IMMEDIATE`` transaction and returns its
result; writes of one process therefore never wait for a lock of their own, and those of other processes wait for at most
`BUSY` seconds. `read()` is a context manager with a read-only snapshot. Both are safe from every thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.pool import QueuePool

T = TypeVar("T")
BUSY = 30.0


class Database:
    """An open database file. `path` may not exist yet; `migrate` (store/migrations) makes and upgrades its tables."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.engine = sa.create_engine(
            f"sqlite:///{path}",
            poolclass=QueuePool,
            pool_size=8,
            max_overflow=24,
            connect_args={"check_same_thread": False, "timeout": BUSY},
        )
        sa.event.listen(self.engine, "connect", _prepare)
        sa.event.listen(self.engine, "begin", _begin)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="besom-writer")
        self._closed = threading.Event()

    def write(self, work: Callable[[sa.Connection], T]) -> T:
        """Run `work` in one transaction on the writer thread; what it raises rolls back and is raised here."""

        def transaction() -> T:
            with self.engine.connect().execution_options(besom_write=True) as connection, connection.begin():
                return work(connection)

        return self._writer.submit(transaction).result()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection that sees one consistent snapshot."""
        with self.engine.connect() as connection:
            yield connection

    def close(self) -> None:
        """Finish the writes under way and let go of the file. Idempotent."""
        if not self._closed.is_set():
            self._closed.set()
            self._writer.shutdown()
            self.engine.dispose()


def _prepare(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's begin event below starts transactions, not the driver
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-65536", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("besom_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
