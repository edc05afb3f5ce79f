"""Records to bytes and back. See docs/format/journal.md for the bytes.

The fast path is msgpack of the record as it is; values that msgpack cannot carry take the slow path (`_plain`), which
tags them so that they come back exact: integers of 64 bits and more, lone surrogates, numpy scalars, NaN and Inf.
Decoding gives the same values whichever path wrote them, with history and summary flattened to dotted keys.
"""

from __future__ import annotations

import msgspec

from besom.core.batch import Batch
from besom.core.record import Record

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)


class _Packed(msgspec.Struct, frozen=True, array_like=True):
    """A batch on the wire: each payload is one encoded record."""

    start: int
    end: int
    seqs: tuple[int, ...]
    payloads: tuple[bytes, ...]


_unpacker = msgspec.msgpack.Decoder(_Packed)


def encode(record: Record) -> bytes:
    """One record as bytes; never raises for values that a training script can log."""
    return _encoder.encode(record)


def decode(payload: bytes) -> Record:
    """The record in `payload`. Raises msgspec.DecodeError for bytes that are none."""
    return _decoder.decode(payload)


def pack(batch: Batch) -> bytes:
    """A batch as the body of an append request."""
    return _encoder.encode(_Packed(batch.start, batch.end, batch.seqs, tuple(map(encode, batch.records))))


def unpack(body: bytes) -> Batch:
    """The batch in the body of an append request. Raises msgspec.DecodeError for bytes that are none."""
    packed = _unpacker.decode(body)
    return Batch(packed.start, packed.end, packed.seqs, tuple(map(decode, packed.payloads)))
