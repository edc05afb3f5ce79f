"""The native API, as a table: method, path, hub method, result, permission. docs/api.md says the same for people.

Every row is one method of `Hub`, called with the names written here; `besom/client.py` has the same method again for
callers. Nothing is decided here: a rule belongs to the hub, the reading of requests to route.py, bytes to answer.py.
"""

from __future__ import annotations

from besom.core import wire
from besom.core.batch import Batch
from besom.core.contents import ArtifactView, Files
from besom.hub.reaper import LEASE
from besom.server.route import REQUIRED, Param, Permission, Route

RUN = "/api/runs/{entity}/{project}/{id}"
SWEEP = "/api/sweeps/{entity}/{project}/{id}"
STREAM = "/api/append/{entity}/{project}/{id}/{stream}"

_entity = Param("entity", str, "the user or team that owns the project", REQUIRED)
_project = Param("project", str, "the project", REQUIRED)
_any_entity = Param("entity", str, "the user or team that owns the project; all of them when absent")
_any_project = Param("project", str, "the project; all of them when absent")
_filter = Param("filter", str, "a filter text, e.g. `config.lr < 1e-3 and state = finished`", "")
_by = Param("by", tuple, "comma list of config keys or fields to group by, e.g. `config.lr,config.arch`", ())
_since = Param("since", int, "the last sequence number seen; -1: from now on", -1)

READS = (
    Route("GET", "/api/projects", "projects", wire.Projects, "All projects, the latest first.", Permission.READ),
    Route(
        "GET",
        "/api/runs",
        "runs",
        wire.RunPage,
        "A page of runs.",
        Permission.READ,
        (
            _entity,
            _project,
            _filter,
            Param(
                "sort", str, "comma list of keys, `-` in front for descending: `-summary.acc,name`; missing last", ""
            ),
            Param("limit", int, "runs in a page", 100),
            Param("offset", int, "runs to pass over", 0),
        ),
    ),
    Route("GET", RUN, "run", wire.RunView, "One run.", Permission.READ),
    Route(
        "GET",
        RUN + "/rows",
        "rows",
        wire.Rows,
        "Complete rows of a run's history, in order of step.",
        Permission.READ,
        (
            Param("keys", tuple, "comma list of metrics; all when absent"),
            Param("offset", int, "rows to pass over", 0),
            Param("limit", int, "rows in a page", 10_000),
        ),
    ),
    Route(
        "GET",
        RUN + "/console",
        "console",
        wire.Console,
        "Lines that the run wrote to its terminal.",
        Permission.READ,
        (
            Param("start", int, "first line, from 0; below 0: from the end", -200),
            Param("limit", int, "lines at most", 200),
        ),
    ),
    Route(
        "GET",
        RUN + "/files",
        "files",
        Files,
        "The files of a run; their contents are at `files/NAME`.",
        Permission.READ,
    ),
    Route(
        "GET",
        "/api/artifacts/{entity}/{project}/{id}",
        "artifact",
        ArtifactView,
        "The version of an artifact that NAME or NAME:ALIAS names.",
        Permission.READ,
    ),
    Route(
        "GET",
        "/api/keys",
        "keys",
        wire.Keys,
        "The keys that runs can be filtered, sorted and grouped by, and the names of their metrics.",
        Permission.READ,
        (_entity, _project, _filter),
    ),
    Route(
        "GET",
        "/api/groups",
        "groups",
        wire.Groups,
        "Runs grouped by keys, with the mean and deviation of a metric.",
        Permission.READ,
        (
            _entity,
            _project,
            _filter,
            _by,
            Param("metric", str, "the metric to summarise"),
            Param("use", str, "of each run: `best` or `last`", "best"),
        ),
    ),
    Route(
        "GET",
        "/api/curves",
        "curves",
        wire.Curves,
        "Metrics over a shared x axis, thinned to buckets over all points.",
        Permission.READ,
        (
            _entity,
            _project,
            Param("keys", tuple, "comma list of metrics", REQUIRED),
            _filter,
            Param("runs", tuple, "comma list of run ids; all that pass the filter when absent"),
            _by,
            Param("x", str, "`_step`, `_relative` (seconds), `_time`, or a metric", "_step"),
            Param("buckets", int, "columns of the answer: the width of the chart in pixels", 500),
            Param("min", float, "left end of the x range"),
            Param("max", float, "right end of the x range"),
        ),
    ),
)

