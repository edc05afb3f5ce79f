"""Artifacts and files of a run: named sets of files, each kept once under its SHA-256.

Content goes to ``blobs/ab/abcdef...`` below the store, the layout of the hub's own blobs, whole or not at all; who delivers the
journal delivers the content too. Reading it back is sdk/kept.py's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from besom.core.errors import NotFound
from besom.core.names import new_id
from besom.sdk import notice

_PIECE = 1 << 20


class Artifact:
    """A versioned set of files. Fill it with `add_file` and `add_dir`, then give it to ``run.log_artifact``."""

    def __init__(
        self, name: str, type: str = "unspecified", description: str | None = None, metadata: Any = None, **_: Any
    ) -> None:
        self.name = name
        self.type = type
        self.description = description or ""
        self.metadata: dict[str, Any] = dict(metadata or {})
        self._files: dict[str, Path] = {}

    def add_file(self, local_path: str | os.PathLike[str], name: str | None = None, **_: Any) -> None:
        """One file, under its own name or `name`. Raises NotFound."""
        path = Path(local_path)
        if not path.is_file():
            raise NotFound(f"there is no file {str(path)!r} to add to artifact {self.name!r}")
        self._files[name or path.name] = path

    def add_dir(self, local_path: str | os.PathLike[str], name: str | None = None, **_: Any) -> None:
        """All files below a folder, under `name`. Raises NotFound."""
        folder = Path(local_path)
        if not folder.is_dir():
            raise NotFound(f"there is no folder {str(folder)!r} to add to artifact {self.name!r}")
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                inside = path.relative_to(folder).as_posix()
                self._files[f"{name}/{inside}" if name else inside] = path

    def add_reference(self, uri: str, name: str | None = None, **_: Any) -> None:
        """Something that stays where it is; its address is noted in the metadata."""
        self.metadata.setdefault("references", {})[name or str(uri).rpartition("/")[2]] = str(uri)

    def keep(self, blobs: Path) -> dict[str, str]:
        """Copy all content into `blobs`; path within the artifact -> SHA-256."""
        return {name: keep_file(path, blobs)[0] for name, path in self._files.items()}

    def label(self) -> str:
        """The name under which it is logged: a / or a : in it would be read as a place or a version."""
        kept = self.name.replace("/", "-").replace(":", "-")
        if kept != self.name:
            notice.warn(f"the name of an artifact has no / and no : in it; {self.name!r} is kept as {kept!r}")
        return kept

    def wait(self, timeout: float | None = None) -> Artifact:
        """Nothing to wait for: what is logged is kept."""
        return self


def coerce(given: Artifact | str | os.PathLike[str], name: str, type: str) -> Artifact:
    """An artifact as it is, or a file or folder as one. Raises NotFound."""
    if isinstance(given, Artifact):
        return given
    made, path = Artifact(name, type), Path(given)
    if path.is_dir():
        made.add_dir(path)
    else:
        made.add_file(path)
    return made


def matching(pattern: str, base: str | None) -> Iterator[tuple[str, Path]]:
    """(name within the run, path) of files that match `pattern`. Names are relative to `base`, else to the working folder."""
    import glob

    root = Path(base or ".").absolute()
    for found in sorted(glob.glob(pattern, recursive=True)):  # noqa: PTH207 (an absolute pattern, which Path.glob refuses)
        path = Path(found).absolute()
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                yield (file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name), file


def keep_bytes(content: bytes, blobs: Path) -> str:
    """Keep `content`; its SHA-256 in hex."""
    import hashlib  # late, like all that only files need

    digest = hashlib.sha256(content).hexdigest()
    target = _place(blobs, digest)
    if not target.exists():
        fresh = _fresh(target)
        fresh.write_bytes(content)
        fresh.replace(target)
    return digest


def keep_file(path: Path, blobs: Path) -> tuple[str, int]:
    """Keep a copy of a file as it is now; its SHA-256 in hex and its size in bytes."""
    import hashlib
    import shutil

    blobs.mkdir(parents=True, exist_ok=True)
    fresh = blobs / f"incoming-{new_id()}"
    try:
        shutil.copyfile(path, fresh)  # copied first, so that the digest is that of what is kept
        summed = hashlib.sha256()
        with fresh.open("rb") as file:
            while piece := file.read(_PIECE):
                summed.update(piece)
        size = fresh.stat().st_size
        target = _place(blobs, summed.hexdigest())
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)
    return summed.hexdigest(), size


def _place(blobs: Path, digest: str) -> Path:
    target = blobs / digest[:2] / digest
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _fresh(target: Path) -> Path:
    return target.with_name(f"{target.name}.{new_id()}")  # threads, processes and nodes keep the same content at once
