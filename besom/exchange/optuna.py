"""Runs from Optuna: each trial of each study in a storage is a run, as `integrations/optuna.py` would have logged it.

Reads through the library, which alone knows its storages. Does not know where records go.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from besom.core import record as rec
from besom.core.errors import UsageError
from besom.exchange.mlflow import read_only
from besom.exchange.source import Part, Source, Warn, digest, ended, last, meta, rows

METRIC = "value"
_STATES = {"COMPLETE": rec.FINISHED, "PRUNED": rec.FINISHED, "FAIL": rec.FAILED, "RUNNING": rec.RUNNING}


def find(path: Path | str, warn: Warn) -> list[Source]:
    """The trials of all studies in a storage: a file of SQLite, a file of its journal, or an address like `mysql://...`.

    Raises UsageError when there is none, and when Optuna is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise UsageError("to read a storage of Optuna its library is needed: pip install optuna") from None
    if isinstance(path, Path) and not path.is_file():
        raise UsageError(f"{path}: a storage of Optuna is a file, or an address like mysql://..., and this is neither")
    try:
        storage = _storage(optuna.storages, path)
        studies = [optuna.load_study(study_name=name, storage=storage) for name in optuna.get_all_study_names(storage)]
        trials = [(study, study.get_trials(deepcopy=False)) for study in studies]
    except Exception as error:  # each storage raises the errors of its own database
        reason = str(error.__cause__ or error).partition("\n")[0]
        raise UsageError(f"{path}: this is no storage of Optuna: {reason}") from error
    found = [source for study, all_of_it in trials for source in _sources(study, all_of_it)]
    if not found:
        raise UsageError(f"{path}: there is no trial here that has begun")
    return found


def _storage(storages: Any, path: Path | str) -> Any:
    if isinstance(path, str):
        return storages.RDBStorage(path, skip_table_creation=True)
    with path.open("rb") as file:
        if file.read(15) == b"SQLite format 3":
            return storages.RDBStorage(read_only(path), skip_table_creation=True)
    return storages.JournalStorage(storages.journal.JournalFileBackend(str(path)))


def _sources(study: Any, trials: list[Any]) -> Iterator[Source]:
    mark = digest(study.study_name, trials[0].datetime_start)[:8] if trials else ""
    goals = [direction.name.lower() for direction in study.directions]
    names = study.metric_names or ([METRIC] if len(goals) == 1 else [f"{METRIC}_{i}" for i in range(len(goals))])
    for trial in trials:
        if trial.state.name in _STATES and trial.datetime_start is not None:
            read = partial(_read, study.study_name, dict(zip(names, goals, strict=True)), trial)
            yield Source(f"{mark}-{trial.number}", f"trial-{trial.number}", study.study_name, read)


def _read(study: str, goals: dict[str, str], trial: Any) -> Iterator[Part]:
    yield Part("optuna", _log(goals, trial))
    end = _time(trial.datetime_complete or trial.datetime_start)
    named = rec.Run(end, name=f"trial-{trial.number}", group=study, job_type="optuna", meta=meta("optuna"))
    config = rec.Config({**trial.params, **trial.user_attrs, "trial": trial.number})
    summary = rec.Summary({"pruned": True} if trial.state.name == "PRUNED" else {})
    yield last("optuna", named, config, summary, ended(end, _STATES[trial.state.name]))


def _log(goals: dict[str, str], trial: Any) -> Iterator[rec.Record]:
    begun = _time(trial.datetime_start)
    yield rec.Run(begun, starts=True, meta=meta("optuna"))
    for name, goal in goals.items():
        yield rec.Define(name, goal=goal)
    first = next(iter(goals))
    reports = sorted(trial.intermediate_values.items())
    yield from rows((step, begun, first, value) for step, value in reports)
    step = 1 + max(trial.intermediate_values, default=-1)
    end = _time(trial.datetime_complete or trial.datetime_start)
    if trial.state.name == "COMPLETE":
        yield from rows((step, end, name, value) for name, value in zip(goals, trial.values, strict=True))


def _time(local: datetime) -> float:
    """Optuna keeps local time without a zone."""
    return local.timestamp()
