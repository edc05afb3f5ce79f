"""Artifacts that are kept: what `use_artifact` and `Api().artifact` give. Found when it is asked for, not before.

Reads through the client; a training loop that only names an artifact waits for nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from besom.client import Client, connect
from besom.core.contents import ArtifactView
from besom.core.errors import StoreError, UsageError
from besom.core.names import new_id
from besom.sdk.artifact import Artifact
from besom.settings import Settings


class Kept(Artifact):
    """A version of an artifact. `name` is NAME or NAME:ALIAS, where ALIAS is latest, v0, v1 ... or one given by hand."""

    def __init__(
        self, name: str, type: str, entity: str, project: str, client: Callable[[], AbstractContextManager[Client]]
    ) -> None:
        *place, self._wanted = name.strip("/").split("/")
        self._place = [entity, project][: 2 - len(place)] + place
        if len(self._place) != 2:
            raise UsageError(
                f"an artifact is NAME:ALIAS, PROJECT/NAME:ALIAS or ENTITY/PROJECT/NAME:ALIAS, not {name!r}"
            )
        super().__init__(name, type)
        self._client = client
        self._found: ArtifactView | None = None

    @property
    def view(self) -> ArtifactView:
        """What is kept of it. Raises NotFound, and Unavailable while a server is out of reach."""
        if self._found is None:
            with self._client() as client:
                self._found = client.artifact(self._place[0], self._place[1], self._wanted)
            self.type, self.metadata = self._found.type, dict(self._found.meta)
        return self._found

    @property
    def version(self) -> str:
        """v0, v1 ..."""
        return self.view.version

    @property
    def entries(self) -> dict[str, str]:
        """Path within it -> SHA-256."""
        return dict(self.view.entries)

    @property
    def aliases(self) -> list[str]:
        """Other names of this version."""
        return list(self.view.aliases)

    def keep(self, blobs: Path) -> dict[str, str]:
        """Its content is where it is; logged again it is the same version, by more names."""
        return self.entries

    def label(self) -> str:
        """Its name without a place and a version."""
        return self._wanted.partition(":")[0]

    def download(self, root: Any = None, **_: Any) -> str:
        """Fetch its files into `root` (``artifacts/NAME:VERSION``) and return that folder. Raises NotFound."""
        view = self.view
        folder = Path(root or Path("artifacts") / f"{view.name}:{view.version}")
        folder.mkdir(parents=True, exist_ok=True)
        with self._client() as client:
            for name, digest in view.entries.items():
                fetch(client, digest, inside(folder, name))
        return str(folder)


def inside(folder: Path, name: str) -> Path:
    """Where a file called `name` lies below `folder`. Raises UsageError for a name that leads out of it, links followed."""
    path = folder / name
    if "\0" in name or folder.resolve() not in path.resolve().parents:
        raise UsageError(f"{name!r} would lie outside of {folder}, and is not fetched")
    return path


def fetch(client: Client, digest: str, target: Path) -> None:
    """Write the content with this digest to a file, whole or not at all. Raises NotFound, StoreError for another content."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{new_id()}.part")  # of our own: all ranks of a training fetch into the same folder
    summed = hashlib.sha256()
    try:
        with fresh.open("wb") as file:
            for piece in client.content(digest):
                summed.update(piece)
                file.write(piece)
        if summed.hexdigest() != digest:
            raise StoreError(f"what came for {target} is not what was asked for; its digest is {summed.hexdigest()}")
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


def of_run(name: str, type: str, entity: str, project: str, settings: Settings) -> Kept:
    """The artifact as a run names it, that of its own project when no other is named."""
    return Kept(name, type, entity, project, lambda: connect(settings))
