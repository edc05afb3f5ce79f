"""Answers as bytes: JSON for people and pages, exact msgpack for our client, gzip when large, and errors as `Problem`.

JSON has no NaN and no integers beyond 2**53 that a browser can read, so in values those are the strings "NaN", "Infinity",
"-Infinity" and the digits; inside the columns of a curve NaN is null. Runs in the worker thread of the call, so that
a large answer never holds up the event loop. Does not know routes or hubs.
"""

from __future__ import annotations

import gzip
import logging
import math
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from besom.core import exact, wire
from besom.core.errors import BesomError, FilterError, NotFound, Refused, StoreError, Unavailable, UsageError
from besom.server.route import JSON, MSGPACK, TooLarge, WrongType

log = logging.getLogger("besom.server")

LARGE = 1400
"""Bytes from which an answer is compressed: below, it fits one packet."""
SAFE = 1 << 53
DEPTH = 200
"""Levels of nesting that are shown; core/plain.py keeps fewer."""
RETRY = 1.0
"""Seconds a caller is asked to wait when the store is locked, full or starting."""


def answer(
    value: Any, headers: Mapping[str, str], status: int = 200, extra: Mapping[str, str] | None = None
) -> Response:
    """`value` (a struct, or None for an empty answer) in the form that the request's `headers` ask for."""
    if value is None:
        return Response(status_code=204)
    if MSGPACK in headers.get("accept", ""):
        body, kind = exact.encode(value), MSGPACK
    else:
        body, kind = to_json(value), JSON
    return packed(body, kind, headers, status, extra)


def packed(
    body: bytes, kind: str, headers: Mapping[str, str], status: int = 200, extra: Mapping[str, str] | None = None
) -> Response:
    """`body`, compressed when it is large and the caller takes gzip."""
    more = {"Vary": "Accept, Accept-Encoding", **(extra or {})}
    if len(body) > LARGE and accepts_gzip(headers):
        body = gzip.compress(body, 3, mtime=0)
        more["Content-Encoding"] = "gzip"
    return Response(body, status, more, kind)


def accepts_gzip(headers: Mapping[str, str]) -> bool:
    """Whether the caller takes gzip (``gzip;q=0`` refuses it)."""
    for item in headers.get("accept-encoding", "").lower().split(","):
        coding, _, quality = item.partition(";")
        if coding.strip() in ("gzip", "*"):
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def to_json(value: Any) -> bytes:
    """`value` as JSON that a browser reads without losing a number."""
    return msgspec.json.encode(web(value))


def web(value: Any, depth: int = DEPTH) -> Any:
    """`value` as plain data for JSON. Curves pass as they are: msgspec writes their NaN as null."""
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else _name(value)
    if kind is int:
        return value if -SAFE <= value <= SAFE else _digits(value)
    if kind is str:
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if kind is bool or value is None or kind is wire.Curves:
        return value
    if isinstance(value, msgspec.Struct):
        return {name: web(getattr(value, name), depth) for name in value.__struct_fields__}
    if kind is dict or kind is list or kind is tuple:
        if depth == 0:
            return f"<{kind.__name__} of {len(value)}, nested too deep>"
        if kind is dict:
            return {web(str(key)): web(item, depth - 1) for key, item in value.items()}
        return [web(item, depth - 1) for item in value]
    if kind is msgspec.msgpack.Ext or isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{kind.__name__}>"
    return value


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # more digits than Python turns into text
        return hex(value)


def _name(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def problem(error: Exception, headers: Mapping[str, str]) -> Response:
    """The answer that an error stands for. A state of the server is never said with a code that makes callers give up."""
    status, found = described(error)
    extra = {"Retry-After": f"{max(1, math.ceil(found.retry_after))}"} if found.retry_after is not None else None
    return answer(found, headers, status, extra)


def described(error: Exception) -> tuple[int, wire.Problem]:
    """(status, Problem) of an error."""
    name = type(error).__name__
    warnings = tuple(getattr(error, "warnings", ()))
    match error:
        case NotFound():
            return 404, wire.Problem(name, str(error))
        case Refused():
            return 403, wire.Problem(name, str(error))
        case FilterError():
            return 400, wire.Problem(name, str(error), position=error.position)
        case TooLarge():
            return 413, wire.Problem("UsageError", str(error))
        case WrongType():
            return 415, wire.Problem("UsageError", str(error))
        case UsageError():
            return 400, wire.Problem(name, str(error), warnings=warnings)
        case Unavailable():
            return 503, wire.Problem(name, str(error), retry_after=error.retry_after or RETRY)
        case StoreError():
            return 503, wire.Problem(name, str(error), retry_after=RETRY)
        case OSError():  # the disk is full or gone: it may come back
            log.error("the store cannot be used now: %s", error)
            return 503, wire.Problem("Unavailable", f"the store cannot be used now: {error}", retry_after=RETRY)
        case BesomError():
            return 400, wire.Problem(name, str(error))
    log.error("a request failed", exc_info=error)
    return 500, wire.Problem("InternalError", f"besom has a fault: {name}. The server's log says more.")
