"""Opening a store file: new ones are made, older ones are upgraded, newer ones are refused untouched.

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


def open_database(path: Path) -> Database:
    """The store at `path`, at the newest revision; made when it does not exist.

    Several processes may open a fresh or an old file at once: one of them upgrades, the others wait. Raises StoreError,
    and leaves the file as it is, when a newer besom has written it or when it is no store of besom.
    """
    held = revision(path)
    if held is not None and held not in REVISIONS:
        raise StoreError(
            f"{path} was written by a newer besom (its revision is {held}, this one knows up to {REVISIONS[-1]}); "
            "upgrade besom with `pip install -U besom`, the file has not been touched"
        )
    database = Database(path)
    if held != REVISIONS[-1]:
        try:
            importlib.import_module("besom.store.migrations.upgrade").upgrade(database)
        except BaseException:
            database.close()
            raise
    return database


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
