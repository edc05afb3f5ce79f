"""Over PostgreSQL: several servers are one store, odd values lose no run, and faults are told in words."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from besom.core import record as rec
from besom.core.batch import Batch
from besom.core.errors import StoreError, Unavailable, UsageError
from besom.core.names import RunPath
from besom.hub.hub import Hub
from besom.store import postgres as module
from besom.store import schema
from besom.store.database import Database
from besom.store.migrations import REVISIONS, open_database
from besom.testing.postgres import Server

RUN = RunPath("ann", "dkt", "r1")


@pytest.fixture
def address(postgres: Server) -> str:
    return postgres.fresh()


@pytest.fixture
def database(address: str) -> Iterator[Database]:
    database = open_database(address)
    yield database
    database.close()


def batch(*records: rec.Record, start: int = 0) -> Batch:
    return Batch(start, start + len(records), tuple(range(start, start + len(records))), records)


def test_the_revisions_make_exactly_the_tables_of_schema_py(database: Database) -> None:
    with database.read() as c:
        assert compare_metadata(MigrationContext.configure(c), schema.metadata) == []
        assert c.execute(sa.text("SELECT 'b' COLLATE \"default\" < 'C'")).scalar(), "the database's order is not ours"
        assert not c.execute(sa.select(sa.literal("b", schema.Text).collate("C") < "C")).scalar()


def test_processes_that_open_a_fresh_store_at_once_all_succeed(address: str) -> None:
    code = "import sys; from besom.store.migrations import open_database as o; o(sys.argv[1]).close()"
    processes = [subprocess.Popen([sys.executable, "-c", code, address], stderr=subprocess.PIPE) for _ in range(3)]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 3, errors


def test_servers_that_get_the_same_batches_keep_them_once(address: str, database: Database) -> None:
    """Four servers, each sent every batch of one run: what a load balancer and impatient clients can do at worst."""
    records = [rec.Run(1.0, starts=True), *(rec.History(i, 1.0 + i, {"loss": float(i)}) for i in range(60))]
    hubs = [Hub(database), *(Hub(open_database(address)) for _ in range(3))]
    failures: list[BaseException] = []

    def send(hub: Hub) -> None:
        try:
            for start in range(0, len(records), 4):
                assert hub.append(RUN, "s", batch(*records[start : start + 4], start=start)) >= start + 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=send, args=(hub,)) for hub in hubs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert hubs[1].rows(RUN).columns["loss"] == [float(i) for i in range(60)]
    for hub in hubs[1:]:
        hub.database.close()


def test_a_reader_that_follows_the_changes_misses_none(address: str, database: Database) -> None:
    """A change is seen no later than a number above its own: else a page would never ask for it again."""
    writers = [Hub(open_database(address)) for _ in range(3)]
    reader, seen, since = Hub(database), set[str](), 0
    done = threading.Event()

    def write(n: int) -> None:
        for i in range(15):
            writers[n].append(RunPath("ann", "dkt", f"r{n}-{i}"), "s", batch(rec.Run(1.0, starts=True)))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    while not done.is_set():
        if not any(thread.is_alive() for thread in threads):
            done.set()  # one look more
        change = reader.changes(since)
        seen |= {id for _, _, id in change.runs}
        since = change.seq
    assert len(seen) == 45
    for hub in writers:
        hub.database.close()


@pytest.mark.parametrize(
    "records",
    [
        [rec.Config({"a\0b": "c\0d", "x": "y\udfff"})],
        [rec.History(0, 1.0, {"loss\0": 0.5, "note": "a\0b", "\ud800": 1.0})],
        [rec.History(0, 1.0, {"k" * 70_000: 1.0, "é" * 5000: "ü" * 5000})],
        [rec.Config({"ü" * 5000: "ü" * 5000})],
        [rec.Config({"".join(map(chr, range(0x4E00, 0x9000))): "".join(map(chr, range(0x4E00, 0x9000)))})],
        [rec.Console(1.0, "out", "a\0b\n")],
        [rec.Run(2.0, name="n\0", notes="\0", tags=("t\0", "x" * 5000), group="g\0")],
        [rec.Exit(2.0, 1, "failed", reason="killed\0by \ud800")],
        [rec.Alert(2.0, "title\0", "text\0", "WARN")],
        [rec.File("folder/" + "ü" * 3000, "0" * 64, 5)],
    ],
    ids=lambda records: type(records[0]).__name__,
)
def test_a_text_that_postgresql_does_not_know_loses_no_run(database: Database, records: list[rec.Record]) -> None:
    hub = Hub(database)
    for start in (0, 10):  # and it goes on
        hub.append(RUN, "s", batch(rec.Run(1.0, starts=start == 0), *records, start=start // 5))
    view = hub.run(RUN)
    for record in records:
        if isinstance(record, rec.Config):
            assert view.config == record.update
        if isinstance(record, rec.History):
            rows = hub.rows(RUN, keys=list(record.data)).columns
            assert {key: rows[key] for key in record.data} == {key: [value] * 2 for key, value in record.data.items()}
    assert hub.keys("ann", "dkt").keys and hub.runs("ann", "dkt").total == 1
    for key in view.config:
        spelled = f"`{hub.keys('ann', 'dkt').keys[0].key}`"
        assert hub.runs("ann", "dkt", filter=f"{spelled} is set", sort=spelled).matched == 1, key


def test_a_store_of_a_newer_besom_is_refused_untouched(address: str) -> None:
    database = open_database(address)
    database.write(lambda c: c.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(StoreError, match="newer besom.*pip install -U besom"):
        open_database(address)


def test_a_database_of_another_program_is_refused_untouched(address: str, postgres: Server) -> None:
    database = module.Postgres(address)
    database.write(lambda c: c.exec_driver_sql("CREATE TABLE mine (a int)"))
    with pytest.raises(StoreError, match="another program"):
        open_database(address)
    with database.read() as c:
        assert sa.inspect(c).get_table_names() == ["mine"]
    database.close()


def test_a_failed_upgrade_leaves_nothing(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alembic.op.create_index", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        open_database(address)
    monkeypatch.undo()
    database = open_database(address)
    assert module.revision(database) == REVISIONS[-1]
    database.close()


def test_a_server_that_dies_lets_the_others_go_on(address: str, database: Database, postgres: Server) -> None:
    """Its connection breaks in the middle of a write: the write is undone, the next one of the same server works."""
    hub = Hub(database)

    def watcher(c: sa.Connection, _told: Any) -> None:
        pid = c.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        postgres.execute(f"SELECT pg_terminate_backend({pid}, 5000)")

    hub.watchers.append(watcher)
    with pytest.raises(Unavailable, match="does not answer now.*try again"):
        hub.append(RUN, "s", batch(rec.Run(1.0, starts=True)))
    hub.watchers.remove(watcher)
    assert hub.runs("ann", "dkt").total == 0
    assert hub.append(RUN, "s", batch(rec.Run(1.0, starts=True))) == 1


def test_a_statement_that_takes_too_long_is_ended(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SETTINGS", "SET statement_timeout = '50ms'")
    database = open_database(address)
    with pytest.raises(Unavailable, match="statement timeout"), database.read() as c:
        c.exec_driver_sql("SELECT pg_sleep(20)")
    database.close()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mysql://h/d", "mysql:// is not known"),
        ("nonsense", "postgresql://USER:PASSWORD@HOST/NAME"),
        ("postgresql://h:port/d", "postgresql://USER:PASSWORD@HOST/NAME"),
    ],
)
def test_an_address_that_is_none_is_explained(address: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_database(address)


def test_a_server_out_of_reach_is_told_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="try again") as caught:
        open_database(f"postgresql://me:secret@/d?host={tmp_path}")
    assert "secret" not in str(caught.value) and "postgresql://me:***@" in str(caught.value)


def test_without_psycopg_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "psycopg"] + ["psycopg"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=r"pip install 'besom\[postgres\]'"):
        open_database("postgresql://h/d")
