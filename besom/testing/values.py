"""A zoo of values that people log, and what they must read back. Shared by the tests of codec, sdk, store and page.

Each entry is (what it is, the value logged, the value read). Entries need numpy, as besom does.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import math
import pathlib
from typing import Any

import numpy as np

from besom.core.names import flatten


class Colour(enum.Enum):
    """An enum whose value msgpack cannot name."""

    RED = 0.5


class Size(enum.IntEnum):
    LARGE = 3


@dataclasses.dataclass
class Optimizer:
    lr: float = 0.1
    path: pathlib.Path = pathlib.Path("a/b")


class Tensor:
    """One element on some device, as torch and its like show it: no library is needed to know it."""

    def __init__(self, value: Any, shape: tuple[int, ...] = ()) -> None:
        self.value, self.shape = value, shape

    def item(self) -> Any:
        return self.value


class Mute:
    """An object whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def nest(depth: int, leaf: Any = 1.5) -> dict[str, Any]:
    """A map of `depth` levels."""
    value: Any = leaf
    for _ in range(depth):
        value = {"d": value}
    return value  # type: ignore[no-any-return]


def _list(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


EXACT: list[tuple[str, Any]] = [
    ("nothing", None),
    ("true", True),
    ("a plain number", 0.1),
    ("not a number", math.nan),
    ("infinity", math.inf),
    ("minus infinity", -math.inf),
    ("minus zero", -0.0),
    ("the least float", 5e-324),
    ("an integer above 2**53", 2**53 + 1),
    ("2**63", 2**63),
    ("2**64", 2**64),
    ("-2**63 - 1", -(2**63) - 1),
    ("10**400", 10**400),
    ("minus 10**400", -(10**400)),
    ("a lone surrogate", "a\ud800b"),
    ("a NUL", "a\0b"),
    ("an emoji", "\N{BROOM}"),
    ("a text of 1 MiB", "x" * (1 << 20)),
    ("bytes", b"\0\xff"),
    ("an empty list", []),
    ("an empty map", {}),
    ("a list of lists", [[1, 2.5], ["a", None]]),
]
"""Values that read back as they are."""

CHANGED: list[tuple[str, Any, Any]] = [
    ("a numpy float64", np.float64(0.1), 0.1),
    ("a numpy float32", np.float32(0.1), 0.10000000149011612),
    ("a numpy float16", np.float16(0.1), 0.0999755859375),
    ("a numpy NaN", np.float32("nan"), math.nan),
    ("a numpy int8", np.int8(-3), -3),
    ("a numpy uint64", np.uint64(2**64 - 1), 2**64 - 1),
    ("a numpy bool", np.bool_(True), True),
    ("a numpy text", np.str_("a"), "a"),
    ("a numpy time", np.datetime64("2026-01-01T00:00:00.000000001"), "2026-01-01T00:00:00.000000001"),
    ("a 0-d array", np.array(2.5), 2.5),
    ("an array of one element", np.array([[2.5]]), 2.5),
    ("a small array", np.arange(3), [0, 1, 2]),
    ("a tensor", Tensor(1.25), 1.25),
    ("a tensor of shape (1,)", Tensor(7, (1,)), 7),
    ("a tuple", (1, "a"), [1, "a"]),
    ("a set", {1}, [1]),
    ("a frozen set", frozenset({1}), [1]),
    ("a deque", collections.deque([1, 2]), [1, 2]),
    ("a range", range(3), [0, 1, 2]),
    ("a byte array", bytearray(b"ab"), b"ab"),
    ("a date", datetime.date(2026, 1, 2), "2026-01-02"),
    ("a time", datetime.datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),
    ("a decimal", decimal.Decimal("1.10"), "1.10"),
    ("a path", pathlib.PurePosixPath("/a/b"), "/a/b"),
    ("an enum", Colour.RED, 0.5),
    ("an int enum", Size.LARGE, 3),
]
"""Values that read back as plain data, without a word to the user."""

NESTED: list[tuple[str, Any, dict[str, Any]]] = [
    ("a map", {"a": {"b": 1}}, {"k.a.b": 1}),
    ("a dotted key with a slash", {"a.b/c": 1}, {"k.a.b/c": 1}),
    ("a key of 64 KiB", {"k" * 65536: 1}, {"k." + "k" * 65536: 1}),
    ("a key that is no text", {1: {None: 2}}, {"k.1.None": 2}),
    ("a key that is a pair", {(1, 2): 3}, {"k.(1, 2)": 3}),
    ("a key with a lone surrogate", {"\ud800": 1}, {"k.\\ud800": 1}),
    ("a key of JavaScript", {"__proto__": {"x": 1}}, {"k.__proto__.x": 1}),
    ("a dataclass", Optimizer(), {"k.lr": 0.1, "k.path": str(pathlib.Path("a/b"))}),
    ("a counter", collections.Counter("aab"), {"k.a": 2, "k.b": 1}),
    ("10,000 keys", {str(i): i for i in range(10_000)}, {f"k.{i}": i for i in range(10_000)}),
    ("100 levels", nest(100), dict(flatten(nest(100), "k"))),
    ("1,000 levels", nest(1000), dict(flatten(nest(1000), "k"))),
    ("5,000 levels", nest(5000), {"k" + ".d" * 5000: 1.5}),
]
"""Maps logged under the key "k", and the flat row that is read."""


def circle() -> dict[str, Any]:
    """A map that contains itself."""
    value: dict[str, Any] = {"x": 1}
    value["self"] = value
    return value


ODD: list[tuple[str, Any, str]] = [
    ("a complex number", 1j, "1j"),
    ("a function", len, "<built-in function len>"),
    ("a class", int, "<class 'int'>"),
    ("an object without a text", Mute(), "<Mute>"),
    ("a list of 100,000 levels", _list(100_000), "<list>"),
]
"""Values that read back as text, of which the user is told once. The text may stand inside of a list."""
