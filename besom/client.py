"""The one client of the API: a typed method for each route, over a socket or over the application in this process.

Walk 2, first step: cli, `Api`, sweeps and agents call these methods; `connect(settings)` decides what they talk to. Answers
are the structs of core/wire.py, carried as msgpack, so numbers are exact. Errors are those of core/errors.py.
Does not know what a server does with a call, nor (in-process) what the application is made of: it finds that by name.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import queue
import random
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from besom.core import codec, contents, errors, exact, wire
from besom.core.batch import Batch
from besom.core.errors import BesomError, Unavailable, UsageError
from besom.core.names import RunPath

if TYPE_CHECKING:
    from besom.settings import Settings

T = TypeVar("T")
Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]
"""An ASGI application."""
MSGPACK, BATCH = "application/msgpack", "application/octet-stream"
PATIENCE = 30.0
"""Seconds that a call tries again before it gives up."""
LONGEST_PAUSE = 10.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")
COMPOSITION_ROOT = "besom.local"
"""Holds `application(settings)`. Named, not imported: a client must not load a server that it does not use."""


def connect(settings: Settings, *, patience: float = PATIENCE) -> Client:
    """A client of the server that `settings` name, else of the application in this process over the user's store."""
    if settings.server:
        return Client(settings.server, api_key=settings.api_key, patience=patience)
    application = importlib.import_module(COMPOSITION_ROOT).application(settings)
    return Client("http://localhost", transport=AppTransport(application, application.close), patience=patience)


