"""Sweeps for the wandb client: create, steer, and the heartbeat of its agent with our controller behind it.

That agent says which runs it has, not how one ended: what it no longer names has ended, and the run's own exit says how.
It obeys every command of an answer at once, and kills what runs on `exit`, so `run` and `exit` are sent to an idle one only.
"""

from __future__ import annotations

from typing import Any

from besom.core import dialect
from besom.core import record as rec
from besom.core.errors import ConfigError
from besom.core.names import RunPath, SweepPath
from besom.core.wire import Beat, Command, Done, SweepView, TrialView
from besom.server.route import Permission
from besom.server.wandb import runs, words
from besom.server.wandb.context import Context, sweep_path
from besom.server.wandb.graphql import Root

STATES = {
    "RUNNING": "running",
    "PAUSED": "paused",
    "FINISHED": "finished",
    "CANCELED": "canceled",
    "CANCELLED": "canceled",
}
RUNS = 1000


def upsert(context: Context, **given: Any) -> dict[str, Any]:
    """Create a sweep from its YAML, or change the state or the config of one."""
    config: dict[str, Any] | None = None
    warnings: list[str] = []
    if given.get("config"):
        found = dialect.load(str(given["config"]), "the sweep", warnings)
        if not isinstance(found, dict):
            raise ConfigError("a sweep is a mapping of keys such as method and parameters", where="the sweep")
        config = found
    if given.get("id"):
        path = _path(context, given["id"], given)
        state = str(given["state"]).upper() if given.get("state") else None
        view = context.hub.set_sweep(path, state=STATES.get(state, state) if state else None, config=config)
    else:
        owner = context.owner(given.get("entityName") or (config or {}).get("entity"))
        view = context.hub.create_sweep(
            owner, context.project(given.get("projectName") or (config or {}).get("project")), config or {}
        )
    return {"sweep": node(context, view), "configValidationWarnings": [*warnings, *view.warnings]}


def _path(context: Context, id: Any, given: dict[str, Any]) -> SweepPath:
    """A sweep by our id of it, or by its name within a project."""
    if "/" in str(id):
        return sweep_path(id)
    return SweepPath(context.owner(given.get("entityName")), context.project(given.get("projectName")), str(id))


def create_agent(context: Context, **given: Any) -> dict[str, Any]:
    """An agent reports for work. Its id names its sweep too, so that a heartbeat finds it after a restart."""
    path = _path(context, given.get("sweep", ""), given)
    made = context.hub.register(str(path), f"wandb@{given.get('host', '')}", 0)
    return {"agent": {"id": f"{path}/{made.id}", "name": made.id}}


def heartbeat(context: Context, *, id: str, runState: Any = None, **_: Any) -> dict[str, Any]:
    """What an agent runs, what ended since, and what it is to do."""
    place, agent = id.rsplit("/", 1) if "/" in id else ("", id)
    path = sweep_path(place)
    running = {name for name, here in words.mapping(runState).items() if here}
    own = {t.run: t for t in context.hub.sweep(path).trials if t.agent == agent}
    had, context.had[id] = context.had.get(id, set()), running
    mine = {run: trial for run, trial in own.items() if trial.state == "running"}
    gone = [trial for run, trial in mine.items() if run not in running]
    done = [found for trial in gone if (found := _ended(context, path, trial, had)) is not None]
    # a command on its way counts as not alive: an idle agent is given it again; what is not its own it is told to stop
    alive = tuple(
        (run, own[run].attempt if run in own else 0) for run in sorted(running) if run in mine or run not in own
    )
    orders = context.hub.beat(agent, Beat(alive, tuple(done), 0 if running else 1))
    config = context.hub.sweep(path).config
    commands = [_told(command, config) for command in orders.commands if not running or command.type == "stop"]
    return {"agent": {"id": id}, "commands": words.dumps(commands)}


def ended(context: Context, path: RunPath) -> None:
    """A run has told its end. One of an agent of that client is over: the agent may leave without another heartbeat."""
    sweep = SweepPath(path.entity, path.project, context.hub.run(path).sweep)
    if not any(agent.startswith(f"{sweep}/") for agent in context.had):
        return
    for trial in context.hub.sweep(sweep).trials:
        if trial.run == path.id and trial.state == "running" and f"{sweep}/{trial.agent}" in context.had:
            done = _ended(context, sweep, trial, set())
            context.hub.beat(trial.agent, Beat((), (done,) if done else ()))


def _ended(context: Context, path: SweepPath, trial: TrialView, had: set[str]) -> Done | None:
    """How the process of a trial ended that its agent names no more; None when it has not begun yet. `had`: what the agent
    named before."""
    run = context.find(RunPath(path.entity, path.project, trial.run))
    if run is None or run.started < (trial.started or 0.0):
        never = "its program ended without a run; does it call init()?"
        return Done(trial.run, trial.attempt, None, "failed", never) if trial.run in had else None
    if run.state == rec.RUNNING:
        return Done(trial.run, trial.attempt, None, "crashed", "it ended without a word")
    state = run.state if run.state in ("finished", "failed", "crashed", "killed", "preempted") else "crashed"
    return Done(trial.run, trial.attempt, run.exit_code, "stopped" if trial.reason else state, run.reason)


def _told(command: Command, config: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"type": command.type}
    if command.run:
        told["run_id"] = command.run
    if command.type == "run":
        told["program"] = config.get("program")
        told["args"] = {name: {"value": value} for name, value in command.params.items()}
    return told


def node(context: Context, view: SweepView) -> dict[str, Any]:
    """The fields of a sweep."""
    path = SweepPath(view.entity, view.project, view.id)

    def of_sweep(info: Any, **_: Any) -> dict[str, Any]:
        return runs.page(context, view.entity, view.project, filters=words.dumps({"sweep": view.id}), first=RUNS)

    return {
        "id": str(path),
        "name": view.id,
        "displayName": view.name,
        "description": str(view.config.get("description") or ""),
        "method": view.method,
        "state": view.state.upper(),
        "config": words.dumps(view.config),  # every JSON is YAML
        "bestLoss": view.best.value if view.best else None,
        "createdAt": words.iso(view.created),
        "updatedAt": words.iso(view.created),
        "heartbeatAt": words.iso(view.created),
        "runCount": sum(view.counts.values()),
        "runCountExpected": view.budget,
        "project": {"id": f"{view.entity}/{view.project}", "name": view.project, "entity": {"id": view.entity, "name": view.entity}},
        "earlyStopJobRunning": False,
        "runs": of_sweep,
    }  # fmt: skip


ROOTS = (
    Root("upsertSweep", Permission.WRITE, upsert),
    Root("createAgent", Permission.AGENT, create_agent),
    Root("agentHeartbeat", Permission.AGENT, heartbeat),
)
