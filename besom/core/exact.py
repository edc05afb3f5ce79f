"""The words of core/wire.py as msgpack, exact: NaN, Inf, -0.0, integers of any size and lone surrogates come back as they were.

msgpack itself carries all but two: an integer of more than 64 bits and a lone surrogate in a string. Those travel as
extension types; only a message that holds one pays for looking. Nesting beyond `DEPTH` is cut to its text.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
INTEGER, TEXT = 1, 2
"""Extension codes: decimal digits in ASCII, and UTF-8 with surrogates passed."""
DEPTH = 100

_encoder = msgspec.msgpack.Encoder()


def encode(value: Any) -> bytes:
    """A struct (or plain data) as msgpack."""
    try:
        return _encoder.encode(value)
    except (OverflowError, UnicodeEncodeError, RecursionError):
        return _encoder.encode(_tagged(value, DEPTH))


def decode(body: bytes, type: type[T]) -> T:
    """The `type` in `body`. Raises msgspec.DecodeError for bytes that are none."""
    return msgspec.msgpack.decode(body, type=type, ext_hook=_untagged)


def _tagged(value: Any, depth: int) -> Any:
    """`value` with what msgpack cannot carry as extensions. Keys must stay text: a surrogate in one becomes its escape."""
    if isinstance(value, str):
        return value if _sound(value) else msgspec.msgpack.Ext(TEXT, value.encode("utf-8", "surrogatepass"))
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        return msgspec.msgpack.Ext(INTEGER, str_of(value).encode())
    if isinstance(value, msgspec.Struct):
        fields = {name: _tagged(getattr(value, name), depth) for name in value.__struct_fields__}
        return tuple(fields.values()) if value.__struct_config__.array_like else fields
    if isinstance(value, dict):
        if depth == 0:
            return cut(value)
        return {_key(key): _tagged(item, depth - 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return cut(value) if depth == 0 else [_tagged(item, depth - 1) for item in value]
    return value


def cut(value: Any) -> str:
    """What stands for a value that is nested too deep."""
    return f"<nested deeper than {DEPTH} levels: {type(value).__name__} of {len(value)}>"


def str_of(value: int) -> str:
    """The digits of an integer of any size; hexadecimal beyond the 4,300 digits that Python converts."""
    try:
        return str(value)
    except ValueError:
        return hex(value)


def _key(key: Any) -> Any:
    return key.encode("utf-8", "backslashreplace").decode() if isinstance(key, str) and not _sound(key) else key


def _sound(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def _untagged(code: int, data: memoryview) -> Any:
    if code == INTEGER:
        return int(bytes(data), 0)
    if code == TEXT:
        return bytes(data).decode("utf-8", "surrogatepass")
    return msgspec.msgpack.Ext(code, bytes(data))
