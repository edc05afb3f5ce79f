"""A store file is made, upgraded or refused: never half, never by two processes at once, never a newer one."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from besom.core.errors import StoreError
from besom.store import schema
from besom.store.migrations import REVISIONS, open_database, revision
from besom.store.migrations.upgrade import scripts


def test_the_revisions_make_exactly_the_tables_of_schema_py(tmp_path: Path) -> None:
    database = open_database(tmp_path / "besom.db")
    with database.read() as c:
        assert compare_metadata(MigrationContext.configure(c), schema.metadata) == []
    with closing(sqlite3.connect(tmp_path / "besom.db")) as file:
        made = dict(file.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall())
        assert file.execute("PRAGMA page_size").fetchone() == (16384,)
        assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert "WITHOUT ROWID" in made["values"]
    assert "WHERE number IS NOT NULL" in made["values_number"]
    database.close()


def test_the_list_of_revisions_is_that_of_the_folder() -> None:
    chain = [script.revision for script in scripts().walk_revisions()]
    assert tuple(reversed(chain)) == REVISIONS


def test_a_file_is_made_once_and_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "new folder #1" / "besom.db"
    assert revision(path) is None
    for _ in range(2):
        open_database(path).close()
    assert revision(path) == REVISIONS[-1]


def test_processes_that_open_a_fresh_store_at_once_all_succeed(tmp_path: Path) -> None:
    code = "import sys, pathlib; from besom.store.migrations import open_database as o; o(pathlib.Path(sys.argv[1])).close()"
    path = str(tmp_path / "besom.db")
    processes = [subprocess.Popen([sys.executable, "-c", code, path], stderr=subprocess.PIPE) for _ in range(4)]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT name, value FROM counters").fetchall() == [("change", 0)]


def test_a_store_of_a_newer_besom_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "besom.db"
    open_database(path).close()
    with closing(sqlite3.connect(path)) as file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")
        file.commit()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer besom.*pip install -U besom"):
        open_database(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "hint"), [(b"not a database, but a text that is long enough to look at" * 20, "not a database"), ("CREATE TABLE mine (a)", "another program")]
)  # fmt: skip
def test_a_file_of_another_program_is_refused_untouched(tmp_path: Path, content: bytes | str, hint: str) -> None:
    path = tmp_path / "besom.db"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with closing(sqlite3.connect(path)) as file:
            file.execute(content)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=re.escape(hint)):
        open_database(path)
    assert path.read_bytes() == before


def test_a_failed_upgrade_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "besom.db"
    monkeypatch.setattr("alembic.op.create_index", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        open_database(path)
    assert revision(path) is None
    monkeypatch.undo()
    open_database(path).close()
    assert revision(path) == REVISIONS[-1]