class Client:
    """Calls to one server. Safe from many threads. `patience`: seconds of trying again; 0 tries once."""

    def __init__(
        self,
        address: str,
        *,
        transport: httpx.BaseTransport | None = None,
        api_key: str | None = None,
        patience: float = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urlsplit(address if "//" in address else f"http://{address}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"a server's address is like http://127.0.0.1:8080, and {address!r} is not")
        self.address = parts.geturl().rstrip("/")
        self.patience = patience
        self._sleep = sleep
        headers = {"Accept": MSGPACK, "User-Agent": "besom"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        if transport is not None:
            headers["Accept-Encoding"] = "identity"
        self._http = httpx.Client(
            base_url=self.address,
            headers=headers,
            transport=transport,
            timeout=httpx.Timeout(60.0, connect=5.0),
            verify=parts.scheme == "https",  # certificates take 40 ms to load, and http has none
            trust_env=parts.hostname not in LOOPBACK,  # a proxy of the environment cannot reach this machine's loopback
        )

    def close(self) -> None:
        """Let go of the connections. Idempotent."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Reading

    def health(self) -> wire.Health:
        """Whether the server answers, and its version."""
        return self._get(wire.Health, "health")

    def projects(self) -> wire.Projects:
        """All projects, the latest first."""
        return self._get(wire.Projects, "projects")

    def runs(
        self, entity: str, project: str, *, filter: str = "", sort: str = "", limit: int = 100, offset: int = 0
    ) -> wire.RunPage:
        """A page of runs. `sort`: comma list of keys, ``-`` in front for descending, e.g. ``metrics.val_loss.best,-created``."""
        return self._get(
            wire.RunPage, "runs", entity=entity, project=project, filter=filter, sort=sort, limit=limit, offset=offset
        )

    def run(self, entity: str, project: str, id: str) -> wire.RunView:
        """One run. Raises NotFound."""
        return self._get(wire.RunView, "runs", entity, project, id)

    def rows(
        self, entity: str, project: str, id: str, *, keys: Iterable[str] = (), offset: int = 0, limit: int = 10_000
    ) -> wire.Rows:
        """Rows of a run's history in order of step; `keys` empty means all metrics."""
        return self._get(wire.Rows, "runs", entity, project, id, "rows", keys=join(keys), offset=offset, limit=limit)

    def console(self, entity: str, project: str, id: str, *, start: int = -200, limit: int = 200) -> wire.Console:
        """Lines of the run's terminal from line `start` on; below 0 counts from the end."""
        return self._get(wire.Console, "runs", entity, project, id, "console", start=start, limit=limit)

    def files(self, entity: str, project: str, id: str) -> contents.Files:
        """The files of a run. Raises NotFound."""
        return self._get(contents.Files, "runs", entity, project, id, "files")

    def artifact(self, entity: str, project: str, id: str) -> contents.ArtifactView:
        """The version of an artifact that NAME or NAME:ALIAS names. Raises NotFound."""
        return self._get(contents.ArtifactView, "artifacts", entity, project, id)

    def content(self, digest: str) -> Iterator[bytes]:
        """The content with this SHA-256, in pieces. Raises NotFound, and Unavailable when it breaks off."""
        with contextlib.suppress(UsageError):  # the answer that has a body says what is wrong
            self._send("HEAD", ("blobs", digest))  # waits for a server that is out of reach for now
        try:
            with self._http.stream("GET", f"/api/blobs/{digest}") as answer:
                if answer.status_code != 200:
                    raise _problem(answer.status_code, answer.read(), answer.headers)
                yield from answer.iter_bytes()
        except httpx.TransportError as error:
            raise self._lost(error) from error

    def keys(self, entity: str, project: str, *, filter: str = "") -> wire.Keys:
        """What the runs of a project can be filtered, sorted and grouped by."""
        return self._get(wire.Keys, "keys", entity=entity, project=project, filter=filter)

    def groups(
        self,
        entity: str,
        project: str,
        *,
        filter: str = "",
        by: Iterable[str] = (),
        metric: str = "",
        use: str = "best",
    ) -> wire.Groups:
        """Runs grouped by the keys of `by`, with mean and deviation of each run's best (or last) of `metric`."""
        return self._get(
            wire.Groups, "groups", entity=entity, project=project, filter=filter, by=join(by), metric=metric, use=use
        )

    def curves(
        self,
        entity: str,
        project: str,
        keys: Iterable[str],
        *,
        filter: str = "",
        runs: Iterable[str] = (),
        by: Iterable[str] = (),
        x: str = "_step",
        buckets: int = 500,
        min: float | None = None,
        max: float | None = None,
    ) -> wire.Curves:
        """Metrics over a shared x axis in `buckets` columns, computed from all points."""
        asked = {"keys": join(keys), "filter": filter, "runs": join(runs), "by": join(by), "x": x, "buckets": buckets}
        return self._get(wire.Curves, "curves", entity=entity, project=project, **asked, min=min, max=max)

    def events(self, since: int = -1) -> Iterator[wire.Change]:
        """Changes after sequence number `since` (-1: from now on) as they happen, until the connection ends."""
        with self._http.stream(
            "GET", "/api/events", params={"since": since}, headers={"Accept": "text/event-stream"}
        ) as answer:
            if answer.status_code != 200:
                raise _problem(answer.status_code, answer.read(), answer.headers)
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    yield msgspec.json.decode(line[5:], type=wire.Change)

    # Runs

    def patch(
        self,
        entity: str,
        project: str,
        id: str,
        *,
        name: str | None = None,
        notes: str | None = None,
        tags: Iterable[str] | None = None,
        group: str | None = None,
    ) -> wire.RunView:
        """Change fields of a run; None leaves a field as it is."""
        change = wire.RunChange(name, notes, None if tags is None else tuple(tags), group)
        return self._call(wire.RunView, "PATCH", ("runs", entity, project, id), change)

    def delete(self, entity: str, project: str, id: str) -> None:
        """Delete a run and all that it logged."""
        self._send("DELETE", ("runs", entity, project, id))

    def append(self, entity: str, project: str, id: str, stream: str, batch: Batch) -> int:
        """Append a batch; returns the position now held, which lies before `batch.start` when there is a gap."""
        path = ("append", entity, project, id, stream)
        return self._decode(wire.Position, self._send("POST", path, body=codec.pack(batch), content=BATCH)).position

    def position(self, entity: str, project: str, id: str, stream: str) -> int:
        """How far a stream is held, in bytes of its journal; 0 when nothing is."""
        return self._get(wire.Position, "append", entity, project, id, stream).position

    def keep(self, digest: str, content: Callable[[], Iterable[bytes]]) -> None:
        """Keep a content under its SHA-256, unless it is there. `content` gives its pieces, for each try anew."""
        try:
            self._send("HEAD", ("blobs", digest))
        except UsageError:
            self._send("PUT", ("blobs", digest), body=content, content=BATCH)

    def alive(self, runs: Iterable[tuple[str, str, str]]) -> None:
        """Renew the leases (60 s) of runs, as (entity, project, id), whose processes live."""
        self._send("POST", ("alive",), body=exact.encode(wire.Alive(tuple(RunPath(*run) for run in runs))))

    # Sweeps

    def create_sweep(self, entity: str, project: str, config: Mapping[str, Any]) -> wire.SweepView:
        """Create a sweep from the content of a sweep.yaml. Raises ConfigError with the key that is wrong."""
        new = wire.NewSweep(entity, project, dict(config))
        return self._call(wire.SweepView, "POST", ("sweeps",), new, again=False)

    def sweeps(self, entity: str | None = None, project: str | None = None) -> wire.Sweeps:
        """Sweeps, the latest first, without their trials."""
        return self._get(wire.Sweeps, "sweeps", entity=entity, project=project)

    def sweep(self, entity: str, project: str, id: str) -> wire.SweepView:
        """One sweep with its trials. Raises NotFound."""
        return self._get(wire.SweepView, "sweeps", entity, project, id)

    def importance(self, entity: str, project: str, id: str) -> wire.Importance:
        """Which parameters of a sweep matter. Raises NotFound, UsageError when it has no metric."""
        return self._get(wire.Importance, "sweeps", entity, project, id, "importance")

    def set_sweep(
        self, entity: str, project: str, id: str, *, state: str | None = None, config: Mapping[str, Any] | None = None
    ) -> wire.SweepView:
        """Set a sweep's state (paused, running, finished, canceled) or its config."""
        change = wire.SweepChange(state, None if config is None else dict(config))
        return self._call(wire.SweepView, "PATCH", ("sweeps", entity, project, id), change)

    def register(self, sweep: str, host: str, pid: int) -> wire.Agent:
        """Report an agent for work on `sweep` (ENTITY/PROJECT/ID)."""
        return self._call(wire.Agent, "POST", ("agents",), wire.NewAgent(sweep, host, pid), again=False)

    def beat(self, agent: str, beat: wire.Beat) -> wire.Orders:
        """An agent's heartbeat."""
        return self._call(wire.Orders, "POST", ("agents", agent, "beat"), beat)

    def leave(self, agent: str) -> None:
        """An agent goes."""
        self._send("POST", ("agents", agent, "leave"))

    # Alerts

    def alerts(self) -> wire.Alerts:
        """Channels, and the latest alerts with their delivery."""
        return self._get(wire.Alerts, "alerts")

    def add_channel(self, kind: str, url: str) -> wire.Alerts:
        """Send alerts to `url` from now on. `kind`: slack."""
        return self._call(wire.Alerts, "POST", ("alerts", "channels"), wire.NewChannel(kind, url), again=False)

    def remove_channel(self, n: int) -> wire.Alerts:
        """Remove channel number `n`."""
        return self._decode(wire.Alerts, self._send("DELETE", ("alerts", "channels", str(n))))

    def test_channels(self) -> wire.Alerts:
        """Send a test message to every channel now."""
        return self._decode(wire.Alerts, self._send("POST", ("alerts", "test"), again=False))

    # How a call travels

    def _get(self, answer: type[T], *path: str, **params: Any) -> T:
        given = {name: value for name, value in params.items() if value is not None and value != ""}
        return self._decode(answer, self._send("GET", path, params=given))

    def _call(self, answer: type[T], method: str, path: tuple[str, ...], body: Any, *, again: bool = True) -> T:
        return self._decode(answer, self._send(method, path, body=exact.encode(body), again=again))

    def _lost(self, error: httpx.TransportError) -> Unavailable:
        return Unavailable(f"{self.address} is out of reach: {error or type(error).__name__}")

    def _decode(self, answer: type[T], body: bytes) -> T:
        try:
            return exact.decode(body, answer)
        except msgspec.DecodeError as error:
            raise Unavailable(
                f"{self.address} gives answers that are not besom's ({error}); is it a besom server?"
            ) from error

    def _send(
        self,
        method: str,
        path: tuple[str, ...],
        *,
        params: Mapping[str, Any] | None = None,
        body: bytes | Callable[[], Iterable[bytes]] | None = None,
        content: str = MSGPACK,
        again: bool = True,
    ) -> bytes:
        """The body of the answer. `again`: the call may be repeated when it is unknown whether it was carried out."""
        url = "/api/" + "/".join(quote(part, safe="") for part in path)
        headers = {"Content-Type": content} if body is not None else {}
        waited, tries = 0.0, 0
        while True:
            tries += 1
            try:
                sent = body() if callable(body) else body
                answer = self._http.request(method, url, params=params, content=sent, headers=headers)
            except httpx.TransportError as error:
                known = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
                problem: BesomError = self._lost(error)
                if not (again or known):
                    raise problem from error
            else:
                if answer.status_code < 400:
                    return answer.content
                problem = _problem(answer.status_code, answer.content, answer.headers)
                if not isinstance(problem, Unavailable) or (answer.status_code == 500 and (tries > 2 or not again)):
                    raise problem
            pause = _pause(tries, problem)
            if waited + pause > self.patience:
                raise problem
            waited += pause
            self._sleep(pause)


def join(items: Iterable[str]) -> str:
    """Names as a comma list; backticks round a name with a comma or a backtick in it.

    >>> join(["loss", "a,b"])
    'loss,`a,b`'
    """
    if isinstance(items, str):
        return items
    return ",".join(f"`{item.replace('`', '``')}`" if "," in item or "`" in item else item for item in items)


def _pause(tries: int, problem: BesomError) -> float:
    """Seconds before try number `tries` + 1: doubling with jitter, or what the server asked for when that is longer."""
    pause = min(LONGEST_PAUSE, 0.1 * 2.0**tries) * random.uniform(0.75, 1.25)
    asked: float | None = getattr(problem, "retry_after", None)
    return max(pause, asked or 0.0)


def _problem(status: int, body: bytes, headers: httpx.Headers) -> BesomError:
    """The error that an answer stands for."""
    try:
        decode = msgspec.msgpack.decode if headers.get("content-type", "").startswith(MSGPACK) else msgspec.json.decode
        problem = decode(body, type=wire.Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):  # a proxy between us and the server spoke
        problem = wire.Problem(
            "", f"the answer was {status}: {' '.join(body[:200].decode('utf-8', 'replace').split())}"
        )
    if status == 429 or status >= 500:
        return Unavailable(problem.message, retry_after=_retry_after(headers, problem))
    if problem.error == "FilterError":
        return errors.FilterError(problem.message, position=problem.position or 0)
    kinds: dict[str, type[BesomError]] = {
        kind.__name__: kind for kind in (errors.ConfigError, errors.NotFound, errors.Refused)
    }
    return kinds.get(problem.error, UsageError)(problem.message)


def _retry_after(headers: httpx.Headers, problem: wire.Problem) -> float | None:
    try:
        return min(float(headers.get("retry-after", "")), 300.0)
    except ValueError:  # absent, or a date
        return problem.retry_after


class AppTransport(httpx.BaseTransport):
    """Requests answered by an ASGI application in this process, on one event loop thread that all transports share.

    Safe from many threads. Answers may stream; closing one tells the application that the caller left. `done` is called
    when the transport is closed: a transport that was given an application of its own lets go of its threads.
    """

    def __init__(self, app: App, done: Callable[[], object] = lambda: None) -> None:
        self._app = app
        self._done = done

    def close(self) -> None:
        self._done()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        exchange = _Exchange(request.stream)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.url.scheme,
            "path": request.url.path,
            "raw_path": request.url.raw_path.partition(b"?")[0],
            "query_string": request.url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "server": (request.url.host, request.url.port or 80),
            "client": ("127.0.0.1", 0),
            "state": {},
        }
        exchange.begin(self._app, scope)
        status, headers = exchange.start()
        return httpx.Response(status, headers=headers, stream=exchange)


class _Exchange(httpx.SyncByteStream):
    """One request and its answer: the bridge between the caller's thread and the event loop's."""

    def __init__(self, body: httpx.SyncByteStream) -> None:
        self._body: Iterator[bytes] | None = iter(body)
        self._held = isinstance(body, httpx.ByteStream)
        """The body is in memory; else its pieces may come from a file."""
        self._loop = _event_loop()
        self._parts: queue.SimpleQueue[Message | BaseException | None] = queue.SimpleQueue()
        self._left = asyncio.Event()

    def begin(self, app: App, scope: Message) -> None:
        asyncio.run_coroutine_threadsafe(self._run(app, scope), self._loop)

    async def _run(self, app: App, scope: Message) -> None:
        try:
            await app(scope, self._receive, self._send)
            self._parts.put(None)
        except BaseException as error:  # whatever ends the application is raised in the caller's thread
            self._parts.put(error)

    async def _receive(self) -> Message:
        if self._body is not None:
            piece = b"".join(self._body) if self._held else await asyncio.to_thread(next, self._body, None)
            more = not self._held and piece is not None
            self._body = self._body if more else None
            return {"type": "http.request", "body": piece or b"", "more_body": more}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self._parts.put(message)

    def start(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Wait for the head of the answer: status and headers."""
        message = self._next()
        if message is None:
            raise httpx.RemoteProtocolError("the application gave no answer")
        return message["status"], list(message["headers"])

    def _next(self) -> Message | None:
        part = self._parts.get()
        if isinstance(part, BaseException):
            raise part
        return part

    def __iter__(self) -> Iterator[bytes]:
        while (message := self._next()) is not None:
            if message.get("body"):
                yield message["body"]
            if not message.get("more_body"):
                return

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._left.set)


_loops: dict[int, asyncio.AbstractEventLoop] = {}
_loops_lock = threading.Lock()


def _event_loop() -> asyncio.AbstractEventLoop:
    """The running event loop of this process; a forked child gets its own, because threads do not survive a fork."""
    with _loops_lock:
        loop = _loops.get(os.getpid())
        if loop is None:
            loop = _loops[os.getpid()] = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="besom-application", daemon=True).start()
        return loop
