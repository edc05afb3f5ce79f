"""What changed since when: the change sequence that pages and agents poll.

Every write transaction takes the next number and stamps the runs and sweeps it changes with it, so any number of processes
over one store agree. Knows no subscribers: doors ask, a few times a second.
"""

from __future__ import annotations

import sqlalchemy as sa

from besom.core.wire import Change
from besom.store.database import Database
from besom.store.schema import counters, runs, sweeps

MOST = 1000
"""Runs, and sweeps, that are named in one answer."""


def changes(database: Database, since: int) -> Change:
    """Runs and sweeps changed after `since`, oldest change first, and the number to ask with next.

    A larger number with no names means that something was deleted, or that very much changed: ask for lists again.
    """
    with database.read() as c:
        now = c.execute(sa.select(counters.c.value).where(counters.c.name == "change")).scalar() or 0
        if now == since:
            return Change(now)
        named = []
        for table in (runs, sweeps):
            query = sa.select(table.c.entity, table.c.project, table.c.id).where(table.c.change > since)
            named.append(
                tuple((r.entity, r.project, r.id) for r in c.execute(query.order_by(table.c.change).limit(MOST + 1)))
            )
    return Change(now) if max(map(len, named)) > MOST else Change(now, *named)
