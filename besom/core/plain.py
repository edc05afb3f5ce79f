"""Any Python value as plain data: None, bool, int, float, str, bytes, list, dict, and what msgpack tags.

The slow path of `codec`, taken when the fast encoder refuses a value. Nothing that a training script can log raises:
numbers of numpy, torch and their like become numbers, paths and enums their value, dataclasses maps, and what is
unknown becomes its text, with its dotted key told to the caller (so that the sdk can warn once). No library is
imported for it: arrays are known by their `shape`, `item` and `tolist`.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import math
import numbers
import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from besom.core.names import flatten

DEPTH = 64
"""Levels of nesting that are kept. Maps below are folded into dotted keys, lists below become text."""
ELEMENTS = 10_000
"""Arrays up to this many elements become lists, longer ones text."""
INTEGER, TEXT = 1, 2
"""Msgpack extension codes: an integer beyond 64 bits (two's complement, big-endian), a text with lone surrogates."""

_NATIVE = (datetime.datetime, datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, uuid.UUID)
_scalars: dict[type, Callable[[Any], Any]] = {}
"""Scalar types of numpy met so far, and what turns each into a Python number (`item` costs ten times as much)."""


def scalar(value: Any) -> Any:
    """A number of numpy, torch or their like as bool, int or float. Raises TypeError for anything else.

    The hook of the fast encoder: numpy floats are common in logs and should not cost the slow path.
    """
    kind = type(value)
    convert = _scalars.get(kind)
    if convert is not None:
        return convert(value)
    result = _item(value)
    if type(result) in (float, int, bool):
        if kind.__module__ == "numpy" and kind.__name__ != "ndarray":
            _scalars[kind] = type(result)
        return result
    raise TypeError(f"{kind.__name__} is not a number")


def as_float(value: float) -> float:
    """The nearest float64; Inf beyond its range."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def plain(value: Any, odd: list[str] | None = None, key: str = "") -> Any:
    """`value` as data that msgpack can carry, at most DEPTH levels deep. Keys of what became text are added to `odd`."""
    return _Plain([] if odd is None else odd).value(value, key, ())


def plain_map(data: Mapping[Any, Any], odd: list[str] | None = None) -> dict[str, Any]:
    """As `plain`, of a map; the keys of the map become texts."""
    result: dict[str, Any] = _Plain([] if odd is None else odd).map(dict(data), "", ())
    return result


def shallow(value: Any) -> Any:
    """Decoded data cut to DEPTH levels, with nothing tagged: as what `plain` wrote is read."""
    return _Plain([], tags=False).value(value, "", ())


def name(key: Any) -> str:
    """A key of a map as text; a lone surrogate is escaped, because a name must be printable everywhere."""
    if isinstance(key, enum.Enum):
        key = key.value
    text = str.__str__(key) if isinstance(key, str) else as_text(key)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def as_text(value: Any) -> str:
    """`value` as text, whatever its own `__str__` does."""
    try:
        return str(value)
    except Exception:  # a user's __str__ may raise anything; a log call may not
        return f"<{type(value).__name__}>"


def _item(value: Any) -> Any:
    """The one element of an array-like as a Python value, or `value` itself when it is not one."""
    item, shape = getattr(value, "item", None), getattr(value, "shape", None)
    if not callable(item) or shape is None or isinstance(value, type):
        return value
    try:
        if math.prod(shape) != 1:
            return value
        if getattr(getattr(value, "dtype", None), "kind", "f") in "mM":  # numpy gives nanoseconds as a bare integer
            return str(value if shape == () else value.reshape(())[()])
        result = item()
        return float(result) if getattr(result, "dtype", None) is not None and hasattr(result, "__float__") else result
    except Exception:  # tensors of foreign libraries raise what they like (meta tensors, deleted buffers)
        return value


class _Plain:
    """One conversion: carries the list of odd keys; `above` holds the ids of the containers around a value."""

    def __init__(self, odd: list[str], *, tags: bool = True) -> None:
        self.odd = odd
        self.tags = tags

    def value(self, value: Any, key: str, above: tuple[int, ...]) -> Any:
        try:
            return self.known(value, key, above)
        except Exception:  # a foreign object may raise at any touch (a closed file, a deleted buffer); the row is kept
            return self.text(value, key)

    def known(self, value: Any, key: str, above: tuple[int, ...]) -> Any:
        if value is None or value is True or value is False:
            return value
        if isinstance(value, enum.Enum):
            return self.value(value.value, key, above)
        if isinstance(value, str):
            return _string(str.__str__(value)) if self.tags else value
        if isinstance(value, int):
            return _integer(int(value)) if self.tags else value
        if isinstance(value, float):
            return float(value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value)
        if isinstance(value, msgspec.msgpack.Ext) or type(value) in _NATIVE:
            return value
        if isinstance(value, (datetime.date, datetime.time)):  # subclasses, such as a Timestamp of pandas
            return value.isoformat()
        if isinstance(value, os.PathLike):
            return self.value(os.fspath(value), key, above)
        if isinstance(value, Mapping):
            return self.map(value, key, above)
        if isinstance(value, (list, tuple, set, frozenset)) or type(value).__name__ in ("deque", "dict_keys", "range"):
            return self.sequence(value, key, above)
        return self.object(value, key, above)

    def object(self, value: Any, key: str, above: tuple[int, ...]) -> Any:
        """Values known by what they can do rather than by their type."""
        fields = _fields(value)
        if fields is not None:
            return self.map(fields, key, (*above, id(value))) if id(value) not in above else self.text(value, key)
        single = _item(value)
        if single is not value:
            return self.value(single, key, above)
        if isinstance(value, numbers.Real):
            return float(value)
        if hasattr(value, "shape") and not isinstance(value, type):
            try:
                if math.prod(value.shape) <= ELEMENTS:
                    return self.value(value.tolist() if hasattr(value, "tolist") else value.numpy(), key, above)
            except Exception:  # see _item; its text still says what it was
                pass
        return self.text(value, key)

    def map(self, value: Mapping[Any, Any], key: str, above: tuple[int, ...]) -> Any:
        if id(value) in above:
            return self.text(f"<{type(value).__name__} that contains itself>", key)
        above = (*above, id(value))
        if len(above) > DEPTH:
            return {name(k): self.leaf(v, k) for k, v in self.flat(value, above)}
        out: dict[str, Any] = {}
        for k, v in list(value.items()):
            text = name(k)
            out[text] = self.value(v, f"{key}.{text}" if key else text, above)
        return out

    def flat(self, value: Mapping[Any, Any], above: tuple[int, ...]) -> Iterable[tuple[str, Any]]:
        """Dotted keys of a map at the limit of depth; a map that contains itself is cut."""
        return flatten(_acyclic(value, set(above)))

    def leaf(self, value: Any, key: str) -> Any:
        """A value below the limit of depth: as it is, or as text when it is a container with something in it."""
        if isinstance(value, (list, tuple, set, frozenset)) and value:
            return self.text(value, key)
        return self.value(value, key, ())

    def sequence(self, value: Iterable[Any], key: str, above: tuple[int, ...]) -> Any:
        if id(value) in above or len(above) >= DEPTH:
            return self.text(value if id(value) not in above else f"<{type(value).__name__} that contains itself>", key)
        above = (*above, id(value))
        return [self.value(item, key, above) for item in list(value)]

    def text(self, value: Any, key: str) -> Any:
        self.odd.append(key)
        return _string(as_text(value)) if self.tags else as_text(value)


def _acyclic(value: Mapping[Any, Any], above: set[int]) -> dict[Any, Any]:
    """A copy of nested maps, of any depth, in which a map that contains itself is cut to a text."""
    out: dict[Any, Any] = {}
    stack = [(iter(list(value.items())), out, id(value))]
    above = above | {id(value)}
    while stack:
        items, target, own = stack[-1]
        for key, item in items:
            if isinstance(item, Mapping) and id(item) in above:
                target[name(key)] = f"<{type(item).__name__} that contains itself>"
            elif isinstance(item, Mapping):
                inner: dict[Any, Any] = {}
                target[name(key)] = inner
                above.add(id(item))
                stack.append((iter(list(item.items())), inner, id(item)))
                break
            else:
                target[name(key)] = item
        else:
            stack.pop()
            above.discard(own)
    return out


def _fields(value: Any) -> dict[str, Any] | None:
    """The fields of a dataclass, attrs or msgspec instance."""
    if isinstance(value, type):
        return None
    if isinstance(value, msgspec.Struct):
        names = list(value.__struct_fields__)
    elif dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
    elif isinstance(attributes := getattr(type(value), "__attrs_attrs__", None), tuple):
        names = [attribute.name for attribute in attributes]
    else:
        return None
    return {field: getattr(value, field) for field in names if hasattr(value, field)}


def _integer(value: int) -> Any:
    if -(2**63) <= value < 2**64:
        return value
    return msgspec.msgpack.Ext(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _string(value: str) -> Any:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return msgspec.msgpack.Ext(TEXT, value.encode("utf-8", "surrogatepass"))
    return value


def untag(code: int, data: memoryview) -> Any:
    """The value of a msgpack extension; one that a later version invented comes as its bytes."""
    if code == INTEGER:
        return int.from_bytes(data, "big", signed=True)
    if code == TEXT:
        return str(data, "utf-8", "surrogatepass")
    return bytes(data)
