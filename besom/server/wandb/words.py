"""The wandb client's payloads as our records, and our values as its JSON. Pure: values in, values out.

Configs arrive as ``{key: {"value": v}}`` with what the client says of itself under ``_wandb``; history as one JSON object a
line with `_step`, `_timestamp` and `_runtime` among the metrics; lines of console as JSON or as ``[ERROR ]TIME text``.
NaN, Infinity and -Infinity stand bare in that JSON, in both directions.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from besom.core import record as rec
from besom.core.names import flatten

OWN = ("_step", "_timestamp", "_runtime", "_wandb")
"""Keys that are not metrics: a row's place and time, which our records hold apart."""
RULES = {1: "min", 2: "max", 3: "mean", 4: "best", 5: "last", 6: "none", 7: "copy", 8: "first"}
GOALS = {1: "minimize", 2: "maximize"}
HIDDEN = 2
META = {"host": "host", "program": "program", "args": "args", "python": "python", "os": "os", "executable": "executable",
        "cpu_count": "cpus", "gpu": "gpu", "root": "cwd", "username": "user"}  # fmt: skip
"""Their names of where a run came from -> ours (sdk/provenance.py)."""
LINE = 1 << 20
"""Characters of a line of console that are kept."""


def loads(text: str | bytes) -> Any:
    """The value of a JSON text, bare NaN and Infinity included; None for what is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def mapping(text: Any) -> dict[str, Any]:
    """The object of a JSON text; {} for anything else."""
    value = loads(text) if isinstance(text, (str, bytes)) else text
    return value if isinstance(value, dict) else {}


def dumps(value: Any) -> str:
    """`value` for a JSONString, NaN and Infinity bare; what JSON has not as its text."""
    return json.dumps(value, default=str, separators=(",", ":"))


def iso(time: float | None) -> str | None:
    """Seconds since the epoch as that client reads times."""
    return None if time is None else datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def epoch(text: Any, default: float) -> float:
    """Seconds since the epoch of an ISO time (UTC when it names no zone), or `default`."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return default
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def number(value: Any) -> float | None:
    """A finite number, or None."""
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300
    return float(value) if fits else None


# In: configs


def config(sent: Mapping[str, Any]) -> dict[str, Any]:
    """The user's config of what the client sends; its own part is left out."""
    return {
        key: entry["value"] if isinstance(entry, Mapping) and "value" in entry else entry
        for key, entry in sent.items()
        if key not in ("_wandb", "wandb_version")
    }


def internal(sent: Mapping[str, Any]) -> dict[str, Any]:
    """What the client says of itself in a config."""
    entry = sent.get("_wandb")
    inner = entry.get("value") if isinstance(entry, Mapping) else None
    return dict(inner) if isinstance(inner, Mapping) else {}


def meta(own: Mapping[str, Any]) -> dict[str, Any]:
    """Where the run came from, in our names."""
    found: dict[str, Any] = {}
    if own.get("cli_version"):
        found["client"] = f"wandb {own['cli_version']}"
    environments = own.get("e")
    writers = environments.values() if isinstance(environments, Mapping) else ()
    for writer in (w for w in writers if isinstance(w, Mapping)):
        found.update({META[key]: value for key, value in writer.items() if key in META and value not in (None, "")})
        git = writer.get("git")
        if isinstance(git, Mapping):
            found.update({f"git_{key}": git[key] for key in ("commit", "remote") if git.get(key)})
    return found


def started(own: Mapping[str, Any]) -> float | None:
    """When the first process of the run began."""
    environments = own.get("e")
    writers = environments.values() if isinstance(environments, Mapping) else ()
    times = [epoch(w["startedAt"], math.inf) for w in writers if isinstance(w, Mapping) and "startedAt" in w]
    return min((time for time in times if time < math.inf), default=None)


