"""A sweep.yaml, read: text in, a `Spec` or an error that names the key out.

The walk it serves: `besom sweep FILE` -> parse -> meta -> controller. It owns the top level of the file (program,
command, names, metric, run_cap, retry); the space, the method and early_terminate are search's, whose checker it calls.
It knows nothing of databases or agents.

Laws: an unknown top-level key, a stray key of `metric` or a word that can be read kindly is a warning; what cannot be
run at all is a ConfigError. `strict` makes every warning an error. ``1e-5`` is a number (core/dialect).
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from besom import search
from besom.core.dialect import load
from besom.core.errors import ConfigError, did_you_mean

KNOWN_KEYS = (
    "method",
    "parameters",
    "metric",
    "early_terminate",
    "program",
    "command",
    "name",
    "description",
    "project",
    "entity",
    "run_cap",
    "retry",
    "seed",
    "controller",
    "apiVersion",
    "kind",
    "settings",
    "metrics",
    "scheduler",
    "job",
    "image_uri",
    "launch",
)
NOT_YET = {
    "metrics": "several metrics at once are not searched yet; name one under metric",
    "scheduler": "other engines do not schedule besom's sweeps; the methods are built in",
    "job": "besom's agents run a program or a command, not a job",
    "image_uri": "besom's agents run a program or a command, not an image",
    "launch": "start agents with besom agent; there is no launch queue",
    "settings": "give agents their settings by environment or besom.toml",
}
MOST_NODES = 100_000


@dataclass(frozen=True, slots=True)
class Spec:
    """A sweep that can be run. `config`: plain JSON data, kept as written but for what warnings say was read kindly."""

    config: dict[str, Any]
    warnings: tuple[str, ...] = ()


def parse(source: str | Mapping[str, Any], name: str = "sweep.yaml", *, strict: bool = False) -> Spec:
    """`source` (the text of a file called `name`, or a mapping) as a Spec.

    Raises ConfigError with the place: line and column of a syntax error, else the key. `strict`: warnings are errors.
    """
    warnings: list[str] = []
    raw = load(source, name, warnings) if isinstance(source, str) else source
    config = plain(raw)
    if not isinstance(config, dict):
        raise ConfigError(
            f"a sweep is a mapping of keys such as method and parameters, not {_kind(config)}", where=name
        )
    _unknown(config, warnings)
    for step in (_method, _command, _texts, _run_cap, _retry):
        step(config, warnings)
    try:
        warnings += search.check(config)
    except search.SpaceError as error:
        raise ConfigError(error.message + _misspelt(warnings), where=error.where or name) from None
    _metric(config)
    if strict and warnings:
        raise ConfigError("; ".join(warnings), where=name)
    return Spec(config, tuple(dict.fromkeys(warnings)))


def plain(data: Any) -> Any:
    """`data` as what JSON can hold: text keys, lists, numbers, text, booleans, null. Raises ConfigError for the rest."""
    budget = [MOST_NODES]

    def walk(value: Any, where: str, depth: int) -> Any:
        budget[0] -= 1
        if budget[0] < 0 or depth > 100:
            raise ConfigError(
                f"a sweep has at most {MOST_NODES} values, 100 deep; an alias may repeat itself", where=where
            )
        if isinstance(value, Mapping):
            return {_key(k): walk(v, f"{where}.{_key(k)}" if where else _key(k), depth + 1) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [walk(v, f"{where}[{i}]", depth + 1) for i, v in enumerate(value)]
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        item = getattr(value, "item", None)
        if callable(item) and getattr(value, "ndim", None) == 0:
            return walk(item(), where, depth + 1)
        tolist = getattr(value, "tolist", None)
        if callable(tolist):
            return walk(tolist(), where, depth + 1)
        raise ConfigError(
            f"a value is a number, text, true, false, null, a list or a mapping, not {_kind(value)}", where=where
        )

    return walk(data, "", 0)


def metric_of(config: Mapping[str, Any]) -> tuple[str, str, str]:
    """(name, goal, agg) of a parsed config's metric; the name is "" when there is none."""
    metric = config.get("metric") or {}
    return metric.get("name", ""), metric.get("goal", "minimize"), metric.get("agg") or "best"


