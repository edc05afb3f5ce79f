"""Settings: what a user can choose, where each value came from, and the names of W&B that we understand.

A value is taken from the strongest of: default < user's file < ``./besom.toml`` < environment < argument. `Settings` is
frozen and remembers the origin of each value, which ``besom settings`` shows. Only ``BESOM_SERVER``, a besom setting or
``besom login --host`` picks a server: an old ``WANDB_BASE_URL`` or ``WANDB_API_KEY`` must never send private runs to a
vendor. Both files are TOML with the names of `FIELDS` as keys; docs/settings.md lists them.

This module knows nothing of runs, journals or servers; it reads two files and the environment and does no other I/O.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs

from besom.core.errors import ConfigError, did_you_mean
from besom.core.names import login_name

MODES = ("online", "offline", "disabled")
RESUME = ("", "allow", "never", "must", "auto")
CONSOLE = ("on", "off")
PROJECT = "uncategorized"
"""The project of a run that names none."""


class Field(NamedTuple):
    """One setting: its names in the environment (ours first), its kind, default, allowed values and its line in the docs."""

    name: str
    environment: tuple[str, ...]
    kind: type
    default: Any
    text: str
    choices: tuple[str, ...] = ()


FIELDS: tuple[Field, ...] = (
    Field("dir", ("BESOM_DIR",), Path, None, "Folder of the store: journals, database, files. By default the user's data folder."),
    Field("store", ("BESOM_STORE",), str, "", "postgresql://USER:PASSWORD@HOST/NAME: the database in place of the one in `dir`."),
    Field("server", ("BESOM_SERVER",), str, "", "Address of a besom server, e.g. http://127.0.0.1:8080. Empty: no server, everything stays in `dir`."),
    Field("api_key", ("BESOM_API_KEY",), str, "", "Key for that server. A secret: shown shortened."),
    Field("entity", ("BESOM_ENTITY", "WANDB_ENTITY"), str, None, "Who owns runs and sweeps. By default the login name."),
    Field("project", ("BESOM_PROJECT", "WANDB_PROJECT"), str, PROJECT, "Project of new runs and sweeps."),
    Field("mode", ("BESOM_MODE", "WANDB_MODE"), str, "online", "online; offline: as if no server were set; disabled: nothing is written, every call works.", MODES),
    Field("name", ("BESOM_NAME", "WANDB_NAME"), str, "", "Name of the run. By default a readable random one."),
    Field("notes", ("BESOM_NOTES", "WANDB_NOTES"), str, "", "Notes of the run."),
    Field("tags", ("BESOM_TAGS", "WANDB_TAGS"), tuple, (), "Tags of the run; comma-separated in the environment."),
    Field("group", ("BESOM_GROUP", "BESOM_RUN_GROUP", "WANDB_RUN_GROUP"), str, "", "Group of the run."),
    Field("job_type", ("BESOM_JOB_TYPE", "WANDB_JOB_TYPE"), str, "", "Job type of the run, e.g. train or eval."),
    Field("run_id", ("BESOM_RUN_ID", "WANDB_RUN_ID"), str, "", "Id of the run. An id that exists is resumed."),
    Field("resume", ("BESOM_RESUME", "WANDB_RESUME"), str, "", "never and must refuse a run id that exists, or does not; allow and auto resume it.", RESUME),
    Field("console", ("BESOM_CONSOLE", "WANDB_CONSOLE"), str, "on", "on: what Python writes to stdout and stderr is kept with the run; off: it is not.", CONSOLE),
    Field("silent", ("BESOM_SILENT", "WANDB_SILENT"), bool, False, "No line of besom's own on the terminal, not even a warning."),
    Field("stats", ("BESOM_STATS",), float, 15.0, "Seconds between two samples of system metrics; 0 turns them off."),
    Field("git", ("BESOM_GIT",), bool, True, "Keep the git commit and remote of the program with the run."),
    Field("host", ("BESOM_HOST", "WANDB_HOST"), str, "", "Name of this machine as the run shows it. By default the host name."),
    Field("sweep_id", ("BESOM_SWEEP_ID", "WANDB_SWEEP_ID"), str, "", "Sweep of the run. Set by an agent."),
    Field("sweep_params", ("BESOM_SWEEP_PARAM_PATH", "WANDB_SWEEP_PARAM_PATH"), str, "", "YAML file with the values that the sweep chose. Set by an agent."),
    Field("attempt", ("BESOM_ATTEMPT",), int, 1, "Which attempt of the trial this process is. Set by an agent."),
)  # fmt: skip
BY_NAME = {field.name: field for field in FIELDS}

AGENT_NAMES = ("BESOM_AGENT_KILL_DELAY", "BESOM_AGENT_DISABLE_FLAPPING", "BESOM_AGENT_MAX_INITIAL_FAILURES")
"""Variables that only `besom agent` reads; docs/sweep-yaml.md has their lines."""
_OWN_NAMES = frozenset(
    {name for field in FIELDS for name in field.environment} | {"BESOM_CONFIG_DIR", "BESOM_PARENT", *AGENT_NAMES}
)
_NOT_OBEYED = ("WANDB_BASE_URL", "WANDB_API_KEY")
_SPELLINGS: dict[str, dict[str, str]] = {
    "mode": {"dryrun": "offline", "run": "online", "shared": "online"},
    "console": {"auto": "on", "wrap": "on", "wrap_raw": "on", "wrap_emu": "on", "redirect": "on", "true": "on"}
    | {"1": "on", "false": "off", "0": "off"},
    "resume": {"true": "allow", "1": "allow", "false": "", "0": ""},
}
"""Spellings of W&B and of habit, as the value that we mean by them."""


class Settings:
    """Everything a user can choose. Frozen; unset fields hold their defaults. `origin(name)` says who set a field.

    ``Settings(mode="offline")`` is also what a script passes to ``besom.init(settings=...)``: only what it names counts.
    A name that we do not have is left out and noted in `warnings`, so that a script written for W&B runs.
    Raises ConfigError for a value that its field cannot hold.
    """

    dir: Path
    store: str
    server: str
    api_key: str
    entity: str
    project: str
    mode: str
    name: str
    notes: str
    tags: tuple[str, ...]
    group: str
    job_type: str
    run_id: str
    resume: str
    console: str
    silent: bool
    stats: float
    git: bool
    host: str
    sweep_id: str
    sweep_params: str
    attempt: int
    warnings: tuple[str, ...]
    """Sentences for the user: unknown names, and what of W&B's environment was understood or not obeyed."""
    origins: Mapping[str, str]
    """Who set each field that is not at its default."""

    def __init__(self, **given: Any) -> None:
        known = {name: _checked(BY_NAME[name], value, name) for name, value in given.items() if name in BY_NAME}
        notes = tuple(_unknown(name, "setting") for name in given if name not in BY_NAME)
        self._hold(known, dict.fromkeys(known, "argument"), notes)

    def _hold(self, values: Mapping[str, Any], origins: Mapping[str, str], warnings: tuple[str, ...]) -> None:
        for field in FIELDS:
            value = values[field.name] if field.name in values else _default(field)
            # absolute from the start: a script (or Hydra for it) may change the working directory later
            object.__setattr__(self, field.name, value.absolute() if isinstance(value, Path) else value)
        object.__setattr__(self, "origins", dict(origins))
        object.__setattr__(self, "warnings", warnings)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"settings are frozen: use settings.replace({name}=...)")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("settings are frozen")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash(tuple(self.as_dict().values()))

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={self.shown(name)}' for name in self.origins)})"

    def as_dict(self) -> dict[str, Any]:
        """Every field and its value; the API key is whole."""
        return {field.name: getattr(self, field.name) for field in FIELDS}

    def origin(self, name: str) -> str:
        """Who set `name`: ``default``, ``file PATH``, ``environment BESOM_X`` or ``argument``."""
        return self.origins.get(name, "default")

    def shown(self, name: str) -> str:
        """The value of `name` as text for people; a key is shortened to its last four characters, a password left out."""
        value = getattr(self, name)
        if name == "store":
            value = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", value)
        if name == "api_key" and value:
            return f"'...{value[-4:]}'" if len(value) > 12 else "'...'"
        return repr(str(value) if isinstance(value, Path) else value)

    def replace(self, **changes: Any) -> Settings:
        """A copy with some fields changed; their origin is ``argument``. Raises ConfigError like the constructor."""
        new = Settings(**changes)
        copy = Settings.__new__(Settings)
        values = {**self.as_dict(), **{name: getattr(new, name) for name in new.origins}}
        copy._hold(values, {**self.origins, **new.origins}, self.warnings + new.warnings)
        return copy

    @property
    def database(self) -> Path | str:
        """The database of the store without a server: the SQLite file, or the address that `store` sets."""
        return self.store or self.dir / "besom.db"

    @property
    def journals(self) -> Path:
        """Where this process's journals go: apart for each server, so that one deliverer knows what is its own."""
        return self.home / "journals"

    @property
    def home(self) -> Path:
        """`dir`, or the part of it that belongs to the server that is set."""
        return self.dir / "servers" / server_folder(self.server) if self.server else self.dir

    @property
    def blobs(self) -> Path:
        """Files that belong to runs, each under its SHA-256: ``ab/abcdef...``."""
        return self.dir / "blobs"


