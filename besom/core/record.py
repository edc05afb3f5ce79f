"""The records: every fact about a run is one of these twelve values.

A record is frozen, knows nothing of files, servers or clocks, and is all that the SDK ever writes and the hub
ever reads. Fields may be added at the end of a record with a default (readers skip what they do not know); a field
is never removed, renamed or moved, because journals are kept for years.

Units: every `time` is seconds since the epoch, float64, UTC. `step` is an int64 >= 0.
"""

from __future__ import annotations

from typing import Any

import msgspec

STATES = ("running", "finished", "failed", "crashed", "killed", "preempted")
RUNNING, FINISHED, FAILED, CRASHED, KILLED, PREEMPTED = STATES
ENDED = STATES[1:]


class _Record(msgspec.Struct, frozen=True, array_like=True, tag_field="record"):
    """What all records share: they travel as arrays whose first item is the tag."""


class Run(_Record, frozen=True, array_like=True, tag=0):
    """The run begins (first record of a stream), or a field of it changes later. None leaves a field as it was."""

    time: float
    id: str | None = None
    entity: str | None = None
    project: str | None = None
    name: str | None = None
    group: str | None = None
    job_type: str | None = None
    tags: tuple[str, ...] | None = None
    notes: str | None = None
    sweep: str | None = None
    attempt: int | None = None
    meta: dict[str, Any] | None = None
    """Provenance: host, pid, user, program, args, cwd, python, os, git commit and remote, gpu, rank."""
    starts: bool = False
    """True on the first record of a stream: the run is alive (again) from here on."""


class Config(_Record, frozen=True, array_like=True, tag=1):
    """Config keys set (top-level keys replace) and removed. Values are nested plain data."""

    update: dict[str, Any]
    remove: tuple[str, ...] = ()


class History(_Record, frozen=True, array_like=True, tag=2):
    """One row of metrics. `data` is flat: nested dicts arrive as dotted keys.

    `partial`: `log(..., commit=False)`; the row is joined with what follows at the same step.
    """

    step: int
    time: float
    data: dict[str, Any]
    partial: bool = False


class Summary(_Record, frozen=True, array_like=True, tag=3):
    """Summary keys set and removed by the user; `data` is flat."""

    update: dict[str, Any]
    remove: tuple[str, ...] = ()


class Define(_Record, frozen=True, array_like=True, tag=4):
    """`define_metric`: the x axis, the summary rule (min max mean last first best none) and the goal of a metric.

    `name` may end in ``*``, which matches any suffix. `goal`: "minimize", "maximize" or None.
    """

    name: str
    step_metric: str | None = None
    summary: tuple[str, ...] = ()
    goal: str | None = None
    hidden: bool = False


class Stats(_Record, frozen=True, array_like=True, tag=5):
    """System metrics (cpu, memory, gpu), flat; drawn over time rather than steps."""

    time: float
    data: dict[str, float]


class Console(_Record, frozen=True, array_like=True, tag=6):
    """Text that the process wrote. `stream` is "out" or "err"; `text` is whole lines where possible."""

    time: float
    stream: str
    text: str


class File(_Record, frozen=True, array_like=True, tag=7):
    """A file that belongs to the run. `digest` is its SHA-256 in hex, `size` in bytes."""

    path: str
    digest: str
    size: int
    time: float = 0.0


class Artifact(_Record, frozen=True, array_like=True, tag=8):
    """A versioned set of files that the run made (`use` False) or used. `entries`: path -> SHA-256 in hex."""

    name: str
    type: str
    entries: dict[str, str]
    aliases: tuple[str, ...] = ()
    use: bool = False
    meta: dict[str, Any] = {}


class Alert(_Record, frozen=True, array_like=True, tag=9):
    """A message for a person. `level`: INFO, WARN or ERROR. `wait`: seconds in which the same title is not sent again."""

    time: float
    title: str
    text: str = ""
    level: str = "INFO"
    wait: float = 0.0


class Preempt(_Record, frozen=True, array_like=True, tag=10):
    """The run is being preempted: a later exit other than 0 counts as preempted and is tried again."""

    time: float


class Exit(_Record, frozen=True, array_like=True, tag=11):
    """The run ended. `by` says who saw it: "run" (the SDK), "agent" (the parent process), "reaper" (lock or lease free).

    An agent's word wins over the run's, and both win over the reaper's: an agent knows the real exit code.
    `code`: exit code of the process, None when it is unknown. `state`: one of ENDED. `reason`: for people.
    """

    time: float
    code: int | None
    state: str
    reason: str = ""
    by: str = "run"


Record = Run | Config | History | Summary | Define | Stats | Console | File | Artifact | Alert | Preempt | Exit
"""All kinds, in the order of their tags."""
