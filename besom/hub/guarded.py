"""The hub as one user of many sees it: the same methods, each behind its rule. The one place where rights are enforced.

A door calls `guarded.append(path, ...)` as it would call the hub; the rule of `append` in RULES asks `access.demand` about the
entity and project that the call is about, however the request spelled them (path, query, body, an id inside an id), before
the hub is called. A method that has no rule does not exist here, so what is new is denied until somebody thinks of it.
Lists show what the user may see, and nothing tells what is hidden from what is not there.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from besom.core.errors import ConfigError, NotFound, UsageError
from besom.core.names import RunPath, SweepPath, parse_sweep_path
from besom.core.wire import Alerts, Change, Projects, Sweeps
from besom.hub.access import ROLES, Who, demand, demand_admin, level, permit, sees
from besom.hub.ingest import Delivery

if TYPE_CHECKING:
    from besom.hub.hub import Hub

Rule = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """One call: the hub, who asks, and the hub's method."""

    hub: Hub
    who: Who
    call: Callable[..., Any]


class Guarded:
    """`hub` for `who`. Raises NotFound for what they may not see, Refused for what they may only see."""

    def __init__(self, hub: Hub, who: Who) -> None:
        self._hub, self.who, self.clock = hub, who, hub.clock

    def __getattr__(self, name: str) -> Any:
        rule = RULES.get(name)
        if rule is None:
            raise AttributeError(f"the hub's {name} has no rule in hub/guarded.py, so no user may call it")
        return partial(rule, Asked(self._hub, self.who, getattr(self._hub, name)))


def _of_path(act: str) -> Rule:
    """A call about one run or sweep."""

    def rule(asked: Asked, path: RunPath | SweepPath, *args: Any, **more: Any) -> Any:
        demand(asked.who, act, path.entity, path.project)
        return asked.call(path, *args, **more)

    return rule


def _of_project(asked: Asked, entity: str, project: str, *args: Any, **more: Any) -> Any:
    demand(asked.who, "read", entity, project)
    return asked.call(entity, project, *args, **more)


def _of_agent(asked: Asked, id: str, *args: Any, **more: Any) -> Any:
    path = asked.hub.sweep_of(id)
    if not sees(asked.who, path.entity, path.project):
        raise NotFound(f"there is no agent {id}; its sweep may have been deleted")
    demand(asked.who, "agent", path.entity, path.project)
    return asked.call(id, *args, **more)


def _append_many(asked: Asked, deliveries: Sequence[Delivery]) -> Any:
    for delivery in deliveries:
        demand(asked.who, "write", delivery.path.entity, delivery.path.project)
    return asked.call(deliveries)


def _alive(asked: Asked, paths: Iterable[RunPath]) -> Any:
    """Runs that are not the caller's are passed over, like those that do not exist."""
    permit(asked.who, "write")
    return asked.call([p for p in paths if level(asked.who, p.entity, p.project) >= ROLES["member"]])


def _projects(asked: Asked) -> Projects:
    return Projects(tuple(p for p in asked.call().projects if sees(asked.who, p.entity, p.project)))


def _sweeps(asked: Asked, entity: str | None = None, project: str | None = None) -> Sweeps:
    found: Sweeps = asked.call(entity, project)
    return Sweeps(tuple(s for s in found.sweeps if sees(asked.who, s.entity, s.project)))


def _changes(asked: Asked, since: int) -> Change:
    found: Change = asked.call(since)
    runs, sweeps = (tuple(p for p in paths if sees(asked.who, p[0], p[1])) for paths in (found.runs, found.sweeps))
    return Change(found.seq, runs, sweeps)


def _owners(asked: Asked, digest: str) -> frozenset[tuple[str, str]]:
    return frozenset(place for place in asked.call(digest) if sees(asked.who, *place))


# Sweeps


def _create_sweep(asked: Asked, entity: str, project: str, config: Mapping[str, Any]) -> Any:
    demand(asked.who, "write", entity, project)
    _no_code(config)
    _starts(asked.who, entity, project, config)
    return asked.call(entity, project, config)


