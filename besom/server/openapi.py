"""The description of the API in OpenAPI 3.1, made from the route table and the structs of core/wire.py.

``python -m besom.server.openapi`` prints it; docs/openapi.json is the copy that the page's types are made from, and a test
compares the two. Knows how answers look as JSON: every field is there, and a measured number that is not finite is text.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec

from besom.core import wire
from besom.server.native import EVENTS, OPENAPI, OWN, ROUTES
from besom.server.route import BATCH, JSON, MSGPACK, REQUIRED, Route

VERSION = "1"
"""Of the API, not of besom: it grows when an answer loses or renames a field."""
REF = "#/components/schemas/{name}"
MEASURED: dict[str, tuple[str, ...]] = {
    "MetricStat": ("last", "min", "max", "mean", "best"),
    "TrialView": ("value",),
    "GroupView": ("value", "std", "min", "max"),
}
_TYPES = {str: {"type": "string"}, int: {"type": "integer"}, float: {"type": "number"}}
_FAULTS = {
    "400": "The input is wrong; the message says what is allowed.",
    "403": "The Host or Origin is not this server's.",
    "404": "What was named does not exist.",
    "503": "Starting, locked, or no room: the same call works later, see Retry-After.",
}


def document() -> dict[str, Any]:
    """The whole description, as plain data in a fixed order."""
    routes = (*ROUTES, *OWN)
    paths: dict[str, dict[str, Any]] = {}
    for route in sorted(routes, key=lambda r: (r.path, r.method)):
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "besom",
            "version": VERSION,
            "summary": "Runs, curves, sweeps and alerts. Times are seconds since the epoch, UTC.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": _schemas(routes)},
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.call or route.path.removeprefix("/api/").partition(".")[0],
        "summary": route.doc,
        "x-permission": str(route.permission),
        "parameters": [*map(_placeholder, route.placeholders), *map(_query, route.params)],
    }
    if route.body is not None:
        schema: dict[str, Any] = {"$ref": REF.format(name=route.body.__name__)}
        content = {BATCH: {"schema": {"type": "string", "format": "binary"}}} if route.content == BATCH else {
            JSON: {"schema": schema}, MSGPACK: {"schema": schema}}  # fmt: skip
        operation["requestBody"] = {"required": True, "content": content}
    operation["responses"] = {**_success(route), **{code: _fault(text) for code, text in _FAULTS.items()}}
    return operation


def _placeholder(name: str) -> dict[str, Any]:
    kind = {"type": "integer"} if name == "n" else {"type": "string"}
    return {"name": name, "in": "path", "required": True, "schema": kind}


def _query(param: Any) -> dict[str, Any]:
    schema: dict[str, Any] = (
        {"type": "array", "items": {"type": "string"}} if param.type is tuple else dict(_TYPES[param.type])
    )
    if param.default is not REQUIRED and param.default is not None and param.default != ():
        schema["default"] = param.default
    found: dict[str, Any] = {"name": param.name, "in": "query", "description": param.doc, "schema": schema}
    if param.type is tuple:
        found |= {"style": "form", "explode": False}
    return found | {"required": True} if param.default is REQUIRED else found


def _success(route: Route) -> dict[str, Any]:
    if route is EVENTS:
        return {"200": {"description": "Events named `change`.", "content": {"text/event-stream": {
            "schema": {"$ref": REF.format(name="Change")}}}}}  # fmt: skip
    if route is OPENAPI:
        return {"200": {"description": "OpenAPI 3.1.", "content": {JSON: {"schema": {"type": "object"}}}}}
    if route.result is None:
        return {"204": {"description": "Done."}}
    schema = {"$ref": REF.format(name=route.result.__name__)}
    return {"200": {"description": "The answer.", "content": {JSON: {"schema": schema}, MSGPACK: {"schema": schema}}}}


def _fault(text: str) -> dict[str, Any]:
    return {"description": text, "content": {JSON: {"schema": {"$ref": REF.format(name="Problem")}}}}


def _schemas(routes: tuple[Route, ...]) -> dict[str, Any]:
    answers = [route.result for route in routes if route.result is not None] + [wire.Problem]
    bodies = [route.body for route in routes if route.body is not None and route.content == JSON]
    (_, given) = msgspec.json.schema_components(answers, ref_template=REF)
    (_, taken) = msgspec.json.schema_components(bodies, ref_template=REF)
    for name, schema in given.items():
        schema["required"] = list(schema["properties"])  # an answer always has all its fields
        for prop in schema["properties"].values():
            prop.pop("default", None)
            if prop == {"type": "object"}:
                prop["additionalProperties"] = {}
        for key in MEASURED.get(name, ()):
            schema["properties"][key] = _measured(schema["properties"][key])
    return dict(sorted({**taken, **given}.items()))


def _measured(schema: dict[str, Any]) -> dict[str, Any]:
    options = schema.get("anyOf", [schema])
    return {"anyOf": [*options, {"enum": ["NaN", "Infinity", "-Infinity"]}]}


def text() -> str:
    """The description as the text of docs/openapi.json."""
    return json.dumps(document(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
