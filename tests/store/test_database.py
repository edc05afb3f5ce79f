"""One writer, many readers, and errors that say what to do."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from besom.core.errors import StoreError, Unavailable
from besom.store import database as module
from besom.store.database import Database
from besom.store.migrations import open_database
from besom.store.schema import counters


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return open_database(tmp_path / "besom.db")


def value(database: Database) -> int:
    with database.read() as c:
        return c.execute(sa.select(counters.c.value)).scalar_one()


def add(c: sa.Connection) -> None:
    c.execute(counters.update().values(value=counters.c.value + 1))


def test_writes_of_many_threads_are_all_kept(database: Database) -> None:
    threads = [threading.Thread(target=lambda: [database.write(add) for _ in range(10)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value(database) == 80


def test_a_reader_sees_one_snapshot_while_others_write(database: Database) -> None:
    with database.read() as c:
        before = c.execute(sa.select(counters.c.value)).scalar_one()
        database.write(add)
        assert c.execute(sa.select(counters.c.value)).scalar_one() == before
    assert value(database) == before + 1


def test_a_store_that_another_program_holds_is_unavailable_for_now(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.close()
    monkeypatch.setattr(module, "BUSY", 0.05)
    mine = Database(database.path)
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked.*try again") as caught:
            mine.write(add)
        other.execute("ROLLBACK")
    assert caught.value.retry_after
    mine.write(add)
    mine.close()


def test_a_full_disk_is_unavailable_for_now_and_loses_nothing(database: Database) -> None:
    with database.engine.connect() as c:
        pages = c.exec_driver_sql("PRAGMA page_count").scalar_one()

    def fill(c: sa.Connection) -> None:
        c.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
        add(c)
        c.exec_driver_sql("CREATE TABLE filler (a)")
        c.exec_driver_sql("INSERT INTO filler VALUES (zeroblob(1000000))")

    with pytest.raises(Unavailable, match="no room"):
        database.write(fill)
    assert value(database) == 0


def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "besom.db"
    open_database(path).close()
    content = bytearray(path.read_bytes())
    content[100:4000] = b"\xff" * 3900
    path.write_bytes(content)
    with pytest.raises(StoreError, match="backup|malformed"):
        value(open_database(path))


def test_closing_twice_is_harmless(database: Database) -> None:
    database.close()
    database.close()
