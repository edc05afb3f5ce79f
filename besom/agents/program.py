"""A trial as a program: the command line and environment made of a sweep's command, and the process that runs it.

The walk it serves: agents/loop receives a Command (run, params) -> `Recipe.line` -> `Process` -> exit code and last lines.
The command and its macros are a small language of their own, the one that a W&B sweep.yaml speaks: `line` is pure and
total, and what it cannot expand it leaves as written, with a warning. It does not know the hub.

A process is a group of its own with a closed stdin. When this agent dies, whatever way, its processes die with it: the
kernel ends the child (PR_SET_PDEATHSIG, where there is one), and agents/guard.py what the child had started.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import IO, Any

import yaml

from besom.agents.loopback import Loopback
from besom.core.errors import UsageError, did_you_mean
from besom.core.wire import Command

DEFAULT = ("${env}", "${interpreter}", "${program}", "${args}")
MACROS = (
    "env", "interpreter", "program", "args", "args_no_equals", "args_no_hyphens", "args_append_hydra", "args_override_hydra",
    "args_no_boolean_flags", "args_json", "args_json_file", "args_dict", "envvar:NAME", "param.NAME",
)  # fmt: skip
ENVIRONMENT = (
    "BESOM_RUN_ID", "BESOM_SWEEP_ID", "BESOM_SWEEP_PARAM_PATH", "BESOM_ATTEMPT", "BESOM_ENTITY", "BESOM_PROJECT", "BESOM_NAME",
    "BESOM_PARENT",
    "WANDB_RUN_ID", "WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH", "WANDB_ENTITY", "WANDB_PROJECT", "WANDB_DIR",
)  # fmt: skip
TAIL = 20
"""Lines of a process that are kept for the case that it fails."""
LONGEST = 1 << 16
"""Bytes of a line that are held; a progress bar may write for hours without an end of line."""
_MACRO = re.compile(r"\$\{([^${}]*)\}")
_FOREIGN = re.compile(r"^\s*(?:(?:import|from)\s+|import\s[^#\n]*,\s*)wandb\b", re.M)
_PDEATHSIG = 1
_prctl: Any = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform.startswith("linux") else None


@dataclass(frozen=True, slots=True)
class Line:
    """A command line. `warnings`: macros that could not be expanded. `carries`: a parameter stands in it."""

    argv: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    carries: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the trials of one sweep are run. `folder`: where the files of parameters go; `environment`: what children inherit."""

    sweep: str
    entity: str
    project: str
    command: tuple[str, ...]
    program: str
    folder: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    foreign: Mapping[str, str] = field(default_factory=dict)
    """What a program that imports the client `wandb` needs besides; see `foreign`."""

    def line(self, params: Mapping[str, Any], run: str) -> Line:
        """The command line of the trial with `params`."""
        return expand(self.command, self.program, params, self.json_path(run), self.environment)

    def json_path(self, run: str) -> Path:
        """The file that ${args_json_file} names."""
        return self.folder / f"config-{run}.json"

    def env(self, command: Command) -> dict[str, str]:
        """The child's environment: the agent's, and what names the run, the sweep and the file of parameters."""
        params = str(self.folder / f"config-{command.run}.yaml")
        named = {
            "RUN_ID": command.run,
            "SWEEP_ID": self.sweep,
            "SWEEP_PARAM_PATH": params,
            "ENTITY": self.entity,
            "PROJECT": self.project,
        }
        env = {name: value for name, value in self.environment.items() if name != "WANDB_SERVICE"}
        for name, value in named.items():
            env[f"BESOM_{name}"] = env[f"WANDB_{name}"] = value
        env["BESOM_ATTEMPT"] = str(command.attempt)
        env["BESOM_NAME"] = command.name
        env["BESOM_PARENT"] = command.parent
        env.setdefault("WANDB_DIR", str(Path.cwd()))
        env.setdefault("PYTHONUNBUFFERED", "1")  # its lines reach the agent as they are written
        if self.foreign:
            env["WANDB_NAME"] = command.name
        return {**env, **self.foreign}

    def write(self, command: Command) -> None:
        """Write the files of parameters: YAML for `init()`, and JSON when the command asks for it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        body: dict[str, Any] = {"wandb_version": 1}
        body.update({key: {"value": value} for key, value in command.params.items()})
        text = yaml.safe_dump(body, default_flow_style=False, allow_unicode=True, sort_keys=True)
        (self.folder / f"config-{command.run}.yaml").write_text(text, encoding="utf-8")
        if any("${args_json_file}" in item for item in self.command):
            self.json_path(command.run).write_text(json.dumps(command.params, sort_keys=True), encoding="utf-8")


def recipe(
    config: Mapping[str, Any], *, sweep: str, entity: str, project: str, folder: Path, environment: Mapping[str, str]
) -> Recipe:
    """The recipe of a sweep's config. Raises UsageError when nothing can be run, saying what is missing."""
    command = tuple(str(item) for item in config.get("command") or DEFAULT)
    program = str(config.get("program") or "")
    if not program and any("${program}" in item for item in command):
        raise UsageError(
            "the sweep names no program. Write `program: train.py` in its file, or run a function: besom.agent(id, function=train)"
        )
    names_file = any(item == "${interpreter}" for item in command) and "${program}" in command
    if names_file and not Path(program).exists():
        near = did_you_mean(Path(program).name, [path.name for path in _siblings(Path(program))])
        raise UsageError(
            f"the program {program} is not in {Path.cwd()}; start the agent in the folder that holds it.{near}"
        )
    return Recipe(sweep, entity, project, command, program, folder, environment)


