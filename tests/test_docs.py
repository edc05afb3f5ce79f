"""Docs coverage: what a user can type has a line in docs/, and what docs/ link to exists."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def commands(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    """Every command with the words that call it, hidden ones left out."""
    found = [(path, command)] if path and not command.hidden else []
    if isinstance(command, click.Group) and not command.hidden:
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            found += commands(child, (*path, name))
    return found


def test_every_command_and_option_has_its_line() -> None:
    from besom.cli import main

    text = (DOCS / "cli.md").read_text()
    missing = []
    for path, command in commands(main):
        name = "besom " + " ".join(path)
        if name not in text:
            missing.append(name)
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                missing += [
                    f"{name} {flag}" for flag in parameter.opts if flag.startswith("--") and f"{flag}" not in text
                ]
    assert not missing, f"docs/cli.md says nothing of: {missing}"


def test_every_setting_has_its_line() -> None:
    from besom.settings import FIELDS

    text = (DOCS / "settings.md").read_text()
    missing = [field.name for field in FIELDS if f"`{field.name}`" not in text]
    assert not missing, f"docs/settings.md says nothing of: {missing}"


def test_every_route_has_its_line() -> None:
    from besom.server.native import ROUTES

    text = (DOCS / "api.md").read_text()
    missing = [f"{route.method} {route.path}" for route in ROUTES if route.path not in text]
    assert not missing, f"docs/api.md says nothing of: {missing}"


def test_every_sweep_key_has_its_line() -> None:
    from besom.hub.sweep.config import KNOWN_KEYS
    from besom.search.distributions import DISTRIBUTIONS

    text = (DOCS / "sweep-yaml.md").read_text()
    missing = [key for key in (*KNOWN_KEYS, *DISTRIBUTIONS) if f"`{key}`" not in text]
    assert not missing, f"docs/sweep-yaml.md says nothing of: {missing}"


@pytest.mark.parametrize(
    "page", sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")]), ids=lambda p: str(p.relative_to(ROOT))
)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text())
    broken = [link for link in links if not (page.parent / link).exists()]
    assert not broken, f"{page.relative_to(ROOT)} links to {broken}"


@pytest.mark.parametrize(
    "page", sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")]), ids=lambda p: str(p.relative_to(ROOT))
)
def test_no_page_carries_a_path_of_somebodys_machine(page: Path) -> None:
    found = re.findall(r"/(?:home|Users|root|work)/[a-z]\w+/?\S*", page.read_text())
    assert not found, f"{page.relative_to(ROOT)} names {found}"
