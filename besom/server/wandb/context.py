"""What the resolvers and the file doors of one request share: the hub, the blobs, who asks, and how records are appended.

Ids that the client keeps for us are our paths as text, ``entity/project/id``; it never looks inside. Names that may not
stand in our paths are cleaned, and the answer tells the client the name that holds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol

from besom.core.batch import Batch
from besom.core.errors import NotFound, UsageError
from besom.core.names import RunPath, SweepPath, clean
from besom.core.record import Record
from besom.core.wire import RunView
from besom.hub.ingest import Delivery
from besom.hub.reaper import LEASE
from besom.settings import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from besom.hub.hub import Hub

_appending = threading.Lock()
"""Held from asking for a position to the append that follows, for streams whose lines have no offset of the client's."""


class Blob(Protocol):
    """A content that is kept."""

    @property
    def digest(self) -> str: ...
    @property
    def size(self) -> int: ...


class Blobs(Protocol):
    """Contents by their digest (store/blobs.py)."""

    def put(self, pieces: Iterable[bytes]) -> Blob: ...
    def open(self, digest: str) -> BinaryIO: ...
    def path(self, digest: str) -> Path: ...


class Lines(NamedTuple):
    """Records of lines of one file: (number of the line, record), and the number after the last line."""

    stream: str
    records: Sequence[tuple[int, Record]]
    end: int


class Loose(NamedTuple):
    """Records without a number of the client's: each gets the next one of its stream."""

    stream: str
    records: Sequence[Record]


@dataclass(frozen=True, slots=True)
class Context:
    """One request. `entity`: who is meant when none is named. `base`: our address as the caller wrote it."""

    hub: Hub
    blobs: Blobs
    entity: str
    base: str
    had: dict[str, set[str]] = field(default_factory=dict)
    """Agent -> runs that it named in its last heartbeat, of all requests since the server began."""
    sign: Callable[[str], str] = lambda path: ""
    """The query that lets the caller ask for a path without a key."""

    @property
    def now(self) -> float:
        return self.hub.clock()

    def owner(self, name: Any = None) -> str:
        """The entity that a request names, or the default one."""
        return clean(str(name or "")) or self.entity

    def project(self, name: Any = None) -> str:
        """The project that a request names, or the default one."""
        return clean(str(name or "")) or PROJECT

    def path(self, entity: Any, project: Any, run: Any) -> RunPath:
        """A run by its names. Raises UsageError for an id with nothing in it."""
        name = clean(str(run or ""))
        if not name:
            raise UsageError("a run needs an id of letters and digits")
        return RunPath(self.owner(entity), self.project(project), name)

    def find(self, path: RunPath) -> RunView | None:
        """The run, or None."""
        try:
            return self.hub.run(path)
        except NotFound:
            return None

    def append(self, path: RunPath, *parts: Lines | Loose) -> None:
        """Keep lines by their numbers, each once, and loose records, in this order and in one transaction."""
        with _appending:
            deliveries = []
            for part in parts:
                stream = f"wandb.{part.stream}"
                if isinstance(part, Lines):
                    numbers, records, start, end = (
                        [n for n, _ in part.records],
                        [r for _, r in part.records],
                        0,
                        part.end,
                    )
                else:
                    start = self.hub.position(path, stream)
                    records, end = list(part.records), start + len(part.records)
                    numbers = list(range(start, end))
                if end > start:
                    deliveries.append(Delivery(path, stream, Batch(start, end, tuple(numbers), tuple(records)), LEASE))
            self.hub.append_many(deliveries)


def run_path(id: Any) -> RunPath:
    """The run that an id of ours names. Raises NotFound."""
    return RunPath(*_three(id))


def sweep_path(id: Any) -> SweepPath:
    """The sweep that an id of ours names. Raises NotFound."""
    return SweepPath(*_three(id))


def _three(id: Any) -> list[str]:
    parts = str(id).split("/")
    if len(parts) != 3:
        raise NotFound(f"{id!r} is no id of this server")
    return parts
