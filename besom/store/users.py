"""The tables of who may use a store: users, teams, shares, keys, sessions, and the audit log. Serves hub/access.py.

Of keys and cookies only digests come here, of passwords only hashes. Each method is one transaction. Knows no rights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from besom.core.errors import NotFound, UsageError
from besom.store import schema as t
from besom.store.database import Database


class UserRow(NamedTuple):
    """A user. `password`: an argon2id hash, or empty. `created`: seconds since the epoch."""

    name: str
    password: str
    admin: bool
    created: float


class KeyRow(NamedTuple):
    """A key. `digest`: SHA-256 as 64 hex digits; its first eight are what people call it. Times: seconds since the epoch."""

    digest: str
    user: str
    reads_only: bool
    created: float
    expires: float | None
    used: float | None


class Entry(NamedTuple):
    """A line of the audit log. `chain` proves that no line before it was changed or taken out."""

    time: float
    who: str
    act: str
    what: str
    chain: str


class Known(NamedTuple):
    """A user with their roles: team -> viewer, member or admin."""

    user: UserRow
    teams: Mapping[str, str]


class UserStore:
    """The tables of one database. Safe from every thread and every process. Changes say who makes them (`by`) and when."""

    def __init__(self, database: Database) -> None:
        self._db = database

    # Users and teams

    def any(self) -> bool:
        """Whether there are users: then nobody gets in without being one."""
        with self._db.read() as c:
            return c.execute(sa.select(t.users.c.name).limit(1)).first() is not None

    def users(self) -> list[UserRow]:
        """All users, by name."""
        with self._db.read() as c:
            return [UserRow(*row) for row in c.execute(sa.select(t.users).order_by(t.users.c.name))]

    def known(self, name: str) -> Known | None:
        """A user with their teams; None for a name that nobody has."""
        m = t.members.c
        with self._db.read() as c:
            user = c.execute(sa.select(t.users).where(t.users.c.name == name)).first()
            teams = {row.team: row.role for row in c.execute(sa.select(m.team, m.role).where(m.user == name))}
        return Known(UserRow(*user), teams) if user else None

    def put_user(self, user: UserRow, by: str) -> None:
        """Keep a new user. Raises UsageError for a name that a user or a team has."""

        def work(c: sa.Connection) -> None:
            if _named(c, t.users.c.name, user.name) or _named(c, t.members.c.team, user.name):
                raise UsageError(f"the name {user.name!r} is taken; choose another")
            c.execute(t.users.insert().values(user._asdict()))
            _log(c, user.created, by, "add user", f"{user.name}{', admin' if user.admin else ''}")

        self._db.write(work)

    def drop_user(self, name: str, by: str, now: float) -> None:
        """Forget a user with their keys, sessions and roles. Raises NotFound, and UsageError for the last admin of others."""

        def work(c: sa.Connection) -> None:
            _must(c, t.users.c.name, name, "user")
            others = c.execute(sa.select(t.users.c.admin).where(t.users.c.name != name)).scalars().all()
            if others and not any(others):
                raise UsageError(f"{name} is the last admin; make another one first: besom user add NAME --admin")
            for table in (t.members, t.api_keys, t.sessions):
                c.execute(table.delete().where(table.c.user == name))
            c.execute(t.users.delete().where(t.users.c.name == name))
            _log(c, now, by, "remove user", name)

        self._db.write(work)

    def teams(self) -> list[tuple[str, str, str]]:
        """(team, user, role) of all members, in this order."""
        with self._db.read() as c:
            return [(m.team, m.user, m.role) for m in c.execute(sa.select(t.members).order_by("team", "user"))]

    def put_member(self, team: str, user: str, role: str | None, by: str, now: float) -> None:
        """Give a user a role in a team, which begins with its first member; None takes it away. Raises UsageError."""

        def work(c: sa.Connection) -> None:
            _must(c, t.users.c.name, user, "user")
            if _named(c, t.users.c.name, team):
                raise UsageError(f"{team!r} is a user; a team has a name of its own")
            gone = c.execute(t.members.delete().where(t.members.c.team == team, t.members.c.user == user)).rowcount
            if role is not None:
                c.execute(t.members.insert().values(team=team, user=user, role=role))
            elif not gone:
                raise NotFound(f"{user} is no member of {team}")
            _log(c, now, by, "set role", f"{user} in {team}: {role or 'none'}")

        self._db.write(work)

    def shares(self) -> dict[tuple[str, str], tuple[str, str]]:
        """(entity, project) -> (visibility, owner) of the projects that are private or public."""
        with self._db.read() as c:
            return {(row.entity, row.project): (row.visibility, row.owner) for row in c.execute(sa.select(t.shares))}

    def put_share(self, entity: str, project: str, visibility: str, owner: str, by: str, now: float) -> None:
        """Say who sees a project; "team" is the rule, and has no row."""

        def work(c: sa.Connection) -> None:
            c.execute(t.shares.delete().where(t.shares.c.entity == entity, t.shares.c.project == project))
            if visibility != "team":
                row = {"entity": entity, "project": project, "visibility": visibility, "owner": owner}
                c.execute(t.shares.insert().values(row))
            _log(c, now, by, "share", f"{entity}/{project}: {visibility}")

        self._db.write(work)

    # Keys and sessions

    def put_key(self, key: KeyRow, by: str) -> None:
        """Keep a new key. Raises NotFound for its user, UsageError for a key that is there."""

        def work(c: sa.Connection) -> None:
            _must(c, t.users.c.name, key.user, "user")
            if _named(c, t.api_keys.c.digest, key.digest):
                raise UsageError("this key is in use; take another")
            c.execute(t.api_keys.insert().values(key._asdict()))
            scope = "read only" if key.reads_only else "all that its user may"
            _log(c, key.created, by, "create key", f"{key.digest[:8]} of {key.user}, {scope}")

        self._db.write(work)

    def key(self, digest: str) -> KeyRow | None:
        """The key with this digest."""
        with self._db.read() as c:
            row = c.execute(sa.select(t.api_keys).where(t.api_keys.c.digest == digest)).first()
        return KeyRow(*row) if row else None

    def keys(self) -> list[KeyRow]:
        """All keys, the latest first."""
        with self._db.read() as c:
            return [KeyRow(*row) for row in c.execute(sa.select(t.api_keys).order_by(t.api_keys.c.created.desc()))]

    def used(self, digest: str, now: float) -> None:
        """Note that a key was used."""
        self._db.write(lambda c: c.execute(t.api_keys.update().where(t.api_keys.c.digest == digest).values(used=now)))

    def drop_key(self, start: str, by: str, now: float) -> None:
        """Forget the key whose digest begins so. Raises NotFound."""

        def work(c: sa.Connection) -> None:
            digests = c.execute(sa.select(t.api_keys.c.digest)).scalars().all()
            found = [digest for digest in digests if len(start) >= 8 and digest.startswith(start)]
            if len(found) != 1:
                raise NotFound(f"there is no key {start!r}; besom key list shows them")
            c.execute(t.api_keys.delete().where(t.api_keys.c.digest == found[0]))
            _log(c, now, by, "revoke key", start)

        self._db.write(work)

    def put_session(self, digest: str, user: str, now: float, oldest: float) -> None:
        """Keep a session, and forget those not seen since `oldest`."""

        def work(c: sa.Connection) -> None:
            c.execute(t.sessions.delete().where(t.sessions.c.seen < oldest))
            c.execute(t.sessions.insert().values(digest=digest, user=user, seen=now))
            _log(c, now, user, "log in", "")

        self._db.write(work)

    def session(self, digest: str) -> tuple[str, float] | None:
        """(user, when seen last) of a session."""
        s = t.sessions.c
        with self._db.read() as c:
            row = c.execute(sa.select(s.user, s.seen).where(s.digest == digest)).first()
        return (row.user, row.seen) if row else None

    def seen(self, digest: str, now: float) -> None:
        """Note that a session was used."""
        self._db.write(lambda c: c.execute(t.sessions.update().where(t.sessions.c.digest == digest).values(seen=now)))

    def drop_session(self, digest: str) -> None:
        """Forget a session."""
        self._db.write(lambda c: c.execute(t.sessions.delete().where(t.sessions.c.digest == digest)))

    # The audit log

    def log(self, now: float, who: str, act: str, what: str) -> None:
        """Add a line."""
        self._db.write(lambda c: _log(c, now, who, act, what))

    def entries(self) -> Iterator[Entry]:
        """All lines, oldest first."""
        a = t.audit.c
        with self._db.read() as c:
            yield from (
                Entry(*row) for row in c.execute(sa.select(a.time, a.who, a.act, a.what, a.chain).order_by(a.pk))
            )


def link(before: str, time: float, who: str, act: str, what: str) -> str:
    """The chain value of a line after the line with the value `before`."""
    return hashlib.sha256(json.dumps([before, time, who, act, what]).encode()).hexdigest()


def _log(c: sa.Connection, now: float, who: str, act: str, what: str) -> None:
    before = c.execute(sa.select(t.audit.c.chain).order_by(t.audit.c.pk.desc()).limit(1)).scalar() or ""
    chain = link(before, now, who, act, what)
    c.execute(t.audit.insert().values(time=now, who=who, act=act, what=what, chain=chain))


def _named(c: sa.Connection, column: Any, value: str) -> bool:
    return c.execute(sa.select(column).where(column == value).limit(1)).first() is not None


def _must(c: sa.Connection, column: Any, value: str, what: str) -> None:
    if not _named(c, column, value):
        raise NotFound(f"there is no {what} {value!r}; besom {what} list shows them")
