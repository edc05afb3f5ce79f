"""Runs from TensorBoard's event files: each folder that holds some is a run, as TensorBoard itself sees it.

Scalars (also those that TensorFlow 2 writes as tensors) become rows, the hparams plugin becomes config and end. Pictures,
histograms and graphs are passed over. The file: length, its CRC, an event, its CRC; the CRC is a masked CRC-32C; an event is
a protobuf message. Needs no other library. Does not know what a project is here, nor where records go.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from besom.core import record as rec
from besom.core.errors import UsageError
from besom.core.names import clean
from besom.exchange.protobuf import content, integer, message, part, parts, real, text
from besom.exchange.source import Part, Source, Warn, digest, ended, last, meta, rows

CHECKED = 64 << 10
"""Bytes of an event up to which its CRC is computed, which costs 0.1 us a byte here; longer ones hold pictures."""
_PACKED = {1: ("f", 5), 2: ("d", 6), 3: ("i", 7), 9: ("q", 10)}
"""Type of a tensor -> (format of a number in its content, field that may hold it instead)."""
Fields = dict[int, list[Any]]


def find(path: Path, warn: Warn) -> list[Source]:
    """The runs below a folder, or the run of one event file. Raises UsageError when there is none."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*tfevents*") if file.is_file())
    folders: dict[Path, list[Path]] = {}
    for file in files:
        folders.setdefault(file.parent.resolve(), []).append(file)
    root = path.resolve() if path.is_dir() else path.resolve().parent
    found = []
    for folder, inside in folders.items():
        marks = {file: mark for file in inside if (mark := _mark(file, warn))}
        if marks:
            name = folder.relative_to(root).as_posix() if folder != root else folder.name
            id = f"{clean(folder.name)[:40] or 'run'}-{next(iter(marks.values()))[:8]}"
            found.append(Source(id, name, root.name, partial(_read, name, marks, warn)))
    if not found:
        raise UsageError(f"{path}: there is no event here; TensorBoard's files are called events.out.tfevents.*")
    return found


def _mark(path: Path, warn: Warn) -> str:
    """What tells a file from all others: its name and its first event, which holds the time of its making."""
    try:
        first = next(events(path, lambda text: None), None)
    except UsageError as error:
        warn(str(error))
        return ""
    return digest(path.name, path.resolve().parent.name, first) if first is not None else ""


def _read(name: str, marks: dict[Path, str], warn: Warn) -> Iterator[Part]:
    run = _Run()
    for path, mark in marks.items():
        yield Part(f"tensorboard-{mark}", run.read(path, warn))
    if not run.any and not run.config:
        return  # a writer makes an empty file beside what it writes
    group = name.rpartition("/")[0] or None
    facts = rec.Run(run.time, name=name, group=group, meta=meta("tensorboard"))
    yield last("tensorboard", facts, rec.Config(run.config), ended(run.time, run.state))


def events(path: Path, warn: Warn) -> Iterator[bytes]:
    """The events of a file, as protobuf. Raises UsageError for a file of another kind."""
    with path.open("rb") as file:
        at, end = 0, os.fstat(file.fileno()).st_size
        while len(head := file.read(12)) == 12:
            (size,) = struct.unpack_from("<Q", head)
            if struct.unpack_from("<I", head, 8)[0] != _masked(head[:8]):
                if at == 0:
                    raise UsageError(f"{path}: byte 0: this is no event file of TensorBoard")
                warn(f"{path}: byte {at}: the file is damaged, and what lies behind is not read")
                return
            if at + size + 16 > end:
                return  # cut off: the writer was killed, or still writes
            data = file.read(size + 4)
            if size > CHECKED or struct.unpack_from("<I", data, size)[0] == _masked(data[:size]):
                yield data[:size]
            else:
                warn(f"{path}: byte {at}: a damaged event is passed over")
            at += size + 16


class _Run:
    """One pass over the files of a run."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}
        self.state = rec.FINISHED
        self.time = 0.0
        self.any = False
        """It has scalars."""
        self._plugins: dict[str, str] = {}
        """Tag -> plugin: a writer says it with the first value only."""

    def read(self, path: Path, warn: Warn) -> Iterator[rec.Record]:
        for n, row in enumerate(rows(self._points(path, warn))):
            if n == 0:
                self.any = True
                yield rec.Run(row.time, starts=True, meta=meta("tensorboard"))
            yield row

    def _points(self, path: Path, warn: Warn) -> Iterator[tuple[int, float, str, Any]]:
        for data in events(path, warn):
            try:
                event = message(data)
                time, step = real(event, 1), integer(event, 2)
                self.time = max(self.time, time)
                for value in parts(part(event, 5), 1):
                    tag = text(value, 1)
                    found = self._value(tag, value)
                    if found is not None:
                        yield step, time, tag, found
            except ValueError as error:
                warn(f"{path}: an event of another kind than expected is passed over: {error}")

    def _value(self, tag: str, value: Fields) -> float | None:
        """The number in a value; None for a value of another kind."""
        if 9 in value:
            plugin = part(part(value, 9), 1)
            self._plugins[tag] = text(plugin, 1)
            if self._plugins[tag] == "hparams":
                self._hparams(part(plugin, 2))
        if 2 in value:
            return real(value, 2)
        if 8 in value and self._plugins.get(tag, "scalars") == "scalars":
            return _scalar(part(value, 8))
        return None

    def _hparams(self, plugin: Fields) -> None:
        for entry in parts(part(plugin, 3), 1):
            self.config[text(entry, 1)] = _plain(part(entry, 2))
        if integer(part(plugin, 4), 1) == 2:
            self.state = rec.FAILED


def _plain(value: Fields) -> Any:
    """The number, text or bool in a protobuf Value."""
    if 2 in value:
        found = real(value, 2)
        return int(found) if found.is_integer() and abs(found) < 1 << 53 else found
    if 3 in value:
        return text(value, 3)
    return bool(integer(value, 4)) if 4 in value else None


def _scalar(tensor: Fields) -> float | None:
    """The number in a tensor without dimensions."""
    kind = _PACKED.get(integer(tensor, 1))
    if kind is None or any(integer(size, 1) > 1 for size in parts(part(tensor, 2), 2)):
        return None
    form, field = kind
    packed = content(tensor, 4)
    if not packed and form in "fd":
        packed = content(tensor, field)
    if len(packed) != struct.calcsize(form):
        return None
    number: float = struct.unpack(f"<{form}", packed)[0]
    return number


@cache
def _table() -> list[int]:
    """Of CRC-32C, for a byte at a time."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


def _masked(data: bytes) -> int:
    """CRC-32C of `data`, turned and shifted as TensorFlow's files have it."""
    table, crc = _table(), 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
