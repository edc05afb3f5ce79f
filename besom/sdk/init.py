"""`init()`: a run begins. Settles who the run is, opens its journal, writes its first records, and sets the watchers up.

The order of authority: what an agent assigned < nothing; then arguments, the environment, files, defaults. A store that
cannot be written does not stop a training: the run then lives in memory, and what it loses is counted.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterable
from typing import Any

from besom import settings as settings_module
from besom.core import record as rec
from besom.core.errors import UsageError, did_you_mean
from besom.core.fold import RunState
from besom.core.names import check_id, clean, new_id, new_name
from besom.sdk import assign, carrier, current, ending, greeting, notice, provenance
from besom.sdk.assign import Assignment
from besom.sdk.config import plain, select
from besom.sdk.console import Capture
from besom.sdk.identity import Facts, as_tags
from besom.sdk.run import Run
from besom.sdk.system import Sampler
from besom.sdk.writer import Writer, earlier, open_journal
from besom.settings import Settings

_HARMLESS = frozenset(
    {
        "allow_val_change", "anonymous", "force", "fork_from", "magic", "monitor_gym", "resume_from", "save_code",
        "sync_tensorboard", "tensorboard", "dir",
    }
)  # fmt: skip
"""Arguments of W&B's `init` that besom takes and can do without. `dir` there is a folder for a run's files, not the store."""


def init(
    project: str | None = None,
    config: Any = None,
    *,
    entity: str | None = None,
    name: str | None = None,
    id: str | None = None,
    notes: str | None = None,
    tags: Iterable[str] | str | None = None,
    group: str | None = None,
    job_type: str | None = None,
    mode: str | None = None,
    resume: bool | str | None = None,
    reinit: bool | str | None = None,
    settings: Settings | dict[str, Any] | None = None,
    config_include_keys: Iterable[str] | None = None,
    config_exclude_keys: Iterable[str] | None = None,
    **others: Any,
) -> Run:
    """Begin a run and return it; it is the current one from now on.

    `config`: a dictionary, an argparse Namespace, an omegaconf config, a dataclass or the name of a YAML file.
    `mode`: online, offline (as if no server were set) or disabled (nothing is written). `resume` with `id`: "allow",
    "must" or "never" go on with a run that exists, insist on it, or refuse it. `reinit`: True or "finish_previous" ends
    a run that is active, "create_new" leaves it be; else the active run is returned, except in a notebook.
    Inside a sweep the agent decides on project, entity and id, and the sweep's values are locked in the config.

    Raises UsageError or ConfigError for what cannot be meant. A store that cannot be written is told, and never raises.
    """
    for other in others:
        if other not in _HARMLESS:
            known = [*inspect.signature(init).parameters, *_HARMLESS]
            notice.warn(f"init() has no {other!r}; it is ignored.{did_you_mean(other, known)}", f"init {other}")
    begun = time.time()
    if isinstance(settings, dict):
        settings = Settings(**settings)
    arguments = {
        "project": project, "entity": entity, "name": name, "run_id": id, "notes": notes, "group": group,
        "tags": None if tags is None else as_tags(tags), "job_type": job_type, "mode": mode, "resume": resume,
    }  # fmt: skip
    known_settings = settings_module.load(settings, **arguments)
    notice.silence(known_settings.silent)
    for warning in known_settings.warnings:
        notice.warn(warning)
    assigned = assign.current(known_settings)
    values = select(plain(config), config_include_keys, config_exclude_keys)
    running = _make_way(assigned, reinit)
    if running is not None:
        running.config.update(values)
        return running
    if assigned is not None:
        _tell_overruled(known_settings, assigned)
    return _begin(known_settings, assigned, {**current.pending(), **values}, begun)


def _make_way(assigned: Assignment | None, reinit: bool | str | None) -> Run | None:
    """The active run, when `init()` is to return it; otherwise it is ended or left, as asked."""
    running = current.active()
    if running is None or reinit == "create_new" or running.is_fork:
        return None
    if (assigned is not None and assigned.run != running.id) or reinit in (True, "finish_previous"):
        running.finish()
        return None
    if current.is_notebook() and reinit not in (False, "return_previous"):
        running.finish()
        return None
    notice.say(f"run {running.name} is active already, and init() returns it; finish it first for another one")
    return running


def _tell_overruled(settings: Settings, assigned: Assignment) -> None:
    """The agent's word wins over what the script names."""
    asked = {"project": (settings.project, assigned.project), "entity": (settings.entity, assigned.entity)}
    asked["run_id"] = (settings.run_id, assigned.run)
    for what, (wanted, given) in asked.items():
        if settings.origin(what) == "argument" and given and wanted != given:
            notice.warn(f"{what} {wanted!r} is ignored: the sweep decides ({given})", "overruled")


