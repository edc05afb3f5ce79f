"""Who may do what: the rules as pure functions over `Who`, and the use cases of users, teams, keys and logins.

Without users one person uses one machine, and whoever reaches the hub is LOCAL and may do everything. With users (a team),
`besom server` finds out who calls (server/gate.py) and asks a Guarded hub (hub/guarded.py), which asks `demand` here before
each use case. Passwords are kept as argon2id, keys and cookies as SHA-256: both are long and random, so a slow hash adds
nothing. Knows no HTTP.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from besom.core.errors import NotFound, Refused, UsageError, did_you_mean
from besom.core.names import check_id
from besom.store.database import Database
from besom.store.users import Entry, KeyRow, UserRow, UserStore, link

ROLES = {"viewer": 1, "member": 2, "admin": 3}
NEEDS = {"read": 1, "write": 2, "agent": 2, "admin": 3}
"""The role that each permission of a route needs in the entity that it is about."""
VISIBILITIES = ("team", "private", "public")
SHORTEST_KEY, SHORTEST_PASSWORD = 40, 12
IDLE = 12 * 3600.0
"""Seconds after which a login that is not used ends."""
NOTED = 60.0
"""Seconds between two notes that a key or a session is used."""
NOTHING: Mapping[Any, Any] = MappingProxyType({})


class Who(NamedTuple):
    """The one who asks. `local`: a process of the user who owns the store. `teams`: team -> role. `shares`: projects that are
    private or public, as (entity, project) -> (visibility, owner). `reads_only`: by a key that was made so."""

    name: str
    local: bool = False
    admin: bool = False
    reads_only: bool = False
    teams: Mapping[str, str] = NOTHING
    shares: Mapping[tuple[str, str], tuple[str, str]] = NOTHING


LOCAL = Who("", local=True)
NOBODY = Who("")


def level(who: Who, entity: str, project: str | None = None) -> int:
    """The role of `who` in an entity (or one project of it) as a number of ROLES; 0: it does not exist for them."""
    if who.local or who.admin:
        return ROLES["admin"]
    if not who.name:
        return 0
    role = ROLES["admin"] if entity == who.name else ROLES.get(who.teams.get(entity, ""), 0)
    visibility, owner = who.shares.get((entity, project or ""), ("team", ""))
    if visibility == "private" and role < ROLES["admin"] and owner != who.name:
        return 0
    return max(role, ROLES["viewer"]) if visibility == "public" else role


def sees(who: Who, entity: str, project: str | None = None) -> bool:
    """May `who` know that this exists?"""
    return level(who, entity, project) >= ROLES["viewer"]


def demand(who: Who, act: str, entity: str, project: str | None = None) -> None:
    """Raise NotFound for what `who` may not see (the same whether it exists or not), Refused for what they may see only."""
    held = level(who, entity, project)
    place = f"{entity}/{project}" if project is not None else entity
    if held < ROLES["viewer"]:
        raise NotFound(f"there is no {place}, or it is not shared with you")
    if held < NEEDS[act]:
        need = next(name for name, rank in ROLES.items() if rank >= NEEDS[act])
        raise Refused(f"this needs the role {need} in {entity}; an admin gives it: besom team add {entity} {who.name}")
    permit(who, act)


def permit(who: Who, act: str) -> None:
    """Raise Refused when the key that `who` came with does not reach so far."""
    if who.reads_only and act not in ("read", "open"):
        raise Refused("this key can only read; make one for writing: besom key create")


def demand_admin(who: Who) -> None:
    """Raise Refused for whoever is no admin of the whole server."""
    permit(who, "admin")
    if not (who.local or who.admin):
        raise Refused("this needs an admin of the server")


class Access:
    """The use cases of users, teams, keys and logins. `by`: who does it, for the audit log."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._store = UserStore(database)
        self._clock = clock
        self._hashing = threading.Lock()
        """One password at a time: each takes 64 MiB."""

    def any(self) -> bool:
        """Whether there are users."""
        return self._store.any()

    def ready(self) -> bool:
        """Whether there is an admin."""
        return any(user.admin for user in self.users())

    # Users, teams, projects

    def users(self) -> list[UserRow]:
        """All users, by name."""
        return self._store.users()

    def add_user(self, by: str, name: str, *, password: str = "", admin: bool = False) -> None:
        """A new user, who may log in with `password` unless it is empty. Raises UsageError."""
        check_id(name, "user's name")
        if not admin and not self.ready():
            raise UsageError("the first user is an admin: besom user add NAME --admin")
        if password and len(password) < SHORTEST_PASSWORD:
            raise UsageError(f"a password has at least {SHORTEST_PASSWORD} characters")
        hashed = self._hash(password) if password else ""
        self._store.put_user(UserRow(name, hashed, admin, self._clock()), by)

    def remove_user(self, by: str, name: str) -> None:
        """Forget a user with their keys, logins and roles; their runs stay. Raises NotFound."""
        self._store.drop_user(name, by, self._clock())

    def teams(self) -> list[tuple[str, str, str]]:
        """(team, user, role) of all members."""
        return self._store.teams()

    def set_role(self, by: str, team: str, user: str, role: str | None) -> None:
        """Give a user a role in a team; None takes it away. Raises UsageError."""
        check_id(team, "team's name")
        if role is not None and role not in ROLES:
            raise UsageError(f"a role is one of {', '.join(ROLES)}, not {role!r}.{did_you_mean(role, ROLES)}")
        self._store.put_member(team, user, role, by, self._clock())

    def share(self, by: str, entity: str, project: str, visibility: str, owner: str) -> None:
        """Say who sees a project: its team, `owner` alone (private), or every user (public). Raises UsageError."""
        if visibility not in VISIBILITIES:
            raise UsageError(f"a project is {', '.join(VISIBILITIES)}, not {visibility!r}")
        check_id(entity, "team's name")
        check_id(project, "project's name")
        self._store.put_share(entity, project, visibility, owner, by, self._clock())

    # Keys

    def create_key(
        self, by: str, user: str, *, lasts: float | None = None, reads_only: bool = False, key: str | None = None
    ) -> str:
        """A new key of a user, returned once. `lasts`: seconds; None for ever. Raises NotFound, UsageError."""
        made = key if key is not None else new_key()
        if len(made) < SHORTEST_KEY or not re.fullmatch(r"[A-Za-z0-9_-]+", made):
            raise UsageError(f"a key has at least {SHORTEST_KEY} of the characters A-Z a-z 0-9 _ -")
        now = self._clock()
        row = KeyRow(digest(made), user, reads_only, now, now + lasts if lasts is not None else None, None)
        self._store.put_key(row, by)
        return made

    def api_keys(self) -> list[KeyRow]:
        """All keys, the latest first."""
        return self._store.keys()

    def revoke_key(self, by: str, start: str) -> None:
        """Forget the key whose digest begins with `start` (8 digits or more). Raises NotFound."""
        self._store.drop_key(start, by, self._clock())

    # Who is it?

    def by_name(self, name: str, *, reads_only: bool = False) -> Who | None:
        """A user as they are now."""
        known = self._store.known(name)
        if known is None:
            return None
        return Who(name, False, known.user.admin, reads_only, known.teams, self._store.shares())

    def by_key(self, key: str) -> Who | None:
        """The user of a key; None when it is not known, revoked or expired."""
        found, now = self._store.key(digest(key)), self._clock()
        if found is None or (found.expires is not None and found.expires <= now):
            return None
        if found.used is None or found.used < now - NOTED:
            self._store.used(found.digest, now)
        return self.by_name(found.user, reads_only=found.reads_only)

    def by_session(self, token: str) -> Who | None:
        """The user of a login; None when it is not known, or was not used for too long."""
        found, now = self._store.session(digest(token)), self._clock()
        if found is None or found[1] < now - IDLE:
            return None
        if found[1] < now - NOTED:
            self._store.seen(digest(token), now)
        return self.by_name(found[0])

    def login(self, name: str, password: str) -> str | None:
        """The cookie of a new session; None for a wrong name or password, after the same time."""
        known = self._store.known(name)
        held = known.user.password if known is not None else ""
        right = self._right(held, password)
        if known is None or not right:
            self._store.log(self._clock(), name[:128] if known else "", "wrong login", "" if known else "unknown name")
            return None
        token = secrets.token_urlsafe(32)
        now = self._clock()
        self._store.put_session(digest(token), name, now, now - IDLE)
        return token

    def logout(self, token: str) -> None:
        """End a session."""
        self._store.drop_session(digest(token))

    def _hash(self, password: str) -> str:
        import argon2  # late: only a login needs it

        with self._hashing:
            return argon2.PasswordHasher().hash(password)

    def _right(self, held: str, password: str) -> bool:
        import argon2

        global _nobodys
        with self._hashing:
            hasher = argon2.PasswordHasher()
            if not _nobodys:
                _nobodys = hasher.hash(secrets.token_hex(16))
            try:
                return hasher.verify(held or _nobodys, password) and bool(held)
            except argon2.exceptions.Argon2Error:
                return False

    # The audit log

    def log(self, by: str, act: str, what: str) -> None:
        """Add a line."""
        self._store.log(self._clock(), by, act, what)

    def audit(self) -> list[Entry]:
        """All lines, oldest first."""
        return list(self._store.entries())

    def tampered(self) -> Entry | None:
        """The first line that is not as it was written, or follows one that is missing; None when all are whole."""
        return next(_broken(self._store.entries()), None)


_nobodys = ""
"""The hash that a password is held against when there is none, so that a name cannot be guessed by the time it takes."""


def _broken(entries: Iterator[Entry]) -> Iterator[Entry]:
    before = ""
    for entry in entries:
        if entry.chain != link(before, entry.time, entry.who, entry.act, entry.what):
            yield entry
        before = entry.chain


def new_key() -> str:
    """A random key of 238 bits. Foreign clients want 40 characters after the dash."""
    return "besom-" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(40))


def digest(secret: str) -> str:
    """What is kept of a key or a cookie."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
