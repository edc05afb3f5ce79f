"""Nobody but this machine's own user and page gets in: not by another host name, not from another web page, by no method."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from besom.core.errors import UsageError
from besom.server.app import METHODS, Application
from besom.server.auth import check_address
from besom.server.native import OWN, ROUTES
from besom.server.serve import listen


class Tripwire:
    """Stands where the hub stands; notes every call that came through."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def call(*_: Any, **__: Any) -> Any:
            self.calls.append(name)
            raise UsageError("the secret of the store")

        return call


@pytest.fixture
def wire() -> Tripwire:
    return Tripwire()


@pytest.fixture
def app(wire: Tripwire) -> Iterator[Application]:
    application = Application(lambda: wire)  # type: ignore[arg-type, return-value]
    yield application
    application.close()


def filled(path: str) -> str:
    for name, value in {"entity": "ada", "project": "digits", "id": "r1", "stream": "s", "n": "1"}.items():
        path = path.replace(f"{{{name}}}", value)
    return path


EVERY_PATH = sorted({filled(route.path) for route in (*ROUTES, *OWN)}) + [
    "/",
    "/api/none",
    "/ada/digits",
    "/assets/x.js",
]
STRANGE_HOSTS = [
    [("host", "evil.com")],
    [("host", "evil.com:8080")],
    [("host", "127.0.0.1.nip.io:8080")],
    [("host", "localhost.evil.com")],
    [("host", "0.0.0.0:8080")],
    [("host", "[::ffff:127.0.0.1]:8080")],
    [("host", "")],
    [],
    [("host", "localhost"), ("host", "evil.com")],
    [("host", "localhost"), ("host", "localhost")],
    [("host", "user@localhost")],
    [("host", "localhost:8080:9090")],
    [("host", "127.0.0.1\x00.evil.com")],
]
STRANGE_PAGES = [
    [("origin", "http://evil.com")],
    [("origin", "null")],
    [("origin", "http://localhost:9999")],
    [("origin", "http://localhost")],
    [("origin", "http://127.0.0.1:8080")],
    [("origin", "file://localhost:8080")],
    [("origin", "http://[")],
    [("origin", "http://localhost:8080/")],
    [("origin", "http://localhost:8080"), ("origin", "http://evil.com")],
    [("sec-fetch-site", "cross-site")],
    [("sec-fetch-site", "same-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script")],
    [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
]
TYPES = ["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]


@pytest.mark.parametrize("path", EVERY_PATH)
def test_a_request_under_another_name_is_refused(path: str, app: Application, wire: Tripwire, raw: Any) -> None:
    """DNS rebinding: evil.com resolves to 127.0.0.1, and its page sends requests to itself."""
    for method in METHODS:
        for host in STRANGE_HOSTS:
            reply = raw(app, method, path, host, b"{}")
            assert reply.status == 403, (method, host)
            assert json.loads(reply.body)["error"] == "Refused"
    assert wire.calls == []


@pytest.mark.parametrize("path", EVERY_PATH)
def test_a_request_of_another_page_is_refused(path: str, app: Application, wire: Tripwire, raw: Any) -> None:
    for method in METHODS:
        for page in STRANGE_PAGES:
            for content in TYPES:
                headers = [("host", "localhost:8080"), *page, ("content-type", content)]
                reply = raw(app, method, path, headers, b"{}")
                assert reply.status == 403, (method, page)
                assert "access-control-allow-origin" not in reply.headers
    assert wire.calls == []


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "LOCALHOST:1", "127.0.0.1:8080", "[::1]:8080", "[::1]"]
)
def test_this_machine_gets_in(host: str, app: Application, wire: Tripwire, raw: Any) -> None:
    for page in ([], [("origin", f"http://{host}"), ("sec-fetch-site", "same-origin")], [("sec-fetch-site", "none")]):
        assert raw(app, "GET", "/api/projects", [("host", host), *page]).status == 400
    assert wire.calls == ["projects"] * 3


def test_a_link_in_a_chat_opens_the_page_but_not_the_api(app: Application, wire: Tripwire, raw: Any) -> None:
    link = [("host", "localhost:8080"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]
    link += [("sec-fetch-dest", "document")]
    assert raw(app, "GET", "/ada/digits", link).status in (200, 404)  # 404: the page is not built here
    assert raw(app, "POST", "/ada/digits", link).status == 403
    assert raw(app, "GET", "/api/projects", link).status == 403
    assert raw(app, "GET", "/apiary", link).status == 403
    assert wire.calls == []


@pytest.mark.parametrize(
    ("route", "content"),
    [(route, content) for route in ROUTES if route.body is not None for content in [*TYPES[1:], "", "image/png"]],
)
def test_a_form_cannot_change_anything(route: Any, content: str, app: Application, wire: Tripwire, raw: Any) -> None:
    """What a page may send without asking first (forms, plain text) is no body that a route takes."""
    headers = [("host", "localhost:8080"), ("content-type", content)]
    assert raw(app, route.method, filled(route.path), headers, b"{}").status == 415
    assert wire.calls == []


def test_no_websocket_opens(app: Application, raw: Any) -> None:
    for host in ("localhost:8080", "evil.com"):
        assert raw(app, "GET", "/api/events", [("host", host)], kind="websocket").status == 403


def test_an_address_that_is_no_path_is_refused(app: Application, raw: Any) -> None:
    assert raw(app, "GET", "http://evil.com/api/projects").status == 403


@pytest.mark.parametrize("method", ["PUT", "TRACE", "OPTIONS", "CONNECT"])
def test_methods_without_a_route_do_nothing(method: str, app: Application, wire: Tripwire, raw: Any) -> None:
    for path in EVERY_PATH:
        assert raw(app, method, path).status in (404, 405)
    assert wire.calls == []


@pytest.mark.parametrize("path", ["/", "/api/projects", "/api/none", "/api/openapi.json", "/assets/none.js"])
@pytest.mark.parametrize("host", ["localhost", "evil.com"])
def test_every_answer_wears_its_armour(path: str, host: str, app: Application, raw: Any) -> None:
    headers = raw(app, "GET", path, [("host", host)]).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self';" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe-eval" not in policy and "http:" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["referrer-policy"] == "same-origin"
    assert "cache-control" in headers


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", "", "::ffff:8.8.8.8"])
def test_it_listens_on_this_machine_only(host: str) -> None:
    with pytest.raises(UsageError, match="besom listens on this machine only .*ssh -L 8080"):
        listen(host, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_loopback_addresses_are_fine(host: str) -> None:
    assert check_address(host) == host
