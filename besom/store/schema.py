"""The tables. One definition for SQLite and PostgreSQL; Alembic migrations in store/migrations make them.

`runs.state_blob` is the folded RunState as msgpack and is the truth about a run; `values` is the typed index of its
config, summary and own fields by dotted key. Curves are sealed chunks plus a small head of recent points per metric;
metrics that are logged together share one axis (rows, steps, times) per chunk.

NaN cannot stand in a REAL of SQLite, and in PostgreSQL it is larger than all numbers: it is kept as NULL, and a NULL of `last`, `min`, `max` or `sum` means NaN.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()

Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""64 bits in both; only an INTEGER can be SQLite's own row number."""
Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Ordered by code point in both, as Python orders texts."""


def only(column: str) -> dict[str, Any]:
    """An index of the rows that have this column."""
    there = sa.text(f"{column} IS NOT NULL")
    return {"sqlite_where": there, "postgresql_where": there}


runs = sa.Table(
    "runs",
    metadata,
    sa.Column("pk", Whole, primary_key=True),
    sa.Column("entity", Text, nullable=False),
    sa.Column("project", Text, nullable=False),
    sa.Column("id", Text, nullable=False),
    sa.Column("name", Text, nullable=False, default=""),
    sa.Column("state", Text, nullable=False),
    sa.Column("sweep", Text, nullable=False, default=""),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("seen", sa.Float, nullable=False),
    sa.Column("lease", sa.Float, comment="a remote run is lost when no record or heartbeat came until this time"),
    sa.Column("rows", sa.BigInteger, nullable=False, default=0, comment="history rows so far: the next row's number"),
    sa.Column("change", Whole, nullable=False, default=0, index=True),
    sa.Column("state_blob", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("entity", "project", "id"),
)

streams = sa.Table(
    "streams",
    metadata,
    sa.Column("run", sa.ForeignKey("runs.pk"), primary_key=True),
    sa.Column("stream", Text, primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
)

values = sa.Table(
    "values",
    metadata,
    sa.Column("run", sa.ForeignKey("runs.pk"), primary_key=True),
    sa.Column("key", Text, primary_key=True, comment="config.lr, summary.val_loss, tag.baseline"),
    sa.Column("kind", Text, nullable=False, comment="number, string, bool or list"),
    sa.Column("number", sa.Float),
    sa.Column("text", Text, comment="a string; NaN; the exact digits of an integer above 2**53; JSON of a list"),
    sa.Index("values_number", "key", "number", "run", **only("number")),
    sa.Index("values_text", "key", "text", "run", **only("text")),
    sqlite_with_rowid=False,
)

metrics = sa.Table(
    "metrics",
    metadata,
    sa.Column("pk", Whole, primary_key=True),
    sa.Column("run", sa.ForeignKey("runs.pk"), nullable=False),
    sa.Column("key", Text, nullable=False),
    sa.Column("goal", Text, nullable=False, comment="minimize or maximize: whether best is min or max"),
    sa.Column("whole", sa.Boolean, nullable=False, comment="every value was logged as an integer"),
    sa.Column("count", Whole, nullable=False),
    sa.Column("finite", Whole, nullable=False, comment="points that are not NaN"),
    sa.Column("sum", sa.Float),
    sa.Column("min", sa.Float),
    sa.Column("max", sa.Float),
    sa.Column("last", sa.Float, comment="the last value logged"),
    sa.Column("last_step", sa.BigInteger, nullable=False),
    sa.Column("sealed", Whole, nullable=False, comment="points in chunks; the rest is in the head"),
    sa.Column("head", sa.LargeBinary, nullable=False, comment="recent points, see store/chunk.py"),
    sa.UniqueConstraint("run", "key"),
    sa.Index("metrics_key", "key", "run"),
)

axes = sa.Table(
    "axes",
    metadata,
    sa.Column("pk", Whole, primary_key=True),
    sa.Column("run", sa.ForeignKey("runs.pk"), nullable=False, index=True),
    sa.Column("steps", sa.LargeBinary, nullable=False, comment="int64 column, see store/chunk.py; times and rows too"),
    sa.Column("rows", sa.LargeBinary, nullable=False, comment="int64: the number of each point's history row"),
    sa.Column("times", sa.LargeBinary, nullable=False, comment="float64"),
)

chunks = sa.Table(
    "chunks",
    metadata,
    sa.Column("pk", Whole, primary_key=True),
    sa.Column("metric", sa.ForeignKey("metrics.pk"), nullable=False),
    sa.Column("number", Whole, nullable=False),
    sa.Column("axis", sa.ForeignKey("axes.pk"), nullable=False, index=True),
    sa.Column("count", Whole, nullable=False),
    sa.Column("first_step", sa.BigInteger, nullable=False, comment="the smallest step; last_step: the largest"),
    sa.Column("last_step", sa.BigInteger, nullable=False),
    sa.Column("min", sa.Float),
    sa.Column("max", sa.Float),
    sa.Column("sum", sa.Float),
    sa.Column("last", sa.Float),
    sa.Column("data", sa.LargeBinary, nullable=False, comment="float64 column of the values"),
    sa.UniqueConstraint("metric", "number"),
)

objects = sa.Table(
    "objects",
    metadata,
    sa.Column("pk", Whole, primary_key=True),
    sa.Column("run", sa.ForeignKey("runs.pk"), nullable=False),
    sa.Column("key", Text, nullable=False),
    sa.Column("row", sa.BigInteger, nullable=False, comment="number of the history row"),
    sa.Column("step", sa.BigInteger, nullable=False),
    sa.Column("time", sa.Float, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False, comment="a history value that float64 cannot hold, as a record"),
    sa.Index("objects_run", "run", "key", "row"),
)

console = sa.Table(
    "console",
    metadata,
    sa.Column("run", sa.ForeignKey("runs.pk"), primary_key=True),
    sa.Column("n", Whole, primary_key=True),
    sa.Column("time", sa.Float, nullable=False),
    sa.Column("stream", Text, nullable=False),
    sa.Column("text", Text, nullable=False, comment="a line with its line end; without one it is still open"),
)

files = sa.Table(
    "files",
    metadata,
    sa.Column("run", sa.ForeignKey("runs.pk"), primary_key=True),
    sa.Column("path", Text, primary_key=True),
    sa.Column("digest", Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("time", sa.Float, nullable=False),
)

artifacts = sa.Table(
    "artifacts",
    metadata,
    sa.Column("pk", Whole, primary_key=True),
    sa.Column("run", sa.ForeignKey("runs.pk"), nullable=False, index=True),
    sa.Column("name", Text, nullable=False, index=True),
    sa.Column("used", sa.Boolean, nullable=False, comment="true when the run used it, false when it made it"),
    sa.Column("data", sa.LargeBinary, nullable=False, comment="the Artifact record"),
)

sweeps = sa.Table(
    "sweeps",
    metadata,
    sa.Column("pk", Whole, primary_key=True),
    sa.Column("entity", Text, nullable=False),
    sa.Column("project", Text, nullable=False),
    sa.Column("id", Text, nullable=False),
    sa.Column("name", Text, nullable=False),
    sa.Column("config", Text, nullable=False, comment="the sweep.yaml as JSON"),
    sa.Column("state", Text, nullable=False),
    sa.Column("reason", Text, nullable=False, default=""),
    sa.Column("warnings", Text, nullable=False, default="[]"),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("change", Whole, nullable=False, default=0, index=True),
    sa.UniqueConstraint("entity", "project", "id"),
)

trials = sa.Table(
    "trials",
    metadata,
    sa.Column("sweep", sa.ForeignKey("sweeps.pk"), primary_key=True),
    sa.Column("number", Whole, primary_key=True),
    sa.Column("run", Text, nullable=False, comment="run id; stays the same over attempts"),
    sa.Column("name", Text, nullable=False),
    sa.Column("params", Text, nullable=False, comment="JSON"),
    sa.Column("info", Text, nullable=False, comment="JSON; what the method must remember"),
    sa.Column("state", Text, nullable=False),
    sa.Column("attempt", Whole, nullable=False),
    sa.Column("lost", Whole, nullable=False, default=0, comment="attempts that ended because their agent went away"),
    sa.Column(
        "failures", Whole, nullable=False, default=0, comment="attempts that ended with another exit code than 0"
    ),
    sa.Column("agent", Text, nullable=False, default=""),
    sa.Column("reason", Text, nullable=False, default=""),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("started", sa.Float),
    sa.Column("ended", sa.Float),
    sa.UniqueConstraint("sweep", "run"),
)

agents = sa.Table(
    "agents",
    metadata,
    sa.Column("id", Text, primary_key=True),
    sa.Column("sweep", sa.ForeignKey("sweeps.pk"), nullable=False, index=True),
    sa.Column("host", Text, nullable=False),
    sa.Column("pid", Whole, nullable=False),
    sa.Column("seen", sa.Float, nullable=False),
    sa.Column("left", sa.Float),
)

channels = sa.Table(
    "channels",
    metadata,
    sa.Column("id", Whole, primary_key=True),
    sa.Column("kind", Text, nullable=False, comment="slack"),
    sa.Column("url", Text, nullable=False),
    sa.Column("last", sa.Float),
    sa.Column("outcome", Text, nullable=False, default=""),
)

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("id", Whole, primary_key=True),
    sa.Column("run", sa.ForeignKey("runs.pk")),
    sa.Column("sweep", sa.ForeignKey("sweeps.pk"), comment="set instead of run when a sweep ended"),
    sa.Column(
        "key", Text, nullable=False, unique=True, comment="stream and seq of its record: one alert is stored once"
    ),
    sa.Column("time", sa.Float, nullable=False),
    sa.Column("title", Text, nullable=False),
    sa.Column("text", Text, nullable=False),
    sa.Column("level", Text, nullable=False),
    sa.Column("state", Text, nullable=False),
    sa.Column("done", Text, nullable=False, default="[]", comment="JSON: ids of the channels that have it"),
    sa.Column("tries", Whole, nullable=False, default=0),
    sa.Column("due", sa.Float, nullable=False, comment="not to be tried before"),
    sa.Column("reason", Text, nullable=False, default=""),
)

counters = sa.Table(
    "counters",
    metadata,
    sa.Column("name", Text, primary_key=True, comment="change: grows with every change of a run or a sweep"),
    sa.Column("value", sa.BigInteger, nullable=False),
)

# Who may use a server of a team (store/users.py)

users = sa.Table(
    "users",
    metadata,
    sa.Column("name", Text, primary_key=True),
    sa.Column("password", Text, nullable=False, comment="argon2id; empty: logs in with keys only"),
    sa.Column("admin", sa.Boolean, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
)

members = sa.Table(
    "members",
    metadata,
    sa.Column("team", Text, primary_key=True, comment="an entity that several users share"),
    sa.Column("user", sa.ForeignKey("users.name"), primary_key=True),
    sa.Column("role", Text, nullable=False, comment="viewer, member or admin"),
)

shares = sa.Table(
    "shares",
    metadata,
    sa.Column("entity", Text, primary_key=True),
    sa.Column("project", Text, primary_key=True),
    sa.Column("visibility", Text, nullable=False, comment="private or public; a project without a row is its team's"),
    sa.Column("owner", Text, nullable=False, comment="the user who alone, with the team's admins, sees a private one"),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("digest", Text, primary_key=True, comment="SHA-256 of the key; the key itself is kept nowhere"),
    sa.Column("user", sa.ForeignKey("users.name"), nullable=False, index=True),
    sa.Column("reads_only", sa.Boolean, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("expires", sa.Float),
    sa.Column("used", sa.Float),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("digest", Text, primary_key=True, comment="SHA-256 of the cookie"),
    sa.Column("user", sa.ForeignKey("users.name"), nullable=False, index=True),
    sa.Column("seen", sa.Float, nullable=False),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("pk", Whole, primary_key=True),
    sa.Column("time", sa.Float, nullable=False),
    sa.Column("who", Text, nullable=False),
    sa.Column("act", Text, nullable=False),
    sa.Column("what", Text, nullable=False),
    sa.Column("chain", Text, nullable=False, comment="SHA-256 of the row before and this one"),
)
