"""A hub of its own for each test, with a clock that stands, and runs in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from besom.core import record as rec
from besom.core.batch import Batch
from besom.core.names import RunPath
from besom.core.record import Record
from besom.core.wire import RunPage
from besom.hub.hub import Hub
from besom.store.migrations import open_database


class Lab:
    """Ann's project dkt on a fresh store."""

    entity, project, began = "ann", "dkt", 1_700_000_000.0

    def __init__(self, place: Path | str) -> None:
        self.now = self.began
        self.place = place
        self.hub = self.open()

    def open(self) -> Hub:
        """Another hub over the same store, as another process has it."""
        return Hub(open_database(self.place), clock=lambda: self.now)

    def path(self, id: str) -> RunPath:
        return RunPath(self.entity, self.project, id)

    def batch(self, records: Iterable[Record], start: int = 0) -> Batch:
        """Records as a batch in which each takes ten bytes."""
        kept = tuple(records)
        return Batch(start, start + 10 * len(kept), tuple(start + 10 * i for i in range(len(kept))), kept)

    def records(
        self,
        id: str,
        config: dict[str, Any] | None = None,
        rows: Iterable[dict[str, Any]] = (),
        *,
        state: str = "finished",
        began: float = began,
        **fields: Any,
    ) -> list[Record]:
        """The records of a run: one row for each step, one second apart."""
        name = fields.pop("name", id)
        records: list[Record] = [rec.Run(began, name=name, starts=True, **fields), rec.Config(config or {})]
        records += [rec.History(step, began + step, row) for step, row in enumerate(rows)]
        if state != "running":
            records.append(rec.Exit(began + 100, 0 if state == "finished" else 1, state))
        return records

    def add(
        self, id: str, config: dict[str, Any] | None = None, rows: Iterable[dict[str, Any]] = (), **more: Any
    ) -> RunPath:
        """Keep a run made of `records`."""
        self.hub.append(self.path(id), "main", self.batch(self.records(id, config, rows, **more)))
        return self.path(id)

    def send(self, id: str, *records: Record, stream: str = "main", lease: float | None = None) -> int:
        """Append records to a stream of a run, behind what it holds."""
        at = self.hub.position(self.path(id), stream)
        return self.hub.append(self.path(id), stream, self.batch(records, at), lease=lease)

    def runs(self, filter: str = "", sort: str = "", **more: Any) -> RunPage:
        return self.hub.runs(self.entity, self.project, filter=filter, sort=sort, **more)

    def ids(self, filter: str = "", sort: str = "") -> list[str]:
        """Ids of the runs that pass, in the order given."""
        return [run.id for run in self.runs(filter, sort).runs]


@pytest.fixture
def lab(tmp_path: Path, place: Callable[[Path], Path | str]) -> Iterator[Lab]:
    lab = Lab(place(tmp_path / "lab"))
    yield lab
    lab.hub.database.close()
