"""The words of the native API: what the hub answers, the server sends, and the client and the page read.

One definition serves all: the server encodes these as JSON (NaN and Inf as the strings "NaN", "Infinity",
"-Infinity") or, when asked with ``Accept: application/msgpack``, as msgpack, which is exact; the OpenAPI file is made
from them, and the page's TypeScript types are made from that. Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

from typing import Any

import msgspec

from besom.core.names import RunPath


class MetricStat(msgspec.Struct, frozen=True):
    """Aggregates of one metric of one run, over all its points. `best` follows `goal`. NaN does not count in min, max, mean, best."""

    last: float
    min: float
    max: float
    mean: float
    best: float
    goal: str
    count: int
    last_step: int


class RunView(msgspec.Struct, frozen=True):
    """A run as lists and pages show it. `config` is nested, `summary` is flat with dotted keys."""

    id: str
    entity: str
    project: str
    name: str
    state: str
    created: float
    started: float
    seen: float
    ended: float | None = None
    reason: str = ""
    exit_code: int | None = None
    group: str = ""
    job_type: str = ""
    tags: tuple[str, ...] = ()
    notes: str = ""
    sweep: str = ""
    attempt: int = 1
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    metrics: dict[str, MetricStat] = {}
    meta: dict[str, Any] = {}
    last_step: int = -1


class ProjectView(msgspec.Struct, frozen=True):
    """A project in the list. `states`: run state -> count. `per_day`: runs begun in each of the last 30 days, oldest first."""

    entity: str
    project: str
    runs: int
    states: dict[str, int]
    sweeps: int
    last: float
    per_day: tuple[int, ...] = ()


class Projects(msgspec.Struct, frozen=True):
    projects: tuple[ProjectView, ...]


class RunPage(msgspec.Struct, frozen=True):
    """A page of runs. `total`: all runs of the project; `matched`: those that pass the filter. `next`: offset, or None at the end."""

    runs: tuple[RunView, ...]
    total: int
    matched: int
    next: int | None = None


class KeyView(msgspec.Struct, frozen=True):
    """A key that runs can be filtered, sorted and grouped by.

    `key`: "config.lr", "summary.val_loss", "state", "name", "tags" ...; `kind`: number, string, bool or mixed; `n`: runs that have it.
    `values`: the commonest (value, count), at most 50. `bins`: 24 counts over [min, max] when numeric.
    """

    key: str
    kind: str
    n: int
    values: tuple[tuple[Any, int], ...] = ()
    min: float | None = None
    max: float | None = None
    bins: tuple[int, ...] = ()


class Keys(msgspec.Struct, frozen=True):
    keys: tuple[KeyView, ...]
    metrics: tuple[str, ...] = ()
    """Names of metrics that any of the runs logged, sorted."""


class GroupView(msgspec.Struct, frozen=True):
    """Runs that agree on the keys of `key`. `value`: mean of each run's best (or last) of the metric asked for, std with ddof = 1, None at n = 1."""

    key: dict[str, Any]
    n: int
    runs: tuple[str, ...]
    states: dict[str, int]
    value: float | None = None
    std: float | None = None
    min: float | None = None
    max: float | None = None


class Groups(msgspec.Struct, frozen=True):
    groups: tuple[GroupView, ...]
    total: int
    matched: int


class Series(msgspec.Struct, frozen=True):
    """Curves on one shared x grid: column i of every list belongs to x[i]; null where nothing was logged.

    `id`: the run's id, or the group's JSON key. Ungrouped: mean, min, max, last of all points of the bucket, `n` = points.
    Grouped: `mean` of the runs' bucket means, `std` across runs (ddof = 1, null at n = 1), `min`/`max` across runs, `n` = runs in the bucket.
    """

    id: str
    key: str
    n: tuple[int, ...]
    mean: tuple[float | None, ...]
    min: tuple[float | None, ...]
    max: tuple[float | None, ...]
    last: tuple[float | None, ...]
    std: tuple[float | None, ...] = ()
    runs: int = 1


