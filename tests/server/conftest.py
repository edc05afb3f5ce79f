"""What the tests of the doors share: a caller of an ASGI application that can send what a browser or an attacker would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pytest

from besom.server.app import Application


class Reply(NamedTuple):
    """An answer: headers with lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes


Ask = Callable[..., Reply]


def ask_raw(
    app: Application,
    method: str,
    path: str,
    headers: Iterable[tuple[str, str]] = (("host", "localhost:8080"),),
    body: bytes = b"",
    kind: str = "http",
) -> Reply:
    """One request with exactly these headers, straight into the application."""
    where, _, query = path.partition("?")
    scope: dict[str, Any] = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": where,
        "raw_path": where.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
        "server": ("127.0.0.1", 8080),
        "client": ("127.0.0.1", 1),
    }
    sent: list[dict[str, Any]] = []

    async def talk() -> None:
        waiting = [{"type": "http.request", "body": body, "more_body": False}]
        if kind == "websocket":
            waiting = [{"type": "websocket.connect"}]

        async def receive() -> dict[str, Any]:
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(dict(message))

        await app(scope, receive, send)

    asyncio.run(talk())
    if kind == "websocket":
        return Reply(403 if sent[0]["type"] == "websocket.close" else 101, {}, b"")
    found = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))


@pytest.fixture(scope="session")
def raw() -> Ask:
    return ask_raw