def expand(
    command: Sequence[str], program: str, params: Mapping[str, Any], json_path: Path, environment: Mapping[str, str]
) -> Line:
    """The argv that a sweep's `command` stands for. Parameters come in order of name; a value prints as Python prints it.

    An item that is one macro becomes none, one or many words; inside a longer item they are joined by spaces. `${lr}` means
    `${param.lr}` when the sweep has a parameter lr. What is unknown stays as written, with a warning.
    """
    names = sorted(params)
    pairs = [(name, str(params[name])) for name in names]
    words: dict[str, list[str]] = {
        "env": ["/usr/bin/env"] if os.name == "posix" else [],
        "interpreter": [sys.executable],
        "program": [program] if program else [],
        "args": [f"--{k}={v}" for k, v in pairs],
        "args_no_equals": [word for k, v in pairs for word in (f"--{k}", v)],
        "args_no_hyphens": [f"{k}={v}" for k, v in pairs],
        "args_append_hydra": [f"+{k}={v}" for k, v in pairs],
        "args_override_hydra": [f"++{k}={v}" for k, v in pairs],
        "args_no_boolean_flags": [
            f"--{k}" if params[k] is True else f"--{k}={v}" for k, v in pairs if params[k] is not False
        ],
        "args_json": [json.dumps({name: params[name] for name in names})],
        "args_json_file": [str(json_path)],
        "args_dict": names,
    }
    warnings: list[str] = []
    carries = False

    def expansion(macro: str) -> list[str] | None:
        nonlocal carries
        if macro.startswith("envvar:"):
            name = macro.removeprefix("envvar:")
            if name not in environment:
                warnings.append(f"the environment has no variable {name}; ${{{macro}}} became its name")
            return [environment.get(name, name)]
        if macro in words:
            carries = carries or macro.startswith("args")
            return words[macro]
        found, value = _lookup(params, macro.removeprefix("param."))
        if found:
            carries = True
            return [str(value)]
        known = [*MACROS, *names, *(f"param.{name}" for name in names)]
        hint = did_you_mean(macro, known) or f" There are {', '.join(MACROS)}."
        warnings.append(
            f"the command says ${{{macro}}}, which is no macro and no parameter; it was left as it is.{hint}"
        )
        return None

    argv: list[str] = []
    for item in command:
        whole = _MACRO.fullmatch(item)
        if whole:
            got = expansion(whole[1])
            argv += [item] if got is None else got
            continue

        def inside(match: re.Match[str]) -> str:
            got = expansion(match[1])
            return match[0] if got is None else " ".join(got)

        argv.append(_MACRO.sub(inside, item))
    return Line(tuple(_this_python(argv)), tuple(dict.fromkeys(warnings)), carries)


def imports_foreign(program: str) -> bool:
    """The program imports the client `wandb` itself."""
    try:
        return bool(_FOREIGN.search(Path(program).read_text(encoding="utf-8", errors="replace"))) if program else False
    except OSError:
        return False


def client_installed() -> bool:
    """The client `wandb` is a package of this interpreter; a folder of that name, which it makes for its runs, is none."""
    return next(iter(metadata.distributions(name="wandb")), None) is not None


@contextlib.contextmanager
def foreign(program: str, environment: Mapping[str, str], folder: Path, server: str) -> Iterator[dict[str, str]]:
    """What a program that imports the client `wandb` needs in its environment; nothing for others, or when the user chose.

    The real client gets the address of `server`, or of a loopback server that lives as long as this context. Where it is
    not installed, its name means besom: a module of that name in `folder` comes first on the program's path.
    """
    if not imports_foreign(program) or {"WANDB_MODE", "WANDB_BASE_URL"} & environment.keys():
        yield {}
    elif not client_installed():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "wandb.py").write_text(_ALIAS, encoding="utf-8")
        yield {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [environment.get("PYTHONPATH")])])}
    else:
        key = environment.get("BESOM_API_KEY", "").ljust(40, "0")  # shorter ones that client refuses itself
        quiet = {"WANDB_API_KEY": key, "WANDB_ERROR_REPORTING": "false"}
        with contextlib.nullcontext() if server else Loopback(environment, _die_with_parent()) as own:
            yield {**quiet, "WANDB_BASE_URL": own.address if own else server}


