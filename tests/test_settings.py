"""Settings: who set what, which names of W&B are understood, and that nothing but besom picks a server."""

from __future__ import annotations

import os
import pickle
import stat
from pathlib import Path
from typing import Any

import pytest

from besom import settings as module
from besom.agents.program import ENVIRONMENT
from besom.core.errors import ConfigError
from besom.settings import FIELDS, Settings, load, save, server_folder

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("BESOM_", "WANDB_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("BESOM_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_strongest_word_wins_and_each_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[Any, str]] = [(load().project, load().origin("project"))]
    user = write(tmp_path / "config" / "settings.toml", 'project = "user"\n')
    steps.append((load().project, load().origin("project")))
    here = write(tmp_path / "besom.toml", 'project = "here"\n')
    steps.append((load().project, load().origin("project")))
    monkeypatch.setenv("WANDB_PROJECT", "old")
    steps.append((load().project, load().origin("project")))
    monkeypatch.setenv("BESOM_PROJECT", "new")
    steps.append((load().project, load().origin("project")))
    steps.append((load(project="given").project, load(project="given").origin("project")))
    assert steps == [
        ("uncategorized", "default"),
        ("user", f"file {user}"),
        ("here", f"file {here}"),
        ("old", "environment WANDB_PROJECT"),
        ("new", "environment BESOM_PROJECT"),
        ("given", "argument"),
    ]


def test_every_field_has_its_annotation_and_its_line_in_the_docs() -> None:
    assert set(Settings.__annotations__) - {"warnings", "origins"} == {field.name for field in FIELDS}
    text = (ROOT / "docs" / "settings.md").read_text()
    for field in FIELDS:
        (line,) = [line for line in text.splitlines() if line.startswith(f"| `{field.name}` |")]
        assert all(f"`{name}`" in line for name in field.environment), f"docs/settings.md on {field.name}: {line}"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("BESOM_MODE", "offline", "offline"),
        ("WANDB_MODE", "dryrun", "offline"),
        ("WANDB_MODE", "shared", "online"),
        ("BESOM_TAGS", "a, b,,c ", ("a", "b", "c")),
        ("BESOM_SILENT", "true", True),
        ("WANDB_SILENT", "1", True),
        ("BESOM_SILENT", "no", False),
        ("BESOM_STATS", "0", 0.0),
        ("BESOM_ATTEMPT", "3", 3),
        ("WANDB_CONSOLE", "wrap", "on"),
        ("WANDB_CONSOLE", "off", "off"),
        ("WANDB_RESUME", "true", "allow"),
        ("WANDB_RUN_GROUP", "g", "g"),
        ("WANDB_RUN_ID", "abc", "abc"),
        ("BESOM_SERVER", "http://box:8080/", "http://box:8080"),
        ("WANDB_NOTES", "", ""),
    ],
)
def test_what_the_environment_says(monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: Any) -> None:
    monkeypatch.setenv(name, text)
    (field,) = [field for field in FIELDS if name in field.environment]
    assert getattr(load(), field.name) == value
    assert load().origin(field.name) == f"environment {name}"


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("BESOM_MODE", "ofline", r'BESOM_MODE: mode is one of online, offline, disabled, not .ofline.\. Did you mean "offline"'),
        ("BESOM_STATS", "often", "BESOM_STATS: stats is a number, not 'often'"),
        ("BESOM_STATS", "-1", "BESOM_STATS: stats is 0 or more"),
        ("BESOM_SILENT", "maybe", "BESOM_SILENT: silent is true or false, not 'maybe'"),
        ("BESOM_RESUME", "sure", "BESOM_RESUME: resume is one of"),
    ],
)  # fmt: skip
def test_values_that_cannot_be_meant_name_where_they_stand(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, told: str
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(ConfigError, match=told):
        load()


def test_a_file_that_is_wrong_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "besom.toml", "project = ")
    with pytest.raises(ConfigError, match=r"besom\.toml: a settings file is TOML"):
        load()
    path.write_text('mode = "off"\n')
    with pytest.raises(ConfigError, match=r"besom\.toml: mode: mode is one of"):
        load()


def test_what_an_agent_tells_its_program_is_no_stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        if name.startswith("BESOM_"):
            monkeypatch.setenv(name, "1")
    assert load().warnings == ()


@pytest.mark.parametrize("how", ["file", "environment", "argument", "object"])
def test_unknown_names_never_raise_and_are_told_with_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    name = "projct"
    given: Settings | None = None
    arguments: dict[str, Any] = {}
    if how == "file":
        write(tmp_path / "besom.toml", 'projct = "x"\n')
    elif how == "environment":
        name = "BESOM_PROJCT"
        monkeypatch.setenv(name, "x")
    elif how == "argument":
        arguments = {name: "x"}
    else:
        given = Settings(projct="x")
    (told,) = load(given, **arguments).warnings
    assert f'"{name}"' in told and f'Did you mean "{name[:-2]}ECT"?'.upper() in told.upper()


