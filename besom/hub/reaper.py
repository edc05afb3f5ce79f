"""Leases: a run whose process cannot be seen from here is lost when nothing is heard of it for a minute.

Doors renew leases (`alive`, and appends from a network); a timer of the server calls `reap`. Runs whose journal lies on
this host have no lease: there the journal's lock says at once whether the process lives.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from besom.core.batch import Batch
from besom.core.names import RunPath
from besom.core.record import CRASHED, RUNNING, Exit
from besom.hub.ingest import Delivery, Ingest
from besom.store.database import Database
from besom.store.schema import runs

LEASE = 60.0
"""Seconds."""


def alive(database: Database, paths: Iterable[RunPath], now: float) -> None:
    """Renew the leases of running runs."""
    wanted = list(paths)

    def work(c: sa.Connection) -> None:
        for path in wanted:
            where = (runs.c.entity == path.entity, runs.c.project == path.project, runs.c.id == path.id)
            c.execute(runs.update().where(*where, runs.c.state == RUNNING).values(lease=now + LEASE))

    if wanted:
        database.write(work)


def reap(database: Database, ingest: Ingest, now: float, since: float) -> list[RunPath]:
    """End runs whose lease has run out, as crashed. None while the hub is younger than a lease: nobody could renew then."""
    if now < since + LEASE:
        return []
    late = (runs.c.state == RUNNING, runs.c.lease < now)
    with database.read() as c:
        if c.execute(sa.select(runs.c.pk).where(*late).limit(1)).first() is None:
            return []

    def work(c: sa.Connection) -> list[RunPath]:
        columns = (runs.c.entity, runs.c.project, runs.c.id, runs.c.lease)
        found = [(RunPath(*row[:3]), row.lease) for row in c.execute(sa.select(*columns).where(*late))]
        ingest.append_in(c, [Delivery(path, f"lease-{lease:.3f}", _end(now)) for path, lease in found])
        return [path for path, _ in found]

    return database.write(work)


def _end(now: float) -> Batch:
    reason = f"no sign of life for {LEASE:.0f} s"
    return Batch(0, 1, (0,), (Exit(now, code=None, state=CRASHED, reason=reason, by="reaper"),))
