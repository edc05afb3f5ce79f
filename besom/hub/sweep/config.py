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
from besom.search.goal import read_goals

KNOWN_KEYS = (
    "method",
    "parameters",
    "constraints",
    "zip",
    "prior",
    "enqueue",
    "repeats",
    "aggregate",
    "metric",
    "metrics",
    "early_terminate",
    "terminate",
    "budget",
    "warm_start",
    "cmaes",
    "evolution",
    "pbt",
    "optuna",
    "custom",
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
    "scheduler",
    "job",
    "image_uri",
    "launch",
)
NOT_YET = {
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
    for step in (_method, _command, _texts, _run_cap, _retry, _ends, _warm_start):
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
    """(name, goal, agg) of a parsed config's first goal; the name is "" when there is none."""
    several: list[dict[str, Any]] = config.get("metrics") or []
    metric: Mapping[str, Any] = config.get("metric") or next((m for m in several if m.get("goal")), {})
    return metric.get("name", ""), metric.get("goal", "minimize"), metric.get("agg") or "best"


def metrics_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Metric -> how its values become one, of all that a parsed config's search reads, the first goal first."""
    goals, limits = read_goals(config, [])
    return {goal.name: goal.agg for goal in goals} | {
        limit.name: limit.agg for limit in limits if all(limit.name != goal.name for goal in goals)
    }


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
        law = "a sweep names its method, such as auto, bayes or grid, and this one does not"
        raise ConfigError(law + _misspelt(warnings), where="method")


def _metric(config: dict[str, Any]) -> None:
    """Write each metric as a mapping with a plain goal; search has checked it, and warned of what is read kindly here."""

    def plain(metric: Any, goal: str | None) -> dict[str, Any]:
        found: dict[str, Any] = {"name": metric} if isinstance(metric, str) else dict(metric)
        goal = found.pop("goal", None) or goal
        if goal is not None:
            found["goal"] = "maximize" if str(goal).strip().lower().startswith("max") else "minimize"
        return found

    if config.get("metric"):
        config["metric"] = plain(config["metric"], "minimize")
    else:
        config.pop("metric", None)
    if config.get("metrics"):
        bounds = {"min", "max"}
        config["metrics"] = [
            plain(m, None if isinstance(m, dict) and bounds & set(m) else "minimize") for m in config["metrics"]
        ]


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


def _ends(config: dict[str, Any], warnings: list[str]) -> None:
    """`terminate` and `budget`: when the sweep has had enough."""
    terminate, budget = config.get("terminate"), config.get("budget")
    if terminate not in (None, False, "auto"):
        raise ConfigError(f"this is `auto`, or left out, and not {terminate!r}", where="terminate")
    if budget is None:
        config.pop("budget", None)
        return
    if not isinstance(budget, dict):
        law = "this is a mapping, like {time: 2h, cost: 10}"
        raise ConfigError(f"{law}, and {_kind(budget)} is none", where="budget")
    for key, value in budget.items():
        if key not in ("time", "cost"):
            known = did_you_mean(key, ("time", "cost"))
            raise ConfigError(f"is no key of budget, which has time and cost.{known}", where=f"budget.{key}")
        amount = seconds(value) if key == "time" else value
        if isinstance(amount, bool) or not isinstance(amount, (int, float)) or not amount > 0:
            law = "seconds, or a text such as 90m, 2h or 1d" if key == "time" else "a number above 0"
            raise ConfigError(f"this is {law}, and {value!r} is not", where=f"budget.{key}")


def seconds(value: Any) -> float | None:
    """A length of time: a number of seconds, or a text such as 90m, 2h, 1.5d; None for anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*", value) if isinstance(value, str) else None
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]] if found else None


def _warm_start(config: dict[str, Any], warnings: list[str]) -> None:
    """`warm_start`: the ids of sweeps whose trials inform this one."""
    given = config.get("warm_start")
    if given is None:
        config.pop("warm_start", None)
        return
    ids = [given] if isinstance(given, str) else given
    if not isinstance(ids, list) or not all(isinstance(x, str) and x for x in ids):
        raise ConfigError(f"this is a list of sweep ids, and {given!r} is not", where="warm_start")
    config["warm_start"] = ids


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
