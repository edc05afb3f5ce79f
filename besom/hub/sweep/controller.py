"""The sweep controller: a function that an agent's heartbeat calls, not a process.

The walk it serves: agent's beat -> what ended is written down -> lost agents' trials are given back -> `search.stop` ->
the ends of the sweep -> `search.suggest` -> atomic claim -> commands. Nothing is kept here between calls but a cache of
curves, so any process over the same store may answer the next beat.

Laws: a trial is at most one agent's; a late or foreign word about it is not heard. Suggestions are computed outside any
transaction; the claim is an INSERT with a unique number, and the loser asks again. No suggestion while trials are open
means wait, with none open it means that the sweep is finished. A trial that is tried again keeps its run and its number.
"""

from __future__ import annotations

import math
import zlib
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import psutil

from besom import search
from besom.core import record as rec
from besom.core.batch import Batch
from besom.core.errors import ConfigError, NotFound, UsageError, did_you_mean
from besom.core.names import RunPath, SweepPath, check_id, machine, new_id, new_name, parse_sweep_path
from besom.core.record import Record
from besom.core.wire import Agent, Beat, Command, Done, Importance, Orders, RunView, Sweeps, SweepView
from besom.hub.sweep.config import metric_of, metrics_of, parse, retries_of
from besom.hub.sweep.ends import COST, why_full, why_over
from besom.hub.sweep.view import best_view, budget_of, digest, ended, sweep_view
from besom.store.database import Database
from besom.store.sweeps import OPEN, AgentRow, NewTrial, SweepRow, SweepStore, TrialRow

LEASE = 60.0
"""Seconds without a heartbeat after which an agent counts as lost."""
MOST_LOST = 3
"""How often a trial is tried again because its agent was lost or told to leave."""
MOVES = {
    "paused": ("pending", "running", "paused"),
    "running": ("pending", "running", "paused", "finished", "canceled"),
    "finished": ("pending", "running", "paused", "finished"),
    "canceled": ("pending", "running", "paused", "canceled"),
}
"""State that is asked for -> the states it may be reached from."""
RUN_STATES = {
    "finished": rec.FINISHED,
    "failed": rec.FAILED,
    "crashed": rec.CRASHED,
    "stopped": rec.KILLED,
    "killed": rec.KILLED,
    "preempted": rec.PREEMPTED,
}

Append = Callable[[RunPath, str, Batch], int]
Values = Callable[[RunPath, str], Sequence[float]]


