"""The kinds of source that can be imported, by the name that a user types. Each is a module with `find`, loaded when used."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import NamedTuple

from besom.core.errors import UsageError, did_you_mean
from besom.exchange.source import Source, Warn


class Kind(NamedTuple):
    """`module` has `find(place, warn) -> list[Source]`. `takes`: what to name, for people.
    `path`: the place is one, unless it is an address with `://`."""

    module: str
    takes: str
    path: bool = True


KINDS = {
    "wandb": Kind("besom.exchange.wandb_file", "FOLDER or FILE.wandb"),
    "wandb-api": Kind("besom.exchange.wandb_cloud", "ENTITY/PROJECT", path=False),
    "tensorboard": Kind("besom.exchange.tensorboard", "FOLDER"),
    "mlflow": Kind("besom.exchange.mlflow", "FOLDER, FILE.db or ADDRESS"),
    "optuna": Kind("besom.exchange.optuna", "FILE or ADDRESS"),
}


def find(kind: str, place: str, warn: Warn) -> list[Source]:
    """The runs at `place`. Raises UsageError for a kind, a place or a content that is none."""
    if kind not in KINDS:
        raise UsageError(f"what can be imported is {', '.join(KINDS)}, not {kind!r}.{did_you_mean(kind, KINDS)}")
    module, _, path = KINDS[kind]
    where: str | Path = place
    if path and "://" not in place.removeprefix("sqlite:///"):
        where = Path(place.removeprefix("sqlite:///")).expanduser()
        if not where.exists():
            raise UsageError(f"{place}: there is no such file or folder")
    found: list[Source] = importlib.import_module(module).find(where, warn)
    return found
