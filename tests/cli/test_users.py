"""Users, teams and keys from the terminal of the server's machine."""

from __future__ import annotations

import re
from typing import Any

import pytest
from click.testing import CliRunner

from besom import local
from besom.cli import main
from besom.settings import load
from besom.store.schema import audit

KEY = "k" * 39 + "-"


def test_a_team_is_set_up_and_taken_apart(besom: Any) -> None:
    besom("user", "add", "ann", "--admin", "--api-key", KEY)
    besom("user", "add", "bob", "--api-key", "b" * 40)
    besom("team", "add", "vision", "bob", "--role", "viewer")
    besom("team", "share", "vision/digits", "private", "--owner", "bob")
    made = besom("key", "create", "--user", "bob", "--expires", "30d", "--read-only").out.strip()
    assert re.fullmatch(r"besom-[A-Za-z0-9]{40}", made)
    assert "viewer of vision" in besom("user", "list").out
    lines = besom("key", "list").out.splitlines()
    assert sum("bob" in line for line in lines) == 2 and made not in "".join(lines)
    who = local.hub(load()).access.by_key(made)
    assert who and (who.name, who.reads_only, who.teams) == ("bob", True, {"vision": "viewer"})
    besom("key", "revoke", next(line.split()[0] for line in lines if " read " in line))
    assert local.hub(load()).access.by_key(made) is None
    besom("team", "remove", "vision", "bob")
    besom("user", "remove", "bob")
    assert "bob" not in besom("user", "list").out + besom("key", "list").out + besom("team", "list").out
    said = besom("audit").out
    assert (
        said.count("add user") == 2
        and "revoke key" in said
        and "remove user" in said
        and "vision/digits: private" in said
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("user", "add", "a b", "--admin", "--api-key", KEY), "user's name"),
        (("user", "add", "bob", "--admin", "--api-key", "short"), "at least 40"),
        (("user", "remove", "bob"), "no user 'bob'"),
        (("user", "remove", "ann"), "last admin"),
        (("user", "add", "ann", "--api-key", KEY), "is taken"),
        (("user", "add", "vision", "--api-key", KEY), "is taken"),
        (("user", "add", "otto", "--api-key", "a" * 40), "in use"),
        (("team", "add", "ann", "cid"), "'ann' is a user"),
        (("team", "add", "vision", "bob"), "no user 'bob'"),
        (("team", "add", "vision", "cid", "--role", "membr"), 'Did you mean "member"'),
        (("team", "remove", "vision", "ann"), "no member"),
        (("team", "share", "digits", "public"), "ENTITY/PROJECT"),
        (("team", "share", "vision/digits", "world"), "not 'world'"),
        (("key", "create", "--user", "bob"), "no user 'bob'"),
        (("key", "create", "--user", "ann", "--expires", "soon"), "like 12h"),
        (("key", "revoke", "a"), "no key 'a'"),
        (("server", "--host", "0.0.0.0"), "besom server --team"),
    ],
)
def test_what_is_wrong_is_said(words: tuple[str, ...], said: str, besom: Any) -> None:
    assert "first user is an admin" in besom("user", "add", "ann", "--api-key", "a" * 40, code=2).err
    besom("user", "add", "ann", "--admin", "--api-key", "a" * 40)
    besom("user", "add", "cid", "--api-key", "c" * 40)
    besom("team", "add", "vision", "cid")
    text = " ".join(besom(*words, code=2).err.split())
    assert said in text
    assert "otto" not in besom("user", "list").out, "a user whose key is refused is not added"


def test_a_password_is_asked_for_and_a_short_one_refused(besom: Any) -> None:
    call = CliRunner().invoke
    assert call(main, ["user", "add", "ann", "--admin"], input="short\nshort\n").exit_code == 2
    done = call(main, ["user", "add", "ann", "--admin"], input="correct horse battery\ncorrect horse battery\n")
    assert done.exit_code == 0 and "correct" not in done.output
    access = local.hub(load()).access
    assert access.login("ann", "correct horse battery") and not access.login("ann", "correct horse batterz")


def test_a_team_without_an_admin_does_not_start(besom: Any) -> None:
    assert "needs an admin first: besom user add" in " ".join(
        besom("server", "--team", "--port", "0", code=2).err.split()
    )


def test_audit_finds_a_changed_line(besom: Any) -> None:
    besom("user", "add", "ann", "--admin", "--api-key", KEY)
    local.hub(load()).database.write(lambda c: c.execute(audit.update().where(audit.c.pk == 1).values(who="nobody")))
    assert "was changed after it was written" in " ".join(besom("audit", code=1).err.split())
