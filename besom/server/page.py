"""The built web page: files of besom/server/static, and index.html for every address that is a view of the page.

No text of a request ever becomes a path: the files are listed once (again when a new build replaced index.html), and a
request finds its file in that list or not at all. Does not know what the page shows.
"""

from __future__ import annotations

import gzip
import mimetypes
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from besom.server.answer import LARGE, accepts_gzip

STATIC = Path(__file__).parent / "static"
NOT_BUILT = """besom serves its API here, and the page is not built.

A wheel of besom brings the page along. In a checkout, build it with:

    make web

The API is described at /api/openapi.json.
"""
_FOREVER = "public, max-age=31536000, immutable"
_TEXT = ("text/", "application/javascript", "application/json", "application/manifest+json", "image/svg+xml")


class _File(NamedTuple):
    body: bytes
    packed: bytes | None
    type: str
    cache: str


class Page:
    """The files of one folder. Kept in memory, because there are few and small ones."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._folder = folder
        self._build: int | None = None
        self._files: dict[str, _File] = {}

    async def __call__(self, request: Request) -> Response:
        """The file that was asked for, else the page itself, else how to build it."""
        files = self._listed()
        path = request.url.path.lstrip("/")
        file = files.get(path)
        if file is None and not path.startswith("assets/"):
            file = files.get("index.html")
        if file is None:
            return PlainTextResponse(f"there is no file /{path}\n" if files else NOT_BUILT, 404)
        headers = {"Cache-Control": file.cache, "Vary": "Accept-Encoding"}
        body = file.body
        if file.packed is not None and accepts_gzip(request.headers):
            body, headers["Content-Encoding"] = file.packed, "gzip"
        return Response(body, 200, headers, file.type)

    def has(self, path: str) -> bool:
        """Whether this is a file, and not a view of the page."""
        return path.lstrip("/") in self._listed()

    def _listed(self) -> dict[str, _File]:
        try:
            build = (self._folder / "index.html").stat().st_mtime_ns
        except OSError:
            self._build, self._files = None, {}
            return self._files
        if build != self._build:
            self._files = {
                path.relative_to(self._folder).as_posix(): _read(path)
                for path in sorted(self._folder.rglob("*"))
                if path.is_file() and not path.is_symlink()
            }
            self._build = build
        return self._files


def _read(path: Path) -> _File:
    body = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if kind == "text/javascript":
        kind = "application/javascript"
    packed = gzip.compress(body, 6, mtime=0) if len(body) > LARGE and kind.startswith(_TEXT) else None
    return _File(body, packed, kind, _FOREVER if "assets" in path.parts else "no-cache")
