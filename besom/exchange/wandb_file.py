"""Runs of the W&B client from its own transaction logs: `run-ID.wandb`, written offline and online alike.

The file: 7 bytes of head, then blocks of 32 KiB with chunks of a record (CRC-32, length, kind: whole, first, middle, last);
a record is a protobuf message. A file that is cut off is read up to the cut, a damaged chunk is passed over with a warning.
Needs no other library. Does not know what a project is here, nor where records go.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from besom.core import record as rec
from besom.core.errors import UsageError
from besom.core.names import flatten
from besom.core.record import Record
from besom.exchange.protobuf import integer, message, part, parts, real, text, texts
from besom.exchange.source import Part, Source, Warn, digest, ended, last, meta, run_id

HEAD = b":W&B\xe1\xbe\x00"
BLOCK = 32 << 10
_CHUNK = struct.Struct("<IHB")
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_RULES = ("min", "max", "mean", "best", "last", "none", "copy", "first")
"""Summary rules by the number of their field."""
Fields = dict[int, list[Any]]


def find(path: Path, warn: Warn) -> list[Source]:
    """The runs of a `.wandb` file, or of all of them below a folder. Raises UsageError when there is none."""
    files = [path] if path.is_file() else sorted({file.resolve() for file in path.rglob("*.wandb")})
    found = []
    for file in files:
        try:
            found.append(_source(file, warn))
        except UsageError as error:
            if path.is_file():
                raise
            warn(str(error))
    if not found:
        raise UsageError(f"{path}: there is no run of W&B here; a run is a file run-ID.wandb, mostly below wandb/")
    return found


def _source(path: Path, warn: Warn) -> Source:
    for data in transactions(path, lambda text: None):
        try:
            run = part(message(data), 17)
            id, name, project = text(run, 1), text(run, 8), text(run, 3)
        except ValueError:  # `read` tells it
            continue
        if id:
            folder = path.parent / "files"
            read = partial(_read, path, digest(data), warn)
            return Source(run_id(id), name or id, project, read, folder if folder.is_dir() else None)
    raise UsageError(f"{path}: the file holds no run; it ends before the client wrote its first records")


def _read(path: Path, mark: str, warn: Warn) -> Iterator[Part]:
    run = _Run()
    yield Part(f"wandb-{mark}", run.read(path, warn))
    yield last("wandb", *run.rest())


def transactions(path: Path, warn: Warn) -> Iterator[bytes]:
    """The records of a `.wandb` file, as protobuf. Raises UsageError for a file of another kind."""
    with path.open("rb") as file:
        if (head := file.read(len(HEAD))) != HEAD:
            raise UsageError(f"{path}: byte 0: a W&B log begins with {HEAD!r}, and this file with {head!r}")
        yield from _records(file, path, warn)


def _records(file: BinaryIO, path: Path, warn: Warn) -> Iterator[bytes]:
    held: bytearray | None = None
    base = 0
    block = HEAD + file.read(BLOCK - len(HEAD))
    at = len(HEAD)
    while True:
        while at + _CHUNK.size <= len(block):
            check, size, kind = _CHUNK.unpack_from(block, at)
            body = block[at + _CHUNK.size : at + _CHUNK.size + size]
            if len(body) < size and len(block) < BLOCK:
                return  # cut off: the client was killed, or still writes
            if check == size == kind == 0:
                break  # the rest of the block is empty
            if zlib.crc32(body, zlib.crc32(bytes([kind]))) != check:
                warn(f"{path}: byte {base + at}: a damaged record is passed over, with the rest of its block")
                held = None
                break
            if kind in (_WHOLE, _FIRST):
                held = bytearray(body)  # which is empty where a block had room for the chunk's head alone
            elif held is not None:
                held += body
            if kind in (_WHOLE, _LAST) and held is not None:
                yield bytes(held)
                held = None
            at += _CHUNK.size + size
        base += len(block)
        if len(block) < BLOCK or not (block := file.read(BLOCK)):
            return
        at = 0


class _Run:
    """One pass over a file. What W&B says in pieces (config, summary, lines of console) is put together here."""

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}
        self._meta: dict[str, Any] = {}
        self._config: dict[str, Any] = {}
        self._summary: dict[str, Any] = {}
        self._open = {"out": "", "err": ""}
        self._begun: float | None = None
        self._time = 0.0
        self._exit: int | None = None
        self._kinds = {2: self._history, 3: self._sum, 5: self._configure, 7: self._stats, 10: self._alert,
                       12: self._define, 13: self._output, 17: self._run, 18: self._end, 23: self._preempt,
                       26: self._environment}  # fmt: skip

    def read(self, path: Path, warn: Warn) -> Iterator[Record]:
        """The records of besom that the file stands for; what only the whole file tells comes with `rest`."""
        for data in transactions(path, warn):
            try:
                fields = message(data)
                for number, work in self._kinds.items():
                    if number in fields:
                        yield from work(part(fields, number))
            except (ValueError, OverflowError, RecursionError) as error:
                warn(f"{path}: a record of another kind than expected is passed over: {error}")

    def rest(self) -> list[Record]:
        """What may still change when the run goes on."""
        facts = rec.Run(self._time, **self._fields, meta=meta("wandb", **self._meta))
        lines = [rec.Console(self._time, stream, rest) for stream, rest in self._open.items() if rest.strip()]
        code = self._exit
        state = rec.RUNNING if code is None else rec.FAILED if code else rec.FINISHED
        reason = f"exit code {code}" if code else ""
        whole: list[Record] = [facts, rec.Config(self._config), rec.Summary(dict(flatten(self._summary))), *lines]
        return [*whole, ended(self._time, state, code, reason)]

    def _run(self, f: Fields) -> Iterator[Record]:
        names = {"name": 8, "group": 6, "job_type": 7, "notes": 9, "sweep": 12}
        self._fields |= {name: found for name, n in names.items() if (found := text(f, n))}
        self._fields |= {"tags": tuple(texts(f, 10))}
        git = part(f, 21)
        self._meta |= {"host": text(f, 13), "git_remote": text(git, 1), "git_commit": text(git, 2)}
        self._change(self._config, part(f, 4))
        if self._begun is None:
            self._begun = self._time = _time(part(f, 17))
            yield rec.Run(self._begun, id=text(f, 1), starts=True, meta=meta("wandb"))

    def _history(self, f: Fields) -> Iterator[Record]:
        row = dict(flatten(dict(_items(f, 1))))
        step, time = row.pop("_step", None), row.pop("_timestamp", None)
        row = {key: value for key, value in row.items() if key not in ("_runtime", "_wandb")}
        step = integer(part(f, 2), 1) if 2 in f or not isinstance(step, int) else step
        if isinstance(time, (int, float)):
            self._time = float(time)
        if row:
            yield rec.History(max(step, 0), self._time, row)

    def _sum(self, f: Fields) -> Iterator[Record]:
        self._change(self._summary, f)
        yield from ()

    def _configure(self, f: Fields) -> Iterator[Record]:
        self._change(self._config, f)
        yield from ()

    def _change(self, held: dict[str, Any], f: Fields) -> None:
        """Set and remove keys, which may be paths into nested maps. What W&B notes for itself begins with "_"."""
        for item in parts(f, 1):
            path = _path(item)
            if not path[0].startswith("_"):
                inner = held
                for key in path[:-1]:
                    if not isinstance(inner.get(key), dict):
                        inner[key] = {}
                    inner = inner[key]
                inner[path[-1]] = json.loads(text(item, 16))
        for item in parts(f, 2):
            path = _path(item)
            place: Any = held
            for key in path[:-1]:
                place = place.get(key) if isinstance(place, dict) else None
            if isinstance(place, dict):
                place.pop(path[-1], None)

    def _stats(self, f: Fields) -> Iterator[Record]:
        data = {key: float(value) for key, value in _items(f, 3) if isinstance(value, (int, float))}
        self._time = max(self._time, time := _time(part(f, 2)))
        if data:
            yield rec.Stats(time, data)

    def _output(self, f: Fields) -> Iterator[Record]:
        """Pieces become whole lines; of a line that was written over (a progress bar), the last state is kept."""
        stream = "out" if integer(f, 1) else "err"
        *lines, self._open[stream] = (self._open[stream] + text(f, 3)).split("\n")
        self._time = max(self._time, time := _time(part(f, 2)))
        if lines:
            shown = [line.rstrip("\r").rpartition("\r")[2] for line in lines]
            yield rec.Console(time, stream, "\n".join(shown) + "\n")

    def _define(self, f: Fields) -> Iterator[Record]:
        summary, name = part(f, 7), text(f, 1) or text(f, 2)
        rules = tuple(rule for n, rule in enumerate(_RULES, 1) if integer(summary, n))
        goal = {1: "minimize", 2: "maximize"}.get(integer(f, 8))
        if name and not name.startswith("_"):
            yield rec.Define(name, text(f, 4) or None, rules, goal, bool(integer(part(f, 6), 2)))

    def _alert(self, f: Fields) -> Iterator[Record]:
        yield rec.Alert(self._time, text(f, 1), text(f, 2), text(f, 3) or "INFO")

    def _preempt(self, f: Fields) -> Iterator[Record]:
        yield rec.Preempt(self._time)

    def _environment(self, f: Fields) -> Iterator[Record]:
        git = part(f, 9)
        known = {"os": 1, "python": 2, "program": 6, "host": 12, "user": 13, "executable": 14, "gpu": 18}
        found = {name: text(f, n) for name, n in known.items()}
        found |= {"git_remote": text(git, 1), "git_commit": text(git, 2)}
        self._meta |= {name: value for name, value in found.items() if value}
        if 5 in f:
            self._meta["args"] = texts(f, 5)
        yield from ()

    def _end(self, f: Fields) -> Iterator[Record]:
        self._exit = integer(f, 1)
        if self._begun is not None:
            self._time = max(self._time, self._begun + integer(f, 2))
        yield from ()


def _time(f: Fields) -> float:
    return integer(f, 1) + integer(f, 2) / 1e9


def _path(item: Fields) -> list[str]:
    return texts(item, 2) or [text(item, 1)]


def _items(f: Fields, number: int) -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of items that carry their value as JSON or, in newer files, by its type."""
    for item in parts(f, number):
        key = ".".join(_path(item))
        if 16 in item or 8 in item:
            yield key, json.loads(text(item, 16) or text(item, 8))
        elif 4 in item:
            yield key, bool(integer(item, 4))
        elif 5 in item:  # zigzag
            packed = integer(item, 5) & (1 << 64) - 1
            yield key, packed >> 1 ^ -(packed & 1)
        elif 6 in item:
            yield key, real(item, 6)
        elif 7 in item:
            yield key, text(item, 7)
        else:
            yield key, None
