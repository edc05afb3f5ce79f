"""Sweeps, their trials and their agents as rows.

The walk it serves: the sweep controller (hub/sweep) reads a sweep's trials, and claims, ends and gives back single
trials. Every method is one transaction. The claim is the only lock of the sweep path: a trial's number is unique in its
sweep, so of two agents that suggest at the same time one gets IntegrityError, told here as None, and asks again.
It knows nothing of search, of metrics' meaning or of what an agent is told.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import sqlalchemy as sa

from besom.core.errors import NotFound, UsageError
from besom.core.names import SweepPath
from besom.store.database import Database
from besom.store.meta import SqlRuns
from besom.store.schema import agents, metrics, runs, sweeps, trials, values

ENDED = ("finished", "failed", "crashed", "killed", "stopped")
"""States of a trial that will not run again."""
OPEN = ("pending", "running")
"""States of a sweep that takes trials; also those of a trial that has not ended."""


_bump = SqlRuns().bump


@dataclass(frozen=True, slots=True)
class SweepRow:
    """A sweep as kept. `created`: seconds since the epoch. `change`: grows with every change of the sweep or its trials."""

    pk: int
    path: SweepPath
    name: str
    config: dict[str, Any]
    state: str
    reason: str
    warnings: tuple[str, ...]
    created: float
    change: int


@dataclass(frozen=True, slots=True)
class Logged:
    """What a trial's run logged of one metric. NaN counts in `count` only. `summary`: the number under the same key there."""

    count: int
    min: float | None
    max: float | None
    last: float | None
    summary: float | None


@dataclass(frozen=True, slots=True)
class TrialRow:
    """A trial as kept, with what is known of its run. `params_json`, `info_json`: read when asked for; a sweep may have thousands.

    `run_pk`, `run_state`: None before the run has sent its first record. `lost`, `failures`: attempts that ended so.
    """

    number: int
    run: str
    name: str
    params_json: str
    info_json: str
    state: str
    attempt: int
    lost: int
    failures: int
    agent: str
    reason: str
    created: float
    started: float | None
    ended: float | None
    run_pk: int | None = None
    run_state: str | None = None
    logged: Logged | None = None

    @property
    def params(self) -> dict[str, Any]:
        """What it tries; a fresh dictionary each time."""
        return _object(self.params_json)

    @property
    def info(self) -> dict[str, Any]:
        """What its method remembers; a fresh dictionary each time."""
        return _object(self.info_json)


@dataclass(frozen=True, slots=True)
class NewTrial:
    """A trial to be claimed: its run's id and name, what to try, and what the method must remember."""

    run: str
    name: str
    params: dict[str, Any]
    info: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AgentRow:
    """An agent. `host`: its machine (names.machine), so that a pid can be looked up there. `left`: None while it is here."""

    id: str
    sweep: int
    host: str
    pid: int
    seen: float
    left: float | None


