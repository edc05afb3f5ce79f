"""Who may do what. In this version one person uses one machine: whoever reaches the hub may do everything.

Doors ask `allowed` before each use case and pass on its answer; teams, roles and keys come in behind the same question.
"""

from __future__ import annotations

from typing import NamedTuple


class Who(NamedTuple):
    """The one who asks. `local`: a process of the user who owns the store."""

    name: str
    local: bool = True


def allowed(who: Who, act: str, entity: str, project: str | None = None) -> bool:
    """May `who` do `act` ("read", "write", "admin") in a project, or in an entity as a whole. Only the local user may."""
    return who.local and act in ("read", "write", "admin")
