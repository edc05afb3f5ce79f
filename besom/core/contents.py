"""The words of the native API about files and artifacts of runs; the rest of them are in core/wire.py."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from besom.core.record import Artifact, File, Record

_DIGEST = re.compile("[0-9a-f]{64}")


class FileView(msgspec.Struct, frozen=True):
    """A file of a run. `digest`: SHA-256 of its content in hex; `size` in bytes; `time`: when it was kept."""

    path: str
    digest: str
    size: int
    time: float


class Files(msgspec.Struct, frozen=True):
    """The files of a run, by path."""

    files: tuple[FileView, ...]


class ArtifactView(msgspec.Struct, frozen=True):
    """One version of an artifact. `version`: v0, v1 ... by content; `entries`: path -> SHA-256; `run`: id of the run that made it."""

    name: str
    version: str
    type: str
    aliases: tuple[str, ...]
    entries: dict[str, str]
    run: str
    meta: dict[str, Any] = {}


def digests(records: Iterable[Record]) -> list[str]:
    """The contents that records name as theirs, each once; what is no SHA-256 in hex is left out."""
    found: dict[str, None] = {}
    for record in records:
        if isinstance(record, File):
            found[record.digest] = None
        elif isinstance(record, Artifact) and not record.use:
            found |= dict.fromkeys(record.entries.values())
    return [digest for digest in found if _DIGEST.fullmatch(digest)]
