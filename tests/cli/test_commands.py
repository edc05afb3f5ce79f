"""The table of commands: help that costs nothing, words that agree, and exit codes that mean something."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from rich.console import Console

from besom.cli import main, output
from besom.cli.commands import COMMANDS, FAILED, INTERRUPTED, SECTIONS, UNAVAILABLE, USAGE, messages
from besom.core.errors import BesomError, ConfigError, NotFound, StoreError, Unavailable


def test_help_names_every_command_and_loads_none(besom) -> None:
    said = besom("--help").out
    for title, section in SECTIONS.items():
        for name in section:
            assert (re.search(rf"^  {name} ", said, re.M) is not None) == bool(title), name
    script = "import sys; from besom.cli import main; main(['--help'], standalone_mode=False); print([m for m in ('rich','httpx','numpy','sqlalchemy','starlette','yaml') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_short_help_is_the_commands_own(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None and command.help
    assert COMMANDS[name][1].rstrip(".").split()[0] == command.help.split()[0].rstrip(".:"), (
        "they begin with the same verb"
    )


@pytest.mark.parametrize("words", [("--version",), ("version",), ("version", "--json")])
def test_the_version(besom, words: tuple[str, ...]) -> None:
    assert "besom" in besom(*words).out


def test_a_mistyped_command(besom) -> None:
    said = besom("swep", "x.yaml", code=USAGE)
    assert 'Did you mean "sweep"?' in said.err


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (NotFound("there is no run x"), USAGE, "there is no run x"),
        (ConfigError("it is text", where="metric.name"), USAGE, "metric.name: it is text"),
        (Unavailable("http://h is out of reach"), UNAVAILABLE, "out of reach"),
        (StoreError("the store is newer"), FAILED, "newer"),
        (BesomError("port 8080 is in use"), FAILED, "8080"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/store"), FAILED, "no space left on the disk for /store"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/store"), FAILED, "/store: Permission denied"),
    ],
)
def test_errors_become_one_message_and_a_code(error: Exception, code: int, words: str) -> None:
    with pytest.raises(click.ClickException) as caught, messages():
        raise error
    assert caught.value.exit_code == code and words in caught.value.format_message()


def test_ctrl_c() -> None:
    with pytest.raises(click.exceptions.Exit) as caught, messages():
        raise KeyboardInterrupt
    assert caught.value.exit_code == INTERRUPTED


def test_a_mistake_in_besom_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), messages():
        _ = 1 / 0


def test_a_pipe_that_closes_early_is_no_error(own_home: Path) -> None:
    words = f"{sys.executable} -m besom --help | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", words], capture_output=True, text=True)
    assert "Traceback" not in done.stderr and done.stdout.startswith("Usage")


def test_settings_show_where_values_come_from(besom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BESOM_ENTITY", "lab")
    monkeypatch.setenv("BESOM_PROJCT", "typo")
    said = besom("settings")
    line = next(line for line in said.out.splitlines() if line.startswith("entity"))
    assert "lab" in line and "environment BESOM_ENTITY" in line
    assert 'Did you mean "BESOM_PROJECT"?' in said.err
    assert besom("settings", "--json").json["settings"]["entity"] == {
        "value": "lab", "origin": "environment BESOM_ENTITY", "environment": ["BESOM_ENTITY", "WANDB_ENTITY"],
    }  # fmt: skip


def test_login_without_a_server_is_harmless(besom, own_home: Path) -> None:
    said = besom("login")
    assert "none is needed" in said.out and str(own_home) in said.out
    assert "--host" in besom("login", "secret", code=USAGE).err


def test_login_keeps_server_and_key_and_takes_them_away(besom) -> None:
    besom("login", "0123456789abcdef", "--host", "http://127.0.0.1:9", "--no-verify")
    shown = besom("settings", "--json").json["settings"]
    assert shown["server"]["value"] == "http://127.0.0.1:9" and shown["server"]["origin"].startswith("file ")
    assert shown["api_key"]["value"] == "...cdef" and "0123456789abcdef" not in json.dumps(shown)
    besom("login", "--local")
    shown = besom("settings", "--json").json["settings"]
    assert shown["server"]["value"] == "" and shown["api_key"]["value"] == ""


def test_login_to_a_server_that_is_not_there_changes_nothing(besom) -> None:
    said = besom("login", "--host", "http://127.0.0.1:9", code=UNAVAILABLE)
    assert "--no-verify" in said.err
    assert besom("settings", "--json").json["settings"]["server"]["value"] == ""


def test_a_server_that_is_away_is_said_with_its_own_code(besom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BESOM_SERVER", "http://127.0.0.1:9")
    monkeypatch.setattr("besom.cli.session.PATIENCE", 0.0)
    for words in (("runs",), ("sweep", "list"), ("agent", "p/x"), ("alerts", "list")):
        assert "http://127.0.0.1:9" in besom(*words, code=UNAVAILABLE).err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "now"), (0.5, "now"), (3, "3s ago"), (61, "1m ago"), (3599, "59m ago"), (90_000, "1d ago"), (-50, "now")],
)
def test_times_ago(seconds: float, words: str) -> None:
    assert output.ago(time.time() - seconds - 0.01) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0.0s"), (2.345, "2.3s"), (59, "59s"), (133, "2m 13s"), (11_100, "3h 05m"), (352_800, "4d 02h")],
)
def test_spans_of_time(seconds: float, words: str) -> None:
    assert output.duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "–"), (True, "true"), (3, "3"), (0.123456789, "0.12346"), (1e-9, "1e-09"), ([1, "a"], '[1, "a"]'), ("a\n b", "a b"), (float("nan"), "nan"), ([float("inf")], '["Infinity"]')],
)  # fmt: skip
def test_values_in_cells(value: object, words: str) -> None:
    assert output.number(value) == words


@pytest.mark.parametrize(
    ("width", "shown", "said"),
    [
        (60, ["ID", "A", "B", "C"], ""),
        (24, ["ID", "B", "C"], "no room for A"),
        (20, ["ID", "C"], "no room for A, B"),
        (9, ["ID"], "no room for A, B, C"),
    ],
)
def test_columns_that_do_not_fit_are_named(
    monkeypatch: pytest.MonkeyPatch, width: int, shown: list[str], said: str
) -> None:
    out, err = (
        Console(width=width, file=io.StringIO(), record=True),
        Console(width=200, file=io.StringIO(), record=True),
    )
    monkeypatch.setattr(output, "console", lambda stderr=False: err if stderr else out)
    output.table(("ID", "A", "B", "C"), [("12345678", "aaaa", "bbbb", "cccc")], droppable=["A", "B", "C"])
    text = out.export_text()
    assert text.splitlines()[0].split() == shown and "12345678" in text
    assert said in err.export_text()
