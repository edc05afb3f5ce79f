"""Files and artifacts of runs: what a run says it has, by the digest of its content. The content lies in store/blobs.py.

Serves ingest (`keep`) and later the pages that list and download. Knows no bytes.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as upsert

from besom.core.codec import decode, encode
from besom.core.record import Artifact, File, Record
from besom.store import schema as t
from besom.store.meta import safe


def keep(c: sa.Connection, run: int, records: Iterable[Record]) -> None:
    """Keep the File and Artifact records among `records`. A path that comes again replaces what it was."""
    for record in records:
        if isinstance(record, File):
            statement = upsert(t.files).values(
                run=run, path=safe(record.path), digest=record.digest, size=record.size, time=record.time
            )
            new = {name: statement.excluded[name] for name in ("digest", "size", "time")}
            c.execute(statement.on_conflict_do_update(index_elements=["run", "path"], set_=new))
        elif isinstance(record, Artifact):
            row = {"run": run, "name": safe(record.name), "used": record.use, "data": encode(record)}
            c.execute(t.artifacts.insert().values(row))


def files(c: sa.Connection, run: int) -> list[File]:
    """The files of a run, by path."""
    f = t.files.c
    rows = c.execute(sa.select(f.path, f.digest, f.size, f.time).where(f.run == run).order_by(f.path))
    return [File(row.path, row.digest, row.size, row.time) for row in rows]


def artifacts(c: sa.Connection, run: int) -> list[Artifact]:
    """The artifacts that a run made and used, in the order it said so."""
    a = t.artifacts.c
    found = (decode(data) for data in c.execute(sa.select(a.data).where(a.run == run).order_by(a.pk)).scalars())
    return [record for record in found if isinstance(record, Artifact)]