class SweepStore:
    """The tables sweeps, trials and agents of one database. Safe from every thread and every process."""

    def __init__(self, database: Database) -> None:
        self._db = database

    # sweeps

    def create(
        self, path: SweepPath, name: str, config: dict[str, Any], warnings: Sequence[str], at: float
    ) -> SweepRow:
        """Keep a new sweep in state pending. Raises UsageError when its path is taken."""

        def work(connection: sa.Connection) -> None:
            row = {
                "entity": path.entity, "project": path.project, "id": path.id, "name": name, "config": json.dumps(config),
                "state": "pending", "warnings": json.dumps(list(warnings)), "created": at, "change": _bump(connection),
            }  # fmt: skip
            connection.execute(sweeps.insert().values(row))

        try:
            self._db.write(work)
        except sa.exc.IntegrityError:
            raise UsageError(f"the sweep {path} exists already; leave the id out to get a new one") from None
        return self.get(path)

    def get(self, path: SweepPath) -> SweepRow:
        """The sweep at `path`. Raises NotFound."""
        where = (sweeps.c.entity == path.entity, sweeps.c.project == path.project, sweeps.c.id == path.id)
        found = self._sweeps(*where)
        if not found:
            raise NotFound(f"there is no sweep {path}; besom sweep list shows those there are")
        return found[0]

    def by_pk(self, pk: int) -> SweepRow:
        """The sweep with this key. Raises NotFound when it was deleted."""
        found = self._sweeps(sweeps.c.pk == pk)
        if not found:
            raise NotFound("this sweep was deleted")
        return found[0]

    def of(self, entity: str | None = None, project: str | None = None) -> list[SweepRow]:
        """Sweeps of a project, of an entity or all, the newest first."""
        where = [column == value for column, value in ((sweeps.c.entity, entity), (sweeps.c.project, project)) if value]
        return self._sweeps(*where)

    def update(self, pk: int, *, only_from: Iterable[str] = (), **fields: Any) -> bool:
        """Set `fields` (state, reason, config, warnings) of a sweep; False when its state is not in `only_from` (if given)."""
        for name in ("config", "warnings"):
            if name in fields:
                fields[name] = json.dumps(fields[name])
        states = tuple(only_from)

        def work(connection: sa.Connection) -> bool:
            statement = sweeps.update().where(sweeps.c.pk == pk)
            if states:
                statement = statement.where(sweeps.c.state.in_(states))
            return connection.execute(statement.values(change=_bump(connection), **fields)).rowcount == 1

        return self._db.write(work)

    # trials

    def trials(self, sweep: SweepRow, metric: str = "", run: str | None = None) -> list[TrialRow]:
        """All trials (or that of one run) in order of number, with what each run logged of `metric`."""
        path = sweep.path
        same = (runs.c.entity == path.entity) & (runs.c.project == path.project) & (runs.c.id == trials.c.run)
        joined = (
            trials.outerjoin(runs, same)
            .outerjoin(metrics, (metrics.c.run == runs.c.pk) & (metrics.c.key == metric))
            .outerjoin(values, (values.c.run == runs.c.pk) & (values.c.key == f"summary.{metric}"))
        )
        query = sa.select(*_TRIAL).select_from(joined).where(trials.c.sweep == sweep.pk).order_by(trials.c.number)
        if run is not None:
            query = query.where(trials.c.run == run)
        with self._db.read() as connection:
            return [_trial(row) for row in connection.execute(query)]

    def logged_keys(self, trial: TrialRow) -> list[str]:
        """Names of all metrics that a trial's run logged, sorted; system metrics left out."""
        query = sa.select(metrics.c.key).where(metrics.c.run == trial.run_pk).order_by(metrics.c.key)
        with self._db.read() as connection:
            return [key for key in connection.execute(query).scalars() if not key.startswith("system.")]

    def claim(self, sweep: int, agent: str, first: int, new: Sequence[NewTrial], at: float) -> list[TrialRow] | None:
        """Make `new` trials number `first`, first + 1, ... running at `agent`, and the sweep running.

        None when another agent was faster; [] when the sweep takes no trials any more.
        """
        rows: list[dict[str, Any]] = [
            {
                "sweep": sweep, "number": first + i, "run": trial.run, "name": trial.name, "params": json.dumps(trial.params),
                "info": json.dumps(trial.info), "state": "running", "attempt": 1, "agent": agent, "created": at, "started": at,
            }
            for i, trial in enumerate(new)
        ]  # fmt: skip

        def work(connection: sa.Connection) -> bool:
            if not _open(connection, sweep):
                return False
            connection.execute(trials.insert(), rows)
            return True

        try:
            if not self._db.write(work):
                return []
        except sa.exc.IntegrityError:
            return None
        return [
            TrialRow(first + i, t.run, t.name, row["params"], row["info"], "running", 1, 0, 0, agent, "", at, at, None)
            for i, (t, row) in enumerate(zip(new, rows, strict=True))
        ]

    def reclaim(self, sweep: int, agent: str, trial: TrialRow, at: float) -> TrialRow | None:
        """Make a pending trial running at `agent` as its next attempt; None when another agent was faster."""

        def work(connection: sa.Connection) -> bool:
            if not _open(connection, sweep):
                return False
            statement = trials.update().where(_is(sweep, trial), trials.c.state == "pending")
            done = connection.execute(
                statement.values(
                    state="running", agent=agent, attempt=trial.attempt + 1, reason="", started=at, ended=None
                )
            )
            return done.rowcount == 1

        if not self._db.write(work):
            return None
        return replace(
            trial, state="running", agent=agent, attempt=trial.attempt + 1, reason="", started=at, ended=None
        )

    def end(
        self, sweep: int, trial: TrialRow, state: str, reason: str, at: float, *, lost: int = 0, failures: int = 0
    ) -> bool:
        """End the running attempt that `trial` names, in `state`; "pending" gives it back to be tried again.

        False, and nothing happens, when that attempt is not running at that agent any more: a late word is not heard.
        """

        def work(connection: sa.Connection) -> bool:
            statement = trials.update().where(
                _is(sweep, trial), trials.c.state == "running", trials.c.agent == trial.agent
            )
            done = connection.execute(
                statement.values(
                    state=state,
                    reason=reason,
                    agent="" if state == "pending" else trials.c.agent,
                    ended=None if state == "pending" else at,
                    lost=trials.c.lost + lost,
                    failures=trials.c.failures + failures,
                )
            )
            _touch(connection, sweep)
            return done.rowcount == 1

        return self._db.write(work)

    def note(self, sweep: int, trial: TrialRow, reason: str) -> None:
        """Say why a running trial is about to end; nothing happens when it has ended."""

        def work(connection: sa.Connection) -> None:
            connection.execute(
                trials.update().where(_is(sweep, trial), trials.c.state == "running").values(reason=reason)
            )
            _touch(connection, sweep)

        self._db.write(work)

    # agents

    def register(self, agent: AgentRow) -> None:
        """Keep a new agent."""
        row = {"id": agent.id, "sweep": agent.sweep, "host": agent.host, "pid": agent.pid, "seen": agent.seen}
        self._db.write(lambda connection: connection.execute(agents.insert().values(row)))

    def seen(self, agent: str, at: float, *, left: float | None = None) -> AgentRow:
        """Note that an agent was heard of, or that it left. Raises NotFound."""

        def work(connection: sa.Connection) -> AgentRow | None:
            connection.execute(agents.update().where(agents.c.id == agent).values(seen=at, left=left))
            row = connection.execute(agents.select().where(agents.c.id == agent)).mappings().first()
            return AgentRow(**row) if row else None

        found = self._db.write(work)
        if found is None:
            raise NotFound(f"there is no agent {agent}; its sweep may have been deleted")
        return found

    def of_agent(self, agent: str) -> SweepRow:
        """The sweep of an agent. Raises NotFound."""
        found = self._sweeps(sweeps.c.pk.in_(sa.select(agents.c.sweep).where(agents.c.id == agent)))
        if not found:
            raise NotFound(f"there is no agent {agent}; its sweep may have been deleted")
        return found[0]

    def lose(self, agent: str, at: float) -> None:
        """Note that an agent is gone without changing when it was last heard of."""
        self._db.write(
            lambda connection: connection.execute(agents.update().where(agents.c.id == agent).values(left=at))
        )

    def agents(self, sweep: int) -> dict[str, AgentRow]:
        """All agents that a sweep ever had, by id."""
        with self._db.read() as connection:
            found = connection.execute(agents.select().where(agents.c.sweep == sweep)).mappings()
            return {row["id"]: AgentRow(**row) for row in found}

    def _sweeps(self, *where: Any) -> list[SweepRow]:
        query = sweeps.select().where(*where).order_by(sweeps.c.created.desc(), sweeps.c.pk.desc())
        with self._db.read() as connection:
            return [_sweep(row) for row in connection.execute(query).mappings()]