def load(settings: Settings | None = None, **arguments: Any) -> Settings:
    """The settings that hold here and now. An argument that is None was not given; `settings` counts as arguments too.

    Raises ConfigError (with file or variable and key) for a value that cannot be understood. Unknown keys never raise:
    they are named in `warnings`, with the nearest known spelling.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    warnings: list[str] = []
    for path in (config_file(), Path("besom.toml")):
        _take_file(path, values, origins, warnings)
    keys_server = values.get("server") if "api_key" in values else None
    _take_environment(values, origins, warnings)
    given = {name: getattr(settings, name) for name in settings.origins} if settings is not None else {}
    given |= {name: value for name, value in arguments.items() if value is not None}
    for name, value in given.items():
        if name in BY_NAME:
            values[name], origins[name] = _checked(BY_NAME[name], value, name), "argument"
        else:
            warnings.append(_unknown(name, "setting"))
    if settings is not None:
        warnings.extend(settings.warnings)
    if keys_server and values.get("server") != keys_server and origins["api_key"].startswith("file"):
        values["api_key"], origins["api_key"] = "", f"left out: it was stored with {keys_server}"
    mode = values.get("mode", "online")
    if mode != "online" and values.get("server"):
        values["server"], origins["server"] = "", f"mode {mode}"
    made = Settings.__new__(Settings)
    made._hold(values, origins, tuple(dict.fromkeys(warnings)))
    return made


def config_dir() -> Path:
    """The folder of the user's settings file: BESOM_CONFIG_DIR, or ``besom`` in the user's configuration folder."""
    chosen = os.environ.get("BESOM_CONFIG_DIR")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_config_dir("besom"))


def config_file() -> Path:
    """The user's settings file; it need not exist."""
    return config_dir() / "settings.toml"


