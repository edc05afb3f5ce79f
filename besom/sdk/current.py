"""The run of this process, and the functions and proxies of the public face that mean "the current run".

A run is current from `init()` until another one begins; after its end it still takes (and counts) what is logged too
late. `config` and `summary` are live: a reference taken before `init()` follows the run. Does not know how a run begins.
"""

from __future__ import annotations

import copyreg
import os
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from besom.core.errors import UsageError
from besom.sdk import ending
from besom.sdk.config import Config
from besom.sdk.identity import Facts
from besom.sdk.run import Metric, Run
from besom.sdk.writer import Writer
from besom.settings import Settings


class _Here:
    """What this process holds. `live` are runs that have not ended, the latest last."""

    def __init__(self) -> None:
        self.latest: Run | None = None
        self.live: list[Run] = []
        self.pending = Config()
        self.fork_watched = False


_here = _Here()


def active() -> Run | None:
    """The run that is alive in this process, or None. In a forked child that is the parent's run, as seen from here."""
    _here.live = [run for run in _here.live if run.ended is None]
    return _here.live[-1] if _here.live else None


def enter(run: Run) -> None:
    """`run` is the current one from now on."""
    _here.latest = run
    _here.live.append(run)
    if not _here.fork_watched and hasattr(os, "register_at_fork"):
        _here.fork_watched = True
        os.register_at_fork(after_in_child=_forked)


def pending() -> dict[str, Any]:
    """What was set on `config` before `init()`; it is given once."""
    held, _here.pending = _here.pending, Config()
    return held.as_dict()


def attach(facts: Facts, settings: Settings, fields: dict[str, Any]) -> Run:
    """A run that came here pickled: the same one in the process that began it, else a stream of its own to it.

    A spawned child logs to the run by it, and neither begins nor ends it.
    """
    for run in _here.live:
        if run.id == facts.id:
            return run
    run = Run(facts, Writer(None), settings)
    run.begin(fields, {}, None)
    run.forked()
    enter(run)
    return run


def _reduce(run: Run) -> tuple[Any, ...]:
    return attach, run.passport()


copyreg.pickle(Run, _reduce)


def _forked() -> None:
    ending.clear()
    for run in _here.live:
        run.forked()


def _run(what: str) -> Run:
    if _here.latest is None:
        raise UsageError(f"there is no run yet in this process: call besom.init() before besom.{what}")
    return active() or _here.latest


def log(data: Mapping[str, Any], step: int | None = None, commit: bool | None = None, sync: Any = None) -> None:
    """`Run.log` of the current run. Raises UsageError before `init()`."""
    run = _here.latest
    if run is None or run._ended is not None:
        run = _run("log()")
    run.log(data, step, commit, sync)


def define_metric(name: str, *args: Any, **kwargs: Any) -> Metric:
    """`Run.define_metric` of the current run. Raises UsageError before `init()`."""
    return _run("define_metric()").define_metric(name, *args, **kwargs)


def alert(title: str, text: str = "", level: Any = None, wait_duration: Any = None) -> None:
    """`Run.alert` of the current run. Raises UsageError before `init()`."""
    _run("alert()").alert(title, text, level, wait_duration)


def save(*args: Any, **kwargs: Any) -> list[str]:
    """`Run.save` of the current run. Raises UsageError before `init()`."""
    return _run("save()").save(*args, **kwargs)


def log_artifact(*args: Any, **kwargs: Any) -> Any:
    """`Run.log_artifact` of the current run. Raises UsageError before `init()`."""
    return _run("log_artifact()").log_artifact(*args, **kwargs)


def use_artifact(*args: Any, **kwargs: Any) -> Any:
    """`Run.use_artifact` of the current run. Raises UsageError before `init()`."""
    return _run("use_artifact()").use_artifact(*args, **kwargs)


def mark_preempting() -> None:
    """`Run.mark_preempting` of the current run. Raises UsageError before `init()`."""
    _run("mark_preempting()").mark_preempting()


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:
    """`Run.finish` of the current run; nothing when there is none."""
    run = active()
    if run is not None:
        run.finish(exit_code, quiet)


class _Live(MutableMapping[str, Any]):
    """Items and attributes of something that changes with the current run."""

    def _target(self) -> Any:
        raise NotImplementedError

    def __getitem__(self, key: str) -> Any:
        return self._target()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._target()[key] = value

    def __delitem__(self, key: str) -> None:
        del self._target()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._target())

    def __len__(self) -> int:
        return len(self._target())

    def __contains__(self, key: object) -> bool:
        return key in self._target()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._target(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._target(), name)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """As of what it stands for."""
        self._target().update(*args, **kwargs)

    def keys(self) -> Any:
        """As of what it stands for."""
        return self._target().keys()

    def items(self) -> Any:
        """As of what it stands for."""
        return self._target().items()

    def __repr__(self) -> str:
        return repr(self._target())

    def __reduce__(self) -> Any:
        return self._target().__reduce__()


class LiveConfig(_Live):
    """The config of the current run. Before `init()` it collects what the run will begin with."""

    def _target(self) -> Config:
        run = active() or _here.latest
        return _here.pending if run is None else run.config


class LiveSummary(_Live):
    """The summary of the current run. Raises UsageError before `init()`."""

    def _target(self) -> Any:
        return _run("summary").summary


config = LiveConfig()
summary = LiveSummary()


def login(*_: Any, **__: Any) -> bool:
    """Harmless: besom needs no account. ``besom login --host URL`` on the command line picks a server. True."""
    return True


def is_notebook() -> bool:
    """True in IPython and Jupyter, where cells run again and a process outlives many runs."""
    try:
        return get_ipython() is not None  # type: ignore[name-defined]
    except NameError:
        return False
