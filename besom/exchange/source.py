"""What every importer gives: runs as streams of records, and the one way they reach where runs are kept.

A `Source` is one run somewhere else. Its streams are of two kinds. A log only grows (a file that is appended to, points in
the order of their time): its n-th record is the same whenever it is read, so that number is its place in the stream.
What may change (name, config, summary, the end) is the last stream, named by its own content. So importing again adds
nothing, and importing a run that went on adds what is new. Knows no format, no store and no network.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from besom.core import record as rec
from besom.core.batch import Batch, after
from besom.core.codec import encode
from besom.core.errors import GapError
from besom.core.names import clean
from besom.core.record import Record

BATCH = 2000
"""Records sent at once."""
PIECE = 1 << 20
"""Bytes of a file read at once."""
_WORDS = {"True": True, "False": False, "None": None}
_NUMBER = re.compile(r"-?((0|[1-9]\d*)(\.\d*)?([eE][+-]?\d+)?|inf|nan)", re.ASCII)
Warn = Callable[[str], None]
"""Is told of what could not be read; the rest is imported all the same."""


class Part(NamedTuple):
    """One stream of a run. `records` are read once, in order, and before the next part is asked for."""

    stream: str
    records: Iterable[Record]


@dataclass(frozen=True, slots=True)
class Source:
    """One run to import. `id`: made from what the source calls it, so that it is the same the next time.

    `project`: what the source calls its place, as text. `read` begins to read; what it finds wrong raises UsageError.
    """

    id: str
    name: str
    project: str
    read: Callable[[], Iterator[Part]]
    folder: Path | None = None
    """Where its files lie, if it has any: each belongs to the run under its name below it."""


def carry(
    source: Source,
    held: Callable[[str], int],
    send: Callable[[str, Batch], int],
    keep: Callable[[str, Callable[[], Iterator[bytes]]], object],
) -> int:
    """Send what is not held yet; how many records that were.

    `held(stream)`: the position up to which a stream is kept. `send(stream, batch)`: keeps a batch, answers the new position.
    `keep(digest, pieces)`: keeps the content of a file.
    """
    added = 0
    for stream, records in chain(source.read(), _files(source.folder, keep)):
        position = held(stream)
        for batch in _batches(records):
            new = after(batch, position)
            if new is None:
                continue
            position = send(stream, new)
            if position < new.end:
                raise GapError(position)
            added += len(new.records)
    return added


def _files(folder: Path | None, keep: Callable[[str, Callable[[], Iterator[bytes]]], object]) -> Iterator[Part]:
    files = []
    for path in sorted(folder.rglob("*")) if folder is not None else ():
        if path.is_file():
            with path.open("rb") as file:
                sha = hashlib.file_digest(file, "sha256").hexdigest()
            keep(sha, partial(_pieces, path))
            found = path.stat()
            files.append(rec.File(path.relative_to(folder or path).as_posix(), sha, found.st_size, found.st_mtime))
    if files:
        yield Part(f"files-{digest(*(f'{file.path} {file.digest}' for file in files))}", files)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _batches(records: Iterable[Record]) -> Iterator[Batch]:
    left, start = iter(records), 0
    while some := tuple(islice(left, BATCH)):
        end = start + len(some)
        yield Batch(start, end, tuple(range(start, end)), some)
        start = end


def digest(*parts: Any) -> str:
    """16 letters that stand for `parts`; the same in every process."""
    return hashlib.sha256(b"\0".join(p if isinstance(p, bytes) else str(p).encode() for p in parts)).hexdigest()[:16]


def run_id(text: str) -> str:
    """The id of a run that its source calls `text`: the same where it may stand in a path, else with a mark, so that two such
    runs never become one."""
    made = clean(text)
    return made if made == text else f"{made[:100]}-{digest(text)[:8]}".lstrip("-")


def last(kind: str, *records: Record) -> Part:
    """The stream of what may change, named by what it says."""
    return Part(f"{kind}-{digest(*map(encode, records))}", records)


def rows(points: Iterable[tuple[int, float, str, Any]]) -> Iterator[rec.History]:
    """Points of (step, time, metric, value) as parts of rows: neighbours of one step make a row, unless a metric comes again."""
    at, keys = -1, set[str]()
    for step, time, key, value in points:
        step = max(step, 0)
        if step == at and key in keys:
            yield rec.History(step, time, {})  # ends the row
            keys.clear()
        elif step != at:
            at = step
            keys.clear()
        keys.add(key)
        yield rec.History(step, time, {key: value}, partial=True)


def ended(time: float, state: str, code: int | None = None, reason: str = "") -> rec.Exit:
    """The end of a run; one that still ran counts as crashed, until it is imported again and has gone on."""
    if state == rec.RUNNING:
        return rec.Exit(time, None, rec.CRASHED, "it had not ended when it was imported", "reaper")
    return rec.Exit(time, code, state, reason)


def meta(kind: str, **facts: Any) -> dict[str, Any]:
    """Provenance, with the mark by which an imported run is known."""
    return {"imported": kind, **{name: value for name, value in facts.items() if value not in (None, "", [], ())}}


def number(text: str) -> Any:
    """A parameter that was kept as text, as the number or bool that it spells; any other text as it is."""
    if text in _WORDS:
        return _WORDS[text]
    if not _NUMBER.fullmatch(text):
        return text
    return int(text) if text.lstrip("-").isdecimal() else float(text)
