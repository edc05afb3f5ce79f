"""The route table: what it declares, what it refuses, and that docs/openapi.json tells the truth about it."""

from __future__ import annotations

import dataclasses
import inspect
import json
import subprocess
import sys
import typing
from pathlib import Path

import pytest
from starlette.datastructures import QueryParams

from besom.client import Client, join
from besom.core import wire
from besom.core.errors import UsageError
from besom.hub.hub import Hub
from besom.server import openapi
from besom.server.app import Application
from besom.server.native import OWN, ROUTES
from besom.server.route import REQUIRED, Param, Permission, Route, split

ROOT = Path(__file__).resolve().parents[2]
NAMES = [f"{route.method} {route.path}" for route in ROUTES]


@pytest.mark.parametrize("route", ROUTES, ids=NAMES)
def test_every_route_is_a_method_of_the_hub_with_these_parameters(route: Route) -> None:
    method = getattr(Hub, route.call)
    taken = {name for name in inspect.signature(method).parameters if name != "self"}
    given = {name for name in route.placeholders if name not in ("entity", "project", "id")}
    given |= {param.name for param in route.params} | {name for name, _ in route.fixed}
    if "project" in route.placeholders:
        given.add("path")
    elif "id" in route.placeholders:
        given.add("id")
    if route.body is not None:
        given |= {route.body_as} if route.body_as else set(route.body.__struct_fields__)
    assert given <= taken, f"{route.call} takes {sorted(taken)}"
    needed = {
        name
        for name, parameter in inspect.signature(method).parameters.items()
        if parameter.default is inspect.Parameter.empty and name != "self"
    }
    assert needed <= given, f"{route.call} needs {sorted(needed)}"


@pytest.mark.parametrize("route", ROUTES, ids=NAMES)
def test_every_route_answers_what_the_hub_gives(route: Route) -> None:
    gives = typing.get_type_hints(getattr(Hub, route.call))["return"]
    if route.wrap is not None:
        assert gives is int and route.wrap is route.result
    elif route.result is not None:
        assert gives is route.result


@pytest.mark.parametrize("route", ROUTES, ids=NAMES)
def test_every_route_has_a_method_of_the_client(route: Route) -> None:
    assert callable(getattr(Client, route.call))


def test_every_route_declares_a_permission() -> None:
    application = Application(lambda: pytest.fail("no hub is needed"))
    declared = {(route.method, route.path) for route in (*ROUTES, *OWN)}
    served = {
        (method, place.path)
        for place in application.places
        for method in place.methods or ()
        if method != "HEAD" and not place.path.endswith("{path:path}")
    }
    assert served == declared
    assert all(isinstance(route.permission, Permission) for route in (*ROUTES, *OWN))
    application.close()


def test_a_route_without_a_permission_is_refused_at_start() -> None:
    bare = Route("GET", "/api/secret", "projects", wire.Projects, "")
    with pytest.raises(RuntimeError, match="GET /api/secret declares no permission"):
        Application(lambda: pytest.fail("no hub is needed"), routes=[*ROUTES, bare])
    typo = dataclasses.replace(bare, permission="read")  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="declares no permission"):
        Application(lambda: pytest.fail("no hub is needed"), routes=[typo])


def test_the_committed_description_is_the_one_of_the_code() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "besom.server.openapi"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    committed = (ROOT / "docs" / "openapi.json").read_text()
    assert committed == printed, "run: python -m besom.server.openapi > docs/openapi.json"


def test_the_description_is_whole() -> None:
    document = json.loads(openapi.text())
    schemas = document["components"]["schemas"]
    text = json.dumps(document)
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= set(schemas)
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations) == len(ROUTES) + len(OWN)
    assert all(operation["x-permission"] in list(Permission) for operation in operations)
    # An answer always has all its fields, so a page need not ask whether one is there.
    assert set(schemas["RunView"]["required"]) == set(wire.RunView.__struct_fields__)
    assert schemas["NewSweep"]["required"] == ["entity", "project", "config"]
    assert {"enum": ["NaN", "Infinity", "-Infinity"]} in schemas["MetricStat"]["properties"]["last"]["anyOf"]


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("", ()),
        ("loss", ("loss",)),
        ("loss,val/loss,config.lr", ("loss", "val/loss", "config.lr")),
        ("`a,b`,c", ("a,b", "c")),
        ("`tick``tock`", ("tick`tock",)),
        ("train loss", ("train loss",)),
    ],
)
def test_comma_lists(text: str, items: tuple[str, ...]) -> None:
    assert split(text) == items
    assert split(join(items)) == items


ASKED = Route(
    "GET",
    "/api/x/{n}",
    "x",
    None,
    "",
    Permission.READ,
    (Param("keys", tuple, "metrics", REQUIRED), Param("limit", int, "", 5), Param("min", float, "")),
)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("limit=3", "needs the parameter 'keys': metrics"),
        ("keys=a&limit=many", "'limit' is a whole number, not 'many'"),
        ("keys=a&min=left", "'min' is a number, not 'left'"),
        ("keys=a&limit=99999999999999999999", "beyond 2\\*\\*53"),
        ("keys=a&limt=3", "has no parameter 'limt'. Did you mean \"limit\"\\?"),
    ],
)
def test_a_wrong_parameter_is_named(query: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ASKED.arguments({"n": "1"}, QueryParams(query), b"", "")


def test_parameters_arrive_typed() -> None:
    assert ASKED.arguments({"n": "7"}, QueryParams("keys=a,b&min=1e-3&limit="), b"", "") == {
        "n": 7,
        "keys": ("a", "b"),
        "limit": 5,
        "min": 0.001,
    }
    with pytest.raises(UsageError, match="a number is asked for"):
        ASKED.arguments({"n": "../1"}, QueryParams("keys=a"), b"", "")
