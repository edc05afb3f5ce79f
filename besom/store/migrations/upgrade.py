"""Runs the revisions that a store file lacks, in one transaction. Loaded by `open_database` only when there are any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

from besom.store.database import Database
from besom.store.schema import metadata


def scripts() -> ScriptDirectory:
    """The revisions as Alembic reads them from the package's files."""
    return ScriptDirectory(str(Path(__file__).parent))


def upgrade(database: Database) -> None:
    """Bring the file to the newest revision. A second process that comes here meanwhile waits, and finds nothing to do."""
    database.write(_run)


def _run(connection: sa.Connection) -> None:
    script = scripts()

    def steps(held: Any, _context: Any) -> Any:
        return script._upgrade_revs("head", held)

    with EnvironmentContext(Config(), script, fn=steps, destination_rev="head") as environment:
        environment.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
        environment.run_migrations()