def alias_warning(recipe: Recipe) -> str:
    """What to say of a program that runs with besom under the name of the client that it imports; "" for any other."""
    if "PYTHONPATH" not in recipe.foreign:
        return ""
    return f"{recipe.program} imports wandb, which is not installed here: it runs with besom under that name"


_ALIAS = """\
import sys
import besom
sys.modules[__name__] = besom
"""


def patience(name: str, default: float) -> float:
    """A number of the environment: BESOM_AGENT_`name`, else the older spelling WANDB_AGENT_`name`, else `default`."""
    for prefix in ("BESOM_AGENT_", "WANDB_AGENT_"):
        with contextlib.suppress(ValueError):
            return float(os.environ.get(prefix + name, ""))
    return default


def switched(name: str) -> bool:
    """A switch of the environment, in both spellings, is on."""
    return any(
        os.environ.get(prefix + name, "").lower() in ("1", "true", "yes", "on")
        for prefix in ("BESOM_AGENT_", "WANDB_AGENT_")
    )


class Process:
    """One attempt of one trial as a running process group. Made and waited for by the agent; signals come from any thread."""

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        on_line: Callable[[str], None],
        on_exit: Callable[[], None],
    ) -> None:
        """Start it. Raises UsageError when the command cannot be started. `on_exit` is called from a thread of its own."""
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._on_line, self._on_exit = on_line, on_exit
        if shutil.which(argv[0], path=env.get("PATH")) is None:
            raise UsageError(f"the command {argv[0]!r} is not found; the first word of `command` is a program to run")
        try:
            self._popen = subprocess.Popen(
                list(argv),
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                **_group(),
            )
        except OSError as error:
            raise UsageError(f"the command {argv[0]!r} cannot be started: {error.strerror or error}") from None
        self.pid = self._popen.pid
        self._reader = threading.Thread(target=self._read, name=f"besom-output-{self.pid}", daemon=True)
        self._reader.start()
        threading.Thread(target=self._wait, name=f"besom-wait-{self.pid}", daemon=True).start()

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._popen.returncode

    @property
    def tail(self) -> str:
        """Its last lines."""
        return "\n".join(self._tail)

    def signal(self, number: int) -> None:
        """Send a signal to the whole group; nothing happens when it is gone."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(self.pid, number)
            elif number == signal.SIGTERM:
                self._popen.send_signal(getattr(signal, "CTRL_BREAK_EVENT", number))
            else:
                self._popen.kill()

    def kill(self) -> None:
        """End the whole group at once."""
        self.signal(signal.SIGKILL if os.name == "posix" else 9)

    def _read(self) -> None:
        stream = self._popen.stdout
        assert stream is not None
        for text in _lines(stream):
            self._tail.append(text)
            self._on_line(text)

    def _wait(self) -> None:
        self._popen.wait()
        self._sweep_up()
        self._reader.join(2.0)  # a process that left the group may hold the pipe for ever
        self._on_exit()

    def _sweep_up(self) -> None:
        """End what the program left running in its group: asked first, killed after a second."""
        if os.name != "posix":
            return
        self.signal(signal.SIGTERM)
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            try:
                os.killpg(self.pid, 0)
            except OSError:  # nobody is left
                return
            time.sleep(0.02)
        self.kill()


def _lines(stream: IO[bytes]) -> Iterator[str]:
    """Lines of a process as text, without their ends; of a line that was rewritten by carriage returns the last state."""
    for line in iter(lambda: stream.readline(LONGEST), b""):
        yield line.decode("utf-8", "replace").rstrip("\r\n").rpartition("\r")[2]


def _group() -> dict[str, Any]:
    if os.name != "posix":
        return {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
    return {"process_group": 0, "preexec_fn": _die_with_parent()}


def _die_with_parent() -> Callable[[], None] | None:
    """What the child calls before its program starts."""
    parent = os.getpid()
    return (lambda: die_with(parent)) if _prctl is not None else None


def die_with(parent: int) -> None:
    """Ask the kernel to kill this process with the thread of `parent` that started it, where it can."""
    if _prctl is not None:
        _prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel knew
            os._exit(1)


def _this_python(argv: list[str]) -> list[str]:
    """`python` as the program to run, also after `/usr/bin/env`, is the interpreter that runs this agent."""
    first = 0
    if argv and Path(argv[0]).name == "env":
        first = next((i for i, word in enumerate(argv[1:], 1) if "=" not in word and not word.startswith("-")), 0)
    if first < len(argv) and argv[first] in ("python", "python3"):
        return [*argv[:first], sys.executable, *argv[first + 1 :]]
    return argv


def _lookup(params: Mapping[str, Any], name: str) -> tuple[bool, Any]:
    """(found, value) of a parameter by its name, dots included, else by a path into nested ones."""
    if name in params:
        return True, params[name]
    head, dot, rest = name.partition(".")
    inner = params.get(head)
    return _lookup(inner, rest) if dot and isinstance(inner, Mapping) else (False, None)


def _siblings(program: Path) -> list[Path]:
    return sorted(program.parent.glob("*.py")) if program.parent.is_dir() else []
