"""Who is there and what is there, for the wandb client: the viewer, the server's features, entities and projects.

Without users every key is right, and the viewer is the user's entity.
"""

from __future__ import annotations

from typing import Any

from besom.core.errors import NotFound
from besom.core.names import RunPath, SweepPath
from besom.core.wire import SweepView
from besom.server.route import Permission
from besom.server.wandb import runs, sweeps, words
from besom.server.wandb.context import Context
from besom.server.wandb.graphql import Root

FEATURES = ("STRUCTURED_CONSOLE_LOGS", "MARK_RUN_FILES_UPLOADED", "TOTAL_COUNT_IN_FILE_CONNECTION")
"""What the client may use with us. Left off on purpose: FILESTREAM_GZIP (loopback), and all that is not built."""


def viewer(context: Context) -> dict[str, Any]:
    """The user."""
    name, who = context.entity, context.hub.who
    return {
        "id": name, "name": name, "username": name, "entity": name, "email": "", "admin": who.local or who.admin, "flags": "{}",
        "teams": {"edges": [{"node": {"name": team}} for team in (name, *who.teams)]}, "apiKeys": {"edges": []},
    }  # fmt: skip


def server_info(context: Context) -> dict[str, Any]:
    """What this server can do."""
    return {
        "features": [{"name": name, "isEnabled": True} for name in FEATURES],
        "cliVersionInfo": {"min_cli_version": "0.12.0", "max_cli_version": "99.0.0"},
    }


def entity(context: Context, *, name: str | None = None) -> dict[str, Any]:
    """An entity; there are no organizations."""
    return {"id": context.owner(name), "name": context.owner(name), "available": False, "isTeam": False}


def project(context: Context, *, name: str | None = None, entityName: str | None = None) -> dict[str, Any]:
    """A project with its runs and sweeps; every name is one, also before its first run."""
    owner, home = context.owner(entityName), context.project(name)

    def run(info: Any, *, name: str, **_: Any) -> dict[str, Any] | None:
        view = context.find(RunPath(owner, home, name))
        return runs.node(context, view) if view else None

    def sweep(info: Any, *, sweepName: str) -> dict[str, Any] | None:
        try:
            return sweeps.node(context, context.hub.sweep(SweepPath(owner, home, sweepName)))
        except NotFound:
            return None

    def all_sweeps(info: Any, **_: Any) -> dict[str, Any]:
        found: tuple[SweepView, ...] = context.hub.sweeps(owner, home).sweeps
        edges = [{"node": sweeps.node(context, view), "cursor": view.id} for view in found]
        return {"edges": edges, "pageInfo": {"hasNextPage": False}}

    return {
        "id": f"{owner}/{home}", "internalId": "1", "name": home, "entityName": owner, "entity": entity(context, name=owner),
        "readOnly": False, "isBenchmark": False, "createdAt": words.iso(0.0), "user": viewer(context),
        "run": run, "bucket": run, "sweep": sweep, "sweeps": all_sweeps,
        "totalSweeps": lambda info: len(context.hub.sweeps(owner, home).sweeps),
        "runs": lambda info, **asked: runs.page(context, owner, home, **asked),
        "runCount": lambda info, **asked: runs.count(context, owner, home, **asked),
    }  # fmt: skip


def projects(context: Context, *, entityName: str | None = None, **_: Any) -> dict[str, Any]:
    """All projects of an entity."""
    found = [p.project for p in context.hub.projects().projects if p.entity == context.owner(entityName)]
    edges = [{"node": project(context, name=name, entityName=entityName), "cursor": name} for name in found]
    return {"edges": edges, "pageInfo": {"hasNextPage": False}}


def upsert_model(context: Context, *, name: str = "", entityName: str | None = None, **_: Any) -> dict[str, Any]:
    """A project needs no making: it is there with its first run."""
    made = project(context, name=name, entityName=entityName)
    return {"project": made, "model": made, "inserted": True}


ROOTS = (
    Root("viewer", Permission.READ, viewer),
    Root("serverInfo", Permission.READ, server_info),
    Root("entity", Permission.READ, entity),
    Root("project", Permission.READ, project),
    Root("model", Permission.READ, project),
    Root("models", Permission.READ, projects),
    Root("upsertModel", Permission.WRITE, upsert_model),
)