@pytest.mark.parametrize("name", ["WANDB_BASE_URL", "WANDB_API_KEY"])
def test_an_old_vendor_setting_never_picks_a_server(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "https://api.vendor.example")
    settings = load()
    assert (settings.server, settings.api_key) == ("", "")
    assert any(name in told and "not obeyed" in told for told in settings.warnings)
    monkeypatch.setenv("BESOM_SERVER", "http://127.0.0.1:8080")
    assert load().server == "http://127.0.0.1:8080" and load().warnings == ()


def test_what_was_understood_of_wandb_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "dkt")
    monkeypatch.setenv("WANDB_NAME", "mine")
    monkeypatch.setenv("WANDB_SOMETHING", "else")
    assert load().warnings == ("understood from the environment: WANDB_PROJECT, WANDB_NAME.",)


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_offline_and_disabled_use_no_server(monkeypatch: pytest.MonkeyPatch, mode: str, tmp_path: Path) -> None:
    monkeypatch.setenv("BESOM_SERVER", "http://box:8080")
    monkeypatch.setenv("BESOM_DIR", str(tmp_path / "store"))
    assert load().journals == tmp_path / "store" / "servers" / "box_8080" / "journals"
    settings = load(mode=mode)
    assert settings.server == "" and settings.origin("server") == f"mode {mode}"
    assert settings.journals == tmp_path / "store" / "journals"
    assert settings.database == tmp_path / "store" / "besom.db"


@pytest.mark.parametrize(
    ("server", "folder"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1_8080"),
        ("https://user:word@box.example/base/", "box.example_base"),
        ("box:80", "box_80"),
        ("http://[::1]:8080", "1_8080"),
        ("http://../..", "server"),
    ],
)
def test_each_server_has_its_folder(server: str, folder: str) -> None:
    assert server_folder(server) == folder


def test_a_key_goes_to_no_other_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "config" / "settings.toml", 'server = "http://mine:8080"\napi_key = "secret"\n')
    assert load().api_key == "secret"
    write(tmp_path / "besom.toml", 'server = "http://theirs:8080"\n')
    assert (load().server, load().api_key) == ("http://theirs:8080", "")
    write(tmp_path / "besom.toml", 'server = "http://mine:8080"\n')
    assert load().api_key == "secret"
    assert load(server="http://theirs:8080").api_key == load(Settings(server="http://theirs:8080")).api_key == ""
    monkeypatch.setenv("BESOM_SERVER", "http://theirs:8080")
    assert (load().server, load().api_key) == ("http://theirs:8080", "")
    assert load(api_key="given").api_key == "given", "a key that is named beside another server is meant for it"
    monkeypatch.setenv("BESOM_SERVER", "http://mine:8080/")
    assert load().api_key == "secret"


def test_a_folder_in_a_file_is_meant_from_that_file_and_all_are_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "besom.toml", 'dir = "runs"\n')
    settings = load()
    assert settings.dir == tmp_path / "runs"
    monkeypatch.setenv("BESOM_DIR", "elsewhere")
    assert load().dir == tmp_path / "elsewhere"


def test_login_writes_the_file_and_keeps_the_rest(tmp_path: Path) -> None:
    path = write(
        tmp_path / "config" / "settings.toml", 'project = "dkt"\ntags = ["a", "b"]\nsilent = false\nstats = 5.0\n'
    )
    assert save(server="http://127.0.0.1:8080", api_key='k"e\\y\n') == path
    settings = load()
    assert (settings.server, settings.api_key, settings.project) == ("http://127.0.0.1:8080", 'k"e\\y\n', "dkt")
    assert (settings.tags, settings.silent, settings.stats) == (("a", "b"), False, 5.0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    save(api_key=None)
    assert (load().api_key, load().server) == ("", "http://127.0.0.1:8080")
    assert [entry.name for entry in path.parent.iterdir()] == ["settings.toml"]
    with pytest.raises(ConfigError, match='Did you mean "server"'):
        save(servr="x")


def test_settings_are_frozen_and_tell_no_secret() -> None:
    settings = Settings(api_key="0123456789abcdef", mode="offline")
    with pytest.raises(AttributeError, match=r"settings\.replace\(mode="):
        settings.mode = "online"
    with pytest.raises(AttributeError):
        del settings.mode
    assert "0123456789" not in repr(settings) and "cdef" in repr(settings)
    other = settings.replace(project="x")
    assert (other.project, other.mode, other.origin("project"), settings.project) == (
        "x",
        "offline",
        "argument",
        "uncategorized",
    )
    assert settings == Settings(api_key="0123456789abcdef", mode="offline") != other
    copies = [pickle.loads(pickle.dumps(one)) for one in (settings, other)]  # noqa: S301
    assert copies == [settings, other] and hash(copies[0]) == hash(settings)


def test_an_object_counts_for_what_it_names_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BESOM_PROJECT", "from-environment")
    settings = load(Settings(mode="offline"))
    assert (settings.mode, settings.project) == ("offline", "from-environment")


def test_the_default_entity_is_the_login_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "login_name", lambda: "ada")
    assert load().entity == "ada"
