"""A run: what `init()` returns, and the hot path of the whole house, `log()`.

Walk 1 begins here: ``run.log`` -> bytes of a History record -> journal. `log()` does nothing else: no folding, no I/O of
its own, no network. It never raises into a training (the one exception is `Stopped`, which ends a trial that was told to
stop); what cannot be kept is counted and told once. Does not know how a run is begun (sdk/init.py).
"""

from __future__ import annotations

import enum
import importlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from time import time as now
from types import TracebackType
from typing import Any, NamedTuple

from besom.core import record as rec
from besom.core.codec import HISTORY, encode_history, quick
from besom.core.errors import BesomError, Stopped, UsageError, did_you_mean
from besom.sdk import artifact, ending, greeting, media, notice
from besom.sdk.artifact import Artifact
from besom.sdk.config import Config
from besom.sdk.console import Capture
from besom.sdk.ending import End
from besom.sdk.identity import Facts, Identity
from besom.sdk.later import RUN_NAMES, Later
from besom.sdk.summary import Summary
from besom.sdk.writer import ChildWriter, Writer, open_journal, tell_odd
from besom.settings import Settings

RULES = ("min", "max", "mean", "last", "first", "best", "copy", "none")
WAIT = 60.0
"""Seconds in which an alert of the same title is not sent again, unless told otherwise."""
_LARGEST_STEP = 1 << 62
KEPT = "besom.sdk.kept"
"""Where artifacts are looked up."""


class AlertLevel(enum.StrEnum):
    """How loud an alert is."""

    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


class Metric(NamedTuple):
    """What `define_metric` returns; it can be given as `step_metric` of another."""

    name: str