def defines(own: Mapping[str, Any]) -> Iterator[rec.Define]:
    """Metric definitions: objects with numbers for keys (1 name, 2 glob, 4 step metric, 5 its place in this list from 1 on,
    6 options, 7 summary rules, 8 goal)."""
    listed = own.get("m")
    entries = [entry for entry in listed if isinstance(entry, Mapping)] if isinstance(listed, list) else []
    for entry in entries:
        name = entry.get("1") or entry.get("2")
        if not isinstance(name, str):
            continue
        step, place = entry.get("4"), entry.get("5")
        if step is None and isinstance(place, int) and 0 < place <= len(entries):
            step = entries[place - 1].get("1")
        rules = tuple(RULES[rule] for rule in _numbers(entry.get("7")) if rule in RULES)
        goal = next((GOALS.get(found) for found in _numbers([entry.get("8")])), None)
        yield rec.Define(name, step if isinstance(step, str) else None, rules, goal, HIDDEN in _numbers(entry.get("6")))


def _numbers(value: Any) -> tuple[int, ...]:
    return tuple(item for item in value if isinstance(item, int)) if isinstance(value, list) else ()


# In: lines of files


def history(line: str, number_of_line: int, now: float) -> rec.History | None:
    """A line of history; None for what is none. Without a step the number of the line is one."""
    row = mapping(line)
    if not row:
        return None
    step = row.get("_step")
    place = step if type(step) is int and 0 <= step < 1 << 62 else number_of_line
    return rec.History(place, number(row.get("_timestamp")) or now, flat(row))


def stats(line: str, now: float) -> rec.Stats | None:
    """A line of system metrics."""
    row = mapping(line)
    data = {key.removeprefix("system."): value for key, value in flat(row).items() if number(value) is not None}
    return rec.Stats(number(row.get("_timestamp")) or now, data) if data else None


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics of a row or a summary, flat with dotted keys."""
    return dict(flatten({key: value for key, value in row.items() if key not in OWN}))


def console(line: str, now: float) -> tuple[float, str, str]:
    """(time, "out" or "err", text) of a line of console."""
    told = mapping(line) if line.startswith("{") else {}
    if "content" in told:
        stream = "err" if told.get("level") == "error" else "out"
        return epoch(told.get("ts"), now), stream, _line(told["content"])
    stream, rest = ("err", line[6:]) if line.startswith("ERROR ") else ("out", line)
    time, _, text = rest.partition(" ")
    at = epoch(time, -1.0)
    return (at, stream, _line(text)) if at >= 0 else (now, stream, _line(rest))


def _line(text: Any) -> str:
    return str(text).rstrip("\r\n").replace("\n", " ")[:LINE]


# Out


def shown_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """A config as the client reads it. Its own part tells it only that the run has begun."""
    return {**{key: {"value": value} for key, value in values.items()}, "_wandb": {"value": {"t": {}}}}


def nested(summary: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Aggregates such as ``loss.min`` as the client holds them, ``{"loss": {"min": ...}}``; other dotted keys stay whole."""
    found: dict[str, Any] = {}
    whole = dict(summary)
    for key, value in whole.items():
        head, dot, rule = key.rpartition(".")
        if rule == "count" and f"{head}.mean" in whole:
            continue  # how many values a mean was taken of is ours alone
        inner = found.setdefault(head, {}) if dot and rule in RULES.values() else None
        if isinstance(inner, dict):
            inner[rule] = value
        else:
            found[key] = value
    return found


def bare(value: Any) -> Any:
    """`value` for the scalar JSON, where NaN and Infinity must be text."""
    if isinstance(value, float) and value - value != 0:
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {key: bare(item) for key, item in value.items()}
    return [bare(item) for item in value] if isinstance(value, (list, tuple)) else value


def like(pattern: str | None, name: str) -> bool:
    """Whether `name` fits a pattern of SQL's LIKE; no pattern fits all."""
    parts = ({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in pattern or "%")
    return re.fullmatch("".join(parts), name, re.S) is not None
