"""Records to bytes and back. See docs/format/journal.md for the bytes.

The fast path is msgpack of the record as it is; values that msgpack cannot carry take the slow path (`plain`), which
tags them so that they come back exact: integers beyond 64 bits, lone surrogates, numpy scalars, NaN and Inf.
Decoding gives the same values whichever path wrote them, with history and summary flattened to dotted keys.

Laws (tests/core/test_codec.py): ``encode`` never raises; ``decode(encode(r)) == r`` for a record of plain flat data;
``decode(encode(decode(encode(r)))) == decode(encode(r))`` for every record.
"""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from besom.core import record as rec
from besom.core.batch import Batch
from besom.core.deep import parse
from besom.core.names import flatten
from besom.core.plain import plain, plain_map, scalar, shallow, untag
from besom.core.record import History, Record, Summary

_encoder = msgspec.msgpack.Encoder(enc_hook=scalar)
_decoder: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record, ext_hook=untag)
_loader = msgspec.msgpack.Decoder(ext_hook=untag)
_fast = quick = _encoder.encode
"""``quick((HISTORY, step, time, data))`` are the bytes of a whole row, for the hot path of `log()`: no call of Python, no
record in between. Raises whatever it likes where the values need the slow path of `encode_history`."""

HISTORY: int = 2
_KINDS: tuple[type, ...] = get_args(Record)
_MAPS: dict[type, str] = {
    rec.Run: "meta",
    rec.Config: "update",
    rec.History: "data",
    rec.Summary: "update",
    rec.Stats: "data",
    rec.Artifact: "meta",
}
"""The field of each kind of record that holds a user's values."""


class _Packed(msgspec.Struct, frozen=True, array_like=True):
    """A batch on the wire: each payload is one encoded record."""

    start: int
    end: int
    seqs: tuple[int, ...]
    payloads: tuple[bytes, ...]


_unpacker = msgspec.msgpack.Decoder(_Packed)


def encode_history(
    step: int, time: float, data: dict[str, Any], partial: bool = False, odd: list[str] | None = None
) -> bytes:
    """`encode(History(step, time, data, partial), odd)` without the record in between."""
    try:
        return _fast((HISTORY, step, time, data, partial))
    except Exception:  # the fast encoder and the objects it meets raise many things; the slow path takes them all
        return _fast((HISTORY, int(step), float(time), plain_map(data, odd), bool(partial)))


def encode(record: Record, odd: list[str] | None = None) -> bytes:
    """One record as bytes; never raises for values that a training script can log.

    Dotted keys of values that became text, because nothing is known about their type, are added to `odd`.
    """
    kind = type(record)
    if kind in (rec.Config, rec.Run, rec.Artifact):
        return _slow(record, odd)  # they stay nested, so their depth is cut here; none is on a hot path
    try:
        return _fast(record)
    except Exception:  # as in encode_history
        return _slow(record, odd)


def _slow(record: Record, odd: list[str] | None) -> bytes:
    """Values of users are kept exact by tags; the texts of besom's own fields have no tag and are escaped."""
    values = _MAPS.get(type(record))
    fields: list[Any] = [_KINDS.index(type(record))]
    for name in record.__struct_fields__:
        value = getattr(record, name)
        fields.append(plain_map(value, odd) if name == values and value is not None else _printable(value))
    return _fast(fields)


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, (tuple, list)):
        return [_printable(item) for item in value]
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    return value


def decode(payload: bytes) -> Record:
    """The record in `payload`. Raises msgspec.DecodeError for bytes that are none, or of a kind not known here."""
    try:
        record = _decoder.decode(payload)
    except (msgspec.ValidationError, RecursionError):
        record = _decode_odd(payload)
    kind = type(record)
    if kind is History:
        data = record.data  # type: ignore[union-attr]
        for value in data.values():
            of = type(value)
            if of is dict or of is list:
                return History(record.step, record.time, _flat(data), record.partial)  # type: ignore[union-attr]
    elif kind is Summary:
        return Summary(_flat(record.update), record.remove)  # type: ignore[union-attr]
    return record


def _flat(data: dict[str, Any]) -> dict[str, Any]:
    return {key: shallow(value) if type(value) is list else value for key, value in flatten(data)}


def _decode_odd(payload: bytes) -> Record:
    """A record whose user values are too deep, or have keys that are no texts, for the fast decoder."""
    fields = parse(payload, untag)
    if not isinstance(fields, list) or not fields or fields[0] not in range(len(_KINDS)):
        raise msgspec.DecodeError("the payload is not a record known to this version")
    kind: Any = _KINDS[fields[0]]
    if kind in _MAPS:
        at = 1 + kind.__struct_fields__.index(_MAPS[kind])
        if at < len(fields) and isinstance(fields[at], dict):
            values = fields[at]
            fields[at] = _flat(values) if kind in (History, Summary) else shallow(values)
    if kind is History and isinstance(fields[1], float) and fields[1].is_integer():
        fields[1] = int(fields[1])
    record: Record = msgspec.convert(fields, Record)
    return record


def pack(batch: Batch) -> bytes:
    """A batch as the body of an append request."""
    return _fast(_Packed(batch.start, batch.end, batch.seqs, tuple(map(encode, batch.records))))


def unpack(body: bytes) -> Batch:
    """The batch in the body of an append request. Raises msgspec.DecodeError for bytes that are none.

    A record of a kind that a later version invented is left out; its place stays in [start, end).
    """
    packed = _unpacker.decode(body)
    if len(packed.seqs) != len(packed.payloads):
        raise msgspec.DecodeError("a batch has one seq for each record")
    return Batch(packed.start, packed.end, *known(packed.seqs, packed.payloads))


def known(seqs: tuple[int, ...], payloads: tuple[bytes, ...]) -> tuple[tuple[int, ...], tuple[Record, ...]]:
    """The records among `payloads` that this version understands, each with its seq."""
    places: list[int] = []
    records: list[Record] = []
    for seq, payload in zip(seqs, payloads, strict=True):
        try:
            records.append(decode(payload))
        except msgspec.DecodeError:
            continue
        places.append(seq)
    return tuple(places), tuple(records)


def dump(value: Any, odd: list[str] | None = None) -> bytes:
    """Any value as bytes, with the same exactness as a record's; for what a store keeps (config, summary, info)."""
    return _fast(plain(value, odd))


def load(data: bytes) -> Any:
    """The value that `dump` wrote. Raises msgspec.DecodeError for bytes that are none."""
    try:
        return _loader.decode(data)
    except RecursionError:
        return parse(data, untag)