class Curves(msgspec.Struct, frozen=True):
    """`x`: centre of each bucket in the unit asked for (step, seconds since the run began, epoch seconds, or a metric). `series` in the order of runs or groups."""

    x: tuple[float, ...]
    series: tuple[Series, ...]
    points: int
    """How many stored points these curves were computed from: always all of them."""


class Rows(msgspec.Struct, frozen=True):
    """Complete rows of one run, in order of step: the columns of `_step`, `_time` and each key. `next`: offset, or None."""

    columns: dict[str, list[Any]]
    next: int | None = None


class Line(msgspec.Struct, frozen=True):
    """A line of console output. `stream`: out or err."""

    n: int
    time: float
    stream: str
    text: str


class Console(msgspec.Struct, frozen=True):
    lines: tuple[Line, ...]
    total: int


class TrialView(msgspec.Struct, frozen=True):
    """A trial of a sweep. `value`: the metric as the sweep aggregates it (best by default). `state`: pending running finished failed crashed killed stopped."""

    number: int
    run: str
    params: dict[str, Any]
    state: str
    attempt: int
    created: float
    value: float | None = None
    info: dict[str, Any] = {}
    agent: str = ""
    started: float | None = None
    ended: float | None = None
    reason: str = ""
    steps: int = 0
    """Values of the metric logged so far."""
    outcomes: dict[str, float] = {}
    """Values of all goals and limits, when the sweep has more than one metric."""


class SweepView(msgspec.Struct, frozen=True):
    """A sweep. `state`: pending running paused finished canceled. `budget`: trials until it ends, None when it has no end. `warnings`: said when it was created and when its metric was never logged."""

    id: str
    entity: str
    project: str
    name: str
    method: str
    config: dict[str, Any]
    state: str
    created: float
    metric: str = ""
    goal: str = "minimize"
    budget: int | None = None
    counts: dict[str, int] = {}
    best: TrialView | None = None
    trials: tuple[TrialView, ...] = ()
    agents: int = 0
    warnings: tuple[str, ...] = ()
    reason: str = ""
    front: tuple[str, ...] = ()
    """Runs that no other beats in all goals, when there are several."""


class Sweeps(msgspec.Struct, frozen=True):
    sweeps: tuple[SweepView, ...]


class Share(msgspec.Struct, frozen=True):
    """A parameter alone. `share`: of the metric's variance, 0 to 1; `permutation`: growth of the squared error, in units of the variance, when its values are shuffled; `lives`: the part of the trials in which it exists."""

    name: str
    share: float
    deviation: float
    permutation: float
    permutation_deviation: float
    lives: float


class Pair(msgspec.Struct, frozen=True):
    """What two parameters do together beyond what each does alone."""

    first: str
    second: str
    share: float
    deviation: float


