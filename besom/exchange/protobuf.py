"""The wire format of protobuf, as far as reading a few known fields needs it: no schema, no generated code.

Serves the readers of W&B's and TensorBoard's files, whose libraries are then not needed. Knows no message.
"""

from __future__ import annotations

import struct
from typing import Any


def message(data: bytes) -> dict[int, list[Any]]:
    """Field number -> its values in order: int (a varint, unsigned), or bytes (8 or 4 when fixed, else of any length).

    Raises ValueError for bytes that are no message.
    """
    fields: dict[int, list[Any]] = {}
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        kind = tag & 7
        value: Any
        if kind == 0:
            value, at = _varint(data, at)
        else:
            if kind == 2:
                size, at = _varint(data, at)
            elif kind in (1, 5):
                size = 8 if kind == 1 else 4
            else:
                raise ValueError(f"there is no wire type {kind}")
            value = data[at : at + size]
            at += size
            if at > end:
                raise ValueError("the message is cut off")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """(value, place behind it)."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("the message is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, at
        shift += 7


# Fields of a message. All raise ValueError for a value of another kind than asked for.


def content(fields: dict[int, list[Any]], number: int) -> bytes:
    """A field of bytes; b"" when it is not there."""
    return _bytes(fields[number][-1]) if number in fields else b""


def part(fields: dict[int, list[Any]], number: int) -> dict[int, list[Any]]:
    """The message in a field; {} when it is not there."""
    return message(content(fields, number))


def parts(fields: dict[int, list[Any]], number: int) -> list[dict[int, list[Any]]]:
    """The messages in a repeated field."""
    return [message(_bytes(data)) for data in fields.get(number, ())]


def text(fields: dict[int, list[Any]], number: int) -> str:
    """A string field; "" when it is not there."""
    return content(fields, number).decode("utf-8", "replace")


def texts(fields: dict[int, list[Any]], number: int) -> list[str]:
    """The strings in a repeated field."""
    return [_bytes(data).decode("utf-8", "replace") for data in fields.get(number, ())]


def integer(fields: dict[int, list[Any]], number: int, default: int = 0) -> int:
    """An int32, int64, bool or enum field."""
    value = fields[number][-1] if number in fields else default
    if not isinstance(value, int):
        raise ValueError("there are bytes where a number belongs")
    return value - (1 << 64) if value >= 1 << 63 else value


def real(fields: dict[int, list[Any]], number: int, default: float = 0.0) -> float:
    """A float or double field."""
    if number not in fields:
        return default
    data = content(fields, number)
    if len(data) not in (4, 8):
        raise ValueError(f"a number of {len(data)} bytes is none")
    value: float = struct.unpack("<d" if len(data) == 8 else "<f", data)[0]
    return value


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("there is a number where bytes belong")
    return value
