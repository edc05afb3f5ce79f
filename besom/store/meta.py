"""Runs as rows: the folded state, its typed index, stream positions, console lines. Implements ports.Runs.

Serves ingest and the queries. Knows how a state is kept, not how it came to be. `runs.state_blob` is the truth; the
columns beside it and the table `values` are an index of it and can be made again from it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from besom.core.codec import dump, load
from besom.core.fold import Metric, RunState
from besom.core.names import RunPath, flatten
from besom.core.plain import as_float, untag
from besom.core.record import Console
from besom.core.wire import Line
from besom.store import schema as t
from besom.store.database import upsert
from besom.store.ports import Held, Save

TEXT = 2000
"""Bytes (UTF-8) of a text that are indexed; a longer one is kept whole in the state."""
KEY = 600
"""Bytes of a key. An entry of an index of PostgreSQL, key and text and a few more, has at most 2,704."""
LINE = 64 * 1024
"""Characters of one line of console; a longer one is cut into several."""
EXACT = 2**53
"""Integers up to here are exact in float64."""

TEXT_FIELDS = ("id", "name", "state", "group", "job_type", "notes", "sweep", "reason")
NUMBER_FIELDS = ("created", "started", "seen", "ended", "exit_code", "attempt", "last_step")
FIELDS = (*TEXT_FIELDS, *NUMBER_FIELDS)
"""Fields of a run that are indexed under their own name, beside config.*, summary.*, meta.* and tag.*."""
TIME_FIELDS = ("created", "started", "seen", "ended")

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(RunState, ext_hook=untag).decode


class Value(NamedTuple):
    """A value in the typed index. `number`: None for texts and for NaN; `text`: see the table's column."""

    kind: str
    number: float | None
    text: str | None


def pack_state(state: RunState) -> bytes:
    """A state as bytes, exact for all that a record can carry."""
    try:
        return _encode(state)
    except (OverflowError, UnicodeEncodeError, TypeError):  # integers beyond 64 bits, lone surrogates: see core.codec
        fields = {name: getattr(state, name) for name in state.__struct_fields__}
        fields["metrics"] = {key: msgspec.to_builtins(metric) for key, metric in state.metrics.items()}
        return dump(fields)


def unpack_state(blob: bytes) -> RunState:
    """The state that `pack_state` wrote."""
    try:
        return _decode(blob)
    except msgspec.ValidationError:  # tagged texts where the decoder expects plain ones
        fields = load(blob)
        fields["metrics"] = {key: msgspec.convert(metric, Metric) for key, metric in fields["metrics"].items()}
        fields["tags"] = tuple(fields["tags"])
        fields["open"] = None if fields["open"] is None else tuple(fields["open"])
        return RunState(**fields)


def safe(text: str) -> str:
    """`text` as every database can keep it: lone surrogates and NUL escaped."""
    if "\0" in text:
        text = text.replace("\0", "\\x00")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def short(key: str) -> str:
    """A key as it is indexed: `safe`, and a digest of the whole in place of what is beyond KEY bytes."""
    key = safe(key)
    if len(key) * 4 <= KEY or len(raw := key.encode()) <= KEY:
        return key
    return f"{raw[: KEY - 33].decode(errors='ignore')}~{hashlib.sha256(raw).hexdigest()[:32]}"


def cut(text: str) -> str:
    """A text as it is indexed: `safe`, and its first TEXT bytes."""
    text = safe(text[:TEXT])
    return text if len(text) * 4 <= TEXT else text.encode()[:TEXT].decode(errors="ignore")


def typed(value: Any) -> Value | None:
    """How a value stands in the index; None for None, which counts as not set."""
    if value is None:
        return None
    if isinstance(value, bool):
        return Value("bool", None, "true" if value else "false")
    if isinstance(value, int):
        if abs(value) <= EXACT:
            return Value("number", float(value), None)
        return Value("number", as_float(value), str(value) if value.bit_length() < 4096 else None)
    if isinstance(value, float):
        return Value("number", None, "NaN") if math.isnan(value) else Value("number", value, None)
    if isinstance(value, str):
        return Value("string", None, cut(value))
    return Value("list", None, cut(json.dumps(value, default=repr, separators=(",", ":"))))


def indexed(state: RunState) -> Iterator[tuple[str, Value]]:
    """Everything that runs can be filtered, sorted and grouped by, with its key."""
    for prefix, part in (("config", state.config), ("summary", state.summary), ("meta", state.meta)):
        yield from _indexed_part(prefix, part)
    yield from _indexed_fields(state)