class Dependence(msgspec.Struct, frozen=True):
    """The metric, in its own unit, at each value of one parameter, averaged over all others."""

    name: str
    values: tuple[Any, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


class Importance(msgspec.Struct, frozen=True):
    """Which parameters of a sweep matter, the largest share first. `explained`: the part of the variance that the model explains on trials it did not see; near 0, believe none of the rest. `notes`: what to keep in mind."""

    metric: str
    goal: str
    trials: int
    explained: float
    shares: tuple[Share, ...] = ()
    pairs: tuple[Pair, ...] = ()
    curves: tuple[Dependence, ...] = ()
    notes: tuple[str, ...] = ()


class Done(msgspec.Struct, frozen=True):
    """An agent reports the end of a trial's process. `code`: exit code, negative for a signal, None when a function trial ended in an exception. `tail`: its last lines when it failed.

    `state`: finished, failed, crashed (died by a signal that nobody asked for), stopped (as ordered), killed, or preempted
    (the agent itself was told to leave: the trial is given back).
    """

    run: str
    attempt: int
    code: int | None
    state: str
    reason: str = ""
    tail: str = ""


class Beat(msgspec.Struct, frozen=True):
    """One heartbeat of an agent. `running`: (run, attempt) alive now. `done`: ended since the last heartbeat that was answered. `want`: trials it would take now."""

    running: tuple[tuple[str, int], ...] = ()
    done: tuple[Done, ...] = ()
    want: int = 0


class Command(msgspec.Struct, frozen=True):
    """What an agent is to do. `type`: run (params, attempt), stop (reason) or exit (reason: the sweep is over for this agent).

    `parent`: the run whose checkpoint this one goes on from, in a population; "" for a fresh start.
    """

    type: str
    run: str = ""
    name: str = ""
    number: int = 0
    attempt: int = 1
    params: dict[str, Any] = {}
    reason: str = ""
    parent: str = ""


class Orders(msgspec.Struct, frozen=True):
    """Answer to a heartbeat. No command and `state` running means: wait, and ask again."""

    commands: tuple[Command, ...]
    state: str
    finished: int = 0
    budget: int | None = None
    best: TrialView | None = None
    warnings: tuple[str, ...] = ()
    """What the sweep has to say so far, e.g. that its metric was never logged; grows, never shrinks."""


class Agent(msgspec.Struct, frozen=True):
    id: str
    sweep: SweepView


class Channel(msgspec.Struct, frozen=True):
    """Where alerts go. `url` is shown shortened, never whole: it is a secret. `last`: time and outcome of the last delivery."""

    id: int
    kind: str
    url: str
    last: float | None = None
    outcome: str = ""


class AlertView(msgspec.Struct, frozen=True):
    """An alert and its delivery. `state`: waiting, sent, failed (with `tries` and the reason), "no channel", or quiet (kept but not
    to be sent; `reason` says why)."""

    id: int
    time: float
    run: str
    project: str
    entity: str
    title: str
    text: str
    level: str
    state: str
    tries: int = 0
    reason: str = ""


class Alerts(msgspec.Struct, frozen=True):
    channels: tuple[Channel, ...]
    alerts: tuple[AlertView, ...]


class Change(msgspec.Struct, frozen=True):
    """What changed since a sequence number: (entity, project, id) of runs and of sweeps. Sent as a server-sent event."""

    seq: int
    runs: tuple[tuple[str, str, str], ...] = ()
    sweeps: tuple[tuple[str, str, str], ...] = ()


class Problem(msgspec.Struct, frozen=True):
    """Every error answer. `error`: its class; `message`: for people; `position`: in a filter text; `retry_after`: seconds."""

    error: str
    message: str
    position: int | None = None
    retry_after: float | None = None
    warnings: tuple[str, ...] = ()


class Health(msgspec.Struct, frozen=True):
    """The server answers. `version`: of besom."""

    status: str
    version: str


class Position(msgspec.Struct, frozen=True):
    """How far a stream is held: byte offset in its journal. After an append that left a gap: ship again from here."""

    position: int


class RunChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fields of a run to change; null leaves a field as it is."""

    name: str | None = None
    notes: str | None = None
    tags: tuple[str, ...] | None = None
    group: str | None = None


class Alive(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Runs whose processes live, as (entity, project, id): each gets a lease of 60 s."""

    paths: tuple[RunPath, ...] = msgspec.field(name="runs")


class NewSweep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sweep to create. `config`: the sweep.yaml as plain data."""

    entity: str
    project: str
    config: dict[str, Any]


class SweepChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`state`: paused, running, finished or canceled. `config`: the whole new sweep.yaml as plain data. null leaves either."""

    state: str | None = None
    config: dict[str, Any] | None = None


class NewAgent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An agent reports for work. `sweep`: ENTITY/PROJECT/ID."""

    sweep: str
    host: str
    pid: int


class NewChannel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where alerts shall go. `kind`: slack; `url`: the incoming webhook's address, a secret."""

    kind: str
    url: str
