"""Our own store keeps the contract that every store must, over both of its databases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from besom.store.database import Database
from besom.store.meta import SqlRuns
from besom.store.migrations import open_database
from besom.store.series import SqlSeries
from besom.testing.store import RunsContract, SeriesContract


class _Ours:
    @pytest.fixture(autouse=True)
    def at(self, place: Callable[[Path], Path | str]) -> None:
        self.place = place

    def open_store(self, folder: Path) -> Database:
        return open_database(self.place(folder))

    def runs(self) -> SqlRuns:
        return SqlRuns()

    def series(self) -> SqlSeries:
        return SqlSeries()


class TestRuns(_Ours, RunsContract):
    pass


class TestSeries(_Ours, SeriesContract):
    pass