def save(**changes: Any) -> Path:
    """Write settings into the user's file (mode 0600) and keep its other lines; None removes a key. The path is returned.

    Raises ConfigError for an unknown name or a value its field cannot hold, and when the file cannot be understood.
    """
    path = config_file()
    kept = _read(path) if path.exists() else {}
    for name, value in changes.items():
        if name not in BY_NAME:
            raise ConfigError(_unknown(name, "setting"), where=name)
        kept.pop(name, None)
        if value is not None:
            kept[name] = _checked(BY_NAME[name], value, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.writelines(f"{key} = {_toml(value)}\n" for key, value in kept.items())
    fresh.replace(path)
    return path


def server_folder(server: str) -> str:
    """The name of a server as a folder: ``http://host:8080/base`` is ``host_8080_base``."""
    place = re.sub(r"^[a-z]+://", "", server).partition("?")[0]
    host, slash, path = place.partition("/")
    return re.sub(r"[^A-Za-z0-9.-]+", "_", host.rpartition("@")[2] + slash + path.rstrip("/")).strip("_.") or "server"


def _default(field: Field) -> Any:
    if field.name == "dir":
        return Path(platformdirs.user_data_dir("besom"))
    return login_name() if field.name == "entity" else field.default


def _take_file(path: Path, values: dict[str, Any], origins: dict[str, str], warnings: list[str]) -> None:
    if not path.exists():
        return
    origin = f"file {path.absolute()}"
    found = _read(path)
    if found.get("server", values.get("server")) != values.get("server"):
        values.pop("api_key", None)  # a key belongs to the server it was stored with, and goes to no other
        origins.pop("api_key", None)
    for name, value in found.items():
        if name not in BY_NAME:
            warnings.append(_unknown(name, f"key of {path}"))
            continue
        value = _checked(BY_NAME[name], value, f"{path}: {name}")
        if isinstance(value, Path):
            value = path.absolute().parent / value  # a folder named in a file is meant from that file
        values[name], origins[name] = value, origin


def _take_environment(values: dict[str, Any], origins: dict[str, str], warnings: list[str]) -> None:
    understood = []
    for field in FIELDS:
        for name in field.environment:
            text = os.environ.get(name)
            if text is None or (text == "" and field.kind is not str):
                continue
            values[field.name], origins[field.name] = _checked(field, text, name), f"environment {name}"
            if name.startswith("WANDB_"):
                understood.append(name)
            break
    warnings.extend(_unknown(name, "variable") for name in _strangers())
    ignored = [name for name in _NOT_OBEYED if os.environ.get(name)]
    if understood:
        warnings.append(f"understood from the environment: {', '.join(understood)}.")
    if ignored and not values.get("server"):
        warnings.append(
            f"{' and '.join(ignored)} not obeyed: only BESOM_SERVER, the setting `server` or `besom login --host URL` picks a server."
        )


def _strangers() -> Iterator[str]:
    return (name for name in os.environ if name.startswith("BESOM_") and name not in _OWN_NAMES)


def _unknown(name: str, what: str) -> str:
    known = sorted(_OWN_NAMES) if what == "variable" else list(BY_NAME)
    return f'"{name}" is not a {what} of besom and has no effect.{did_you_mean(name, known)}'


def _read(path: Path) -> dict[str, Any]:
    import tomllib  # late: most users have no file

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"a settings file is TOML, and this one cannot be read ({error})", where=str(path)) from error


