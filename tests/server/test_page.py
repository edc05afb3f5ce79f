"""The web page is served from the files of one build, and nothing that is asked for becomes a path."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from besom.core.errors import Unavailable
from besom.server.app import Application

HOST = ("host", "localhost")


@pytest.fixture
def static(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>besom</title>")
    (folder / "assets" / "app-1234.js").write_text("export const answer = 42\n" * 200)
    (folder / "favicon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("the canary")
    (folder / "assets" / "way-out.txt").symlink_to(tmp_path / "secret.txt")
    return folder


@pytest.fixture
def app(static: Path) -> Iterator[Application]:
    def no_hub() -> Any:
        raise Unavailable("besom is starting", retry_after=1)

    application = Application(no_hub, static=static)
    yield application
    application.close()


@pytest.mark.parametrize(
    "view", ["/", "/ada", "/ada/digits", "/ada/digits/runs/r1.x", "/sweeps?tab=trials", "/a.b/c.d"]
)
def test_every_view_is_the_page(view: str, app: Application, raw: Any) -> None:
    reply = raw(app, "GET", view)
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"<title>besom</title>" in reply.body
    assert reply.headers["cache-control"] == "no-cache"


def test_built_files_are_kept_for_ever_and_packed(app: Application, raw: Any) -> None:
    plain = raw(app, "GET", "/assets/app-1234.js")
    packed = raw(app, "GET", "/assets/app-1234.js", [HOST, ("accept-encoding", "gzip, br")])
    assert plain.headers["content-type"] == "application/javascript"
    assert "immutable" in plain.headers["cache-control"]
    assert packed.headers["content-encoding"] == "gzip" and gzip.decompress(packed.body) == plain.body
    assert raw(app, "GET", "/favicon.svg").headers["content-type"] == "image/svg+xml"


def test_a_new_build_replaces_the_old_one(static: Path, app: Application, raw: Any) -> None:
    assert b"besom" in raw(app, "GET", "/").body
    (static / "index.html").write_text("<title>newer</title>")
    (static / "assets" / "app-5678.js").write_text("new")
    os.utime(static / "index.html", ns=(1, 1))
    assert b"newer" in raw(app, "GET", "/").body
    assert raw(app, "GET", "/assets/app-5678.js").body == b"new"


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../../secret.txt",
        "/../secret.txt",
        "/assets/..\\..\\secret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/assets/way-out.txt",
        "/assets//etc/passwd",
        "//etc/passwd",
        "/assets/app-1234.js/../../../secret.txt",
        "/assets/app-1234.js\x00.html",
        "/assets/" + "a" * 5000,
        "/assets/",
    ],
)
def test_nothing_outside_the_build_is_read(path: str, app: Application, raw: Any) -> None:
    reply = raw(app, "GET", path)
    assert b"canary" not in reply.body and b"root:" not in reply.body
    assert reply.status == 404 or b"<title>besom</title>" in reply.body


def test_a_checkout_without_the_page_says_how_to_build_it(tmp_path: Path, raw: Any) -> None:
    application = Application(lambda: pytest.fail("no hub is needed"), static=tmp_path / "none")
    reply = raw(application, "GET", "/")
    assert reply.status == 404 and b"make web" in reply.body
    application.close()


def test_while_the_store_opens_the_page_is_there_and_questions_wait(app: Application, raw: Any) -> None:
    assert raw(app, "GET", "/").status == 200
    for path in ("/api/projects", "/api/health"):
        reply = raw(app, "GET", path)
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert b"besom is starting" in reply.body
    stream = raw(app, "GET", "/api/events")  # a browser gives up an event source for ever after any other status
    assert (stream.status, stream.body) == (200, b"retry: 1000\n: besom is starting\n\n")
