"""The door itself: the addresses that the wandb client calls, each with its permission.

A request is read in the event loop and worked on in a thread; a body is decoded there too. An answer never has a status that
makes that client give up for good (400, 401, 403, 404, 409, 410, 413, 422, 501 end a run's stream): what cannot be kept is
taken, dropped and logged; a state of the server is 503, and it comes again. Knows no nouns and no rules.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response

from besom.core.errors import BesomError, UsageError
from besom.server.answer import described
from besom.server.app import Endpoint
from besom.server.route import Permission, Route
from besom.server.uploads import Uploads
from besom.server.wandb import artifacts, files, filestream, people, runs, sweeps, words
from besom.server.wandb.context import Blobs, Context
from besom.server.wandb.graphql import Api

if TYPE_CHECKING:
    from besom.hub.hub import Hub

log = logging.getLogger("besom.server.wandb")
LARGEST = 64 << 20
"""Bytes of a request that is held in memory; the client's have at most about 10 MiB."""


def _route(method: str, path: str, doc: str, permission: Permission) -> Route:
    return Route(method, path, "", None, doc, permission, fresh=False)


GRAPHQL = _route(
    "POST", "/graphql", "Questions and changes of the wandb client; each field has its own permission.", Permission.READ
)
STREAM = _route("POST", "/files/{entity}/{project}/{run}/file_stream", "What a run logs.", Permission.WRITE)
PUT = _route("PUT", files.PLACE, "A file of a run.", Permission.WRITE)
GET = _route("GET", files.PLACE, "The content of a file of a run.", Permission.READ)
QUIET = _route("POST", "/sdk/otel/{rest:path}", "The client's telemetry: taken and dropped.", Permission.OPEN)


class Door:
    """The routes with their endpoints. `hub`: gives the hub or raises Unavailable; `catch_up`: takes in changed journals."""

    def __init__(
        self, hub: Callable[[], Hub], blobs: Blobs, entity: str, catch_up: Callable[[], object] = lambda: None
    ) -> None:
        self._hub, self._blobs, self._entity, self._catch_up = hub, blobs, entity, catch_up
        self._had: dict[str, set[str]] = {}
        self._uploads = Uploads()
        self.api = Api([*people.ROOTS, *runs.ROOTS, *files.ROOTS, *artifacts.ROOTS, *sweeps.ROOTS])
        self.routes: tuple[tuple[Route, Endpoint], ...] = (
            (GRAPHQL, self.graphql), (STREAM, self.file_stream), (PUT, self.put), (GET, self.get), (QUIET, self.quiet),
        )  # fmt: skip

    async def graphql(self, request: Request) -> Response:
        def work(context: Context) -> Any:
            asked = words.mapping(body)
            if not asked.get("query"):
                return {"errors": [{"message": "the body is JSON with a GraphQL query in it"}]}
            if not str(asked["query"]).lstrip().startswith("mutation"):
                self._fresh()
            return self.api.answer(context, asked)

        body = await _body(request)
        return await self._answer(request, work)

    async def file_stream(self, request: Request) -> Response:
        def work(context: Context) -> Any:
            place = request.path_params
            return filestream.take(
                context, context.path(place["entity"], place["project"], place["run"]), words.mapping(body)
            )

        body = await _body(request)
        return await self._answer(request, work)

    async def put(self, request: Request) -> Response:
        def work(context: Context, pieces: Iterator[bytes]) -> Any:
            place = request.path_params
            files.put(context, context.path(place["entity"], place["project"], place["run"]), place["name"], pieces)
            return {}

        return await self._answer(request, work, partial(self._uploads.take, request))

    async def get(self, request: Request) -> Response:
        def work(context: Context) -> Any:
            place = request.path_params
            self._fresh()
            file = files.find(context, context.path(place["entity"], place["project"], place["run"]), place["name"])
            context.blobs.open(file.digest).close()
            return context.blobs.path(file.digest)

        try:
            content = await run_in_threadpool(lambda: work(self._context(request)))
        except Exception as error:  # every fault becomes an answer
            status, problem = described(error)
            return JSONResponse({"error": problem.message}, status)
        # never a page of ours to a browser: what a run saved may be HTML
        return FileResponse(
            content, headers={"Content-Disposition": "attachment"}, media_type="application/octet-stream"
        )

    async def quiet(self, request: Request) -> Response:
        await _body(request)
        return JSONResponse({})

    def _context(self, request: Request) -> Context:
        hub, sign = self._hub(), getattr(request.state, "sign", _unsigned)
        base = f"{request.url.scheme}://{request.headers['host']}"
        return Context(hub, self._blobs, hub.who.name or self._entity, base, self._had, sign)

    def _fresh(self) -> None:
        try:
            self._catch_up()
        except (BesomError, OSError) as error:
            log.warning("the newest records cannot be taken in now: %s", error)

    async def _answer(
        self, request: Request, work: Callable[..., Any], run: Callable[..., Awaitable[Any]] = run_in_threadpool
    ) -> Response:
        """`work(context)` in a thread, or `work(context, pieces)` in one for uploads."""
        try:
            answer = await run(lambda *body: work(self._context(request), *body))
        except UsageError as error:
            log.warning("%s: %s", request.url.path, error)
            answer = {"errors": [{"message": str(error)}]}
        except Exception as error:  # every fault becomes an answer after which the client comes again
            status, problem = described(error)
            headers = {"Retry-After": f"{max(1, round(problem.retry_after))}"} if problem.retry_after else None
            return JSONResponse({"error": problem.message}, max(status, 500), headers)
        return Response(json.dumps(answer), media_type="application/json")


def _unsigned(path: str) -> str:
    return ""


async def _body(request: Request) -> bytes:
    """The body in full; b"" for one that is too large or broke off (its sender is gone)."""
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > LARGEST:
                log.warning("%s: a request of more than %d bytes is not read", request.url.path, LARGEST)
                return b""
            parts.append(part)
    except ClientDisconnect:
        return b""
    return b"".join(parts)
