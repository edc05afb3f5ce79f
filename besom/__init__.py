"""besom: experiment tracking and hyperparameter sweeps on your own machine.

The public face: the names of `__all__`, which tests/test_public.py holds. What a training script needs is loaded at once
and is light; what talks to a store or a server (`Api`, `sweep`, `agent`) is loaded when it is first named. `run`,
`config` and `summary` always mean the current run. No logic lives here.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from besom.core.errors import Stopped, did_you_mean
from besom.sdk import later as _later
from besom.sdk.artifact import Artifact
from besom.sdk.current import active as _active
from besom.sdk.current import (
    alert,
    define_metric,
    finish,
    log,
    log_artifact,
    login,
    mark_preempting,
    save,
    use_artifact,
)
from besom.sdk.current import config as _config
from besom.sdk.current import summary as _summary
from besom.sdk.init import init
from besom.sdk.media import Audio, Histogram, Html, Image, Video
from besom.sdk.run import AlertLevel, Run
from besom.sdk.table import Table
from besom.settings import Settings

if TYPE_CHECKING:
    from besom.agents.face import agent, sweep
    from besom.sdk.current import LiveConfig, LiveSummary
    from besom.sdk.public import Api

    run: Run | None
    config: LiveConfig
    summary: LiveSummary

__version__ = "0.1.0"
__all__ = [
    "AlertLevel",
    "Api",
    "Artifact",
    "Audio",
    "Histogram",
    "Html",
    "Image",
    "Run",
    "Settings",
    "Stopped",
    "Table",
    "Video",
    "agent",
    "alert",
    "config",
    "define_metric",
    "finish",
    "init",
    "log",
    "log_artifact",
    "login",
    "mark_preempting",
    "run",
    "save",
    "summary",
    "sweep",
    "use_artifact",
]

_LAZY = {"Api": "besom.sdk.public", "agent": "besom.agents.face", "sweep": "besom.agents.face"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(importlib.import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    if name in _later.NAMES:
        return _later.stand_in(name)
    raise AttributeError(f"besom has no {name!r}.{did_you_mean(name, [*__all__, *_later.NAMES])}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Face(ModuleType):
    """The module itself: three of its names change with the run, and can be assigned to."""

    @property
    def run(self) -> Run | None:
        """The run that is alive in this process, or None."""
        return _active()

    @property
    def config(self) -> Any:
        """The config of the current run; before `init()`, what it will begin with."""
        return _config

    @config.setter
    def config(self, data: Any) -> None:
        _config.update(data)

    @property
    def summary(self) -> Any:
        """The summary of the current run."""
        return _summary

    @summary.setter
    def summary(self, data: Any) -> None:
        _summary.update(data)


sys.modules[__name__].__class__ = _Face
