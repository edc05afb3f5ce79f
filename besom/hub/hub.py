"""The hub: every use case of besom as one method, named like the routes and the client's methods.

Walks: `append` ends walk 1 (a batch of records becomes state, curves, lines of console and an index); the questions
(`runs`, `keys`, `groups`, `curves`, `rows`, ...) read what it kept. Doors (HTTP, a folder of journals, importers) call these
methods and add no rules. The hub knows no HTTP, no journals and no users' rights: `access.py` says who may what, and
`guarded.py` is this face for one of many users.

All methods are safe from every thread and from several processes over one store. Answers are the frozen values of
core/wire.py. Wrong input raises UsageError (FilterError with its position, NotFound), never anything else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from besom.core.batch import Batch
from besom.core.contents import ArtifactView, Files
from besom.core.names import RunPath, SweepPath
from besom.core.wire import (
    Agent,
    Alerts,
    Beat,
    Change,
    Console,
    Curves,
    Groups,
    Importance,
    Keys,
    Orders,
    Projects,
    Rows,
    RunPage,
    RunView,
    Sweeps,
    SweepView,
)
from besom.hub import artifacts, bus, curves, facets, query, reaper
from besom.hub.access import LOCAL, Access, Who
from besom.hub.alerts import Alerting
from besom.hub.ingest import Delivery, Ingest, Watcher
from besom.hub.sweep.controller import Controller
from besom.store.database import Database


class Hub:
    """The use cases over one store. `clock`: seconds since the epoch, UTC; only leases and new rows read it."""

    who: Who = LOCAL
    """Who asks. Whoever holds this object is the owner of the store."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self.database = database
        self.clock = clock
        self.watchers: list[Watcher] = []
        self.access = Access(database, clock)
        self._ingest = Ingest(database, clock, self.watchers)
        self._since = clock()
        self.alerting = Alerting(database, clock=clock)
        self.watchers.append(self.alerting.watch)
        self._sweeps = Controller(
            database,
            run=self.run,
            values=self.metric_values,
            append=self.append,
            clock=clock,
            ended=self.alerting.sweep_ended,
        )

    # Walk 1: records come in

    def append(self, path: RunPath, stream: str, batch: Batch, *, lease: float | None = None) -> int:
        """Keep what `batch` adds to a stream of a run, once. Returns the position now held.

        A position below `batch.start` means a gap: nothing was kept, ship again from there. The same batch twice changes
        nothing. `lease`: seconds after which a running run counts as lost unless more comes (doors that cannot see the
        process give one; a door that sees the journal's lock gives None).
        """
        return self.append_many([Delivery(path, stream, batch, lease)])[0]

    def append_many(self, deliveries: Sequence[Delivery]) -> list[int]:
        """`append` for batches of any runs and streams, in order, in one transaction: all of it is kept, or nothing."""
        return self._ingest.append(deliveries)

    def position(self, path: RunPath, stream: str) -> int:
        """How far a stream is held; 0 for one that is not known."""
        return self._ingest.position(path, stream)

    def alive(self, paths: Iterable[RunPath]) -> None:
        """These runs' processes live: each gets a lease of 60 s. Runs that are not known are passed over."""
        reaper.alive(self.database, paths, self.clock())

    def reap(self) -> list[RunPath]:
        """Mark running runs whose lease has run out as crashed; returns them. In the first 60 s of a hub it takes none,
        because leases could not be renewed while no server ran."""
        return reaper.reap(self.database, self._ingest, self.clock(), self._since)

    # Runs

    def projects(self) -> Projects:
        """All projects, latest activity first."""
        return query.projects(self.database, self.clock())

    def runs(
        self, entity: str, project: str, *, filter: str = "", sort: str = "", limit: int = 100, offset: int = 0
    ) -> RunPage:
        """A page of a project's runs. `sort`: keys by comma, "-" in front descends, missing values last; default newest
        first. `limit`: at most 1000. A project that does not exist has no runs."""
        return query.runs(self.database, entity, project, filter, sort, limit, offset)

    def run(self, path: RunPath) -> RunView:
        """One run. Raises NotFound."""
        return query.run(self.database, path)

    def patch(
        self,
        path: RunPath,
        *,
        name: str | None = None,
        notes: str | None = None,
        tags: Sequence[str] | None = None,
        group: str | None = None,
    ) -> RunView:
        """Change fields of a run; None leaves a field as it is. Raises NotFound."""
        self._ingest.patch(path, name=name, notes=notes, tags=None if tags is None else tuple(tags), group=group)
        return self.run(path)

    def delete(self, path: RunPath) -> None:
        """Remove a run and all that belongs to it. Raises NotFound, and UsageError while the run is running."""
        self._ingest.delete(path)

    def rows(
        self,
        path: RunPath,
        *,
        keys: Sequence[str] | None = None,
        offset: int = 0,
        limit: int = 1000,
        since: int | None = None,
    ) -> Rows:
        """Complete history rows in order of step: `_step`, `_time` and each key; None where a row has no such value.

        `keys`: only these columns, and only rows that hold at least one of them; None means all that were logged
        (without `system.` metrics). `limit`: at most 100,000. `since`: the first row is the first of at least this step, and
        `offset` counts from there. Raises NotFound.
        """
        return query.rows(self.database, path, keys, offset, limit, since)

    def console(self, path: RunPath, *, start: int = 0, limit: int = 1000) -> Console:
        """Lines from number `start` on; a negative start counts from the end. Raises NotFound."""
        return query.console(self.database, path, start, limit)

    def files(self, path: RunPath) -> Files:
        """The files of a run, by path; their contents are blobs. Raises NotFound."""
        with self.database.read() as c:
            return Files(artifacts.files(c, query.existing(c, path).pk))

    def artifact(self, path: RunPath) -> ArtifactView:
        """The version of an artifact that NAME or NAME:ALIAS, in place of a run's id, names. Raises NotFound."""
        with self.database.read() as c:
            return artifacts.find(c, path)

    def owners(self, digest: str) -> frozenset[tuple[str, str]]:
        """The (entity, project) of all runs that have a file or an artifact's file with this content."""
        with self.database.read() as c:
            return artifacts.owners(c, digest)

    # Questions over many runs

    def keys(self, entity: str, project: str, *, filter: str = "") -> Keys:
        """What the runs that pass the filter can be filtered, sorted and grouped by, with facets and histograms."""
        return facets.keys(self.database, entity, project, filter)

    def groups(
        self,
        entity: str,
        project: str,
        *,
        by: Sequence[str],
        filter: str = "",
        metric: str | None = None,
        use: str = "best",
    ) -> Groups:
        """Runs grouped by config (or other) keys, with mean and deviation of each run's best or last of `metric`; best first."""
        return facets.groups(self.database, entity, project, by, filter, metric, use)

    def curves(
        self,
        entity: str,
        project: str,
        *,
        keys: Sequence[str],
        filter: str = "",
        runs: Sequence[str] | None = None,
        by: Sequence[str] = (),
        x: str = "_step",
        buckets: int = 500,
        min: float | None = None,
        max: float | None = None,
    ) -> Curves:
        """Curves of metrics on one shared grid, computed over all points. `x`: _step, _relative, _time or a metric;
        `min`, `max`: zoom on x, both inclusive; `by`: mean and deviation of groups instead of runs; `buckets`: 1 to 5000."""
        return curves.curves(self.database, entity, project, keys, filter, runs, by, x, buckets, min, max)

    def metric_values(self, path: RunPath, key: str) -> list[float]:
        """All values of a metric in the order logged; [] for a run or a metric that is not known."""
        return query.metric_values(self.database, path, key)

    def changes(self, since: int) -> Change:
        """The runs and sweeps that changed after sequence number `since`, and the number now. Cheap when nothing did."""
        return bus.changes(self.database, since)

    # Sweeps and their agents (hub/sweep/controller.py)

    def create_sweep(self, entity: str, project: str, config: Mapping[str, Any]) -> SweepView:
        """Keep a new sweep. `config`: the sweep.yaml as plain data. Raises ConfigError that names the key."""
        return self._sweeps.create(entity, project, config)

    def sweeps(self, entity: str | None = None, project: str | None = None) -> Sweeps:
        """Sweeps, the latest first, without their trials."""
        return self._sweeps.of(entity, project)

    def sweep(self, path: SweepPath) -> SweepView:
        """One sweep with its trials. Raises NotFound."""
        return self._sweeps.get(path)

    def importance(self, path: SweepPath) -> Importance:
        """Which parameters of a sweep matter. Raises NotFound, UsageError when it has no metric."""
        return self._sweeps.importance(path)

    def set_sweep(
        self, path: SweepPath, *, state: str | None = None, config: Mapping[str, Any] | None = None
    ) -> SweepView:
        """Set a sweep paused, running, finished or canceled, or change its config before its first trial."""
        return self._sweeps.set(path, state=state, config=config)

    def register(self, sweep: str, host: str, pid: int) -> Agent:
        """A new agent for ENTITY/PROJECT/SWEEP. `host`: names.machine of where `pid` means something. Raises NotFound."""
        return self._sweeps.register(sweep, host, pid)

    def beat(self, id: str, beat: Beat) -> Orders:
        """An agent's heartbeat: what runs, what ended, what it would take. Raises NotFound."""
        return self._sweeps.beat(id, beat)

    def sweep_of(self, agent: str) -> SweepPath:
        """The sweep of an agent. Raises NotFound."""
        return self._sweeps.of_agent(agent)

    def leave(self, id: str) -> None:
        """An agent goes; trials that it still held are given back. Raises NotFound."""
        self._sweeps.leave(id)

    # Alerts (hub/alerts.py)

    def alerts(self) -> Alerts:
        """Channels, and the latest alerts with their delivery."""
        return self.alerting.alerts()

    def add_channel(self, kind: str, url: str) -> Alerts:
        """Send alerts to `url` from now on. Raises UsageError."""
        return self.alerting.add_channel(kind, url)

    def remove_channel(self, n: int) -> Alerts:
        """Forget channel number `n`. Raises NotFound."""
        return self.alerting.remove_channel(n)

    def test_channels(self) -> Alerts:
        """Send a test message to every channel now."""
        return self.alerting.test_channels()

    def deliver(self) -> int:
        """Send the alerts that are due; how many still wait. Blocks while it sends."""
        return self.alerting.deliver()
