"""The same store over PostgreSQL, for a team: any number of servers over one database. psycopg is loaded here only.

A write takes one advisory lock for the length of its transaction, as a write to SQLite takes the file's. So what holds there
holds here: writes of all servers follow each other, the change counter grows in the order of commits, a batch that two
servers get at once is kept once, and a trial has one claimer. Reads are snapshots (REPEATABLE READ, read only) and wait for
nobody. Knows no tables.

PostgreSQL's own errors leave here as besom's: `Unavailable` while it cannot be reached, is full, busy or too slow;
`StoreError` when it will not have us; ValueError for a value that its types cannot hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from besom.core.errors import BesomError, StoreError, Unavailable, UsageError
from besom.store.database import BUSY, Database

SLOWEST = 60.0
"""Seconds of one statement, and of a transaction that stands idle."""
LOCK = 0x6265736F6D
_SETTINGS = (
    "SET jit = off;"  # it costs more than it saves in statements of a few ms
    f"SET lock_timeout = '{BUSY}s'; SET statement_timeout = '{SLOWEST}s';"
    f"SET idle_in_transaction_session_timeout = '{SLOWEST}s'"
)
_FOR_NOW = ("08", "40", "53", "57", "25006", "55P03")
"""Beginnings of SQLSTATEs that pass: connection lost, conflict, no room, shut down or too slow, a standby, locked."""


class Postgres(Database):
    """An open database. `address`: postgresql://USER:PASSWORD@HOST/NAME. Raises UsageError for what is none."""

    reading = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

    def __init__(self, address: str) -> None:
        try:
            url = sa.make_url(address)
        except (sa.exc.ArgumentError, ValueError) as error:
            raise UsageError(
                f"a store is a folder or postgresql://USER:PASSWORD@HOST/NAME, not this ({error})"
            ) from None
        if url.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
            raise UsageError(f"a store is postgresql://USER:PASSWORD@HOST/NAME, and {url.drivername}:// is not known")
        self.name = url.set(drivername="postgresql").render_as_string(hide_password=True)
        prepare = _adapted()
        engine = sa.create_engine(url.set(drivername="postgresql+psycopg"), pool_size=4, max_overflow=20)
        sa.event.listen(engine, "connect", prepare)
        sa.event.listen(engine, "begin", _begin)
        self.start(engine)

    def __str__(self) -> str:
        return self.name

    @contextmanager
    def translated(self) -> Iterator[None]:
        """PostgreSQL's errors in besom's words; a broken constraint stays IntegrityError, for stores that count on it."""
        try:
            yield
        except sa.exc.IntegrityError:
            raise
        except sa.exc.DataError as error:
            raise ValueError(str(error.orig).partition("\n")[0]) from error
        except sa.exc.DBAPIError as error:
            raise _in_our_words(self.name, error) from error


def revision(database: Database) -> str | None:
    """The revision of a store; None for an empty database. Raises StoreError for a database of another program."""
    with database.read() as c:
        encoding = c.exec_driver_sql("SHOW server_encoding").scalar_one()
        if encoding != "UTF8":
            raise StoreError(f"a store keeps any text, and this database is {encoding}: create it with ENCODING 'UTF8'")
        tables = sa.inspect(c).get_table_names()
        if "alembic_version" in tables:
            return c.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if tables:
        raise StoreError("this is a database of another program; give besom one of its own (CREATE DATABASE besom)")
    return None


def _in_our_words(name: str, error: sa.exc.DBAPIError) -> BesomError:
    state = getattr(error.orig, "sqlstate", None) or ""
    text = str(error.orig).partition("\n")[0]
    if error.connection_invalidated or not state or state.startswith(_FOR_NOW):
        return Unavailable(f"{name} does not answer now ({text}); try again", retry_after=1.0)
    return StoreError(f"{name}: {text}")


def _adapted() -> Any:
    """What makes a fresh connection ready. Raises UsageError without psycopg."""
    try:
        from psycopg.types.numeric import FloatBinaryDumper
    except ImportError as error:
        raise UsageError(f"PostgreSQL needs psycopg ({error}): pip install 'besom[postgres]'") from None

    class Dumper(FloatBinaryDumper):
        """NaN as NULL, as SQLite keeps it: PostgreSQL's NaN is larger than all numbers and equal to itself."""

        def dump(self, obj: float) -> Any:
            return None if obj != obj else super().dump(obj)

    def prepare(connection: Any, _record: Any) -> None:
        connection.adapters.register_dumper(float, Dumper)
        connection.execute(_SETTINGS)
        connection.commit()

    return prepare


def _begin(connection: sa.Connection) -> None:
    if connection.get_execution_options().get("besom_write"):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
