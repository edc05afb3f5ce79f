"""A route of the API as a value, and how its arguments are read from a request.

Walk 2, second step: request -> Route.arguments -> one hub method. A route names the hub method it calls, the types it
takes and gives, and the permission it needs; `app.py` refuses to start with a route that declares none. This module
knows no route and no hub: the table is `native.py`.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.datastructures import QueryParams

from besom.core import codec
from besom.core.batch import Batch
from besom.core.errors import NotFound, UsageError, did_you_mean
from besom.core.names import RunPath, SweepPath

JSON, MSGPACK, BATCH = "application/json", "application/msgpack", "application/octet-stream"
LIMIT = 4 << 20
"""Bytes of a body; a batch may have `BATCH_LIMIT`, because a record of a journal may have 1 GiB."""
BATCH_LIMIT = (1 << 30) + (1 << 20)
REQUIRED: Any = object()


class Permission(enum.StrEnum):
    """What a caller must be allowed to do. Whole in the table from day one; checked per user when there are users."""

    OPEN = "open"
    READ = "read"
    WRITE = "write"
    AGENT = "agent"
    ADMIN = "admin"


class TooLarge(UsageError):
    """A body beyond the limit."""


class WrongType(UsageError):
    """A body of a type that the route does not take."""


@dataclass(frozen=True, slots=True)
class Param:
    """A query parameter. `type`: str, int, float, or tuple for a comma list (backticks round an item with a comma)."""

    name: str
    type: type
    doc: str
    default: Any = None


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table.

    `path`: a template; ``{n}`` is an integer, every other placeholder text; ``{entity}/{project}/{id}`` becomes one
    argument `path`, a RunPath or SweepPath. `call`: the hub method, called with the path's and query's parameters by name, the body (its
    fields by name, or whole under the name `body_as`), and `fixed`.
    `result`: a struct of core/wire.py, or None for an empty answer; `wrap` makes it of what the hub method returns.
    `fresh`: changed journals are caught up before the call (read-your-writes).
    """

    method: str
    path: str
    call: str
    result: Any
    doc: str
    permission: Permission | None = None
    params: tuple[Param, ...] = ()
    body: Any = None
    body_as: str = ""
    wrap: Any = None
    fixed: tuple[tuple[str, Any], ...] = ()
    fresh: bool = True
    placeholders: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "placeholders", tuple(re.findall(r"{(\w+)}", self.path)))

    @property
    def content(self) -> str:
        """The content type of the body."""
        return BATCH if self.body is Batch else JSON

    def arguments(self, path: Mapping[str, str], query: QueryParams, body: bytes, content: str) -> dict[str, Any]:
        """The hub method's keyword arguments. Raises UsageError (NotFound for a path that cannot exist)."""
        found: dict[str, Any] = {name: _placeholder(name, path[name]) for name in self.placeholders}
        if "project" in found:
            names = SweepPath if self.path.startswith("/api/sweeps/") else RunPath
            found["path"] = names(found.pop("entity"), found.pop("project"), found.pop("id"))
        known = {param.name for param in self.params}
        for name in query:
            if name not in known:
                raise UsageError(f"{self.method} {self.path} has no parameter {name!r}.{did_you_mean(name, known)}")
        for param in self.params:
            text = query.get(param.name)
            if text is None or (text == "" and param.type is not str):
                if param.default is REQUIRED:
                    raise UsageError(f"{self.method} {self.path} needs the parameter {param.name!r}: {param.doc}")
                found[param.name] = param.default
            else:
                found[param.name] = _query(param, text)
        if self.body is not None:
            found.update(self._body(body, content))
        found.update(self.fixed)
        return found

    def _body(self, body: bytes, content: str) -> dict[str, Any]:
        content = content.partition(";")[0].strip().lower()
        allowed = (BATCH,) if self.body is Batch else (JSON, MSGPACK)
        if content not in allowed:
            raise WrongType(
                f"{self.method} {self.path} takes a body of {' or '.join(allowed)}, not {content or 'none'!r}"
            )
        try:
            if self.body is Batch:
                value = codec.unpack(body)
            elif content == MSGPACK:
                value = msgspec.msgpack.decode(body, type=self.body)
            else:
                value = msgspec.json.decode(body, type=self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UsageError(f"the body of {self.method} {self.path} is wrong: {error}") from error
        return {self.body_as: value} if self.body_as else msgspec.structs.asdict(value)


def split(text: str) -> tuple[str, ...]:
    """The items of a comma list; backticks keep a comma inside an item, a doubled backtick is one.

    >>> split("loss,`a,b`,config.lr")
    ('loss', 'a,b', 'config.lr')
    """
    items = re.findall(r"(?:`(?:[^`]|``)*`|[^,`])+", text)
    return tuple(
        item[1:-1].replace("``", "`") if len(item) > 1 and item[0] == item[-1] == "`" else item for item in items
    )


def _placeholder(name: str, text: str) -> str | int:
    if name != "n":
        return text
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise NotFound(f"a number is asked for here, and {text!r} is none")
    return int(text)


def _query(param: Param, text: str) -> Any:
    if param.type is tuple:
        return split(text)
    try:
        value = param.type(text)
    except ValueError:
        what = "a whole number" if param.type is int else "a number"
        raise UsageError(f"the parameter {param.name!r} is {what}, not {text!r}") from None
    if param.type is int and abs(value) > 1 << 53:
        raise UsageError(f"the parameter {param.name!r} is beyond 2**53: {text}")
    return value