def _touch(connection: sa.Connection, sweep: int) -> None:
    connection.execute(sweeps.update().where(sweeps.c.pk == sweep).values(change=_bump(connection)))


def _open(connection: sa.Connection, sweep: int) -> bool:
    """Mark a sweep as running if it takes trials; False, and nothing happens, when it does not."""
    takes = sweeps.update().where(sweeps.c.pk == sweep, sweeps.c.state.in_(OPEN))
    return connection.execute(takes.values(state="running", change=_bump(connection))).rowcount == 1


def _is(sweep: int, trial: TrialRow) -> Any:
    """The trial, at the attempt that the caller knows of."""
    return (trials.c.sweep == sweep) & (trials.c.number == trial.number) & (trials.c.attempt == trial.attempt)


def _sweep(row: Any) -> SweepRow:
    path = SweepPath(row["entity"], row["project"], row["id"])
    warnings = tuple(json.loads(row["warnings"]))
    config = json.loads(row["config"])
    return SweepRow(
        row["pk"], path, row["name"], config, row["state"], row["reason"], warnings, row["created"], row["change"]
    )


_TRIAL = (
    trials.c.number, trials.c.run, trials.c.name, trials.c.params, trials.c.info, trials.c.state, trials.c.attempt,
    trials.c.lost, trials.c.failures, trials.c.agent, trials.c.reason, trials.c.created, trials.c.started, trials.c.ended,
    runs.c.pk, runs.c.state.label("run_state"),
    metrics.c.count, metrics.c.min, metrics.c.max, metrics.c.last,
    values.c.number.label("summary"), values.c.kind,
)  # fmt: skip
"""The columns of TrialRow in order, then those of Logged."""


def _trial(row: Any) -> TrialRow:
    count, low, high, last, summary, kind = row[16:]
    if kind != "number":
        summary = None
    logged = None
    if count is not None:
        logged = Logged(count, low, high, last, summary)
    elif summary is not None:
        logged = Logged(0, None, None, None, summary)
    return TrialRow(*row[:16], logged)  # type: ignore[call-arg]  # mypy takes the star for any number


def _object(text: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = msgspec.json.decode(text)
    except msgspec.DecodeError:  # NaN and Infinity, as Python writes them
        found = json.loads(text)
    return found
