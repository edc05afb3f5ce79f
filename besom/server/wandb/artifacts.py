"""Artifacts that the wandb client logs: made, sent file by file, and committed. Thin: kept whole, not yet read back by it.

What an artifact is travels in its id, so nothing is held between the calls. Its files are files of the run under
``artifacts/NAME/DIGEST/``; the commit turns them into one Artifact record, once for each content.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, NamedTuple

from besom.core import record as rec
from besom.core.errors import NotFound
from besom.core.names import RunPath, clean
from besom.server.route import Permission
from besom.server.wandb import files, words
from besom.server.wandb.context import Context, Lines
from besom.server.wandb.graphql import Root


class _Made(NamedTuple):
    """What an id holds."""

    run: RunPath
    name: str
    type: str
    digest: str
    aliases: tuple[str, ...]
    meta: dict[str, Any]

    @property
    def folder(self) -> str:
        return f"artifacts/{self.name}/{clean(self.digest)}/"

    @property
    def id(self) -> str:
        return base64.urlsafe_b64encode(words.dumps(self).encode()).decode()


def _of(id: Any) -> _Made:
    try:
        run, name, kind, digest, aliases, meta = words.loads(base64.urlsafe_b64decode(str(id)))
        return _Made(RunPath(*run), name, kind, digest, tuple(aliases), meta)
    except (binascii.Error, TypeError, ValueError):
        raise NotFound(f"{str(id)[:40]!r} is no artifact of this server") from None


def create(context: Context, **given: Any) -> dict[str, Any]:
    """Begin an artifact."""
    names = given.get("artifactCollectionName") or (given.get("artifactCollectionNames") or ["artifact"])[0]
    aliases = tuple(str(a.get("alias")) for a in given.get("aliases") or () if isinstance(a, dict))
    made = _Made(
        context.path(given.get("entityName"), given.get("projectName"), given.get("runName") or "artifacts"),
        str(names), str(given.get("artifactTypeName") or ""), str(given.get("digest") or ""), aliases,
        words.mapping(given.get("metadata")),
    )  # fmt: skip
    return {
        "artifact": {"id": made.id, "state": "PENDING", "artifactSequence": {"id": str(names), "latestArtifact": None}}
    }


def manifest(context: Context, **given: Any) -> dict[str, Any]:
    """Where to send the list of an artifact's files."""
    made = _of(given.get("artifactID") or given.get("artifactManifestID"))
    name = made.folder.rstrip("/") + ".json"
    upload = {"id": name, "uploadUrl": files.address(context, made.run, name), "uploadHeaders": []}
    return {"artifactManifest": {"id": made.id, "file": upload}}


def create_files(context: Context, **given: Any) -> dict[str, Any]:
    """Where to send each file of an artifact, in their order."""
    edges = []
    for wanted in given.get("artifactFiles") or ():
        made = _of(wanted.get("artifactID"))
        path = made.folder + str(wanted.get("name"))
        node = {"id": path, "name": path, "displayName": wanted.get("name"), "storagePath": path, "uploadHeaders": [],
                "uploadUrl": files.address(context, made.run, path), "artifact": {"id": made.id}}  # fmt: skip
        edges.append({"node": node})
    return {"files": {"edges": edges}}


def commit(context: Context, *, artifactID: str, **_: Any) -> dict[str, Any]:
    """The artifact is whole."""
    made = _of(artifactID)
    sent = [file for file in context.hub.files(made.run).files if file.path.startswith(made.folder)]
    entries = {file.path.removeprefix(made.folder): file.digest for file in sent}
    record = rec.Artifact(made.name, made.type, entries, made.aliases, meta=made.meta)
    context.append(made.run, Lines(f"{made.folder}{','.join(made.aliases)}", [(0, record)], 1))
    return {"artifact": {"id": made.id, "digest": made.digest}}


ROOTS = (
    Root("createArtifact", Permission.WRITE, create),
    Root("createArtifactManifest", Permission.WRITE, manifest),
    Root("updateArtifactManifest", Permission.WRITE, manifest),
    Root("createArtifactFiles", Permission.WRITE, create_files),
    Root("commitArtifact", Permission.WRITE, commit),
)
