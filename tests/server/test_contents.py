"""Bytes of files and artifacts over HTTP: whole, by their digest, and never as a page of ours to a browser."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import httpx
import pytest

from besom.client import AppTransport, Client
from besom.core import record as rec
from besom.core.batch import Batch
from besom.core.errors import NotFound, Unavailable, UsageError
from besom.core.names import RunPath
from besom.hub.hub import Hub
from besom.server.app import Application
from besom.server.contents import Contents
from besom.server.uploads import THREADS, Uploads
from besom.store.blobs import Blobs
from besom.store.migrations import open_database

RUN = RunPath("lab", "dkt", "r1")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[SimpleNamespace]:
    hub, blobs = Hub(open_database(tmp_path / "besom.db")), Blobs(tmp_path / "blobs")
    application = Application(lambda: hub, doors=Contents(lambda: hub, blobs).routes)
    with Client("http://localhost", transport=AppTransport(application), patience=0) as client:
        yield SimpleNamespace(hub=hub, blobs=blobs, client=client, app=application)
    application.close()
    hub.database.close()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def log(house: SimpleNamespace, *records: rec.Record, run: RunPath = RUN, stream: str = "s") -> None:
    house.hub.append(run, stream, Batch(0, len(records), tuple(range(len(records))), records))


def test_a_content_is_sent_once_and_comes_back_whole(house: SimpleNamespace) -> None:
    content = b"weights" * 300_000
    sent = []

    def pieces() -> Iterator[bytes]:
        sent.append(1)
        yield from (content[:1_000_000], content[1_000_000:])

    for _ in range(2):
        house.client.keep(digest(content), pieces)
    assert len(sent) == 1 and b"".join(house.client.content(digest(content))) == content


def test_what_is_wrong_is_refused_and_nothing_is_kept(house: SimpleNamespace) -> None:
    with pytest.raises(UsageError, match="was promised"):
        house.client.keep(digest(b"promised"), lambda: [b"sent"])
    with pytest.raises(UsageError, match="a digest is 64"):
        house.client.keep("..%2Fbesom.db", lambda: [b"x"])
    with pytest.raises(NotFound, match="no content"):
        list(house.client.content(digest(b"never seen")))
    assert not [path for path in house.blobs.folder.rglob("*") if path.is_file()]


async def ask(app: Any, method: str, path: str, receive: Any) -> int:
    """The status of the answer to a request whose body `receive` gives."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"", "scheme": "http",
             "headers": [(b"host", b"localhost")], "server": ("localhost", 80), "client": None, "root_path": ""}  # fmt: skip
    await app(scope, receive, send)
    return int(sent[0]["status"])


def test_slow_senders_hold_up_nobody_but_each_other(house: SimpleNamespace) -> None:
    kept = house.blobs.put([b"kept"]).digest

    async def main() -> None:
        stuck, gone = anyio.Semaphore(0), anyio.Event()

        async def slow() -> Any:
            stuck.release()
            await gone.wait()
            return {"type": "http.disconnect"}

        async with anyio.create_task_group() as group:
            for n in range(THREADS + 10):
                group.start_soon(ask, house.app, "PUT", f"/api/blobs/{digest(str(n).encode())}", slow)
            for _ in range(THREADS):
                await stuck.acquire()
            with anyio.move_on_after(30):
                assert await ask(house.app, "GET", f"/api/blobs/{kept}", anyio.sleep_forever) == 200
                gone.set()
            assert gone.is_set()

    anyio.run(main)
    assert not [path for path in house.blobs.folder.iterdir() if path.is_file()]


def test_a_sender_that_falls_silent_is_not_waited_for(house: SimpleNamespace) -> None:
    contents = Contents(lambda: house.hub, house.blobs)
    contents._uploads = Uploads(silence=0.05)
    application = Application(lambda: house.hub, doors=contents.routes)
    assert anyio.run(ask, application, "PUT", f"/api/blobs/{'0' * 64}", anyio.sleep_forever) == 503
    application.close()


def test_a_content_that_breaks_off_says_so() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        def broken() -> Iterator[bytes]:
            yield b"half"
            raise httpx.RemoteProtocolError("peer closed connection")

        return httpx.Response(200, content=b"" if request.method == "HEAD" else broken())

    client = Client("http://localhost", transport=httpx.MockTransport(serve))
    with client, pytest.raises(Unavailable, match="out of reach: peer closed"):
        list(client.content("0" * 64))


@pytest.mark.parametrize(
    ("name", "kind", "shown"),
    [
        ("media/a b.png", "image/png", True),
        ("film.mp4", "video/mp4", True),
        ("page.html", "application/octet-stream", False),
        ("drawing.svg", "application/octet-stream", False),
        ("deep/er/model.pt", "application/octet-stream", False),
    ],
)
def test_a_file_by_its_name(house: SimpleNamespace, name: str, kind: str, shown: bool) -> None:
    blob = house.blobs.put([b"content of ", name.encode()])
    log(house, rec.Run(1.0, starts=True), rec.File(name, blob.digest, blob.size, 2.0))
    (file,) = house.client.files(*RUN).files
    assert (file.path, file.digest, file.size, file.time) == (name, *blob, 2.0)
    answer = house.client._http.get(f"/api/runs/lab/dkt/r1/files/{name}")
    assert answer.content == b"content of " + name.encode() and answer.headers["content-type"].startswith(kind)
    assert answer.headers["content-disposition"].startswith("inline" if shown else "attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert house.client._http.get("/api/runs/lab/dkt/r1/files/none").status_code == 404


def test_versions_of_an_artifact_follow_its_content(house: SimpleNamespace) -> None:
    one, two = {"m.pt": digest(b"1")}, {"m.pt": digest(b"2")}
    log(
        house,
        rec.Artifact("model", "model", one, ("latest",), meta={"acc": 1}),
        rec.Artifact("model", "model", two, ("best",)),
    )
    other = RUN._replace(id="r2")
    log(
        house,
        rec.Artifact("model", "model", one, ("latest", "prod")),
        rec.Artifact("model:v0", "", {}, (), True),
        run=other,
    )
    log(house, rec.Artifact("model", "model", {}, ("latest",)), run=other._replace(project="elsewhere"))

    def of(name: str) -> tuple[str, dict[str, str], str]:
        found = house.client.artifact("lab", "dkt", name)
        return found.version, found.entries, found.run

    assert of("model") == of("model:latest") == of("model:prod") == of("model:v0") == ("v0", one, "r2")
    assert of("model:best") == of("model:v1") == ("v1", two, "r1")
    assert set(house.client.artifact("lab", "dkt", "model").aliases) == {"latest", "prod"}
    with pytest.raises(NotFound, match="it has best, latest, prod, v0, v1"):
        of("model:v7")
    with pytest.raises(NotFound, match="has logged an artifact 'none'"):
        of("none")
