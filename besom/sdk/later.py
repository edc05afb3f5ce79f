"""Names that scripts written for W&B use and besom does not have yet: accepted, with one warning each, and without effect.

A name that is on no list is a mistake and stays an AttributeError, so that a typing error is not swallowed.
"""

from __future__ import annotations

from typing import Any

from besom.core.names import new_id
from besom.sdk import notice

NAMES = frozenset(
    {
        "Bokeh", "Classes", "EvalTable", "Graph", "JoinedTable", "Molecule", "Object3D", "PartitionedTable", "Plotly",
        "attach", "box3d", "controller", "data_types", "ensure_configured", "errors", "gym", "helper", "jupyter", "keras",
        "lightgbm", "link_artifact", "link_model", "log_code", "log_model", "plot", "plot_table", "plots", "require",
        "restore", "sacred", "sdk", "setup", "sklearn", "teardown", "tensorboard", "termerror", "termlog", "termwarn",
        "unwatch", "use_model", "util", "watch", "xgboost",
    }
)  # fmt: skip
RUN_NAMES = frozenset(
    {
        "config_static", "finish_artifact", "link_artifact", "link_model", "log_code", "log_model", "pin_config_keys",
        "plot_table", "restore", "sweep_url", "sync_dir", "to_html", "unwatch", "upsert_artifact", "use_model", "watch",
        "write_logs",
    }
)  # fmt: skip
"""The same, of a run."""


class StandIn:
    """Takes every call and every attribute, and does nothing. As a value in a row it is recorded as its text."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *_: Any, **__: Any) -> StandIn:
        return self

    def __getattr__(self, name: str) -> StandIn:
        if name.startswith("__"):
            raise AttributeError(name)
        return StandIn(f"{self._name}.{name}")

    def __enter__(self) -> StandIn:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __repr__(self) -> str:
        return f"<besom.{self._name}: not in besom yet>"


class Later:
    """An attribute of a class that gives a stand-in."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type | None = None) -> StandIn:
        return stand_in(self._name)


class _Util(StandIn):
    """``id=besom.util.generate_id()`` is how scripts choose an id that they can resume."""

    @staticmethod
    def generate_id(length: int = 8) -> str:
        return new_id(length)

    def __getattr__(self, name: str) -> StandIn:
        if name.startswith("__"):
            raise AttributeError(name)
        return stand_in(f"util.{name}")


def stand_in(name: str) -> StandIn:
    """What stands for a name of `NAMES`; says so once."""
    if name == "util":
        return _Util(name)
    notice.warn(f"{name} is not in besom yet; it is accepted and does nothing", f"later {name}")
    return StandIn(name)
