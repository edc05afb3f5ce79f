"""Users, teams, keys, sessions and the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make their tables, empty: a store without users is its owner's alone."""
    op.create_table(
        "users",
        sa.Column("name", Text, nullable=False),
        sa.Column("password", Text, nullable=False, comment="argon2id; empty: logs in with keys only"),
        sa.Column("admin", sa.Boolean(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "members",
        sa.Column("team", Text, nullable=False, comment="an entity that several users share"),
        sa.Column("user", Text, nullable=False),
        sa.Column("role", Text, nullable=False, comment="viewer, member or admin"),
        sa.ForeignKeyConstraint(["user"], ["users.name"]),
        sa.PrimaryKeyConstraint("team", "user"),
    )
    op.create_table(
        "shares",
        sa.Column("entity", Text, nullable=False),
        sa.Column("project", Text, nullable=False),
        sa.Column("visibility", Text, nullable=False, comment="private or public; a project without a row is its team's"),
        sa.Column("owner", Text, nullable=False, comment="the user who alone, with the team's admins, sees a private one"),
        sa.PrimaryKeyConstraint("entity", "project"),
    )  # fmt: skip
    op.create_table(
        "api_keys",
        sa.Column("digest", Text, nullable=False, comment="SHA-256 of the key; the key itself is kept nowhere"),
        sa.Column("user", Text, nullable=False),
        sa.Column("reads_only", sa.Boolean(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("expires", sa.Float(), nullable=True),
        sa.Column("used", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["user"], ["users.name"]),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index(op.f("ix_api_keys_user"), "api_keys", ["user"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("digest", Text, nullable=False, comment="SHA-256 of the cookie"),
        sa.Column("user", Text, nullable=False),
        sa.Column("seen", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["users.name"]),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index(op.f("ix_sessions_user"), "sessions", ["user"], unique=False)
    op.create_table(
        "audit",
        sa.Column("pk", Whole, nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        sa.Column("who", Text, nullable=False),
        sa.Column("act", Text, nullable=False),
        sa.Column("what", Text, nullable=False),
        sa.Column("chain", Text, nullable=False, comment="SHA-256 of the row before and this one"),
        sa.PrimaryKeyConstraint("pk"),
    )
