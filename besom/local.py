"""The composition root: hub, folder door and application over the user's own store, and the two processes around them.

`application` serves calls in this process (no server), `serve` does the same behind a socket (`besom server`), and
`deliver` carries journals to a server, or alerts to their channels, in a process of its own (`besom deliver`). All rooms
meet here and nowhere else; there is no rule here, only wiring.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from besom.client import Client, connect
from besom.core.batch import Batch
from besom.core.contents import digests
from besom.core.errors import GapError, JournalDamaged, StoreError, Unavailable, UsageError
from besom.core.names import RunPath
from besom.core.wire import RunView
from besom.hub.hub import Hub
from besom.journal.file import Header
from besom.journal.ship import ship
from besom.server.app import Application, Endpoint
from besom.server.contents import Contents
from besom.server.folder import FileLock, Folder, Journals, run_of
from besom.server.gate import Gate
from besom.server.route import Route
from besom.server.serve import Server, Timer, address, listen
from besom.settings import Settings
from besom.store.blobs import PIECE, Blobs
from besom.store.migrations import open_database

log = logging.getLogger("besom.local")
LIVELY, IDLE = 0.25, 1.0
"""Seconds between two looks at the journals, while one of them is written and while none is."""
REAP = 5.0
RENEW = 20.0
"""Seconds between two renewals of the leases (60 s) of runs that a deliverer sees alive."""
PATIENCE = 24 * 3600.0
"""Seconds that a deliverer waits for a server out of reach when no run is alive any more; the next one starts anew."""


class Store(NamedTuple):
    """The user's store, open in this process."""

    hub: Hub
    folder: Folder


_stores: dict[tuple[int, Path | str], Store] = {}
_opening = threading.Lock()


def open_store(settings: Settings) -> Store:
    """The user's store, opened once for each process. Raises StoreError when a newer besom has written it."""
    key = (os.getpid(), settings.database)
    with _opening:
        found = _stores.get(key)
        if found is None:
            settings.dir.mkdir(parents=True, exist_ok=True)
            hub = Hub(open_database(settings.database))
            found = _stores[key] = Store(hub, Folder(hub, settings.dir / "journals"))
        return found


def hub(settings: Settings) -> Hub:
    """The hub over the user's store."""
    return open_store(settings).hub


def close(settings: Settings) -> None:
    """Close the store of this process, if it is open. For tests and for processes that go on without it."""
    with _opening:
        found = _stores.pop((os.getpid(), settings.database), None)
    if found is not None:
        found.folder.close()
        found.hub.database.close()


def application(settings: Settings) -> Application:
    """The application over the user's store; every question first catches up what was logged before it."""
    held = open_store(settings)
    return Application(
        lambda: held.hub,
        catch_up=held.folder.catch_up,
        changed=lambda what: _changed(settings, what),
        doors=Contents(lambda: held.hub, Blobs(settings.blobs), held.folder.catch_up).routes,
    )


def _changed(settings: Settings, what: str) -> None:
    """Keep `deliver.on` true to the channels: runs start a deliverer when it exists, without opening the store."""
    if what not in ("add_channel", "remove_channel"):
        return
    sign = settings.dir / "deliver.on"
    if open_store(settings).hub.alerts().channels:
        sign.touch()
    else:
        sign.unlink(missing_ok=True)


class Door(Protocol):
    """A door for foreign clients: made of what it needs, it gives routes with their endpoints."""

    def __call__(self, hub: Callable[[], Hub], blobs: Blobs, entity: str, catch_up: Callable[[], object]) -> Routed: ...


class Routed(Protocol):
    """Has routes."""

    @property
    def routes(self) -> Iterable[tuple[Route, Endpoint]]: ...


def serve(
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    ready: Callable[[str], None] | None = None,
    doors: Iterable[Door] = (),
    team: bool = False,
    hosts: Iterable[str] = (),
) -> None:
    """Serve the user's store until SIGTERM or Ctrl-C. `ready` is told the address as soon as it answers; port 0 takes any.
    `doors`: for foreign clients. `team`: to its users only, also where others can reach it. `hosts`: further names of this machine.

    Raises UsageError for an address or port that cannot be had and for a team without an admin, and StoreError for a store that
    cannot be opened.
    """
    sock = listen(host, port, team)
    with sock:
        _Service(settings, doors, team, hosts).run(address(sock), [sock], ready)