def _checked(field: Field, value: Any, where: str) -> Any:
    """`value` as its field holds it; text is read, as it comes from the environment."""
    if field.choices:
        text = ("true" if value else "false") if isinstance(value, bool) else str(value or "").strip().lower()
        text = _SPELLINGS.get(field.name, {}).get(text, text)
        if text not in field.choices:
            allowed = ", ".join(choice or '""' for choice in field.choices)
            raise ConfigError(
                f"{field.name} is one of {allowed}, not {value!r}.{did_you_mean(text, field.choices)}", where=where
            )
        return text
    if field.kind is bool:
        return _truth(field, value, where)
    if field.kind is tuple:
        parts = value.split(",") if isinstance(value, str) else value
        return tuple(str(part).strip() for part in parts if str(part).strip())
    if field.kind is Path:
        return Path(os.fspath(value)).expanduser()
    if field.kind is str:
        return str(value).rstrip("/") if field.name == "server" else str(value)
    try:
        number = field.kind(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{field.name} is a number, not {value!r}", where=where) from None
    if not number >= 0:
        raise ConfigError(f"{field.name} is 0 or more, not {value!r}", where=where)
    return number


def _truth(field: Field, value: Any, where: str) -> bool:
    word = str(value).strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("", "0", "false", "no", "off", "none"):
        return False
    raise ConfigError(f"{field.name} is true or false, not {value!r}", where=where)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_toml, value))}]"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", text) + '"'
