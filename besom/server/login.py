"""Logging in and out: a small page without a script, for a store with users.

A form that another page sends is refused before it comes here (auth.py). A name or an address with ten wrong passwords in a minute
waits; who logs in always gets a new cookie. Knows the gate, and no rules.
"""

from __future__ import annotations

import html
import math
import re
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from besom.core.errors import BesomError
from besom.server.answer import problem
from besom.server.gate import COOKIE, Gate
from besom.server.route import Permission, Route

PAGE = Route("GET", "/login", "", None, "The page to log in or out.", Permission.OPEN, fresh=False)
ENTER = Route("POST", "/login", "", None, "Log in: a form with name, password, next.", Permission.OPEN, fresh=False)
LEAVE = Route("POST", "/logout", "", None, "Log out.", Permission.OPEN, fresh=False)
LARGEST = 8192
WRONG, MINUTE = 10, 60.0
_HERE = re.compile(r"/(?![/\\])[\w.~%/?=&+:,@!$'()*;-]*", re.ASCII)
"""An address of this site: it cannot name another one."""


class Login:
    """The routes with their endpoints."""

    def __init__(self, gate: Gate, clock: Callable[[], float] = time.monotonic) -> None:
        self._gate, self._wrong = gate, Wrong(clock)
        self.routes: tuple[tuple[Route, Callable[[Request], Awaitable[Response]]], ...] = (
            (PAGE, self.page), (ENTER, self.enter), (LEAVE, self.leave),
        )  # fmt: skip

    async def instead(self, request: Request) -> Response | None:
        """What a stranger gets in place of the page; None for all others, and while the store cannot be asked."""
        try:
            who = await run_in_threadpool(self._gate.who, request)
        except BesomError:
            return None  # the page tells what the API says
        if who.local or who.name:
            return None
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        if request.headers.get("sec-fetch-site") == "cross-site" and COOKIE not in request.cookies:
            # a browser keeps our cookie back when a link elsewhere is followed: ask again from this site
            again = html.escape(f"/login?next={quote(here)}")
            return HTMLResponse(f'<!doctype html><meta http-equiv="refresh" content="0; url={again}">')
        return RedirectResponse(f"/login?next={quote(here)}", 303)

    async def page(self, request: Request) -> Response:
        try:
            who = await run_in_threadpool(self._gate.who, request)
        except BesomError as error:
            return problem(error, request.headers)
        onward = _here(request.query_params.get("next", ""))
        if who.local or (who.name and "next" in request.query_params):
            return RedirectResponse(onward, 303)
        return _form(onward) if not who.name else _page(_OUT.format(name=html.escape(who.name)))

    async def enter(self, request: Request) -> Response:
        form = await _read(request)
        if form is None:
            return PlainTextResponse("a login is a small form with a name and a password\n", 415)
        name, onward = form.get("name", ""), _here(form.get("next", ""))
        sender = request.client.host if request.client else ""
        wait = self._wrong.wait(f"name {name[:128]}", f"from {sender}")
        if wait > 0:
            seconds = math.ceil(wait)
            return _form(
                onward, f"Too many wrong passwords; try again in {seconds} s.", 429, {"Retry-After": f"{seconds}"}
            )
        try:
            token = await run_in_threadpool(self._gate.access.login, name, form.get("password", ""))
            if token is None:
                return _form(onward, "The name or the password is wrong.", 401)
            self._wrong.forget(f"name {name[:128]}", f"from {sender}")
            if old := request.cookies.get(COOKIE):
                await run_in_threadpool(self._gate.access.logout, old)
        except BesomError as error:
            return problem(error, request.headers)
        answer = RedirectResponse(onward, 303)
        answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=request.url.scheme == "https")
        return answer

    async def leave(self, request: Request) -> Response:
        try:
            await run_in_threadpool(self._gate.access.logout, request.cookies.get(COOKIE, ""))
        except BesomError as error:
            return problem(error, request.headers)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=request.url.scheme == "https")
        return answer


class Wrong:
    """Counts tries by name and by address; a right one takes its own back. At most WRONG of each in a minute."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._times: dict[str, deque[float]] = defaultdict(deque)

    def wait(self, *keys: str) -> float:
        """Seconds until a try is allowed; 0: it is, and it counts from now on."""
        now = self._clock()
        if len(self._times) > 10_000:
            self._times = defaultdict(deque, {k: t for k, t in self._times.items() if t and t[-1] > now - MINUTE})
        for key in keys:
            while self._times[key] and self._times[key][0] <= now - MINUTE:
                self._times[key].popleft()
        waits = [self._times[key][0] + MINUTE - now for key in keys if len(self._times[key]) >= WRONG]
        if waits:
            return max(waits)
        for key in keys:
            self._times[key].append(now)
        return 0.0

    def forget(self, *keys: str) -> None:
        """The last try was right."""
        for key in keys:
            if self._times[key]:
                self._times[key].pop()


def _here(text: str) -> str:
    return text if _HERE.fullmatch(text) and not text.startswith("/login") else "/"


async def _read(request: Request) -> dict[str, str] | None:
    """The fields of a form; None for what is none, or is large."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return None
    body = b""
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > LARGEST:
                return None
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=10)
    except (ClientDisconnect, UnicodeDecodeError, ValueError):
        return None
    return {name: values[0] for name, values in fields.items()}


def _form(onward: str, said: str = "", status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return _page(_IN.format(onward=html.escape(onward), said=html.escape(said)), status, headers)


def _page(body: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return HTMLResponse(_HEAD + body, status, headers)


_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>besom: log in</title>
<style>
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { display: grid; place-content: center; min-height: 90vh; margin: 0 }
form { display: grid; gap: .75rem; width: 18rem }
label { display: grid; gap: .25rem }
input, button { font: inherit; padding: .45rem .6rem }
p { margin: 0; min-height: 1.5em }
</style>
"""
_IN = """<form method="post" action="/login"><h1>besom</h1>
<label>Name <input name="name" autocomplete="username" required autofocus></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<input type="hidden" name="next" value="{onward}"><button>Log in</button><p role="alert">{said}</p></form></html>
"""
_OUT = """<form method="post" action="/logout"><h1>besom</h1><p>You are {name}. <a href="/">To the page</a></p>
<button>Log out</button></form></html>
"""