def assemble(
    settings: Settings,
    hub: Callable[[], Hub],
    catch_up: Callable[[], object],
    *,
    doors: Iterable[Door] = (),
    team: bool = False,
    hosts: Iterable[str] = (),
) -> Application:
    """What `serve` serves: the application with all its doors behind one gate."""
    gate = Gate(hub, secret=lambda: _secret(settings.dir / "signing.key"), team=team)
    blobs, named = Blobs(settings.blobs), list(hosts)
    return Application(
        hub,
        catch_up=catch_up,
        changed=lambda what: _changed(settings, what),
        hosts=named if named or not team else None,
        gate=gate,
        doors=[
            *Contents(gate.guarded, blobs, catch_up).routes,
            *(place for door in doors for place in door(gate.guarded, blobs, settings.entity, catch_up).routes),
        ],
    )


def _secret(path: Path) -> bytes:
    """The 32 bytes that this store signs addresses with, made once and readable to its owner only."""
    try:
        found = path.read_bytes()
        if len(found) == 32:
            return found
    except FileNotFoundError:
        pass
    fresh = path.with_suffix(f".{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(32))
    try:
        os.link(fresh, path)  # the first of several processes wins
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    return path.read_bytes()


class _Service:
    """One `serve`: the application, the store that opens behind it, and the timers."""

    def __init__(self, settings: Settings, doors: Iterable[Door], team: bool, hosts: Iterable[str]) -> None:
        self._settings, self._team = settings, team
        self._store: Store | None = None
        self._fault: Exception | None = None
        self._at = ""
        self._app = assemble(settings, lambda: self._ready().hub, self._catch_up, doors=doors, team=team, hosts=hosts)
        self._server = Server(self._app)
        self._timers = [Timer("journals", self._look), Timer("alerts", self._send), Timer("leases", self._reap)]

    def run(self, at: str, sockets: list[socket.socket], ready: Callable[[str], None] | None) -> None:
        self._at = at
        opener = threading.Thread(target=self._open, name="besom-open", daemon=True)
        opener.start()
        if ready is not None:
            ready(at)
        try:
            self._server.run(sockets)
        finally:
            opener.join()
            for timer in self._timers:
                timer.stop()
            self._app.close()
            close(self._settings)
        if self._fault is not None:
            raise self._fault

    def _open(self) -> None:
        try:
            store = open_store(self._settings)
            if self._team and not store.hub.access.ready():
                raise UsageError("a team's server needs an admin first: besom user add NAME --admin")
            self._store = store
            self._store.hub.alerting.address = self._at
        except Exception as error:  # whatever it is, it is raised by `run`
            self._fault = error
            self._server.should_exit = True
            return
        for timer in self._timers:
            timer.start()

    def _catch_up(self) -> object:
        return self._ready().folder.catch_up()

    def _ready(self) -> Store:
        if self._store is None:
            raise Unavailable("besom is starting", retry_after=1.0)
        return self._store

    def _look(self) -> float:
        return LIVELY if self._catch_up() else IDLE

    def _send(self) -> float:
        self._ready().hub.deliver()
        return IDLE

    def _reap(self) -> float:
        self._ready().hub.reap()
        return REAP


# besom deliver


def deliver(settings: Settings, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Carry until nothing is alive and nothing waits: journals to the server that is set, else alerts to their channels.

    One process does it for each store; another that is called meanwhile returns at once. Without a network it waits,
    longer each time, and goes on from where the server says it is.
    """
    lock = FileLock(settings.home / "deliver.lock")
    with _logging_to(settings.home / "deliver.log"), _carrier(settings) as carrier:
        while lock.take():
            try:
                done = _until_idle(carrier, sleep)
            finally:
                lock.free()
            if not done or not carrier.waiting():
                return  # else a run began while the lock was held, and its own deliverer was sent away


class Carrier(Protocol):
    """What a deliverer does: `work` carries all that is there, and says whether a run is being written."""

    def work(self) -> bool: ...

    def waiting(self) -> bool:
        """Something is left to carry."""

    def going(self) -> bool:
        """A run is being written, as far as this machine can see without a network."""


@contextmanager
def _carrier(settings: Settings) -> Iterator[Carrier]:
    if settings.server:
        with connect(settings, patience=0) as client:
            yield Shipper(settings.journals, client, Blobs(settings.blobs))
    else:
        yield Sender(settings)


def _until_idle(carrier: Carrier, sleep: Callable[[float], None]) -> bool:
    """Let it work until nothing waits (True), or until what is out of reach was waited for long enough (False)."""
    failures, since = 0, time.monotonic()
    while True:
        try:
            going = carrier.work()
        except (Unavailable, StoreError, OSError) as error:
            if failures == 0:
                log.warning("waiting: %s", error)
            failures += 1
            if time.monotonic() - since > PATIENCE and not carrier.going():
                return False
            asked: float | None = getattr(error, "retry_after", None)
            sleep(max(min(30.0, 0.25 * 2.0 ** min(failures, 10)) * random.uniform(0.75, 1.25), asked or 0.0))
        else:
            failures, since = 0, time.monotonic()
            if not carrier.waiting():
                return True
            sleep(LIVELY if going else IDLE)


class Sender:
    """Without a server: takes journals into the user's store, and sends the alerts that are due."""

    def __init__(self, settings: Settings) -> None:
        self._store = open_store(settings)
        self._sign = settings.dir / "deliver.on"
        self._due = 0

    def work(self) -> bool:
        living = self._store.folder.catch_up()
        self._store.hub.reap()
        self._due = self._store.hub.deliver()
        return bool(living)

    def waiting(self) -> bool:
        return self._due > 0 or (self._sign.exists() and self.going())

    def going(self) -> bool:
        return bool(self._store.folder.living())


class Shipper(Journals):
    """The journals of one server's folder on their way to it."""

    def __init__(self, folder: Path, client: Client, blobs: Blobs, clock: Callable[[], float] = time.time) -> None:
        super().__init__(folder, clock)
        self._client = client
        self._blobs = blobs
        self._renewed = 0.0
        self._living: list[Header] = []
        self._late: set[str] = set()

    def work(self) -> bool:
        self._living = self.look()
        self._renew()
        return bool(self._living)

    def _renew(self) -> None:
        if self._living and time.monotonic() - self._renewed > RENEW:
            self._client.alive([run_of(head) for head in self._living])
            self._renewed = time.monotonic()

    def waiting(self) -> bool:
        """There are journals that are not delivered to their end; those that the server refused do not count."""
        return any(path.name not in self._refused for path in self._paths())

    def going(self) -> bool:
        return bool(self.living())

    def carry(self, journals: Mapping[Path, Header]) -> None:
        for path, head in sorted(journals.items(), key=lambda item: item[0].name in self._late):
            try:
                known = self.positions.get(path.name)
                if known is None:
                    known = self._client.position(*run_of(head), head.stream)

                def send(head: Header, batch: Batch, path: Path = path) -> int:
                    held = self.send(head, head.stream, batch)
                    if held < batch.start:
                        raise GapError(held)
                    self.note(path, batch.records)
                    return held

                self.positions[path.name] = ship(path, known, send)
            except (UsageError, JournalDamaged) as error:
                self.refuse(path, error)
            except FileNotFoundError:  # somebody tidied up
                continue
            except (Unavailable, StoreError):
                self._late.add(path.name)  # it may be this one alone that the server stumbles over: the others first
                raise

    def send(self, head: Header, stream: str, batch: Batch) -> int:
        """Contents first: what the server says a run has can be had. One that is gone or damaged holds up nothing."""
        for digest in digests(batch.records):
            try:
                self._client.keep(digest, partial(self._pieces, digest))
            except (UsageError, OSError) as error:
                log.warning("a file of run %s is not sent: %s", head.run, error)
        return self._client.append(*run_of(head), stream, batch)

    def _pieces(self, digest: str) -> Iterator[bytes]:
        """A kept content. A large one takes long, and the runs stay alive meanwhile."""
        with self._blobs.open(digest) as file:
            while piece := file.read(PIECE):
                yield piece
                self._renew()

    def view(self, run: RunPath) -> RunView:
        return self._client.run(*run)


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """What a deliverer has to say goes into a file beside its lock: nobody sees its terminal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=1 << 20, backupCount=1, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger("besom")
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
