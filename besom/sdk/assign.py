"""What an agent has assigned to this process: the run to be, and the values that its sweep chose.

A program trial is told through its environment, a function trial through `assign.set`. `init()` obeys: the project,
entity and id that a script names give way, and the sweep's values are locked in the config.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from besom import settings as settings_module
from besom.core.errors import ConfigError
from besom.sdk.config import unwrap
from besom.settings import Settings


@dataclass(frozen=True, slots=True)
class Assignment:
    """One trial, as the process that runs it sees it. `name` may be "": a readable one is made up. `parent`: the run that a
    member of a population goes on from."""

    run: str
    name: str = ""
    sweep: str = ""
    attempt: int = 1
    params: Mapping[str, Any] = field(default_factory=dict)
    entity: str = ""
    project: str = ""
    parent: str = ""


PARENT = "BESOM_PARENT"
"""Where a script or a function finds it, as docs/sweep-yaml.md says."""
_in_process: list[Assignment | None] = [None]


def set(assignment: Assignment | None) -> None:
    """Assign to the next `init()` of this process; None takes it back."""
    _in_process[0] = assignment
    if assignment is None:
        os.environ.pop(PARENT, None)
    else:
        os.environ[PARENT] = assignment.parent


def current(settings: Settings | None = None) -> Assignment | None:
    """The assignment that holds here: set in this process, else told by the environment; None outside a sweep.

    Raises ConfigError when the file of values that the environment names cannot be read.
    """
    if _in_process[0] is not None:
        return _in_process[0]
    if settings is not None and not settings.sweep_id:
        return None
    known = settings_module.load()  # afresh: what the script names as arguments is not the agent's word
    if not known.sweep_id or not known.run_id:
        return None
    return Assignment(
        run=known.run_id,
        name=known.name if known.origin("name").startswith("environment") else "",
        sweep=known.sweep_id,
        attempt=known.attempt,
        params=read_params(Path(known.sweep_params)) if known.sweep_params else {},
        entity=known.entity,
        project=known.project,
    )


def read_params(path: Path) -> dict[str, Any]:
    """The values in a sweep's parameter file, YAML or JSON of ``{key: {value: x}}``. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
        data = _parse(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"the values chosen by the sweep cannot be read: {error}", where=str(path)) from error
    if not isinstance(data, Mapping):
        raise ConfigError("the values chosen by the sweep are a map of {key: {value: x}}", where=str(path))
    return unwrap({key: item for key, item in data.items() if isinstance(item, Mapping) and "value" in item})


def _parse(text: str) -> Any:
    if text.lstrip().startswith("{"):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            pass  # flow-style YAML looks alike
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
