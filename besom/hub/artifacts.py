"""Files and artifacts of runs: what a run says it has, by the digest of its content. The content lies in store/blobs.py.

Serves ingest (`keep`) and the questions which files a run has, and what an artifact's version is. Knows no bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from besom.core.codec import decode, encode
from besom.core.contents import ArtifactView, FileView
from besom.core.errors import NotFound
from besom.core.names import RunPath
from besom.core.record import Artifact, File, Record
from besom.store import schema as t
from besom.store.database import upsert
from besom.store.meta import short

_VERSION = re.compile(r"v\d+")


def keep(c: sa.Connection, run: int, records: Iterable[Record]) -> None:
    """Keep the File and Artifact records among `records`. A path that comes again replaces what it was."""
    for record in records:
        if isinstance(record, File):
            path = short(record.path)
            row = {"run": run, "path": path, "digest": record.digest, "size": record.size, "time": record.time}
            upsert(c, t.files, [row], ("run", "path"), ("digest", "size", "time"))
        elif isinstance(record, Artifact):
            row = {"run": run, "name": short(record.name), "used": record.use, "data": encode(record)}
            c.execute(t.artifacts.insert().values(row))


def files(c: sa.Connection, run: int) -> tuple[FileView, ...]:
    """The files of a run, by path."""
    f = t.files.c
    rows = c.execute(sa.select(f.path, f.digest, f.size, f.time).where(f.run == run).order_by(f.path))
    return tuple(FileView(row.path, row.digest, row.size, row.time) for row in rows)


def find(c: sa.Connection, path: RunPath) -> ArtifactView:
    """The version of an artifact that NAME or NAME:ALIAS (in place of a run's id) names. Raises NotFound.

    Each content that runs of the project logged under a name is a version, v0 first; logged again it is the same one. An alias is
    at the version that was given it last, `latest` at the one logged last; v0, v1 ... are nobody's to give.
    """
    name, _, alias = path.id.partition(":")
    a, r = t.artifacts.c, t.runs.c
    wanted = (a.name == short(name), a.used.is_(False), r.entity == path.entity, r.project == path.project)
    rows = c.execute(sa.select(a.data, r.id).join(t.runs, r.pk == a.run).where(*wanted).order_by(a.pk))
    versions: dict[Any, int] = {}
    last: dict[int, tuple[Artifact, str]] = {}
    labels: dict[str, int] = {}
    for data, run in rows:
        record = decode(data)
        if isinstance(record, Artifact):
            content = (*sorted(record.entries.items()), repr(record.meta.get("references")))
            n = versions.setdefault(content, len(versions))
            last[n] = (record, run)
            given = (alias for alias in (*record.aliases, "latest") if not _VERSION.fullmatch(alias))
            labels |= dict.fromkeys(given, n) | {f"v{n}": n}
    if not labels:
        raise NotFound(f"no run of {path.entity}/{path.project} has logged an artifact {name!r}")
    at = labels.get(alias or "latest")
    if at is None:
        raise NotFound(f"the artifact {name!r} has no version {alias!r}; it has {', '.join(sorted(labels))}")
    record, run = last[at]
    aliases = tuple(sorted(label for label, n in labels.items() if n == at and label != f"v{at}"))
    return ArtifactView(name, f"v{at}", record.type, aliases, record.entries, run, record.meta)


def owners(c: sa.Connection, digest: str) -> frozenset[tuple[str, str]]:
    """The (entity, project) of all runs with this content. Of artifacts it reads every record: rare, and then only for users."""
    r, f, a = t.runs.c, t.files.c, t.artifacts.c
    found = c.execute(sa.select(r.entity, r.project).join(t.files, f.run == r.pk).where(f.digest == digest))
    held = {(row.entity, row.project) for row in found}
    for row in c.execute(sa.select(r.entity, r.project, a.data).join(t.artifacts, a.run == r.pk)):
        if (row.entity, row.project) not in held and digest.encode() in row.data:
            held.add((row.entity, row.project))
    return frozenset(held)
