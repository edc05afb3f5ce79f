"""The words of core/wire.py as msgpack, exact: NaN, Inf, -0.0, integers of any size and lone surrogates come back as they were.

msgpack carries all but integers beyond 64 bits and lone surrogates; those travel as the extensions of `plain`, and only a
message that holds one pays for looking.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from besom.core.plain import plain, untag

T = TypeVar("T")
_encoder = msgspec.msgpack.Encoder()


def encode(value: Any) -> bytes:
    """A struct (or plain data) as msgpack."""
    try:
        return _encoder.encode(value)
    except (OverflowError, UnicodeEncodeError):
        return _encoder.encode(plain(msgspec.to_builtins(value, builtin_types=(bytes,))))


def decode(body: bytes, type: type[T]) -> T:
    """The `type` in `body`. Raises msgspec.DecodeError for bytes that are none."""
    try:
        return msgspec.msgpack.decode(body, type=type, ext_hook=untag)
    except msgspec.ValidationError:  # an extension may stand where a text is declared
        return msgspec.convert(msgspec.msgpack.decode(body, ext_hook=untag), type)