def _set_sweep(
    asked: Asked, path: SweepPath, *, state: str | None = None, config: Mapping[str, Any] | None = None
) -> Any:
    demand(asked.who, "write", path.entity, path.project)
    if config is not None:
        _no_code(config)
        _starts(asked.who, path.entity, path.project, config)
    return asked.call(path, state=state, config=config)


def _register(asked: Asked, sweep: str, host: str, pid: int) -> Any:
    path = parse_sweep_path(sweep, entity="", project=None)
    demand(asked.who, "agent", path.entity, path.project)
    return asked.call(sweep, host, pid)


def _no_code(config: Mapping[str, Any]) -> None:
    """What a sweep names to be imported would run in the server."""
    if "custom" in config or str(config.get("method", "")).strip().lower() == "custom":
        law = "`method: custom` runs Python inside the server, so only the owner of its store may create such a sweep"
        raise ConfigError(law, where="method")


def _starts(who: Who, entity: str, project: str, config: Mapping[str, Any]) -> None:
    """The sweeps and runs that this one would learn from are read."""
    given = config.get("warm_start")
    for i, name in enumerate(given if isinstance(given, (list, tuple)) else [given] if given else ()):
        path = parse_sweep_path(str(name), entity=entity, project=project)
        if not sees(who, path.entity, path.project):
            raise ConfigError(f"there is no sweep and no run {path}", where=f"warm_start[{i}]")


# Alerts


def _alerts(asked: Asked) -> Alerts:
    return _shown(asked.who, asked.call())


def _shown(who: Who, found: Alerts) -> Alerts:
    """Where messages go, admins see; what they say, who sees the run."""
    seen = tuple(a for a in found.alerts if sees(who, a.entity, a.project))
    return msgspec.structs.replace(found, alerts=seen, channels=found.channels if who.admin else ())


def _test_channels(asked: Asked) -> Any:
    demand_admin(asked.who)
    return asked.call()


def _remove_channel(asked: Asked, n: int) -> Any:
    demand_admin(asked.who)
    found = asked.call(n)
    asked.hub.access.log(asked.who.name, "remove channel", f"{n}")
    return found


def _add_channel(asked: Asked, kind: str, url: str) -> Any:
    demand_admin(asked.who)
    host = urlsplit(url.strip()).hostname or ""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        raise UsageError(f"the address of {host!r} cannot be found out") from None
    if not all(ipaddress.ip_address(address.partition("%")[0]).is_global for address in found):
        raise UsageError(
            f"{host} is inside this network, and only the owner of the store sends there: on the server, besom alerts add"
        )
    asked.call(kind, url)
    asked.hub.access.log(asked.who.name, "add channel", f"{kind} {host}")
    return asked.hub.alerts()


RULES: Mapping[str, Rule] = {
    "append": _of_path("write"),
    "append_many": _append_many,
    "position": _of_path("write"),
    "alive": _alive,
    "projects": _projects,
    "runs": _of_project,
    "run": _of_path("read"),
    "patch": _of_path("write"),
    "delete": _of_path("write"),
    "rows": _of_path("read"),
    "console": _of_path("read"),
    "files": _of_path("read"),
    "artifact": _of_path("read"),
    "owners": _owners,
    "keys": _of_project,
    "groups": _of_project,
    "curves": _of_project,
    "metric_values": _of_path("read"),
    "changes": _changes,
    "create_sweep": _create_sweep,
    "sweeps": _sweeps,
    "sweep": _of_path("read"),
    "importance": _of_path("read"),
    "set_sweep": _set_sweep,
    "register": _register,
    "beat": _of_agent,
    "leave": _of_agent,
    "alerts": _alerts,
    "add_channel": _add_channel,
    "remove_channel": _remove_channel,
    "test_channels": _test_channels,
}
"""The rule of each use case."""