class Controller:
    """Sweeps over one store. `run(path)`: the hub's; `values(run, metric)`: what a run logged; `append`: the hub's; `ended`: told once a sweep ends."""

    def __init__(
        self,
        database: Database,
        *,
        run: Callable[[RunPath], RunView],
        values: Values,
        append: Append,
        clock: Callable[[], float],
        ended: Callable[[SweepRow, SweepView], None] = lambda sweep, view: None,
    ) -> None:
        self.store = SweepStore(database)
        self._run, self._values, self._append, self._clock, self._ended = run, values, append, clock, ended
        self._machine = machine()
        self._curves: dict[tuple[int, str], tuple[int, Sequence[float]]] = {}

    # What people do with sweeps

    def create(self, entity: str, project: str, config: Mapping[str, Any]) -> SweepView:
        """Keep a new sweep. Raises ConfigError that names the key."""
        spec = parse(config)
        path = SweepPath(check_id(entity, "entity"), check_id(project, "project"), new_id())
        self._resolve(path, spec.config)
        name = spec.config.get("name") or new_name()
        return self._view(self.store.create(path, name, spec.config, spec.warnings, self._clock()))

    def of(self, entity: str | None = None, project: str | None = None) -> Sweeps:
        """Sweeps, the latest first, without their trials."""
        return Sweeps(tuple(self._view(sweep, whole=False) for sweep in self.store.of(entity, project)))

    def get(self, path: SweepPath) -> SweepView:
        """One sweep with its trials. Raises NotFound."""
        return self._view(self.store.get(path))

    def set(self, path: SweepPath, *, state: str | None = None, config: Mapping[str, Any] | None = None) -> SweepView:
        """Pause, resume, finish or cancel a sweep, or change its config before its first trial. Raises UsageError, NotFound."""
        sweep = self.store.get(path)
        if config is not None:
            if sweep.state != "pending":
                raise UsageError(
                    f"a sweep's config can change before its first trial, and {path} is {sweep.state}; create a new sweep"
                )
            spec = parse(config)
            self._resolve(path, spec.config)
            self.store.update(sweep.pk, config=spec.config, warnings=list(spec.warnings))
        if state is not None:
            if state not in MOVES:
                raise UsageError(f"a sweep is set to {', '.join(MOVES)}, not {state!r}.{did_you_mean(state, MOVES)}")
            reason = {"finished": "stopped by hand", "canceled": "canceled by hand"}.get(state, "")
            keep = "pending" if state == "running" and not self.store.trials(sweep) else state
            if not self.store.update(sweep.pk, only_from=MOVES[state], state=keep, reason=reason):
                raise UsageError(f"a sweep becomes {state} from {', '.join(MOVES[state])}, and {path} is {sweep.state}")
        return self.get(path)

    def importance(self, path: SweepPath) -> Importance:
        """Which parameters of a sweep matter, by its trials so far. Raises NotFound, UsageError when it has no metric."""
        sweep = self.store.get(path)
        try:
            found = search.importance(sweep.config, self._for_search(sweep, self._trials(sweep)))
        except search.SpaceError as error:
            raise UsageError(str(error)) from None
        return msgspec.convert({**found.as_dict(), "goal": metric_of(sweep.config)[1]}, Importance)

    def _resolve(self, path: SweepPath, config: dict[str, Any]) -> None:
        """Write the sweeps and runs of `warm_start` as whole paths. Raises ConfigError for one that does not exist."""
        for i, name in enumerate(config.get("warm_start") or ()):
            try:
                found = parse_sweep_path(name, entity=path.entity, project=path.project)
                self._start(found)
            except UsageError as error:
                raise ConfigError(str(error), where=f"warm_start[{i}]") from None
            config["warm_start"][i] = str(found)

    def _start(self, path: SweepPath) -> SweepRow | RunView:
        """The sweep, else the run, at `path`. Raises NotFound."""
        try:
            return self.store.get(path)
        except NotFound:
            pass
        try:
            return self._run(RunPath(path.entity, path.project, path.id))
        except NotFound:
            raise NotFound(f"there is no sweep and no run {path}") from None

    # What agents do

    def register(self, path: str, host: str, pid: int) -> Agent:
        """A new agent for the sweep ENTITY/PROJECT/ID. Raises NotFound."""
        sweep = self.store.get(parse_sweep_path(path, entity="", project=None))
        agent = AgentRow(new_id(), sweep.pk, host, pid, self._clock(), None)
        self.store.register(agent)
        return Agent(agent.id, self._view(sweep, whole=False))

    def of_agent(self, agent: str) -> SweepPath:
        """The sweep of an agent. Raises NotFound."""
        return self.store.of_agent(agent).path

    def leave(self, agent: str) -> None:
        """An agent goes; trials that it still held are given back. Raises NotFound."""
        row = self.store.seen(agent, self._clock(), left=self._clock())
        sweep = self.store.by_pk(row.sweep)
        for trial in self.store.trials(sweep):
            if trial.agent == agent and trial.state == "running":
                self._give_back(sweep, trial, "its agent left")

    def beat(self, agent: str, beat: Beat) -> Orders:
        """One heartbeat. Raises NotFound when the agent or its sweep does not exist any more."""
        row = self.store.seen(agent, self._clock())
        sweep = self.store.by_pk(row.sweep)
        for done in beat.done:
            self._end(sweep, agent, done)
        trials = self._reaped(sweep, except_for=agent)
        judged = self._weighed(sweep, trials)
        if self._judge(sweep, trials, judged):
            sweep = self.store.by_pk(sweep.pk)
        commands = self._steer(sweep, agent, beat, trials)
        if beat.want and sweep.state in OPEN and not any(c.type == "run" for c in commands):
            commands += self._claim(sweep, agent, beat.want, trials)
            sweep = self.store.by_pk(sweep.pk)
        if sweep.state in ("finished", "canceled"):
            commands.append(Command("exit", reason=f"the sweep is {sweep.state}: {sweep.reason}"))
        shown = best_view(trials, metric_of(sweep.config)[0], judged)
        return Orders(tuple(commands), sweep.state, ended(trials), budget_of(sweep.config), shown, sweep.warnings)

    # The steps of a beat

    def _end(self, sweep: SweepRow, agent: str, done: Done) -> None:
        """Write down how an attempt ended, and whether it is tried again."""
        trial = self._trial(sweep, done.run)
        if trial is None or (trial.agent, trial.attempt, trial.state) != (agent, done.attempt, "running"):
            return
        reason = trial.reason or done.reason
        self._close_run(sweep, trial, done, reason)
        state = done.state if done.state in RUN_STATES else "crashed"
        closed = self._trial(sweep, done.run)
        if state in ("failed", "crashed") and closed is not None and closed.run_state == rec.PREEMPTED:
            state = "preempted"
        if state == "preempted":
            self._give_back(sweep, trial, reason)
        elif state in ("failed", "crashed"):
            again = sweep.state != "canceled" and trial.failures < retries_of(sweep.config)
            self.store.end(sweep.pk, trial, "pending" if again else state, reason, self._clock(), failures=1)
        else:
            state = "killed" if sweep.state == "canceled" and state == "stopped" else state
            self.store.end(sweep.pk, trial, state, "" if state == "finished" else reason, self._clock())

    def _close_run(self, sweep: SweepRow, trial: TrialRow, done: Done, reason: str) -> None:
        """The agent's word about the run's end, which wins over the run's own. A run that never began is told whole."""
        now = self._clock()
        records: list[Record] = []
        if trial.run_pk is None:
            records = [
                rec.Run(
                    trial.started or now, trial.run, sweep.path.entity, sweep.path.project, trial.name,
                    sweep=sweep.path.id, attempt=trial.attempt, starts=True,
                ),
                rec.Config(trial.params),
            ]  # fmt: skip
            if done.tail:
                records.append(rec.Console(now, "err", done.tail + "\n"))
        records.append(rec.Exit(now, done.code, RUN_STATES.get(done.state, rec.CRASHED), reason, "agent"))
        batch = Batch(0, len(records), tuple(range(len(records))), tuple(records))
        self._append(RunPath(sweep.path.entity, sweep.path.project, trial.run), f"agent.{trial.attempt}", batch)

    def _give_back(self, sweep: SweepRow, trial: TrialRow, reason: str) -> None:
        """An attempt that ended through no fault of the trial: tried again a few times, then crashed."""
        again = trial.lost < MOST_LOST and sweep.state != "canceled"
        self.store.end(sweep.pk, trial, "pending" if again else "crashed", reason, self._clock(), lost=1)

    def _reaped(self, sweep: SweepRow, except_for: str = "") -> list[TrialRow]:
        """The sweep's trials, once those are given back whose agent is gone: no heartbeat within the lease, or on this
        machine no such process."""
        trials = self._trials(sweep)
        held = [t for t in trials if t.state == "running" and t.agent != except_for]
        if not held:
            return trials
        lost = False
        agents = self.store.agents(sweep.pk)
        for trial in held:
            agent = agents.get(trial.agent)
            if agent is not None and not self._gone(agent):
                continue
            if agent is not None and agent.left is None:
                self.store.lose(agent.id, self._clock())
            self._give_back(sweep, trial, "its agent was lost")
            lost = True
        return self._trials(sweep) if lost else trials

    def _gone(self, agent: AgentRow) -> bool:
        if agent.left is not None or self._clock() - agent.seen > LEASE:
            return True
        return agent.host == self._machine and not _lives(agent.pid)

    def _judge(self, sweep: SweepRow, trials: Sequence[TrialRow], judged: search.Judged) -> bool:
        """End the sweep when it has reached its target or its budget; warn when its metric never comes. True: it changed."""
        if sweep.state not in OPEN:
            return False
        warned = self._warn_unlogged(sweep, trials)
        why = why_over(sweep, trials, judged, self._cost(sweep), self._clock())
        if why is not None:
            self._finish(sweep, why)
        return warned or why is not None

    def _cost(self, sweep: SweepRow) -> float:
        """What all runs together have cost, as they log it; 0 when nobody asks."""
        if "cost" not in (sweep.config.get("budget") or {}):
            return 0.0
        logged = [t.logged for t in self.store.trials(sweep, COST)]
        known = [x.last if x.summary is None else x.summary for x in logged if x is not None]
        return sum(x for x in known if x is not None)

    def _warn_unlogged(self, sweep: SweepRow, trials: Sequence[TrialRow]) -> bool:
        """Say so, once, when the first trial that finished has no value of the metric."""
        metric = metric_of(sweep.config)[0]
        if not metric or any(trial.logged for trial in trials):
            return False
        first = next((t for t in trials if t.state == "finished"), None)
        start = f'the metric "{metric}" was never logged'
        if first is None or any(text.startswith(start) for text in sweep.warnings):
            return False
        keys = self.store.logged_keys(first)
        told = f"which logged {', '.join(keys[:10])}" if keys else "which logged nothing"
        text = f"{start} by run {first.run}, {told}.{did_you_mean(metric, keys)}"
        return self.store.update(sweep.pk, warnings=[*sweep.warnings, text])

    def _finish(self, sweep: SweepRow, reason: str) -> None:
        if self.store.update(sweep.pk, only_from=OPEN, state="finished", reason=reason):
            now = self.store.by_pk(sweep.pk)
            self._ended(now, self._view(now, whole=False))

    def _steer(self, sweep: SweepRow, agent: str, beat: Beat, trials: Sequence[TrialRow]) -> list[Command]:
        """What the agent must hear about trials that it runs, or should be running."""
        mine = {t.run: t for t in trials if t.agent == agent and t.state == "running"}
        alive = set(beat.running)
        commands = []
        for run, attempt in beat.running:
            trial = mine.get(run)
            if trial is None or trial.attempt != attempt:
                commands.append(Command("stop", run, attempt=attempt, reason="this trial was given to another agent"))
        held = {run: t for run, t in mine.items() if (run, t.attempt) in alive}
        if sweep.state == "canceled":
            commands += [
                Command("stop", run, attempt=t.attempt, reason="the sweep was canceled") for run, t in held.items()
            ]
            return commands
        for stop in self._stops(sweep, trials, held):
            commands.append(Command("stop", stop.id, attempt=held[stop.id].attempt, reason=stop.reason))
        lost = [t for run, t in mine.items() if (run, t.attempt) not in alive]  # their command never arrived
        return commands + [_run(t) for t in lost[: beat.want]]

    def _stops(self, sweep: SweepRow, trials: Sequence[TrialRow], held: Mapping[str, TrialRow]) -> list[search.Stop]:
        """Trials of this agent that a rule ends now, or has ended already; the reason is written down."""
        found = [search.Stop(t.run, "", t.reason) for t in held.values() if t.reason]
        if sweep.config.get("early_terminate") is None or not held:
            return found
        for stop in search.stop(sweep.config, self._for_search(sweep, trials)):
            trial = held.get(stop.id)
            if trial and not trial.reason:
                reason = f"{stop.rule}: {stop.reason}"
                self.store.note(sweep.pk, trial, reason)
                found.append(search.Stop(stop.id, stop.rule, reason))
        return found

    def _claim(self, sweep: SweepRow, agent: str, want: int, trials: Sequence[TrialRow]) -> list[Command]:
        """Up to `want` trials for this agent: first what was given back, then new suggestions. The loser of a race looks again."""
        while True:
            back = [t for t in trials if t.state == "pending"]
            if back:
                got = [t for t in (self.store.reclaim(sweep.pk, agent, t, self._clock()) for t in back[:want]) if t]
                if got or self.store.by_pk(sweep.pk).state not in OPEN:
                    return [_run(t) for t in got]
                trials = self._trials(sweep)
                continue
            cap = sweep.config.get("run_cap")
            room = want if cap is None else min(want, cap - len(trials))
            seed = zlib.crc32(str(sweep.path).encode())
            known = [*self._for_search(sweep, trials), *self._earlier(sweep)] if room > 0 else []
            try:
                enough = search.done(sweep.config, known)
                found = search.suggest(sweep.config, known, room, seed) if room > 0 and not enough else []
            except search.SpaceError as error:  # somebody's function or sampler fails: the agent leaves and says so
                raise UsageError(f"no trial can be chosen for {sweep.path}: {error}") from error
            if enough:
                self._finish(sweep, enough)
                return []
            if not found:
                if ended(trials) == len(trials):
                    self._finish(sweep, why_full(sweep, trials))
                return []
            first = max((t.number for t in trials), default=0) + 1
            new = [NewTrial(new_id(), _name(first + i), s.params, s.info) for i, s in enumerate(found)]
            claimed = self.store.claim(sweep.pk, agent, first, new, self._clock())
            if claimed is not None:
                return [_run(t) for t in claimed]
            trials = self._trials(sweep)

    # What the steps read

    def _trials(self, sweep: SweepRow, metric: str = "") -> list[TrialRow]:
        """The sweep's trials with what they logged of `metric`, by default the first goal."""
        aggs = metrics_of(sweep.config)
        metric = metric or next(iter(aggs), "")
        trials = self.store.trials(sweep, metric)
        if aggs.get(metric, "best") in ("best", "last"):
            return trials
        for i, trial in enumerate(trials):
            finite = [x for x in self._curve(sweep, trial, metric) if math.isfinite(x)]
            if trial.logged and finite:
                trials[i] = replace(trial, logged=replace(trial.logged, last=search.aggregate(finite, aggs[metric])))
        return trials

    def _weighed(self, sweep: SweepRow, trials: Sequence[TrialRow]) -> search.Judged:
        """What the trials are worth by all metrics that count."""
        aggs = metrics_of(sweep.config)
        first, *others = aggs or ("",)
        more = {name: {t.run: t.logged for t in self._trials(sweep, name)} for name in others}
        short = []
        for trial in trials:
            logged = {first: trial.logged, **{name: found.get(trial.run) for name, found in more.items()}}
            short.append(digest(trial, logged, aggs) if aggs else search.Trial(trial.run, {}, trial.state))
        return search.judge(sweep.config, short)

    def _trial(self, sweep: SweepRow, run: str) -> TrialRow | None:
        return next(iter(self.store.trials(sweep, run=run)), None)

    def _for_search(self, sweep: SweepRow, trials: Sequence[TrialRow]) -> list[search.Trial]:
        curves: dict[str, dict[str, Sequence[float]]] = {t.run: {} for t in trials}
        for i, name in enumerate(metrics_of(sweep.config)):
            for t in self.store.trials(sweep, name) if i else trials:
                curves.setdefault(t.run, {})[name] = self._curve(sweep, t, name)
        return [search.Trial(t.run, t.params, t.state, curves[t.run], t.info) for t in trials]

    def _earlier(self, sweep: SweepRow) -> list[search.Trial]:
        """The trials of the sweeps, and the runs, that this one starts from; those deleted since are passed over."""
        found: list[search.Trial] = []
        for name in sweep.config.get("warm_start") or ():
            path = parse_sweep_path(name, entity="", project=None)
            try:
                start = self._start(path)
            except NotFound:
                continue
            if isinstance(start, SweepRow):
                mine = replace(start, config={**start.config, **_metrics(sweep.config)})
                trials = self._for_search(mine, self._trials(mine))
            else:
                at = RunPath(path.entity, path.project, path.id)
                metrics = {name: self._values(at, name) for name in metrics_of(sweep.config)}
                trials = [search.Trial(start.id, start.config, "finished", metrics)]
            found += [replace(t, info={**t.info, "from": path.id}) for t in trials if t.state not in OPEN]
        return found

    def _curve(self, sweep: SweepRow, trial: TrialRow, metric: str) -> Sequence[float]:
        """All values that a trial logged, and, once it ended, its summary when the history does not hold it."""
        logged = trial.logged
        if logged is None or trial.run_pk is None:
            return ()
        key = (trial.run_pk, metric)
        only = (logged.last,) if logged.count == 1 and logged.last is not None else ()  # most of ten thousand
        count, values = (1, only) if only else self._curves.get(key, (0, ()))
        if logged.count != count:
            values = array("d", self._values(RunPath(sweep.path.entity, sweep.path.project, trial.run), metric))
            self._curves[key] = (len(values), values)
        if trial.state in OPEN or logged.summary is None or logged.summary in values:
            return values
        return [*values, logged.summary]

    def _view(self, sweep: SweepRow, *, whole: bool = True) -> SweepView:
        trials = self._reaped(sweep)
        here = sum(not self._gone(agent) for agent in self.store.agents(sweep.pk).values())
        return sweep_view(sweep, trials, self._weighed(sweep, trials), here, whole=whole)


def _metrics(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a config says of its metrics, another's words replaced."""
    return {key: config.get(key) for key in ("metric", "metrics")}


def _run(trial: TrialRow) -> Command:
    parent = str(trial.info.get("parent") or "")
    return Command("run", trial.run, trial.name, trial.number, trial.attempt, trial.params, parent=parent)


def _name(number: int) -> str:
    """A readable name that ends in the trial's number."""
    return f"{new_name().rpartition('-')[0]}-{number}"


def _lives(pid: int) -> bool:
    """A process of this machine runs; one that has ended and was not waited for does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