class Run(Identity):
    """One run. Made by `init()`; safe from many threads. A forked child that logs gets a stream of its own."""

    def __init__(self, facts: Facts, writer: Writer, settings: Settings, step: int = 0) -> None:
        self._facts = facts
        self._writer = writer
        self._settings = settings
        self._step = self._first_step = step
        self._lock = threading.RLock()
        self._stopped = ""
        self._ended: End | None = None
        self._closers: list[Callable[[], None]] = []
        self._capture: Capture | None = None
        self._parent: Writer | None = None
        self._passing = id(ending.passing()[1])
        self._config = Config(self._write)
        self._summary = Summary(lambda: self._writer.state().summary, self._write)
        self._fields: dict[str, Any] = {}

    def begin(self, fields: dict[str, Any], meta: dict[str, Any], attempt: int | None) -> None:
        """Write the first record of the stream."""
        self._fields.update(fields)
        facts = self._facts
        who: dict[str, Any] = {
            "id": facts.id,
            "entity": facts.entity,
            "project": facts.project,
            "sweep": facts.sweep or None,
        }
        self._write(rec.Run(facts.started, **who, **fields, attempt=attempt, meta=meta, starts=True))

    def at_end(self, close: Callable[[], None]) -> None:
        """Call `close` when the run ends."""
        self._closers.append(close)

    def watch_console(self, capture: Capture) -> None:
        """Keep what `capture` hears until the run ends."""
        self._capture = capture
        self._closers.append(capture.close)

    # Logging

    def log(
        self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None, sync: Any = None
    ) -> None:
        """Record one row of metrics.

        `step`: an int64 >= 0. Without it rows count up by themselves. A step that goes back is kept where it belongs.
        After ``log(..., step=s)`` a row without a step joins step s. ``commit=False`` joins the data to the next row.
        Nested dictionaries become dotted keys; NaN and Inf are kept exact; a value of an unknown type is kept as text.
        The row is safe from a kill of the process when this returns. `sync` is accepted for W&B's sake.
        """
        try:
            if step is None and commit is None and type(data) is dict:
                self._step = (at := self._step) + 1  # one statement without a call: no two threads get the same step
                try:
                    payload = quick((HISTORY, at, now(), data))
                except Exception:  # the fast encoder and what it meets raise many things
                    payload = self._unusual(at, data)
                self._writer.append(payload)
            else:
                self._log(data, step, commit)
        except Exception as error:  # the training loop: swallowed here, counted, and told once
            self._writer.drop(error)
        if self._stopped:
            raise Stopped(self._stopped)

    def _log(self, data: Mapping[str, Any], step: int | None, commit: bool | None) -> None:
        """`log` with any argument that is not usual."""
        with self._lock:
            row = data if type(data) is dict else _as_dict(data)
            partial = False
            if step is not None:
                at, partial = self._place(step, commit)
            elif commit is None or commit:
                at = self._step
                self._step = at + 1
            else:
                at, partial = self._step, True
            self._writer.append(self._unusual(at, row, partial))

    def _place(self, step: Any, commit: bool | None) -> tuple[int, bool]:
        """The step asked for as a number that can be kept, and whether the row stays open."""
        try:
            at = int(step)
            if at != step:
                notice.warn(f"a step is a whole number; {step!r} is kept as {at}", "step fraction")
        except Exception:  # a tensor of two elements raises what its library likes
            at = -1
        if not 0 <= at < _LARGEST_STEP:
            notice.warn(
                f"a step is a whole number from 0 on, not {step!r}; the row is kept at step {self._step}", "step"
            )
            at = self._step
        if at >= self._step:
            self._step = at + 1 if commit else at
        return at, commit is not None and not commit

    def _unusual(self, step: int, data: dict[str, Any], partial: bool = False) -> bytes:
        """A row by the slow path. Media are recorded as what they are; what became text is told once."""
        odd: list[str] = []
        payload = encode_history(step, now(), data, partial, odd)
        if not odd:
            return payload
        try:
            resolved = media.resolve(data, self._keep_media)
        except Exception as error:  # a picture that cannot be kept must not take the numbers of its row with it
            notice.warn(f"a medium in the row is recorded as its text: {error}", "medium")
            return payload
        if resolved is not data:
            odd = []
            payload = encode_history(step, now(), resolved, partial, odd)
        tell_odd(odd)
        return payload

    def _keep_media(self, content: bytes, path: str) -> str:
        digest = "" if self.disabled else artifact.keep_bytes(content, self._settings.blobs)
        if digest:
            self._write(rec.File(path, digest, len(content), now()))
        return digest

    def _write(self, record: rec.Record) -> bool:
        return self._writer.write(record)

    def define_metric(
        self,
        name: str,
        step_metric: str | Metric | None = None,
        step_sync: bool | None = None,
        hidden: bool | None = None,
        summary: str | None = None,
        goal: str | None = None,
        overwrite: bool | None = None,
    ) -> Metric:
        """Say how a metric is drawn and summed up. `name` may end in ``*``.

        `step_metric`: the metric on its x axis. `summary`: comma list of min, max, mean, last, first, best, none.
        `goal`: minimize or maximize, for best. `step_sync` and `overwrite` are accepted for W&B's sake.
        """
        name = str(name)
        if isinstance(step_metric, Metric):
            step_metric = step_metric.name
        rules = tuple(rule.strip() for rule in (summary or "").split(",") if rule.strip())
        for rule in rules:
            if rule not in RULES:
                notice.warn(f"{rule!r} is no summary of a metric: {', '.join(RULES)} are.{did_you_mean(rule, RULES)}")
        if goal is not None and goal not in ("minimize", "maximize"):
            notice.warn(f"a goal is minimize or maximize, not {goal!r}")
            goal = None
        rules = tuple(rule for rule in rules if rule in RULES)
        self._write(rec.Define(name, None if step_metric is None else str(step_metric), rules, goal, bool(hidden)))
        return Metric(name)

    def alert(
        self,
        title: str,
        text: str = "",
        level: Any = None,
        wait_duration: float | timedelta | None = None,
    ) -> None:
        """Send a message to the alert channels. `level`: INFO, WARN or ERROR. The same title is not sent again within
        `wait_duration` (seconds or a timedelta, 60 s by default). Returns at once; with no network it goes out later."""
        word = str(getattr(level, "value", level) or "INFO").upper().replace("WARNING", "WARN")
        if word not in list(AlertLevel):
            notice.warn(f"an alert's level is {', '.join(list(AlertLevel))}, not {level!r}; it is sent as INFO")
            word = "INFO"
        wait = wait_duration.total_seconds() if isinstance(wait_duration, timedelta) else wait_duration
        try:
            seconds = WAIT if wait is None else max(0.0, float(wait))
        except (TypeError, ValueError):
            notice.warn(f"wait_duration is seconds or a timedelta, not {wait!r}; it is {WAIT:g} s")
            seconds = WAIT
        self._write(rec.Alert(now(), str(title), str(text), word, seconds))

    def mark_preempting(self) -> None:
        """This machine is about to be taken away: an exit other than 0 counts as preempted and is tried again."""
        self._write(rec.Preempt(now()))

    # Files

    def save(
        self, glob_str: str | os.PathLike[str] | None = None, base_path: Any = None, policy: str = "live", **_: Any
    ) -> list[str]:
        """Keep files that match `glob_str` with the run, as they are now. Returns their names within the run."""
        if glob_str is None or self.disabled:
            return []
        kept = []
        for name, path in artifact.matching(os.fspath(glob_str), None if base_path is None else os.fspath(base_path)):
            try:
                digest, size = artifact.keep_file(path, self._settings.blobs)
            except OSError as error:
                self._writer.drop(error)
                continue
            self._write(rec.File(name, digest, size, now()))
            kept.append(name)
        return kept

    def log_artifact(
        self,
        artifact_or_path: Artifact | str | os.PathLike[str],
        name: str | None = None,
        type: str | None = None,
        aliases: Iterable[str] | None = None,
        **_: Any,
    ) -> Artifact:
        """Keep an artifact (or a file or folder as one) as made by this run."""
        made = artifact.coerce(artifact_or_path, name or f"run-{self.id}", type or "unspecified")
        try:
            entries = {} if self.disabled else made.keep(self._settings.blobs)
        except (OSError, BesomError) as error:
            self._writer.drop(error)
            return made
        labels = tuple(aliases or ("latest",))
        self._write(rec.Artifact(made.label(), made.type, entries, labels, False, dict(made.metadata)))
        return made

    def use_artifact(self, artifact_or_name: Artifact | str, type: str | None = None, **_: Any) -> Artifact:
        """Note that this run uses an artifact: NAME, NAME:ALIAS or PROJECT/NAME:ALIAS. It is looked up by `download()`."""
        used = artifact_or_name
        if not isinstance(used, Artifact):
            kept = importlib.import_module(KEPT)  # named, not imported: the client costs a script 100 ms
            facts = self._facts
            used = kept.of_run(str(used), type or "unspecified", facts.entity, facts.project, self._settings)
        self._write(rec.Artifact(used.name, used.type, {}, (), True))
        return used

    @property
    def config(self) -> Config:
        """Hyperparameters; ``run.config = {...}`` adds to them."""
        return self._config

    @config.setter
    def config(self, data: Any) -> None:
        self._config.update(data)

    @property
    def summary(self) -> Summary:
        """The last value of each metric, and what was set here."""
        return self._summary

    @summary.setter
    def summary(self, data: Any) -> None:
        self._summary.update(data)

    # The end

    def stop(self, reason: str = "stopped") -> None:
        """From any thread: the next `log()` records its row and raises `Stopped`."""
        self._stopped = reason or "stopped"

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """The run is over. Without `exit_code`: as the process is ending (0 when it is not), or failed while an
        exception passes through. Idempotent. `quiet` is accepted for W&B's sake."""
        end = ending.of_code(exit_code) if exit_code is not None else ending.seen() or self._in_flight()
        self.end(end or ending.of_code(0))

    def _in_flight(self) -> End | None:
        """``finally: run.finish()`` while an exception passes through: the run did not succeed."""
        kind, error = ending.passing()
        return None if kind is None or id(error) == self._passing else ending.of_exception(kind, error)

    def end(self, end: End) -> None:
        """The run is over, in this way. Idempotent; never raises."""
        with self._lock:
            if self._ended is not None:
                return
            self._ended = end
        ending.forget(id(self))
        for closer in self._closers:
            try:
                closer()
            except Exception as error:  # the end of a script is the training loop too
                notice.warn(f"at the end of the run: {error}")
        if self._parent is not None:
            self._writer.close()  # a forked child's stream neither begins nor ends the run
            return
        if self._writer.dropped:
            self._write(rec.Run(now(), meta={"dropped": dict(self._writer.dropped)}))
        self._write(rec.Exit(now(), end.code, end.state, end.reason))
        self._writer.close()
        greeting.goodbye(self, end, self.dropped)

    def forked(self) -> None:
        """In a forked child: the journal and the threads are the parent's. The first record opens a stream of our own."""
        facts, parent = self._facts, self._writer
        hello = rec.Run(now(), facts.id, facts.entity, facts.project)
        where = self._settings.journals
        self._parent = parent
        self._writer = ChildWriter(
            (lambda: None) if self.disabled else (lambda: open_journal(where, facts.id, facts.entity, facts.project)),
            hello,
            disabled=self.disabled,
        )
        self._lock = threading.RLock()
        self._closers = []
        if self._capture is not None:
            self._capture.forked()

    def passport(self) -> tuple[Facts, Settings, dict[str, Any]]:
        """What another process needs to log to this run."""
        return self._facts, self._settings, dict(self._fields)

    @property
    def is_fork(self) -> bool:
        """True in a forked or spawned child, where this is the parent's run."""
        return self._parent is not None

    @property
    def dropped(self) -> dict[str, int]:
        """Reason -> number of records of this process that could not be kept."""
        return dict(self._writer.dropped)

    @property
    def ended(self) -> End | None:
        """How the run ended; None while it lives."""
        return self._ended

    def display(self, *_: Any, **__: Any) -> bool:
        """Notebooks of W&B show a frame here; besom shows runs on its own page."""
        return False

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.end(ending.of_code(0) if kind is None else ending.of_exception(kind, error))

    def __copy__(self) -> Run:
        return self

    def __deepcopy__(self, _: Any) -> Run:
        return self  # a trainer that is copied still logs to the one run

    def __repr__(self) -> str:
        return f"<besom run {self.name} ({self.path}), {self._ended.state if self._ended else rec.RUNNING}>"


for _name in RUN_NAMES:  # not by __getattr__, which would make every attribute of a run slow to reach
    setattr(Run, _name, Later(f"run.{_name}"))


def _as_dict(data: Any) -> dict[str, Any]:
    if isinstance(data, Mapping):
        return dict(data)
    raise UsageError(f"log() takes a dictionary of metrics, not {type(data).__name__}")
