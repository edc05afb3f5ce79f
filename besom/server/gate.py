"""Who calls: a store with users is open to them only, by a key, a login's cookie, or an address signed for one of them.

Walk 2 between guard and route: request -> `admit` (401 for a stranger, 403 or 404 for what a path names) -> endpoint, which gets
its hub from `guarded`: the hub itself for the owner of a store without users, else hub/guarded.py for the one who calls. Who it
is lives in a context variable, so that no endpoint can forget to pass it on; without one it is nobody, who may nothing. Each
answer about a key or a cookie holds for a second: a revoked one ends with it, also for a stream that is open. Knows no rules.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import inspect
import json
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.routing import request_response
from starlette.types import ASGIApp, Receive, Scope, Send

from besom.core.errors import BesomError, Refused
from besom.hub.access import LOCAL, NOBODY, Access, Who, demand, digest, permit
from besom.hub.guarded import Guarded
from besom.server.answer import problem
from besom.server.route import Permission, Route

if TYPE_CHECKING:
    from besom.hub.hub import Hub

COOKIE = "besom"
HOLDS = 1.0
"""Seconds for which an answer about a key, a cookie or the mode of the store is believed."""
MOST = 10_000
"""Answers that are believed at a time."""
SIGNED = 3600.0
"""Seconds for which a signed address is good."""


class Unknown(Refused):
    """Nobody we know."""


class Credential(NamedTuple):
    """What a request came with. `kind`: local, key, session, signed (then `value` is a user's name), or nothing."""

    kind: str = ""
    value: str = ""
    reads_only: bool = False


LOCALLY = Credential("local")
STRANGER = Credential()
_caller: ContextVar[Credential] = ContextVar("besom_caller", default=STRANGER)


class Gate:
    """The gate of one application. `hub`: gives the hub or raises Unavailable. `team`: nobody gets in without being a user,
    even while there are none. `secret`: 32 bytes that sign addresses, kept over restarts."""

    def __init__(self, hub: Callable[[], Hub], *, secret: Callable[[], bytes], team: bool = False) -> None:
        self._hub, self._secret, self._team = hub, secret, team
        self._asked = 0.0
        self._believed: dict[tuple[str, str, bool], tuple[float, Who]] = {}

    @property
    def access(self) -> Access:
        """The use cases of users and logins."""
        return self._hub().access

    def guarded(self) -> Hub:
        """The hub as the caller of the request under way may use it."""
        hub, who = self._hub(), self._who(_caller.get())
        return hub if who.local else cast("Hub", Guarded(hub, who))

    def alone(self) -> bool:
        """Whether the store has no users: then whoever reaches this machine's loopback is its owner."""
        if not self._team and time.monotonic() - self._asked > HOLDS:
            self._team = self.access.any()
            self._asked = time.monotonic()
        return not self._team

    def who(self, request: Request) -> Who:
        """Who sends a request; NOBODY for a stranger. Blocks while the store is asked."""
        return LOCAL if self.alone() else self._who(self._credential(request))

    async def admit(self, request: Request, route: Route) -> Credential:
        """The credential that a request may go on with. Raises Unknown, Refused, NotFound, and Unavailable."""
        if route.permission is Permission.OPEN:
            return STRANGER
        credential = self._credential(request)
        work = partial(self._admitted, credential, route, request.path_params)
        fresh = self._asked + HOLDS > time.monotonic() if not self._team else self._held(credential) is not None
        return work() if fresh else await run_in_threadpool(work)

    def _admitted(self, credential: Credential, route: Route, place: Mapping[str, str]) -> Credential:
        if self.alone():
            return LOCALLY
        who = self._who(credential)
        if who is NOBODY:
            raise Unknown("this server knows its users: log in at /login, or send a key (besom login KEY --host URL)")
        act = str(route.permission)
        permit(who, act)
        if "entity" in place:
            demand(who, act, place["entity"], place.get("project"))
        return credential

    def _credential(self, request: Request) -> Credential:
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return Credential("key", value.strip())
        if kind.lower() == "basic":
            return Credential("key", _password(value))
        if cookie := request.cookies.get(COOKIE):
            return Credential("session", cookie)
        return self._signer(request)

    def _held(self, credential: Credential) -> Who | None:
        at, who = self._believed.get(_short(credential), (0.0, NOBODY))
        return who if at + HOLDS > time.monotonic() else None

    def _who(self, credential: Credential) -> Who:
        if credential.kind in ("", "local"):
            return LOCAL if credential.kind else NOBODY
        held = self._held(credential)
        if held is not None:
            return held
        access, value = self.access, credential.value
        if credential.kind == "key":
            found = access.by_key(value)
        elif credential.kind == "session":
            found = access.by_session(value)
        else:
            found = access.by_name(value, reads_only=credential.reads_only)
        if found is None:
            return NOBODY
        if len(self._believed) > MOST:
            self._believed.clear()
        self._believed[_short(credential)] = (time.monotonic(), found)
        return found

    # Addresses that carry their permission: foreign clients send files without their key

    def sign(self, credential: Credential, path: str) -> str:
        """The query with which `path` may be asked for in the caller's name for an hour; "" in a store without users."""
        who = self._who(credential)
        if who.local or who is NOBODY:
            return ""
        signed = {"by": who.name, "reads": f"{int(who.reads_only)}", "until": f"{int(time.time() + SIGNED)}"}
        return "?" + urlencode({**signed, "mac": self._mac(path, **signed)})

    def _signer(self, request: Request) -> Credential:
        asked = request.query_params
        signed = {name: asked.get(name, "") for name in ("by", "reads", "until")}
        if not asked.get("mac") or not signed["until"].isdecimal() or int(signed["until"][:12]) < time.time():
            return STRANGER
        if not hmac.compare_digest(self._mac(request.scope["path"], **signed).encode(), asked["mac"].encode()):
            return STRANGER
        return Credential("signed", signed["by"], signed["reads"] != "0")

    def _mac(self, path: str, **signed: str) -> str:
        return hmac.new(self._secret(), json.dumps([path, signed]).encode(), hashlib.sha256).hexdigest()


class Gated:
    """The ASGI application of one route behind the gate."""

    def __init__(self, gate: Gate, route: Route, endpoint: Any) -> None:
        self._gate, self._route = gate, route
        function = inspect.isfunction(endpoint) or inspect.ismethod(endpoint)
        self._app: ASGIApp = request_response(endpoint) if function else endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            credential = await self._gate.admit(request, self._route)
        except BesomError as error:
            answer = problem(error, request.headers)
            if isinstance(error, Unknown):
                answer.status_code = 401
                answer.headers["WWW-Authenticate"] = 'Bearer realm="besom"'
            await answer(scope, receive, send)
            return
        request.state.sign = partial(self._gate.sign, credential)
        token = _caller.set(credential)
        try:
            await self._app(scope, receive, send)
        finally:
            _caller.reset(token)


def _password(basic: str) -> str:
    try:
        return base64.b64decode(basic, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def _short(credential: Credential) -> tuple[str, str, bool]:
    return credential.kind, digest(credential.value), credential.reads_only
