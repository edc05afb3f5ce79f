"""One SQLite database: a single writer thread, any number of readers. postgres.py gives the same over PostgreSQL.

`write(work)` runs `work(connection)` on the writer thread inside one ``BEGIN IMMEDIATE`` transaction and returns its
result; writes of one process therefore never wait for a lock of their own, and those of other processes wait for at most
`BUSY` seconds. `read()` is a context manager with a read-only snapshot. Both are safe from every thread. Knows no tables.

SQLite's own errors leave here as besom's: `Unavailable` while the file stays locked or its disk is full (the same call
may work later), `StoreError` when it is damaged or no database at all.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.pool import QueuePool

from besom.core.errors import BesomError, StoreError, Unavailable
from besom.store.regex import search

T = TypeVar("T")
BUSY = 30.0
PAGE = 16384
"""Bytes of a page: chunks of a few KiB then lie in one page instead of a chain of overflow pages."""


class Database:
    """An open database file. `path` may not exist yet; `open_database` (store/migrations) makes and upgrades its tables."""

    reading: Mapping[str, Any] = {}
    """Execution options of the connections that `read` gives."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(path)),
            poolclass=QueuePool,
            pool_size=8,
            max_overflow=24,
            connect_args={"check_same_thread": False, "timeout": BUSY},
        )
        sa.event.listen(engine, "connect", _prepare)
        sa.event.listen(engine, "begin", _begin)
        self.start(engine)

    def start(self, engine: sa.Engine) -> None:
        """Begin to serve with this engine. It starts a write when its connection has the option `besom_write`."""
        self.engine = engine
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="besom-writer")
        self._closed = threading.Event()

    def write(self, work: Callable[[sa.Connection], T]) -> T:
        """Run `work` in one transaction on the writer thread; what it raises rolls back and is raised here.

        Never call it from inside `work`: the one writer thread would wait for itself.
        """

        def transaction() -> T:
            with (
                self.translated(),
                self.engine.connect().execution_options(besom_write=True) as connection,
                connection.begin(),
            ):
                return work(connection)

        return self._writer.submit(transaction).result()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection that sees one consistent snapshot."""
        with self.translated(), self.engine.connect().execution_options(**self.reading) as connection:
            yield connection

    def translated(self) -> AbstractContextManager[None]:
        """Errors of the database that pass through leave as besom's."""
        return translated(self.path)

    def close(self) -> None:
        """Finish the writes under way and let go of the file. Idempotent."""
        if not self._closed.is_set():
            self._closed.set()
            self._writer.shutdown()
            self.engine.dispose()


def upsert(
    c: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], keys: Sequence[str], fields: Sequence[str]
) -> None:
    """Insert rows; where a row with the same `keys` is there, give it the new `fields` instead."""
    statement: Any
    if c.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert  # not needed, and not loaded, over SQLite

        statement = insert(table)
    else:
        statement = sqlite_insert(table)
    new = {name: statement.excluded[name] for name in fields}
    c.execute(statement.on_conflict_do_update(index_elements=keys, set_=new), rows)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors in besom's words; a broken constraint stays IntegrityError, for stores that count on it."""
    try:
        yield
    except (sa.exc.IntegrityError, sqlite3.IntegrityError):
        raise
    except (sa.exc.DatabaseError, sqlite3.DatabaseError) as error:
        raise _in_our_words(path, error) from error


def _in_our_words(path: Path, error: Exception) -> BesomError:
    text = str(getattr(error, "orig", error))
    if "locked" in text or "busy" in text:
        return Unavailable(f"{path} is locked by another program; try again", retry_after=1.0)
    if "full" in text or "disk I/O error" in text:
        return Unavailable(f"the disk of {path} has no room ({text}); free some and try again", retry_after=5.0)
    if "readonly" in text or "unable to open" in text:
        return StoreError(f"{path} cannot be written ({text}); check the permissions of the file and its folder")
    if "not a database" in text or "malformed" in text:
        return StoreError(f"{path} is not a database that besom can read ({text}); restore it from a backup")
    return StoreError(f"{path}: {text}")


def _prepare(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's begin event below starts transactions, not the driver
    connection.execute(f"PRAGMA page_size={PAGE}")  # holds for a new file only
    _enter_wal(connection)
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "cache_size=-65536", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    connection.create_function("besom_match", 2, _match, deterministic=True)


def _enter_wal(connection: Any) -> None:
    """Switch to the write-ahead log. SQLite does not wait by itself when another process opens a fresh file just now."""
    deadline = time.monotonic() + BUSY
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _begin(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("besom_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _match(pattern: str, text: str | None) -> bool:
    """SQL: does `text` hold a match of a pattern that store/regex.py has accepted."""
    return text is not None and search(pattern, text)