WRITES = (
    Route("PATCH", RUN, "patch", wire.RunView, "Change a run's name, notes, tags or group.", Permission.WRITE,
          body=wire.RunChange),
    Route("DELETE", RUN, "delete", None, "Delete a run and all that it logged.", Permission.WRITE),
    Route("POST", STREAM, "append", wire.Position,
          "Append records to a stream. Idempotent; a gap answers with the position held, to ship again from there.",
          Permission.WRITE, body=Batch, body_as="batch", wrap=wire.Position, fixed=(("lease", LEASE),), fresh=False),
    Route("GET", STREAM, "position", wire.Position, "How far a stream is held.", Permission.WRITE, wrap=wire.Position,
          fresh=False),
    Route("POST", "/api/alive", "alive", None, "Renew the leases of runs whose processes live.", Permission.WRITE,
          body=wire.Alive, fresh=False),
)  # fmt: skip

SWEEPS = (
    Route("POST", "/api/sweeps", "create_sweep", wire.SweepView, "Create a sweep.", Permission.WRITE,
          body=wire.NewSweep),
    Route("GET", "/api/sweeps", "sweeps", wire.Sweeps, "Sweeps, the latest first, without their trials.",
          Permission.READ, (_any_entity, _any_project)),
    Route("GET", SWEEP, "sweep", wire.SweepView, "One sweep with its trials.", Permission.READ),
    Route("GET", SWEEP + "/importance", "importance", wire.Importance,
          "Which parameters of a sweep matter: shares of variance, pairs, partial dependence.", Permission.READ),
    Route("PATCH", SWEEP, "set_sweep", wire.SweepView, "Pause, resume, stop or cancel a sweep, or change its config.",
          Permission.WRITE, body=wire.SweepChange),
    Route("POST", "/api/agents", "register", wire.Agent, "An agent reports for work.", Permission.AGENT,
          body=wire.NewAgent),
    Route("POST", "/api/agents/{id}/beat", "beat", wire.Orders, "An agent's heartbeat: what ended, what it would take.",
          Permission.AGENT, body=wire.Beat, body_as="beat"),
    Route("POST", "/api/agents/{id}/leave", "leave", None, "An agent goes.", Permission.AGENT),
)  # fmt: skip

ALERTS = (
    Route("GET", "/api/alerts", "alerts", wire.Alerts, "Channels, and the latest alerts with their delivery.",
          Permission.READ),
    Route("POST", "/api/alerts/channels", "add_channel", wire.Alerts, "Add a channel.", Permission.ADMIN,
          body=wire.NewChannel),
    Route("DELETE", "/api/alerts/channels/{n}", "remove_channel", wire.Alerts, "Remove a channel.", Permission.ADMIN),
    Route("POST", "/api/alerts/test", "test_channels", wire.Alerts, "Send a test message to every channel.",
          Permission.ADMIN),
)  # fmt: skip

ROUTES: tuple[Route, ...] = READS + WRITES + SWEEPS + ALERTS

EVENTS = Route("GET", "/api/events", "changes", wire.Change, "Changes as server-sent events, until the caller leaves.",
               Permission.READ, (_since,), fresh=False)  # fmt: skip
HEALTH = Route("GET", "/api/health", "", wire.Health, "The server answers.", Permission.OPEN, fresh=False)
OPENAPI = Route("GET", "/api/openapi.json", "", None, "This description.", Permission.OPEN, fresh=False)
OWN: tuple[Route, ...] = (HEALTH, EVENTS, OPENAPI)
"""Routes that are no single hub method: live.py and app.py answer them."""
