"""The tables of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from besom.store.schema import Text, Whole, only

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make all tables and the counter of changes."""
    op.create_table(
        "channels",
        sa.Column("id", Whole, nullable=False),
        sa.Column("kind", Text, nullable=False, comment="slack"),
        sa.Column("url", Text, nullable=False),
        sa.Column("last", sa.Float(), nullable=True),
        sa.Column("outcome", Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "counters",
        sa.Column("name", Text, nullable=False, comment="change: grows with every change of a run or a sweep"),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "runs",
        sa.Column("pk", Whole, nullable=False),
        sa.Column("entity", Text, nullable=False),
        sa.Column("project", Text, nullable=False),
        sa.Column("id", Text, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("state", Text, nullable=False),
        sa.Column("sweep", Text, nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("seen", sa.Float(), nullable=False),
        sa.Column(
            "lease",
            sa.Float(),
            nullable=True,
            comment="a remote run is lost when no record or heartbeat came until this time",
        ),
        sa.Column("rows", sa.BigInteger(), nullable=False, comment="history rows so far: the next row's number"),
        sa.Column("change", Whole, nullable=False),
        sa.Column("state_blob", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pk"),
        sa.UniqueConstraint("entity", "project", "id"),
    )
    op.create_index(op.f("ix_runs_change"), "runs", ["change"], unique=False)
    op.create_table(
        "sweeps",
        sa.Column("pk", Whole, nullable=False),
        sa.Column("entity", Text, nullable=False),
        sa.Column("project", Text, nullable=False),
        sa.Column("id", Text, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("config", Text, nullable=False, comment="the sweep.yaml as JSON"),
        sa.Column("state", Text, nullable=False),
        sa.Column("reason", Text, nullable=False),
        sa.Column("warnings", Text, nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("change", Whole, nullable=False),
        sa.PrimaryKeyConstraint("pk"),
        sa.UniqueConstraint("entity", "project", "id"),
    )
    op.create_index(op.f("ix_sweeps_change"), "sweeps", ["change"], unique=False)
    op.create_table(
        "agents",
        sa.Column("id", Text, nullable=False),
        sa.Column("sweep", Whole, nullable=False),
        sa.Column("host", Text, nullable=False),
        sa.Column("pid", Whole, nullable=False),
        sa.Column("seen", sa.Float(), nullable=False),
        sa.Column("left", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["sweep"],
            ["sweeps.pk"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_agents_sweep"), "agents", ["sweep"], unique=False)
    op.create_table(
        "alerts",
        sa.Column("id", Whole, nullable=False),
        sa.Column("run", Whole, nullable=True),
        sa.Column("sweep", Whole, nullable=True, comment="set instead of run when a sweep ended"),
        sa.Column("key", Text, nullable=False, comment="stream and seq of its record: one alert is stored once"),
        sa.Column("time", sa.Float(), nullable=False),
        sa.Column("title", Text, nullable=False),
        sa.Column("text", Text, nullable=False),
        sa.Column("level", Text, nullable=False),
        sa.Column("state", Text, nullable=False),
        sa.Column("done", Text, nullable=False, comment="JSON: ids of the channels that have it"),
        sa.Column("tries", Whole, nullable=False),
        sa.Column("due", sa.Float(), nullable=False, comment="not to be tried before"),
        sa.Column("reason", Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["run"],
            ["runs.pk"],
        ),
        sa.ForeignKeyConstraint(
            ["sweep"],
            ["sweeps.pk"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
    )
    op.create_table(
        "artifacts",
        sa.Column("pk", Whole, nullable=False),
        sa.Column("run", Whole, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("used", sa.Boolean(), nullable=False, comment="true when the run used it, false when it made it"),
        sa.Column("data", sa.LargeBinary(), nullable=False, comment="the Artifact record"),
        sa.ForeignKeyConstraint(
            ["run"],
            ["runs.pk"],
        ),
        sa.PrimaryKeyConstraint("pk"),
    )
    op.create_index(op.f("ix_artifacts_name"), "artifacts", ["name"], unique=False)
    op.create_index(op.f("ix_artifacts_run"), "artifacts", ["run"], unique=False)
    op.create_table(
        "axes",
        sa.Column("pk", Whole, nullable=False),
        sa.Column("run", Whole, nullable=False),
        sa.Column(
            "steps", sa.LargeBinary(), nullable=False, comment="int64 column, see store/chunk.py; times and rows too"
        ),
        sa.Column("rows", sa.LargeBinary(), nullable=False, comment="int64: the number of each point's history row"),
        sa.Column("times", sa.LargeBinary(), nullable=False, comment="float64"),
        sa.ForeignKeyConstraint(
            ["run"],
            ["runs.pk"],
        ),
        sa.PrimaryKeyConstraint("pk"),
    )
    op.create_index(op.f("ix_axes_run"), "axes", ["run"], unique=False)
    op.create_table(
        "console",
        sa.Column("run", Whole, nullable=False),
        sa.Column("n", Whole, nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        sa.Column("stream", Text, nullable=False),
        sa.Column("text", Text, nullable=False, comment="a line with its line end; without one it is still open"),
        sa.ForeignKeyConstraint(
            ["run"],
            ["runs.pk"],
        ),
        sa.PrimaryKeyConstraint("run", "n"),
    )
    op.create_table(
        "files",
        sa.Column("run", Whole, nullable=False),
        sa.Column("path", Text, nullable=False),
        sa.Column("digest", Text, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run"],
            ["runs.pk"],
        ),
        sa.PrimaryKeyConstraint("run", "path"),
    )
    op.create_table(
        "metrics",
        sa.Column("pk", Whole, nullable=False),
        sa.Column("run", Whole, nullable=False),
        sa.Column("key", Text, nullable=False),
        sa.Column("goal", Text, nullable=False, comment="minimize or maximize: whether best is min or max"),
        sa.Column("whole", sa.Boolean(), nullable=False, comment="every value was logged as an integer"),
        sa.Column("count", Whole, nullable=False),
        sa.Column("finite", Whole, nullable=False, comment="points that are not NaN"),
        sa.Column("sum", sa.Float(), nullable=True),
        sa.Column("min", sa.Float(), nullable=True),
        sa.Column("max", sa.Float(), nullable=True),
        sa.Column("last", sa.Float(), nullable=True, comment="the last value logged"),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("sealed", Whole, nullable=False, comment="points in chunks; the rest is in the head"),
        sa.Column("head", sa.LargeBinary(), nullable=False, comment="recent points, see store/chunk.py"),
        sa.ForeignKeyConstraint(
            ["run"],
            ["runs.pk"],
        ),
        sa.PrimaryKeyConstraint("pk"),
        sa.UniqueConstraint("run", "key"),
    )
    op.create_index("metrics_key", "metrics", ["key", "run"], unique=False)
    op.create_table(
        "objects",
        sa.Column("pk", Whole, nullable=False),
        sa.Column("run", Whole, nullable=False),
        sa.Column("key", Text, nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=False, comment="number of the history row"),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        sa.Column(
            "data", sa.LargeBinary(), nullable=False, comment="a history value that float64 cannot hold, as a record"
        ),
        sa.ForeignKeyConstraint(
            ["run"],
            ["runs.pk"],
        ),
        sa.PrimaryKeyConstraint("pk"),
    )
    op.create_index("objects_run", "objects", ["run", "key", "row"], unique=False)
    op.create_table(
        "streams",
        sa.Column("run", Whole, nullable=False),
        sa.Column("stream", Text, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run"],
            ["runs.pk"],
        ),
        sa.PrimaryKeyConstraint("run", "stream"),
    )
    op.create_table(
        "trials",
        sa.Column("sweep", Whole, nullable=False),
        sa.Column("number", Whole, nullable=False),
        sa.Column("run", Text, nullable=False, comment="run id; stays the same over attempts"),
        sa.Column("name", Text, nullable=False),
        sa.Column("params", Text, nullable=False, comment="JSON"),
        sa.Column("info", Text, nullable=False, comment="JSON; what the method must remember"),
        sa.Column("state", Text, nullable=False),
        sa.Column("attempt", Whole, nullable=False),
        sa.Column("lost", Whole, nullable=False, comment="attempts that ended because their agent went away"),
        sa.Column("failures", Whole, nullable=False, comment="attempts that ended with another exit code than 0"),
        sa.Column("agent", Text, nullable=False),
        sa.Column("reason", Text, nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("started", sa.Float(), nullable=True),
        sa.Column("ended", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["sweep"],
            ["sweeps.pk"],
        ),
        sa.PrimaryKeyConstraint("sweep", "number"),
        sa.UniqueConstraint("sweep", "run"),
    )
    op.create_table(
        "values",
        sa.Column("run", Whole, nullable=False),
        sa.Column("key", Text, nullable=False, comment="config.lr, summary.val_loss, tag.baseline"),
        sa.Column("kind", Text, nullable=False, comment="number, string, bool or list"),
        sa.Column("number", sa.Float(), nullable=True),
        sa.Column(
            "text",
            Text,
            nullable=True,
            comment="a string; NaN; the exact digits of an integer above 2**53; JSON of a list",
        ),
        sa.ForeignKeyConstraint(
            ["run"],
            ["runs.pk"],
        ),
        sa.PrimaryKeyConstraint("run", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index("values_number", "values", ["key", "number", "run"], unique=False, **only("number"))
    op.create_index("values_text", "values", ["key", "text", "run"], unique=False, **only("text"))
    op.create_table(
        "chunks",
        sa.Column("pk", Whole, nullable=False),
        sa.Column("metric", Whole, nullable=False),
        sa.Column("number", Whole, nullable=False),
        sa.Column("axis", Whole, nullable=False),
        sa.Column("count", Whole, nullable=False),
        sa.Column("first_step", sa.BigInteger(), nullable=False, comment="the smallest step; last_step: the largest"),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("min", sa.Float(), nullable=True),
        sa.Column("max", sa.Float(), nullable=True),
        sa.Column("sum", sa.Float(), nullable=True),
        sa.Column("last", sa.Float(), nullable=True),
        sa.Column("data", sa.LargeBinary(), nullable=False, comment="float64 column of the values"),
        sa.ForeignKeyConstraint(
            ["axis"],
            ["axes.pk"],
        ),
        sa.ForeignKeyConstraint(
            ["metric"],
            ["metrics.pk"],
        ),
        sa.PrimaryKeyConstraint("pk"),
        sa.UniqueConstraint("metric", "number"),
    )
    op.create_index(op.f("ix_chunks_axis"), "chunks", ["axis"], unique=False)
    if op.get_context().dialect.name == "postgresql":
        for table, columns in (("axes", ("steps", "rows", "times")), ("chunks", ("data",)), ("metrics", ("head",))):
            for column in columns:  # packed by us: to squeeze it again costs time and gains nothing
                op.execute(f'ALTER TABLE {table} ALTER COLUMN "{column}" SET STORAGE EXTERNAL')
    op.execute("INSERT INTO counters (name, value) VALUES ('change', 0)")
