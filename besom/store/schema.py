"""The tables. One definition for SQLite and PostgreSQL; Alembic migrations in store/migrations make them.

`runs.state_blob` is the folded RunState as msgpack and is the truth about a run; `values` is the typed index of its
config, summary and own fields by dotted key. Curves are sealed chunks plus a small head of recent points per metric;
metrics that are logged together share one axis (rows, steps, times) per chunk.

NaN cannot stand in a REAL of SQLite: it is kept as NULL, and a NULL of `last`, `min`, `max` or `sum` means NaN.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("pk", sa.Integer, primary_key=True),
    sa.Column("entity", sa.Text, nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False, default=""),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("sweep", sa.Text, nullable=False, default=""),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("seen", sa.Float, nullable=False),
    sa.Column("lease", sa.Float, comment="a remote run is lost when no record or heartbeat came until this time"),
    sa.Column("rows", sa.BigInteger, nullable=False, default=0, comment="history rows so far: the next row's number"),
    sa.Column("change", sa.Integer, nullable=False, default=0, index=True),
    sa.Column("state_blob", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("entity", "project", "id"),
)

streams = sa.Table(
    "streams",
    metadata,
    sa.Column("run", sa.ForeignKey("runs.pk"), primary_key=True),
    sa.Column("stream", sa.Text, primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
)

values = sa.Table(
    "values",
    metadata,
    sa.Column("run", sa.ForeignKey("runs.pk"), primary_key=True),
    sa.Column("key", sa.Text, primary_key=True, comment="config.lr, summary.val_loss, tag.baseline"),
    sa.Column("kind", sa.Text, nullable=False, comment="number, string, bool or list"),
    sa.Column("number", sa.Float),
    sa.Column("text", sa.Text, comment="a string; NaN; the exact digits of an integer above 2**53; JSON of a list"),
    sa.Index("values_number", "key", "number", "run", sqlite_where=sa.text("number IS NOT NULL")),
    sa.Index("values_text", "key", "text", "run", sqlite_where=sa.text("text IS NOT NULL")),
    sqlite_with_rowid=False,
)

metrics = sa.Table(
    "metrics",
    metadata,
    sa.Column("pk", sa.Integer, primary_key=True),
    sa.Column("run", sa.ForeignKey("runs.pk"), nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("goal", sa.Text, nullable=False, comment="minimize or maximize: whether best is min or max"),
    sa.Column("whole", sa.Boolean, nullable=False, comment="every value was logged as an integer"),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("finite", sa.Integer, nullable=False, comment="points that are not NaN"),
    sa.Column("sum", sa.Float),
    sa.Column("min", sa.Float),
    sa.Column("max", sa.Float),
    sa.Column("last", sa.Float, comment="the last value logged"),
    sa.Column("last_step", sa.BigInteger, nullable=False),
    sa.Column("sealed", sa.Integer, nullable=False, comment="points in chunks; the rest is in the head"),
    sa.Column("head", sa.LargeBinary, nullable=False, comment="recent points, see store/chunk.py"),
    sa.UniqueConstraint("run", "key"),
    sa.Index("metrics_key", "key", "run"),
)

axes = sa.Table(
    "axes",
    metadata,
    sa.Column("pk", sa.Integer, primary_key=True),
    sa.Column("run", sa.ForeignKey("runs.pk"), nullable=False, index=True),
    sa.Column("steps", sa.LargeBinary, nullable=False, comment="int64 column, see store/chunk.py; times and rows too"),
    sa.Column("rows", sa.LargeBinary, nullable=False, comment="int64: the number of each point's history row"),
    sa.Column("times", sa.LargeBinary, nullable=False, comment="float64"),
)

chunks = sa.Table(
    "chunks",
    metadata,
    sa.Column("pk", sa.Integer, primary_key=True),
    sa.Column("metric", sa.ForeignKey("metrics.pk"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("axis", sa.ForeignKey("axes.pk"), nullable=False, index=True),
    sa.Column("count", sa.Integer, nullable=False),
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
    sa.Column("pk", sa.Integer, primary_key=True),
    sa.Column("run", sa.ForeignKey("runs.pk"), nullable=False),
    sa.Column("key", sa.Text, nullable=False),
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
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("time", sa.Float, nullable=False),
    sa.Column("stream", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False, comment="a line with its line end; without one it is still open"),
)

files = sa.Table(
    "files",
    metadata,
    sa.Column("run", sa.ForeignKey("runs.pk"), primary_key=True),
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("time", sa.Float, nullable=False),
)

artifacts = sa.Table(
    "artifacts",
    metadata,
    sa.Column("pk", sa.Integer, primary_key=True),
    sa.Column("run", sa.ForeignKey("runs.pk"), nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False, index=True),
    sa.Column("used", sa.Boolean, nullable=False, comment="true when the run used it, false when it made it"),
    sa.Column("data", sa.LargeBinary, nullable=False, comment="the Artifact record"),
)

sweeps = sa.Table(
    "sweeps",
    metadata,
    sa.Column("pk", sa.Integer, primary_key=True),
    sa.Column("entity", sa.Text, nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("config", sa.Text, nullable=False, comment="the sweep.yaml as JSON"),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, default=""),
    sa.Column("warnings", sa.Text, nullable=False, default="[]"),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("change", sa.Integer, nullable=False, default=0, index=True),
    sa.UniqueConstraint("entity", "project", "id"),
)

trials = sa.Table(
    "trials",
    metadata,
    sa.Column("sweep", sa.ForeignKey("sweeps.pk"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("run", sa.Text, nullable=False, comment="run id; stays the same over attempts"),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("params", sa.Text, nullable=False, comment="JSON"),
    sa.Column("info", sa.Text, nullable=False, comment="JSON; what the method must remember"),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column(
        "lost", sa.Integer, nullable=False, default=0, comment="attempts that ended because their agent went away"
    ),
    sa.Column(
        "failures", sa.Integer, nullable=False, default=0, comment="attempts that ended with another exit code than 0"
    ),
    sa.Column("agent", sa.Text, nullable=False, default=""),
    sa.Column("reason", sa.Text, nullable=False, default=""),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("started", sa.Float),
    sa.Column("ended", sa.Float),
    sa.UniqueConstraint("sweep", "run"),
)

agents = sa.Table(
    "agents",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("sweep", sa.ForeignKey("sweeps.pk"), nullable=False, index=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("seen", sa.Float, nullable=False),
    sa.Column("left", sa.Float),
)

channels = sa.Table(
    "channels",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False, comment="slack"),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("last", sa.Float),
    sa.Column("outcome", sa.Text, nullable=False, default=""),
)

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("run", sa.ForeignKey("runs.pk")),
    sa.Column("sweep", sa.ForeignKey("sweeps.pk"), comment="set instead of run when a sweep ended"),
    sa.Column(
        "key", sa.Text, nullable=False, unique=True, comment="stream and seq of its record: one alert is stored once"
    ),
    sa.Column("time", sa.Float, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("level", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("done", sa.Text, nullable=False, default="[]", comment="JSON: ids of the channels that have it"),
    sa.Column("tries", sa.Integer, nullable=False, default=0),
    sa.Column("due", sa.Float, nullable=False, comment="not to be tried before"),
    sa.Column("reason", sa.Text, nullable=False, default=""),
)

counters = sa.Table(
    "counters",
    metadata,
    sa.Column("name", sa.Text, primary_key=True, comment="change: grows with every change of a run or a sweep"),
    sa.Column("value", sa.BigInteger, nullable=False),
)

# Who may use a server of a team (store/users.py)

users = sa.Table(
    "users",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("password", sa.Text, nullable=False, comment="argon2id; empty: logs in with keys only"),
    sa.Column("admin", sa.Boolean, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
)

members = sa.Table(
    "members",
    metadata,
    sa.Column("team", sa.Text, primary_key=True, comment="an entity that several users share"),
    sa.Column("user", sa.ForeignKey("users.name"), primary_key=True),
    sa.Column("role", sa.Text, nullable=False, comment="viewer, member or admin"),
)

shares = sa.Table(
    "shares",
    metadata,
    sa.Column("entity", sa.Text, primary_key=True),
    sa.Column("project", sa.Text, primary_key=True),
    sa.Column("visibility", sa.Text, nullable=False, comment="private or public; a project without a row is its team's"),
    sa.Column("owner", sa.Text, nullable=False, comment="the user who alone, with the team's admins, sees a private one"),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True, comment="SHA-256 of the key; the key itself is kept nowhere"),
    sa.Column("user", sa.ForeignKey("users.name"), nullable=False, index=True),
    sa.Column("reads_only", sa.Boolean, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("expires", sa.Float),
    sa.Column("used", sa.Float),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True, comment="SHA-256 of the cookie"),
    sa.Column("user", sa.ForeignKey("users.name"), nullable=False, index=True),
    sa.Column("seen", sa.Float, nullable=False),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("pk", sa.Integer, primary_key=True),
    sa.Column("time", sa.Float, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("act", sa.Text, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("chain", sa.Text, nullable=False, comment="SHA-256 of the row before and this one"),
)