def _begin(settings: Settings, assigned: Assignment | None, values: dict[str, Any], begun: float) -> Run:
    entity = _path_part(assigned.entity if assigned and assigned.entity else settings.entity, "entity")
    project = _path_part(assigned.project if assigned and assigned.project else settings.project, "project")
    named = assigned.run if assigned else settings.run_id
    run_id = check_id(named, "run id") if named else new_id()
    before = earlier(settings.journals, run_id) if named and settings.mode != "disabled" else None
    goes_on = _goes_on(settings, before, run_id)
    disabled = settings.mode == "disabled"
    journal = None if disabled else open_journal(settings.journals, run_id, entity, project)
    writer = Writer(journal, before if goes_on else None, disabled=disabled)
    facts = Facts(run_id, entity, project, assigned.sweep if assigned else "", bool(goes_on and before), begun)
    run = Run(facts, writer, settings, before.last_step + 1 if goes_on and before else 0)
    run.begin(_fields(settings, assigned, before), _meta(settings), assigned.attempt if assigned else None)
    if goes_on and before:
        run.config.take(before.config)
    run.config.begin(values, assigned.params if assigned else {})
    greeting.hello(run)
    _watch(run, writer, settings)
    current.enter(run)
    return run


def _path_part(text: str, what: str) -> str:
    """`text` as it may stand in a path; what may not becomes dashes, with one warning."""
    try:
        return check_id(text, what)
    except UsageError:
        fit = clean(text) or settings_module.PROJECT
        notice.warn(f"the {what} {text!r} is called {fit!r}: names have the characters A-Z a-z 0-9 _ . -")
        return fit


def _goes_on(settings: Settings, before: RunState | None, run_id: str) -> bool:
    """Whether this is the old run that goes on. Raises UsageError when `resume` forbids what is there."""
    if before is not None and settings.resume == "never":
        raise UsageError(f'run {run_id} exists, and resume="never" refuses it: give another id, or resume="allow"')
    if before is None and settings.resume == "must" and not settings.server and settings.mode != "disabled":
        raise UsageError(f'there is no run {run_id}, and resume="must" insists on it: `besom runs` lists what there is')
    return settings.resume in ("allow", "must", "auto")


def _fields(settings: Settings, assigned: Assignment | None, before: RunState | None) -> dict[str, Any]:
    """Name, group, tags and so on, as the run's first record says them; what is not said keeps its value."""
    name = settings.name if settings.origin("name") == "argument" else ""
    name = name or (assigned.name if assigned else "") or settings.name or (before.name if before else "") or new_name()
    fields: dict[str, Any] = {"name": name}
    for what in ("group", "job_type", "notes", "tags"):
        value = getattr(settings, what) or (getattr(before, what) if before else None)
        if value:
            fields[what] = value
    return fields


def _meta(settings: Settings) -> dict[str, Any]:
    if settings.mode == "disabled":
        return {}
    return provenance.collect(git=settings.git, host=settings.host)


def _watch(run: Run, writer: Writer, settings: Settings) -> None:
    """Whatever runs beside the script: console capture, system metrics, the end of the process, the carrier."""
    ending.register(id(run), run.end)
    if settings.mode == "disabled":
        return
    if settings.console == "on":
        run.watch_console(Capture(lambda stream, text: writer.write(rec.Console(time.time(), stream, text))))
    if settings.stats:
        run.at_end(Sampler(lambda at, data: writer.write(rec.Stats(at, data)), settings.stats).close)
    if carrier.needed(settings):
        carrier.start(settings)