def _indexed_part(prefix: str, part: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    for key, value in flatten(part, prefix):
        found = typed(value)
        if found is not None:
            yield short(key), found


def _indexed_fields(state: RunState) -> Iterator[tuple[str, Value]]:
    for name in FIELDS:
        value = getattr(state, name)
        if value is not None and value != "":
            yield (
                name,
                Value("string", None, cut(value)) if isinstance(value, str) else Value("number", float(value), None),
            )
    for tag in state.tags:
        yield short(f"tag.{tag}"), Value("string", None, cut(tag))


class SqlRuns:
    """ports.Runs over the tables of schema.py."""

    def load(self, c: sa.Connection, paths: Iterable[RunPath]) -> dict[RunPath, Held]:
        found: dict[RunPath, Held] = {}
        projects: dict[tuple[str, str], list[str]] = {}
        for path in paths:
            projects.setdefault((path.entity, path.project), []).append(path.id)
        for (entity, project), ids in projects.items():
            for some in batches(ids):
                where = (t.runs.c.entity == entity, t.runs.c.project == project, t.runs.c.id.in_(some))
                for row in c.execute(sa.select(t.runs).where(*where)):
                    held = held_of(row)
                    found[held.path] = held
        return found

    def create(self, c: sa.Connection, path: RunPath, state: RunState) -> Held:
        row = {**_columns(state), **path._asdict(), "change": 0, "rows": 0}
        key = c.execute(t.runs.insert().values(row)).inserted_primary_key
        assert key is not None
        return Held(key[0], path, state)

    def save(self, c: sa.Connection, saves: Sequence[Save], change: int) -> None:
        rows = [
            {**_columns(s.state), "b_pk": s.held.pk, "rows": s.rows, "lease": s.lease, "change": change} for s in saves
        ]
        if not rows:
            return
        update = t.runs.update().where(t.runs.c.pk == sa.bindparam("b_pk"))
        c.execute(update.values({name: sa.bindparam(name) for name in rows[0] if name != "b_pk"}), rows)
        changed: list[dict[str, Any]] = []
        gone: list[dict[str, Any]] = []
        for save in saves:
            old, new = _difference(save.held.state if save.held.change else None, save.state)
            changed += [{"run": save.held.pk, "key": key, **value._asdict()} for key, value in new.items()]
            gone += [{"b_run": save.held.pk, "b_key": key} for key in old if key not in new]
        if gone:
            c.execute(
                t.values.delete().where(
                    t.values.c.run == sa.bindparam("b_run"), t.values.c.key == sa.bindparam("b_key")
                ),
                gone,
            )
        if changed:
            upsert(c, t.values, changed, ("run", "key"), ("kind", "number", "text"))

    def delete(self, c: sa.Connection, pk: int) -> None:
        of_run = sa.select(t.metrics.c.pk).where(t.metrics.c.run == pk)
        c.execute(t.chunks.delete().where(t.chunks.c.metric.in_(of_run)))
        named = [
            table
            for table in reversed(t.metadata.sorted_tables)
            if any(f.column is t.runs.c.pk for f in table.foreign_keys)
        ]
        for table in named:
            c.execute(table.delete().where(table.c.run == pk))
        c.execute(t.runs.delete().where(t.runs.c.pk == pk))

    def positions(self, c: sa.Connection, streams: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int]:
        found: dict[tuple[int, str], int] = {}
        for some in batches(sorted(set(streams))):
            where = sa.tuple_(t.streams.c.run, t.streams.c.stream).in_(some)
            for run, stream, position in c.execute(sa.select(t.streams).where(where)):
                found[run, stream] = position
        return found

    def advance(self, c: sa.Connection, positions: Mapping[tuple[int, str], int]) -> None:
        rows = [{"run": run, "stream": stream, "position": at} for (run, stream), at in positions.items()]
        if rows:
            upsert(c, t.streams, rows, ("run", "stream"), ("position",))

    def add_text(self, c: sa.Connection, pk: int, texts: Iterable[Console]) -> None:
        last = c.execute(sa.select(sa.func.max(t.console.c.n)).where(t.console.c.run == pk)).scalar()
        n = 0 if last is None else last + 1
        written: dict[int, dict[str, Any]] = {}
        open_lines: dict[str, dict[str, Any] | None] = {}
        for text in texts:
            if text.stream not in open_lines:
                open_lines[text.stream] = self._open_line(c, pk, text.stream, n - 100)
            line = open_lines[text.stream]
            for piece in _pieces(text.text):
                if line is None:
                    line = {"run": pk, "n": n, "time": text.time, "stream": text.stream, "text": ""}
                    n += 1
                line = {**line, "text": _overwritten(line["text"] + piece)}
                written[line["n"]] = line
                if piece.endswith("\n") or len(line["text"]) >= LINE:
                    line = None
            open_lines[text.stream] = line
        if written:
            upsert(c, t.console, list(written.values()), ("run", "n"), ("text",))

    def _open_line(self, c: sa.Connection, pk: int, stream: str, since: int) -> dict[str, Any] | None:
        """The line that the stream's next text goes on with; one that lies before `since` is left as it is."""
        where = (t.console.c.run == pk, t.console.c.stream == stream, t.console.c.n >= since)
        row = c.execute(sa.select(t.console).where(*where).order_by(t.console.c.n.desc()).limit(1)).mappings().first()
        return None if row is None or row["text"].endswith("\n") or len(row["text"]) >= LINE else dict(row)

    def lines(self, c: sa.Connection, pk: int, start: int, limit: int) -> tuple[list[Line], int]:
        mine = t.console.c.run == pk
        total = c.execute(sa.select(sa.func.coalesce(sa.func.max(t.console.c.n) + 1, 0)).where(mine)).scalar_one()
        first = max(0, total + start) if start < 0 else start
        rows = c.execute(sa.select(t.console).where(mine, t.console.c.n >= first).order_by(t.console.c.n).limit(limit))
        return [Line(row.n, row.time, row.stream, row.text.rstrip("\r\n")) for row in rows], total

    def bump(self, c: sa.Connection) -> int:
        counter = t.counters.c
        statement = t.counters.update().where(counter.name == "change").values(value=counter.value + 1)
        return int(c.execute(statement.returning(counter.value)).scalar_one())


def held_of(row: Any) -> Held:
    """The run in a row of the table `runs`."""
    path = RunPath(row.entity, row.project, row.id)
    return Held(row.pk, path, unpack_state(row.state_blob), row.rows, row.lease, row.change)


def batches(items: Sequence[Any], size: int = 5000) -> Iterator[Sequence[Any]]:
    """`items` in pieces that a statement can carry as parameters."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _columns(state: RunState) -> dict[str, Any]:
    return {
        "name": safe(state.name), "state": state.state, "sweep": safe(state.sweep), "created": state.created,
        "seen": state.seen, "state_blob": pack_state(state),
    }  # fmt: skip


def _difference(old: RunState | None, new: RunState) -> tuple[Iterable[str], dict[str, Value]]:
    """Keys that the index may hold no longer, and the entries that are new or changed. Both cover only what differs."""
    if old is None:
        return (), dict(indexed(new))
    before: dict[str, Value] = {}
    after: dict[str, Value] = {}
    for prefix, part, part_now in (("config", old.config, new.config), ("meta", old.meta, new.meta)):
        if part != part_now:
            before.update(_indexed_part(prefix, part))
            after.update(_indexed_part(prefix, part_now))
    before.update(_indexed_part("summary", {k: v for k, v in old.summary.items() if _differs(new.summary, k, v)}))
    after.update(_indexed_part("summary", {k: v for k, v in new.summary.items() if _differs(old.summary, k, v)}))
    before.update(_indexed_fields(old))
    after.update(_indexed_fields(new))
    # A key kept under another value is changed, not gone; an unchanged entry is not written again.
    gone = [key for key in before if key not in after]
    return gone, {key: value for key, value in after.items() if before.get(key) != value}


def _differs(other: Mapping[str, Any], key: str, value: Any) -> bool:
    held = other.get(key, _MISSING)
    return held is not value and (type(held) is not type(value) or held != value)


_MISSING = object()


def _pieces(text: str) -> Iterator[str]:
    for line in safe(text).split("\n")[:-1]:
        yield line + "\n"
    rest = safe(text).rpartition("\n")[2]
    for start in range(0, len(rest), LINE):
        yield rest[start : start + LINE]


def _overwritten(line: str) -> str:
    """What a terminal shows of a line with carriage returns: the text after the last one."""
    body, end = (line[:-1], "\n") if line.endswith("\n") else (line, "")
    trailing = len(body) - len(body.rstrip("\r"))
    shown = body.rstrip("\r").rpartition("\r")[2]
    return shown + ("\r" if trailing and not end else "") + end
