"""Which requests are for us at all: on one machine loopback addresses only, and never of a web page but our own.

Loopback is no boundary by itself: any page in any tab can send requests to it, under any host name that a DNS server
makes up. So every request, of every method and path, needs a Host that is this machine's and, when it names an Origin,
our own; what a browser calls cross-site may only open the page. No CORS header is ever sent. Knows no routes; who calls is
gate.py's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from besom.core import wire
from besom.core.errors import UsageError
from besom.server.answer import answer

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # Svelte sets style attributes; styles cannot read or send anything here
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)


def check_address(host: str, team: bool = False) -> str:
    """`host`, if a server may listen there: one without users not where others can reach it. Raises UsageError."""
    if team or host in LOOPBACK:
        return host
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise UsageError(
            f"besom listens on this machine only (127.0.0.1) unless it has users, and {host!r} can be reached by others. For a "
            "team: besom server --team; for yourself, from another machine: ssh -L 8080:127.0.0.1:8080 USER@THIS-MACHINE"
        )
    return host


class Guard:
    """ASGI middleware: refuses what is not for us, and puts the security headers on every answer.
    `hosts`: names besides loopback's; None takes every name, for a server that asks everybody who they are."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str] | None = ()) -> None:
        self._app = app
        self._hosts = None if hosts is None else LOOPBACK | {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "besom has no websockets"})
        else:
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                names = {name.lower() for name, _ in given}
                extra = [*HEADERS] if b"cache-control" in names else [*HEADERS, (b"cache-control", b"no-store")]
                message = {**message, "headers": given + extra}
            await send(message)

        reason = refusal(scope, self._hosts)
        if reason is None:
            await self._app(scope, receive, sealed)
        else:
            await answer(wire.Problem("Refused", reason), {}, 403)(scope, receive, sealed)


def refusal(scope: Scope, hosts: frozenset[str] | None) -> str | None:
    """Why a request is refused, or None when it is not."""
    headers: dict[bytes, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.lower(), []).append(value.decode("latin-1"))
    named = headers.get(b"host", [])
    if len(named) != 1 or not _name(named[0]) or (hosts is not None and _name(named[0]) not in hosts):
        return f"this server answers to {', '.join(sorted(hosts or ('one name',)))} only, and the request was for {', '.join(named) or 'no host'}"
    if not scope["path"].startswith("/"):
        return "the address of a request begins with /"
    for origin in headers.get(b"origin", []):
        scheme, _, place = origin.lower().partition("://")
        if scheme not in ("http", "https") or place != named[0].lower():
            return f"requests of other web pages are refused, and this one comes from {origin}"
    site = headers.get(b"sec-fetch-site", ["none"])
    if set(site) <= {"none", "same-origin"}:
        return None
    opens_page = (
        scope["method"] == "GET"
        and headers.get(b"sec-fetch-mode") == ["navigate"]
        and headers.get(b"sec-fetch-dest") == ["document"]
        and not scope["path"].startswith("/api")
    )
    return None if opens_page else f"requests of other web pages are refused, and this one is {', '.join(site)}"


def _name(host: str) -> str | None:
    """The name or address in a Host header, without its port; None when it is not of that form."""
    name, _, port = host.rpartition(":") if host.rpartition(":")[2].isdigit() else (host, "", "0")
    if name.startswith("[") and name.endswith("]"):
        return name[1:-1].lower()
    return None if ":" in name or not port.isascii() else name.lower()
