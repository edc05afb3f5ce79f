"""Files of runs for the wandb client: an address to send each to, the sending, and the reading.

A file is kept as a blob with a File record of the stream "wandb.files". What the client sends for its own use (its copy of
console and summary) is kept like any other. A name may hold anything but a way out of the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from besom.core import record as rec
from besom.core.contents import FileView
from besom.core.errors import NotFound
from besom.core.names import RunPath
from besom.server.route import Permission
from besom.server.wandb import words
from besom.server.wandb.context import Context, Loose
from besom.server.wandb.graphql import Root

PLACE = "/wandb/files/{entity}/{project}/{run}/{name:path}"


def create(context: Context, **given: Any) -> dict[str, Any]:
    """Where to send each of `files`: absolute addresses, in their order."""
    path = context.path(given.get("entityName"), given.get("projectName"), given.get("runName"))
    names: Sequence[Any] = given.get("files") or ()
    return {
        "runID": "/".join(path),
        "uploadHeaders": [],
        "files": [{"name": str(name), "uploadUrl": address(context, path, str(name))} for name in names],
    }


def address(context: Context, path: RunPath, name: str) -> str:
    """Where a file of a run is sent and read."""
    place = f"/wandb/files/{'/'.join(path)}/{name}"
    return f"{context.base}{quote(place)}{context.sign(place)}"


def put(context: Context, path: RunPath, name: str, pieces: Iterable[bytes]) -> None:
    """Keep the content of a file of a run."""
    blob = context.blobs.put(pieces)
    context.append(path, Loose("files", [rec.File(name, blob.digest, blob.size, context.now)]))


def find(context: Context, path: RunPath, name: str) -> FileView:
    """A file of a run. Raises NotFound."""
    found = next((file for file in context.hub.files(path).files if file.path == name), None)
    if found is None:
        raise NotFound(f"the run {path.id} has no file {name!r}")
    return found


def page(
    context: Context, path: RunPath, *, names: Sequence[str] | None = None, pattern: str | None = None, **_: Any
) -> dict[str, Any]:
    """The files of a run, by name."""
    edges = [
        {
            "cursor": file.path,
            "node": {
                "id": f"{'/'.join(path)}/{file.path}", "name": file.path, "sizeBytes": file.size,
                "url": address(context, path, file.path), "directUrl": address(context, path, file.path),
                "uploadUrl": address(context, path, file.path), "updatedAt": words.iso(file.time), "md5": "", "mimetype": "",
            },
        }
        for file in context.hub.files(path).files
        if (not names or file.path in names) and words.like(pattern, file.path)
    ]  # fmt: skip
    return {"edges": edges, "pageInfo": {"hasNextPage": False}}


def mark(context: Context, **_: Any) -> dict[str, Any]:
    """A file is there as soon as it was sent."""
    return {"success": True}


ROOTS = (
    Root("createRunFiles", Permission.WRITE, create),
    Root("markRunFilesUploaded", Permission.WRITE, mark),
)
