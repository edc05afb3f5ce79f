"""Columns of numbers as bytes and back, bit for bit. Byte layout: docs/format/store.md.

Serves the series store (walk 1: seal; charts: open). Knows no tables, runs or metrics.

A column is one tag byte and a body. Integers: an arithmetic progression is three numbers; anything else is the deltas in
the narrowest width that holds them, bytes transposed, zstd. Floats: as integers or float32 where that is bit-equal (so a
loss of a float32 model costs 4 bytes before compression), else float64. NaN payloads, -0.0 and Inf come back as they were.
"""

from __future__ import annotations

import struct
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard

from besom.core.errors import StoreError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

CHUNK = 4096
"""Points of a sealed chunk, at most; all chunks of a metric but its last one are full."""
HEAD = 256
"""Points that wait in a metric's head, at most, before they are sealed."""

POINT = np.dtype([("row", "<i8"), ("step", "<i8"), ("time", "<f8"), ("value", "<f8")])
"""A point of a head: number of its history row, step, seconds since the epoch, value. Heads are plain arrays of these."""

_PROGRESSION, _DELTAS, _WHOLE, _SINGLE, _DOUBLE = b"A", b"D", b"I", b"F", b"E"
_local = threading.local()  # zstd contexts may not be shared by threads


def pack_ints(column: Ints) -> bytes:
    """An int64 column, shape (n,), as bytes."""
    n = len(column)
    if n == 0:
        return _PROGRESSION + struct.pack("<qqI", 0, 0, 0)
    with np.errstate(over="ignore"):  # deltas wrap, and the running sum of unpack_ints wraps back
        deltas = np.diff(column)
    if n == 1 or (deltas == deltas[0]).all():
        return _PROGRESSION + struct.pack("<qqI", int(column[0]), int(deltas[0]) if n > 1 else 0, n)
    low, high = int(deltas.min()), int(deltas.max())
    width = next(w for w in (1, 2, 4, 8) if -(1 << (8 * w - 1)) <= low and high < 1 << (8 * w - 1))
    return _DELTAS + struct.pack("<qIB", int(column[0]), n, width) + _squeeze(deltas.astype(f"<i{width}"))


def unpack_ints(blob: bytes) -> Ints:
    """The column that `pack_ints` wrote. Raises StoreError for bytes that are none."""
    tag, body = blob[:1], blob[1:]
    if tag == _PROGRESSION:
        start, stride, n = struct.unpack("<qqI", body)
        return np.arange(n, dtype=np.int64) * np.int64(stride) + np.int64(start)
    if tag != _DELTAS:
        raise StoreError(f"a column of integers begins with A or D, and this one with {tag!r}: the store is damaged")
    start, n, width = struct.unpack_from("<qIB", body)
    column = np.empty(n, np.int64)
    column[0] = start
    column[1:] = _unsqueeze(body[13:], f"<i{width}")
    return np.cumsum(column, out=column)


def pack_floats(column: Floats) -> bytes:
    """A float64 column, shape (n,), as bytes."""
    bits = column.view(np.int64)
    with np.errstate(invalid="ignore", over="ignore"):
        whole = column.astype(np.int64)
        if (whole.astype(np.float64).view(np.int64) == bits).all():
            return _WHOLE + pack_ints(whole)
        single = column.astype("<f4")
        if (single.astype(np.float64).view(np.int64) == bits).all():
            return _SINGLE + _squeeze(single)
    return _DOUBLE + _squeeze(column.astype("<f8", copy=False))


def unpack_floats(blob: bytes) -> Floats:
    """The column that `pack_floats` wrote. Raises StoreError for bytes that are none."""
    tag, body = blob[:1], blob[1:]
    if tag == _WHOLE:
        return unpack_ints(body).astype(np.float64)
    if tag == _SINGLE:
        return _unsqueeze(body, "<f4").astype(np.float64)
    if tag == _DOUBLE:
        return _unsqueeze(body, "<f8")
    raise StoreError(f"a column of floats begins with I, F or E, and this one with {tag!r}: the store is damaged")


def pack_times(column: Floats) -> bytes:
    """A float64 column that mostly grows by small amounts (clock readings), as bytes: deltas of the bit patterns."""
    return pack_ints(column.view(np.int64))


def unpack_times(blob: bytes) -> Floats:
    """The column that `pack_times` wrote."""
    return unpack_ints(blob).view(np.float64)


def _squeeze(column: npt.NDArray[Any]) -> bytes:
    if not hasattr(_local, "compressor"):
        _local.compressor = zstandard.ZstdCompressor(level=1)
    width = column.dtype.itemsize
    planes = column.view(np.uint8).reshape(-1, width).T if width > 1 else column
    squeezed: bytes = _local.compressor.compress(planes.tobytes())
    return squeezed


def _unsqueeze(blob: bytes, dtype: str) -> npt.NDArray[Any]:
    if not hasattr(_local, "decompressor"):
        _local.decompressor = zstandard.ZstdDecompressor()
    raw = np.frombuffer(_local.decompressor.decompress(blob), np.uint8)
    width = np.dtype(dtype).itemsize
    planes = np.ascontiguousarray(raw.reshape(width, -1).T) if width > 1 else raw
    return planes.reshape(-1).view(dtype)
