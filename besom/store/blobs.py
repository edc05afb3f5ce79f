"""Contents of files by their SHA-256, in a folder. A content is kept once, whoever names it; it is whole or not there.

Serves files and artifacts of runs (hub/artifacts.py keeps the names). Knows no runs and no network.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from besom.core.errors import NotFound, UsageError

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
PIECE = 1 << 20
"""Bytes read at a time."""


class Blob(NamedTuple):
    """`digest`: SHA-256 in hex, lower case. `size`: bytes."""

    digest: str
    size: int


class Blobs:
    """A folder of blobs. Safe from many threads and processes: a blob is written aside and appears whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, pieces: Iterable[bytes], *, expect: str | None = None) -> Blob:
        """Keep the content that `pieces` make up. With `expect`, raises UsageError, and keeps nothing, for another digest."""
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix="new-", dir=self.folder)
        aside = Path(name)
        try:
            digest, size = hashlib.sha256(), 0
            with os.fdopen(handle, "wb") as file:
                for piece in pieces:
                    digest.update(piece)
                    size += file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            blob = Blob(digest.hexdigest(), size)
            if expect not in (None, blob.digest):
                raise UsageError(f"the content has the digest {blob.digest}, and {expect} was promised")
            path = self.path(blob.digest)
            path.parent.mkdir(exist_ok=True)
            aside.replace(path)
            return blob
        finally:
            aside.unlink(missing_ok=True)

    def put_file(self, path: Path) -> Blob:
        """Keep the content of a file."""
        with path.open("rb") as file:
            return self.put(iter(lambda: file.read(PIECE), b""))

    def path(self, digest: str) -> Path:
        """Where a blob lies, or would. Raises UsageError for what is no digest (so that no name leaves the folder)."""
        if not _DIGEST.match(digest):
            raise UsageError(f"a digest is 64 of the characters 0-9 a-f, and {digest[:80]!r} is not")
        return self.folder / digest[:2] / digest

    def has(self, digest: str) -> bool:
        """Is this content kept?"""
        return self.path(digest).is_file()

    def open(self, digest: str) -> BinaryIO:
        """The content, to be read and closed by the caller. Raises NotFound."""
        try:
            return self.path(digest).open("rb")
        except FileNotFoundError:
            raise NotFound(f"no content with the digest {digest} is kept here") from None

    def delete(self, digest: str) -> None:
        """Forget a content; nothing happens when it is not kept. Whether a run still names it is the caller's to know."""
        self.path(digest).unlink(missing_ok=True)
