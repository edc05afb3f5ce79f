"""How a stopping rule reads its keys: one law and one wording for all rules."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from besom.search.domain import number
from besom.search.error import SpaceError, nearest

Spec = Mapping[str, Any]


def whole(spec: Spec, key: str, default: int | None = None, low: int = 1) -> int | None:
    """A whole number of at least `low`, whole floats included; the default when the key is absent."""
    value = spec.get(key)
    if value is None:
        return default
    x = number(value)
    if x is None or not math.isfinite(x) or x != int(x) or x < low:
        raise SpaceError(f"early_terminate.{key}", f"must be a whole number of at least {low}; got {value!r}")
    return int(x)


def count(spec: Spec, key: str, default: int, low: int = 1) -> int:
    """`whole` where there is a default."""
    found = whole(spec, key, default, low)
    return default if found is None else found


def real(
    spec: Spec, key: str, default: float, law: str = "a number", low: float = -math.inf, high: float = math.inf
) -> float:
    """A finite number strictly between `low` and `high`; the default when the key is absent. `law`: in words."""
    value = spec.get(key)
    if value is None:
        return default
    x = number(value)
    if x is None or not math.isfinite(x) or not low < x < high:
        raise SpaceError(f"early_terminate.{key}", f"must be {law}; got {value!r}")
    return x


def flag(spec: Spec, key: str, default: bool) -> bool:
    value = spec.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise SpaceError(f"early_terminate.{key}", f"must be true or false; got {value!r}")
    return value


def needed(spec: Spec, key: str, rule: str, example: str) -> None:
    """Raise when a key that the rule cannot do without is absent."""
    if spec.get(key) is None:
        raise SpaceError(f"early_terminate.{key}", f"is missing: {rule} needs it, like `{example}`")


def strays(spec: Spec, keys: Iterable[str]) -> list[str]:
    """A warning for each key that the rule does not have. `type` is everybody's."""
    known = ("type", *keys)
    rule = spec.get("type")
    return [f"early_terminate.{key}: is no key of {rule}{nearest(key, known)}" for key in spec if key not in known]
