"""Runs of a W&B server through its public API: `wandb.Api()`, with the address and the key that the user has for it.

Needs the wandb package. What the API does not tell (console, files) is not imported: a `.wandb` file has more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from besom.core import record as rec
from besom.core.errors import UsageError
from besom.core.names import flatten
from besom.exchange.source import Part, Source, Warn, ended, last, meta, run_id

_STATES = {"finished": rec.FINISHED, "failed": rec.FAILED, "killed": rec.KILLED, "preempted": rec.PREEMPTED,
           "crashed": rec.CRASHED, "running": rec.RUNNING, "pending": rec.RUNNING, "preempting": rec.RUNNING}  # fmt: skip

_ODD = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def find(path: str, warn: Warn) -> list[Source]:
    """The runs of ENTITY/PROJECT, or the one of ENTITY/PROJECT/ID.

    Raises UsageError when there is none, when the package is missing, or the server refuses.
    """
    try:
        import wandb
    except ImportError:
        raise UsageError("to ask a W&B server its library is needed: pip install wandb") from None
    if len(path.strip("/").split("/")) not in (2, 3):
        raise UsageError(f"what to import is ENTITY/PROJECT or ENTITY/PROJECT/RUN, and {path!r} is neither")
    try:
        api = wandb.Api()
        one = path.strip("/").count("/") == 2
        found = [api.run(path)] if one else list(api.runs(path, order="+created_at"))
        sources = [Source(run_id(run.id), run.name or run.id, run.project, partial(_read, run)) for run in found]
    except (wandb.Error, ValueError, OSError) as error:
        raise UsageError(f"{path}: W&B does not give these runs: {error}") from error
    if not sources:
        raise UsageError(f"{path}: there is no run here, or this key may not see it")
    return sources


def _read(run: Any) -> Iterator[Part]:
    begun = _time(run.created_at)
    yield Part("wandb-history", _history(run, begun))
    end = float(run.summary.get("_timestamp") or begun)
    facts = getattr(run, "metadata", None) or {}
    git = facts.get("git") or {}
    about = meta(
        "wandb-api",
        host=facts.get("host"),
        program=facts.get("program"),
        args=facts.get("args"),
        python=facts.get("python"),
        os=facts.get("os"),
        git_commit=git.get("commit"),
        git_remote=git.get("remote"),
        url=run.url,
    )
    named = rec.Run(
        end,
        name=run.name,
        group=run.group or None,
        job_type=run.job_type or None,
        tags=tuple(run.tags or ()),
        notes=run.notes or None,
        sweep=run.sweep.id if getattr(run, "sweep", None) else None,
        meta=about,
    )
    summary = _values(dict(run.summary))
    config = {key: value for key, value in run.config.items() if not key.startswith("_")}
    yield last("wandb", named, rec.Config(config), rec.Summary(summary), ended(end, _STATES.get(run.state, rec.FAILED)))


def _history(run: Any, begun: float) -> Iterator[rec.Record]:
    yield rec.Run(begun, id=run.id, starts=True, meta=meta("wandb-api"))
    for row in run.scan_history():
        step, time = int(row.get("_step") or 0), float(row.get("_timestamp") or begun)
        data = _values(row)
        if data:
            yield rec.History(max(step, 0), time, data)


def _values(row: dict[str, Any]) -> dict[str, Any]:
    """Flat, without what W&B notes for itself; NaN and the infinities, which its JSON spells as texts, as numbers."""
    found = {key: value for key, value in flatten(row) if not key.startswith("_") and value is not None}
    return {key: _ODD.get(value, value) if isinstance(value, str) else value for key, value in found.items()}


def _time(text: str) -> float:
    made = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (made if made.tzinfo else made.replace(tzinfo=UTC)).timestamp()
