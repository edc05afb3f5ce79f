"""Alerts and the channels they go to, as rows.

The walk it serves: ingest adds rows inside its own transaction (`add`), a sender takes those that are due (`take`) and says
what became of them (`settle`). An alert is one row for ever, by its key; a row is sent by one sender at a time, because
taking it moves its due time. It knows no Slack and no runs' meaning.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from besom.core.errors import NotFound
from besom.store.database import Database
from besom.store.meta import safe
from besom.store.schema import alerts, channels, runs, sweeps

WAITING, SENT, FAILED, NO_CHANNEL, QUIET = "waiting", "sent", "failed", "no channel", "quiet"
TAKEN = 60.0
"""Seconds that a sender has; after that an alert it took is due again."""


@dataclass(frozen=True, slots=True)
class NewAlert:
    """An alert to keep. `run` or `sweep` is its row number. `quiet`: why it is kept but not sent, "" when it is.

    `wait`: seconds in which the same title of the same run is not sent again. `replaces`: it says better what a row of
    the same key said, as long as that was not sent.
    """

    key: str
    time: float
    title: str
    text: str
    level: str
    run: int | None = None
    sweep: int | None = None
    quiet: str = ""
    wait: float = 0.0
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert as kept, with the names of what it is about. `done`: channels that have it. `kind`: "run" or "sweep"."""

    id: int
    time: float
    title: str
    text: str
    level: str
    state: str
    tries: int
    reason: str
    done: tuple[int, ...]
    kind: str
    entity: str
    project: str
    about: str
    name: str


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """A channel. `url` is whole, and a secret."""

    id: int
    kind: str
    url: str
    last: float | None
    outcome: str


class AlertStore:
    """The tables alerts and channels of one database. Safe from every thread and process."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, connection: sa.Connection, new: NewAlert, now: float) -> None:
        """Keep an alert inside the caller's write transaction. A key that is there already changes nothing but `replaces`."""
        c = alerts.c
        new = replace(new, title=safe(new.title), text=safe(new.text), level=safe(new.level))
        state, reason = QUIET if new.quiet else WAITING, new.quiet
        if not new.quiet and new.wait > 0 and self._told(connection, new):
            state, reason = QUIET, f"the same title was sent less than {new.wait:g} s before"
        if state == WAITING and connection.execute(sa.select(channels.c.id).limit(1)).first() is None:
            state = NO_CHANNEL
        row = {
            "time": new.time, "title": new.title, "text": new.text, "level": new.level, "state": state, "reason": reason,
            "due": now, "run": new.run, "sweep": new.sweep,
        }  # fmt: skip
        old = connection.execute(sa.select(c.id, c.state, c.tries).where(c.key == new.key)).first()
        if old is None:
            connection.execute(alerts.insert().values(key=new.key, **row))
        elif new.replaces and old.state != SENT and not old.tries:
            connection.execute(alerts.update().where(c.id == old.id).values(**row))

    def _told(self, connection: sa.Connection, new: NewAlert) -> bool:
        c = alerts.c
        near = (c.run == new.run, c.title == new.title, c.time > new.time - new.wait, c.state.not_in((QUIET, FAILED)))
        return connection.execute(sa.select(c.id).where(*near, c.key != new.key).limit(1)).first() is not None

    def add_now(self, new: NewAlert, now: float) -> None:
        """`add` in a transaction of its own."""
        self._db.write(lambda connection: self.add(connection, new, now))

    def latest(self, limit: int = 200) -> list[AlertRow]:
        """The latest alerts, newest first."""
        with self._db.read() as connection:
            return _rows(connection, _SELECT.order_by(alerts.c.time.desc(), alerts.c.id.desc()).limit(limit))

    def take(self, now: float, limit: int = 20) -> list[AlertRow]:
        """Waiting alerts that are due, oldest first; nobody else gets them for a minute."""

        due = (alerts.c.state == WAITING, alerts.c.due <= now)

        def work(connection: sa.Connection) -> list[AlertRow]:
            taken = _rows(connection, _SELECT.where(*due).order_by(alerts.c.id).limit(limit))
            if taken:
                ids = [alert.id for alert in taken]
                connection.execute(alerts.update().where(alerts.c.id.in_(ids)).values(due=now + TAKEN))
            return taken

        with self._db.read() as connection:
            if connection.execute(sa.select(alerts.c.id).where(*due).limit(1)).first() is None:
                return []  # the usual case costs no write
        return self._db.write(work)

    def waiting(self) -> int:
        """How many alerts are still to be sent, due or not."""
        query = sa.select(sa.func.count()).where(alerts.c.state == WAITING)
        with self._db.read() as connection:
            return int(connection.execute(query).scalar_one())

    def settle(self, alert: int, state: str, *, done: Sequence[int], tries: int, due: float, reason: str) -> None:
        """Say what became of an alert that was taken."""
        fields = {"state": state, "done": json.dumps(list(done)), "tries": tries, "due": due, "reason": reason}
        self._db.write(lambda c: c.execute(alerts.update().where(alerts.c.id == alert).values(**fields)))

    # channels

    def channels(self) -> list[ChannelRow]:
        """All channels, in order of number."""
        with self._db.read() as connection:
            return [
                ChannelRow(**row) for row in connection.execute(channels.select().order_by(channels.c.id)).mappings()
            ]

    def add_channel(self, kind: str, url: str) -> None:
        """Keep a channel; the same one twice is one."""

        def work(connection: sa.Connection) -> None:
            same = sa.select(channels.c.id).where(channels.c.kind == kind, channels.c.url == url)
            if connection.execute(same).first() is None:
                connection.execute(channels.insert().values(kind=kind, url=url))

        self._db.write(work)

    def remove_channel(self, number: int) -> None:
        """Forget a channel. Raises NotFound."""
        gone = self._db.write(lambda c: c.execute(channels.delete().where(channels.c.id == number)).rowcount)
        if not gone:
            raise NotFound(f"there is no channel {number}; besom alerts list shows those there are")

    def told(self, channel: int, at: float, outcome: str) -> None:
        """Note the outcome of the latest delivery to a channel."""
        change = channels.update().where(channels.c.id == channel).values(last=at, outcome=outcome)
        self._db.write(lambda connection: connection.execute(change))


_SELECT = (
    sa.select(
        alerts,
        sa.func.coalesce(runs.c.entity, sweeps.c.entity, "").label("entity"),
        sa.func.coalesce(runs.c.project, sweeps.c.project, "").label("project"),
        sa.func.coalesce(runs.c.id, sweeps.c.id, "").label("about"),
        sa.func.coalesce(runs.c.name, sweeps.c.name, "").label("name"),
    )
    .select_from(alerts.outerjoin(runs, runs.c.pk == alerts.c.run).outerjoin(sweeps, sweeps.c.pk == alerts.c.sweep))
)  # fmt: skip


def _rows(connection: sa.Connection, query: sa.Select[tuple[object, ...]]) -> list[AlertRow]:
    kept = ("id", "time", "title", "text", "level", "state", "tries", "reason", "entity", "project", "about", "name")
    return [
        AlertRow(
            **{name: row[name] for name in kept},
            done=tuple(json.loads(row["done"])),
            kind="run" if row["sweep"] is None else "sweep",
        )
        for row in connection.execute(query).mappings()
    ]