def retries_of(config: Mapping[str, Any]) -> int:
    """How often a trial whose process failed is tried again: the key `retry`, else once in a grid and never elsewhere."""
    retry = config.get("retry")
    return int(retry) if retry is not None else int(config.get("method") == "grid")


def _unknown(config: dict[str, Any], warnings: list[str]) -> None:
    for key in config:
        if key not in KNOWN_KEYS:
            warnings.append(f'the key "{key}" is unknown and ignored.{did_you_mean(key, KNOWN_KEYS)}')
        elif key in NOT_YET and config[key]:
            warnings.append(f'the key "{key}" is ignored: {NOT_YET[key]}')


def _misspelt(warnings: list[str]) -> str:
    """What to add to an error: a key that is missing may stand there under another spelling."""
    return "".join(f"; {warning}" for warning in warnings if "Did you mean" in warning)


def _method(config: dict[str, Any], warnings: list[str]) -> None:
    if config.get("method") is None:
        law = "a sweep names its method: grid, random or bayes, and this one does not"
        raise ConfigError(law + _misspelt(warnings), where="method")


def _metric(config: dict[str, Any]) -> None:
    """Write the metric as a mapping with a plain goal; search has checked it, and warned of what is read kindly here."""
    metric = config.get("metric")
    if not metric:
        config.pop("metric", None)
        return
    metric = {"name": metric} if isinstance(metric, str) else dict(metric)
    metric["goal"] = "maximize" if str(metric.get("goal")).strip().lower().startswith("max") else "minimize"
    config["metric"] = metric


def _command(config: dict[str, Any], warnings: list[str]) -> None:
    command = config.get("command")
    if command is None:
        config.pop("command", None)
        return
    if isinstance(command, str):
        try:
            config["command"] = shlex.split(command)
        except ValueError as error:
            raise ConfigError(
                f"a command is a list of words; this text cannot be split: {error}", where="command"
            ) from None
        warnings.append(f"command is a list of words, not text; it was split into {config['command']}")
        command = config["command"]
    if not isinstance(command, list) or not command:
        raise ConfigError(f"a command is a list of words, the program first, not {command!r}", where="command")
    for i, item in enumerate(command):
        if item is None or isinstance(item, (dict, list)):
            raise ConfigError(f"an item of a command is text or a number, not {_kind(item)}", where=f"command[{i}]")


def _texts(config: dict[str, Any], warnings: list[str]) -> None:
    for key in ("program", "name", "description", "project", "entity"):
        value = config.get(key)
        if value is None:
            config.pop(key, None)
        elif isinstance(value, (dict, list, bool)):
            raise ConfigError(f"this is a text, and {_kind(value)} is none", where=key)
        else:
            config[key] = str(value)


def _run_cap(config: dict[str, Any], warnings: list[str]) -> None:
    _whole(config, "run_cap", 1, "a number of runs", warnings)


def _retry(config: dict[str, Any], warnings: list[str]) -> None:
    retry = config.get("retry")
    if isinstance(retry, dict) and set(retry) == {"max"}:
        config["retry"] = retry["max"]
    _whole(config, "retry", 0, "how often a failed run is tried again", warnings)


def _whole(config: dict[str, Any], key: str, least: int, what: str, warnings: list[str]) -> None:
    """Check that config[key], if it is there, is a whole number >= least; text and 3.0 are read kindly, with a warning."""
    value = config.get(key)
    if value is None:
        config.pop(key, None)
        return
    number = value
    text = isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d+\s*", value)
    if text or (isinstance(value, float) and value.is_integer()):
        number = int(value)
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise ConfigError(f"this is {what}, a whole number from {least} on, and {value!r} is not", where=key)
    if number is not value:
        warnings.append(f"{key} is a whole number, not {value!r}; it was read as {number}")
        config[key] = number


def _key(key: Any) -> str:
    return (
        key
        if isinstance(key, str)
        else json.dumps(key)
        if key is None or isinstance(key, (bool, int, float))
        else str(key)
    )


def _kind(value: Any) -> str:
    names = {
        dict: "a mapping",
        list: "a list",
        str: "text",
        type(None): "nothing",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), f"a {type(value).__name__}")
