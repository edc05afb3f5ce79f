"""Msgpack read without recursion, for the rare payload that the fast decoder refuses.

Two kinds of data end here: values nested deeper than the interpreter's recursion limit allows, and maps whose keys are
not texts (``log({1: loss})``). `parse` gives plain Python data with text keys; it serves `codec.decode` and knows
nothing of records.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import msgspec

_NUMBERS = {0xCA + i: f">{code}" for i, code in enumerate("fdBHIQbhiq")}
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
_BYTES = {0xC4: 1, 0xC5: 2, 0xC6: 4}
_TEXT = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_EXT = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_FIXED_EXT = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_ARRAY = {0xDC: 2, 0xDD: 4}
_MAP = {0xDE: 2, 0xDF: 4}


class _Reader:
    """A cursor over msgpack bytes."""

    def __init__(self, data: bytes, ext: Callable[[int, memoryview], Any]) -> None:
        self.data = memoryview(data)
        self.at = 0
        self.ext = ext

    def take(self, size: int) -> memoryview:
        piece = self.data[self.at : self.at + size]
        if len(piece) != size:
            raise msgspec.DecodeError("the payload ends inside a value")
        self.at += size
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def head(self) -> tuple[str, Any]:
        """The next item: ("value", value), ("array", length) or ("map", length)."""
        code = self.number(1)
        if code < 0x80:
            return "value", code
        if code >= 0xE0:
            return "value", code - 0x100
        if code < 0x90:
            return "map", code & 0x0F
        if code < 0xA0:
            return "array", code & 0x0F
        if code < 0xC0:
            return "value", str(self.take(code & 0x1F), "utf-8")
        if code in _CONSTANTS:
            return "value", _CONSTANTS[code]
        if code in _NUMBERS:
            form = _NUMBERS[code]
            return "value", struct.unpack(form, self.take(struct.calcsize(form)))[0]
        if code in _TEXT:
            return "value", str(self.take(self.number(_TEXT[code])), "utf-8")
        if code in _BYTES:
            return "value", bytes(self.take(self.number(_BYTES[code])))
        if code in _ARRAY:
            return "array", self.number(_ARRAY[code])
        if code in _MAP:
            return "map", self.number(_MAP[code])
        if code in _EXT or code in _FIXED_EXT:
            size = _FIXED_EXT.get(code) or self.number(_EXT[code])
            kind = struct.unpack(">b", self.take(1))[0]
            return "value", self.ext(kind, self.take(size))
        raise msgspec.DecodeError(f"no msgpack value begins with byte 0x{code:02x}")


def parse(payload: bytes, ext: Callable[[int, memoryview], Any]) -> Any:
    """The value in `payload`, of any depth, with every map key as text. `ext` reads extension values.

    Raises msgspec.DecodeError for bytes that are not one msgpack value.
    """
    reader = _Reader(payload, ext)
    try:
        value = _parse(reader)
    except (UnicodeDecodeError, struct.error) as error:
        raise msgspec.DecodeError(str(error)) from error
    if reader.at != len(payload):
        raise msgspec.DecodeError("bytes follow the value")
    return value


def _parse(reader: _Reader) -> Any:
    """Reads one value with an explicit stack of open containers: [items, how many are missing, is a map]."""
    stack: list[tuple[list[Any], int, bool]] = []
    while True:
        kind, value = reader.head()
        if kind != "value":
            missing = value * 2 if kind == "map" else value
            if missing:
                stack.append(([], missing, kind == "map"))
                continue
            value = {} if kind == "map" else []
        while stack:
            items, missing, is_map = stack[-1]
            items.append(value)
            if len(items) < missing:
                break
            stack.pop()
            value = {_key(k): v for k, v in zip(items[::2], items[1::2], strict=True)} if is_map else items
        else:
            return value


def _key(key: Any) -> str:
    return key if isinstance(key, str) else str(tuple(key) if isinstance(key, list) else key)
