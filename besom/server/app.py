"""The application: routes and middleware, nothing else. Walk 2: request -> guard -> gate -> route -> one hub method -> answer.

Blocking calls of the hub run in worker threads, writes and reads apart, so that a slow question never holds up a run that
logs. `catch_up` is the folder door (folder.py): called before a question, so that every answer knows what was logged before
it was asked. Does not know where the hub's store is, nor whether it is called over a socket or in this process.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.routing import Route as Place
from starlette.types import ASGIApp, Receive, Scope, Send

from besom.core import wire
from besom.core.errors import BesomError, NotFound, Unavailable, UsageError, did_you_mean
from besom.server import openapi
from besom.server.answer import answer, packed, problem
from besom.server.auth import Guard
from besom.server.gate import Gate, Gated
from besom.server.live import STREAM, Live, later
from besom.server.login import Login
from besom.server.native import EVENTS, HEALTH, OPENAPI, ROUTES
from besom.server.page import STATIC, Page
from besom.server.route import BATCH, BATCH_LIMIT, JSON, LIMIT, Permission, Route, TooLarge, WrongType

if TYPE_CHECKING:
    from besom.hub.hub import Hub

T = TypeVar("T")
Endpoint = Callable[[Request], Awaitable[Response]]
log = logging.getLogger("besom.server")
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"]
READERS, WRITERS = 12, 6
"""Worker threads for questions and for changes."""
PAGE = Route("GET", "/{path:path}", "", None, "The web page.", Permission.OPEN)
LOST = Route("GET", "/api/{path:path}", "", None, "No route: says which one may be meant.", Permission.OPEN)


class Application:
    """The ASGI application over one hub.

    `hub`: gives the hub, or raises Unavailable while it is being opened. `catch_up`: see above. `changed`: told the hub
    method after each change that came in by a route. `hosts`: see Guard. `gate`: finds out who calls, in a store that may have
    users; without one, whoever holds the application is the owner of the store.
    `doors`: further routes with endpoints of their own, for foreign clients. Raises RuntimeError for a route that declares
    no permission.
    """

    def __init__(
        self,
        hub: Callable[[], Hub],
        *,
        catch_up: Callable[[], object] | None = None,
        changed: Callable[[str], None] | None = None,
        hosts: Iterable[str] | None = (),
        gate: Gate | None = None,
        static: Path = STATIC,
        routes: Iterable[Route] = ROUTES,
        doors: Iterable[tuple[Route, Endpoint]] = (),
    ) -> None:
        self._catch_up, self._changed, self._gate = catch_up, changed, gate
        self._raw = hub
        self._hub = gate.guarded if gate is not None else hub
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="besom-read")
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="besom-write")
        self._page, self._login = Page(static), Login(gate) if gate is not None else None
        self.live = Live(
            lambda since: self._changes(self._hub, since), latest=lambda since: self._changes(self._raw, since)
        )
        self.places = [self._place(route, self._endpoint(route)) for route in routes]
        self.places += [self._place(route, endpoint) for route, endpoint in doors]
        self.places += [self._place(route, endpoint) for route, endpoint in (self._login.routes if self._login else ())]
        self.places += [
            self._place(HEALTH, self._health),
            self._place(EVENTS, _Stream(self.live)),
            self._place(OPENAPI, self._openapi),
            self._place(LOST, self._lost, METHODS),
            self._place(PAGE, self._paged),
        ]
        inner = Starlette(routes=self.places, exception_handlers={HTTPException: _refused})
        self._app: ASGIApp = Guard(inner, hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def close(self) -> None:
        """Let the worker threads finish and go."""
        self._readers.shutdown()
        self._writers.shutdown()

    def _place(self, route: Route, endpoint: Any, methods: list[str] | None = None) -> Place:
        if not isinstance(route.permission, Permission):
            raise RuntimeError(f"{route.method} {route.path} declares no permission: add one of {list(Permission)}")
        app = Gated(self._gate, route, endpoint) if self._gate is not None else endpoint
        return Place(route.path, app, methods=methods or [route.method])

    def _endpoint(self, route: Route) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            try:
                body = await body_of(request, route)
                return await self._work(route.method, lambda: self._call(route, request, body))
            except Exception as error:  # every fault becomes an answer; problem() logs those that are ours
                return problem(error, request.headers)

        return endpoint

    def _call(self, route: Route, request: Request, body: bytes) -> Response:
        content = request.headers.get("content-type", "")
        arguments = route.arguments(request.path_params, request.query_params, body, content)
        hub = self._hub()
        if route.fresh:
            self._fresh(route.method)
        value = getattr(hub, route.call)(**arguments)
        if route.method != "GET" and self._changed is not None:
            self._changed(route.call)
        if route.wrap is not None:
            value = route.wrap(value)
        return answer(value if route.result is not None else None, request.headers)

    def _fresh(self, method: str) -> None:
        """Catch up changed journals. A question is still answered, from what is kept, when that cannot be done now."""
        if self._catch_up is None:
            return
        try:
            self._catch_up()
        except (BesomError, OSError) as error:
            if method != "GET":
                raise
            log.warning("the newest records cannot be taken in now: %s", error)

    async def _work(self, method: str, work: Callable[[], T]) -> T:
        pool = self._readers if method == "GET" else self._writers
        caller = contextvars.copy_context()  # who calls goes along into the thread
        return await asyncio.get_running_loop().run_in_executor(pool, lambda: caller.run(work))

    async def _changes(self, hub: Callable[[], Hub], since: int) -> wire.Change:
        def ask() -> wire.Change:
            found = hub()
            self._fresh("GET")
            return found.changes(since)

        return await self._work("GET", ask)

    async def _health(self, request: Request) -> Response:
        try:
            self._raw()
        except BesomError as error:
            return problem(error, request.headers)
        return answer(wire.Health("ok", release()), request.headers)

    async def _paged(self, request: Request) -> Response:
        if self._login is not None and not self._page.has(request.url.path):
            instead = await self._login.instead(request)
            if instead is not None:
                return instead
        return await self._page(request)

    async def _openapi(self, request: Request) -> Response:
        return packed(openapi.text().encode(), JSON, request.headers)

    async def _lost(self, request: Request) -> Response:
        here = request.scope["path"]
        for place in self.places:
            match, _ = place.matches(request.scope)
            if match is Match.PARTIAL and place.path != LOST.path:
                allowed = sorted({m for p in self.places if p.path == place.path for m in p.methods or ()})
                found = wire.Problem("UsageError", f"{here} takes {' or '.join(allowed)}, not {request.method}")
                return answer(found, request.headers, 405, {"Allow": ", ".join(allowed)})
        known = {place.path for place in self.places if place.path not in (LOST.path, PAGE.path)}
        return problem(NotFound(f"the API has no {here}.{did_you_mean(here, known)}"), request.headers)


class _Stream:
    """The ASGI endpoint of server-sent events."""

    def __init__(self, live: Live) -> None:
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            arguments = EVENTS.arguments({}, request.query_params, b"", "")
            await self._live.stream(request, arguments["since"], send)
        except (
            Unavailable
        ) as error:  # raised before the stream began; a browser comes again after 200, and never after 503
            await Response(later(str(error)), headers={"Cache-Control": "no-store"}, media_type=STREAM)(
                scope, receive, send
            )
        except BesomError as error:
            await problem(error, request.headers)(scope, receive, send)


async def body_of(request: Request, route: Route) -> bytes:
    """The body, in full. Raises TooLarge beyond the limit of its kind: without reading on, and before any decoding."""
    if route.body is None:
        return b""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise WrongType("bodies are taken uncompressed: send no Content-Encoding")
    limit = BATCH_LIMIT if route.content == BATCH else LIMIT
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise TooLarge(f"a body here has at most {limit} bytes; send it in smaller parts")
            parts.append(part)
    except ClientDisconnect:
        raise UsageError("the caller left before its request was whole") from None
    return b"".join(parts)


def release() -> str:
    """The version of besom that is installed."""
    try:
        return version("besom")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "0"


async def _refused(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    detail = error.detail if isinstance(error, HTTPException) else str(error)
    return answer(
        wire.Problem("UsageError", f"{request.method} {request.url.path}: {detail}"), request.headers, status, headers
    )
