"""The door for bytes: contents of files and artifacts, by their SHA-256 or by a file's name within its run.

What a run saved may be a page with scripts: a browser shows pictures, sounds and films, and is told to save the rest. Knows the
hub and the blobs; which run has which file is the hub's.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response

from besom.core.errors import NotFound
from besom.core.names import RunPath
from besom.server.answer import problem
from besom.server.route import Permission, Route
from besom.server.uploads import Uploads

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Protocol

    from besom.hub.hub import Hub

    class Blobs(Protocol):
        """What is needed of the room where contents lie."""

        def put(self, pieces: Iterator[bytes], *, expect: str | None = None) -> object: ...
        def path(self, digest: str) -> Path: ...
        def open(self, digest: str) -> BinaryIO: ...


NAMED = Route("GET", "/api/runs/{entity}/{project}/{id}/files/{name:path}", "", None, "The content of a file of a run.",
              Permission.READ)  # fmt: skip
KEPT = Route("GET", "/api/blobs/{digest}", "", None, "The content with this SHA-256.", Permission.READ)
KEEP = Route("PUT", "/api/blobs/{digest}", "", None, "Keep a content under its SHA-256.", Permission.WRITE)
ROUTES = (NAMED, KEPT, KEEP)


class Contents:
    """The routes with their endpoints. `hub`: gives the hub or raises Unavailable; `catch_up`: takes in changed journals."""

    def __init__(self, hub: Callable[[], Hub], blobs: Blobs, catch_up: Callable[[], object] = lambda: None) -> None:
        self._hub, self._blobs, self._catch_up, self._uploads = hub, blobs, catch_up, Uploads()
        self.routes: tuple[tuple[Route, Callable[[Request], Awaitable[Response]]], ...] = (
            (NAMED, self.named), (KEPT, self.kept), (KEEP, self.keep),
        )  # fmt: skip

    async def named(self, request: Request) -> Response:
        place = request.path_params
        path, name = RunPath(place["entity"], place["project"], place["id"]), place["name"]

        def work() -> Response:
            hub = self._hub()
            self._catch_up()
            found = next((file for file in hub.files(path).files if file.path == name), None)
            if found is None:
                raise NotFound(f"the run {path.id} has no file {name!r}")
            return self._content(found.digest, name)

        return await _answer(request, run_in_threadpool(work))

    async def kept(self, request: Request) -> Response:
        digest = request.path_params["digest"]

        def work() -> Response:
            hub = self._hub()
            if not hub.who.local and not hub.owners(digest):  # by its digest alone nobody gets what others keep
                raise NotFound(f"there is no content {digest} that you may see")
            return self._content(digest, "")

        return await _answer(request, run_in_threadpool(work))

    async def keep(self, request: Request) -> Response:
        def work(pieces: Iterator[bytes]) -> Response:
            digest = request.path_params["digest"]
            self._blobs.path(digest)  # refuses what is no digest before anything is read
            self._blobs.put(pieces, expect=digest)
            return Response(status_code=204)

        return await _answer(request, self._uploads.take(request, work))

    def _content(self, digest: str, name: str) -> Response:
        self._blobs.open(digest).close()
        kind = mimetypes.guess_type(name)[0] or ""
        shown = kind.startswith(("image/", "audio/", "video/")) and kind != "image/svg+xml"
        return FileResponse(
            self._blobs.path(digest),
            media_type=kind if shown else "application/octet-stream",
            filename=name.rpartition("/")[2] or digest,
            content_disposition_type="inline" if shown else "attachment",
        )


async def _answer(request: Request, work: Awaitable[Response]) -> Response:
    try:
        return await work
    except ClientDisconnect:  # nobody is there to be answered; put() has kept nothing
        return Response(status_code=400)
    except Exception as error:  # every fault becomes an answer
        return problem(error, request.headers)
