"""Our own store keeps the contract that every store must."""

from __future__ import annotations

from pathlib import Path

from besom.store.database import Database
from besom.store.meta import SqlRuns
from besom.store.migrations import open_database
from besom.store.series import SqlSeries
from besom.testing.store import RunsContract, SeriesContract


class _Sqlite:
    def open_store(self, folder: Path) -> Database:
        return open_database(folder / "besom.db")

    def runs(self) -> SqlRuns:
        return SqlRuns()

    def series(self) -> SqlSeries:
        return SqlSeries()


class TestSqliteRuns(_Sqlite, RunsContract):
    pass


class TestSqliteSeries(_Sqlite, SeriesContract):
    pass
