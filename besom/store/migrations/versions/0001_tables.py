"""The tables of the first release."""

from __future__ import annotations

from alembic import op

from besom.store.schema import metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make all tables and the counter of changes."""
    metadata.create_all(op.get_bind())
    op.execute("INSERT INTO counters (name, value) VALUES ('change', 0)")
