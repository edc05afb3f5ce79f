"""Opening a store: new ones are made, older ones are upgraded, newer ones are refused untouched.

Revisions are Alembic's, one file each in versions/, run from the package with no alembic.ini. Alembic is loaded only
when there is something to do, because it costs more than all else that a short command does.
"""

from __future__ import annotations

import importlib
import sqlite3
from contextlib import closing
from pathlib import Path

from besom.core.errors import StoreError
from besom.store.database import Database, translated

REVISIONS = ("0001", "0002")
"""All revisions, oldest first; the last one is what this code reads and writes. Held to versions/ by a test."""


def open_database(place: Path | str) -> Database:
    """The store at `place`, a file or the address of a PostgreSQL database, at the newest revision; a file is made when it
    does not exist.

    Several processes may open a fresh or an old store at once: one of them upgrades, the others wait. Raises StoreError,
    and leaves the store as it is, when a newer besom has written it or when it is no store of besom.
    """
    if isinstance(place, str):
        postgres = importlib.import_module("besom.store.postgres")
        database: Database = postgres.Postgres(place)
    else:
        held = _known(place, revision(place))
        database = Database(place)
    try:
        if isinstance(place, str):
            held = _known(database, postgres.revision(database))
        if held != REVISIONS[-1]:
            importlib.import_module("besom.store.migrations.upgrade").upgrade(database)
    except BaseException:
        database.close()
        raise
    return database


def _known(store: object, held: str | None) -> str | None:
    if held is not None and held not in REVISIONS:
        raise StoreError(
            f"{store} was written by a newer besom (its revision is {held}, this one knows up to {REVISIONS[-1]}); "
            "upgrade besom with `pip install -U besom`, the store has not been touched"
        )
    return held


def revision(path: Path) -> str | None:
    """The revision of a store file, read without changing it; None for a file that does not exist or is empty."""
    if not path.exists() or path.stat().st_size == 0:
        return None
    with (
        translated(path),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as file,
    ):
        tables = {name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "alembic_version" in tables:
            row = file.execute("SELECT version_num FROM alembic_version").fetchone()
            return str(row[0]) if row else None
    if tables:
        raise StoreError(f"{path} is a database of another program; give besom a folder of its own (BESOM_DIR)")
    return None
