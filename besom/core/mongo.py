"""Filters and orders in the form of W&B's API (dictionaries in the manner of Mongo) as besom's own text.

``{"config.lr": {"$lt": 0.1}, "state": "finished"}`` is ``(config.lr < 0.1 and state = "finished")``. Knows the words of both
languages, not what a filter means: the hub parses the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from besom.core.errors import UsageError, did_you_mean

_COMPARE = {"$eq": "=", "$ne": "!=", "$lt": "<", "$lte": "<=", "$gt": ">", "$gte": ">=", "$regex": "~"}
_JOIN = {"$and": "and", "$or": "or"}
_OPERATORS = (*_COMPARE, *_JOIN, "$in", "$nin", "$not", "$nor", "$exists")
_NAMES = {
    "display_name": "name", "displayName": "name", "jobType": "job_type", "createdAt": "created", "created_at": "created",
    "heartbeatAt": "seen", "heartbeat_at": "seen", "sweep.name": "sweep", "sweepName": "sweep",
}  # fmt: skip


def filter_text(filters: str | Mapping[str, Any] | None) -> str:
    """A filter in either form as text; "" lets everything pass. Raises UsageError for an operator that is not known."""
    if not filters:
        return ""
    return filters if isinstance(filters, str) else _all(filters)


def order_text(order: str | None) -> str:
    """``-summary_metrics.loss`` as ``-summary.loss``: sort keys, "-" in front for descending."""
    keys = [part.strip() for part in (order or "").split(",") if part.strip()]
    return ",".join(("-" if key[0] == "-" else "") + _key(key.lstrip("+-")) for key in keys)


def _all(filters: Mapping[str, Any]) -> str:
    parts = [_term(str(key), value) for key, value in filters.items()]
    return parts[0] if len(parts) == 1 else f"({' and '.join(parts)})"


def _term(key: str, value: Any) -> str:
    if key in _JOIN or key == "$nor":
        if not isinstance(value, (list, tuple)) or not value:
            raise UsageError(f"{key} takes a list of filters, not {value!r}")
        joined = f" {_JOIN.get(key, 'or')} ".join(map(_all, value))
        return f"not ({joined})" if key == "$nor" else f"({joined})"
    if key.startswith("$"):
        raise _unknown(key)
    name = _key(key)
    if not isinstance(value, Mapping):
        return f"{name} = {_literal(value)}"
    if not value:
        raise UsageError(f"the filter of {key!r} is empty: give a value or an operator such as $lt")
    parts = [_comparison(name, str(operator), operand) for operator, operand in value.items() if operator != "$options"]
    return parts[0] if len(parts) == 1 else f"({' and '.join(parts)})"


def _comparison(name: str, operator: str, operand: Any) -> str:
    if operator in _COMPARE:
        return f"{name} {_COMPARE[operator]} {_literal(operand)}"
    if operator in ("$in", "$nin"):
        listed = f"{name} in ({', '.join(map(_literal, operand))})"
        return listed if operator == "$in" else f"not {listed}"
    if operator == "$exists":
        return f"{name} is set" if operand else f"not {name} is set"
    if operator == "$not":
        inner = operand if isinstance(operand, Mapping) else {"$eq": operand}
        return f"not ({' and '.join(_comparison(name, str(word), value) for word, value in inner.items())})"
    raise _unknown(operator)


def _unknown(operator: str) -> UsageError:
    return UsageError(
        f"{operator!r} is no operator of a filter: {', '.join(_OPERATORS)} are.{did_you_mean(operator, _OPERATORS)}"
    )


def _key(key: str) -> str:
    """A key in besom's words, in backticks where it could be read as something else."""
    if key in _NAMES:
        return _NAMES[key]
    if key.startswith("summary_metrics."):
        key = f"summary.{key.removeprefix('summary_metrics.')}"
    if key.startswith("config.") and key.endswith(".value"):
        key = key.removesuffix(".value")
    plain = all(letter.isalnum() or letter in "._/-" for letter in key)
    return key if plain else f"`{key.replace('`', '``')}`"


def _literal(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
