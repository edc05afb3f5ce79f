"""The command language of a sweep, and one trial as a process."""

from __future__ import annotations

import dataclasses
import json
import os
import queue
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from besom.agents.program import ENVIRONMENT, MACROS, Process, Recipe, alias_warning, expand, foreign, recipe
from besom.core.errors import UsageError
from besom.core.wire import Command

ROOT = Path(__file__).resolve().parents[2]
PARAMS = {"lr": 0.001, "b": True, "a": [1, 2], "off": False, "net": {"depth": 3}, "opt.name": "adam", "none": None}
FILE = Path("/store/config-r1.json")
ENV = {"HOME": "/home/ann", "EMPTY": ""}
ARGS = ["--a=[1, 2]", "--b=True", "--lr=0.001", "--net={'depth': 3}", "--none=None", "--off=False", "--opt.name=adam"]


def argv(*command: str, params: dict[str, Any] = PARAMS, program: str = "train.py") -> list[str]:
    line = expand(command, program, params, FILE, ENV)
    assert line.warnings == ()
    return list(line.argv)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("${env}", ["/usr/bin/env"]),
        ("${interpreter}", [sys.executable]),
        ("${program}", ["train.py"]),
        ("${args}", ARGS),
        ("${args_no_hyphens}", [a.removeprefix("--") for a in ARGS]),
        ("${args_no_equals}", [w for a in ARGS for w in a.split("=", 1)]),
        ("${args_append_hydra}", ["+" + a.removeprefix("--") for a in ARGS]),
        ("${args_override_hydra}", ["++" + a.removeprefix("--") for a in ARGS]),
        ("${args_no_boolean_flags}", [w for a in ARGS if a != "--off=False" for w in ["--b" if a == "--b=True" else a]]),
        ("${args_json}", [json.dumps(dict(sorted(PARAMS.items())))]),
        ("${args_json_file}", [str(FILE)]),
        ("${args_dict}", sorted(PARAMS)),
        ("${param.lr}", ["0.001"]),
        ("${lr}", ["0.001"]),
        ("${param.opt.name}", ["adam"]),
        ("${param.net.depth}", ["3"]),
        ("${envvar:HOME}", ["/home/ann"]),
        ("--cfg=${args_json_file}", [f"--cfg={FILE}"]),
        ("--lr=${lr}", ["--lr=0.001"]),
        ("${envvar:HOME}/${param.lr}/${program}", ["/home/ann/0.001/train.py"]),
        ("[${args_no_hyphens}]", ["[" + " ".join(a.removeprefix("--") for a in ARGS) + "]"]),
        ("a${envvar:EMPTY}b", ["ab"]),
        ("plain $ { } ${{x}} text", ["plain $ { } ${{x}} text"]),
    ],
)  # fmt: skip
def test_every_macro_alone_and_inside_an_item(item: str, words: list[str]) -> None:
    assert argv("run", item) == ["run", *words]


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ("${arg}", 'Did you mean "args"?'),
        ("--lr=${learning_rate}", "no macro and no parameter"),
        ("${param.lrr}", 'Did you mean "param.lr"?'),
        ("${}", "no macro"),
        ("${args_json_fil}", 'Did you mean "args_json_file"?'),
    ],
)
def test_an_unknown_macro_stays_and_is_told(item: str, says: str) -> None:
    line = expand(["run", item], "train.py", PARAMS, FILE, ENV)
    assert line.argv == ("run", item)
    assert says in line.warnings[0]


def test_a_variable_that_is_not_set_becomes_its_name_and_is_told() -> None:
    line = expand(["run", "${envvar:GPU}"], "", {}, FILE, ENV)
    assert line.argv == ("run", "GPU") and "no variable GPU" in line.warnings[0]


@pytest.mark.parametrize(
    ("command", "first"),
    [
        (["python", "t.py"], [sys.executable, "t.py"]),
        (["python3", "-m", "t"], [sys.executable, "-m", "t"]),
        (["${env}", "python", "t.py"], ["/usr/bin/env", sys.executable, "t.py"]),
        (["/usr/bin/env", "A=1", "python", "t.py"], ["/usr/bin/env", "A=1", sys.executable, "t.py"]),
        (["conda", "run", "python", "t.py"], ["conda", "run", "python", "t.py"]),
        (["torchrun", "python"], ["torchrun", "python"]),
        (["/opt/python", "t.py"], ["/opt/python", "t.py"]),
    ],
)
def test_python_is_the_interpreter_that_runs_the_agent(command: list[str], first: list[str]) -> None:
    assert argv(*command) == first


@pytest.mark.parametrize(
    ("command", "carries"),
    [
        (["${args}"], True),
        (["--x=${lr}"], True),
        (["${args_json_file}"], True),
        (["${program}"], False),
        (["${envvar:HOME}"], False),
    ],
)
def test_whether_a_parameter_stands_in_the_command(command: list[str], carries: bool) -> None:
    assert expand(command, "t.py", PARAMS, FILE, ENV).carries is carries


def make(config: dict[str, Any], folder: Path, **environment: str) -> Recipe:
    return recipe(
        config,
        sweep="s1",
        entity="ann",
        project="dkt",
        folder=folder,
        environment={"PATH": os.environ["PATH"], **environment},
    )


def test_the_default_command_runs_the_program_and_the_environment_names_the_run(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("print('hi')")
    made = make({"program": "train.py"}, tmp_path / "params", WANDB_SERVICE="x")
    command = Command("run", "r1", "crisp-clover-1", 1, 2, {"lr": 1e-5, "x": float("nan"), "net": {"d": 1}})
    assert made.line(command.params, "r1").argv == (
        "/usr/bin/env", sys.executable, "train.py", "--lr=1e-05", "--net={'d': 1}", "--x=nan",
    )  # fmt: skip
    made.write(command)
    env = made.env(command)
    assert {name: env[name] for name in env if name.endswith(("RUN_ID", "SWEEP_ID", "ENTITY", "PROJECT"))} == {
        f"{kind}_{name}": value
        for kind in ("BESOM", "WANDB")
        for name, value in [("RUN_ID", "r1"), ("SWEEP_ID", "s1"), ("ENTITY", "ann"), ("PROJECT", "dkt")]
    }
    assert (env["BESOM_ATTEMPT"], env["BESOM_NAME"], env["WANDB_DIR"]) == ("2", "crisp-clover-1", str(tmp_path))
    assert "WANDB_SERVICE" not in env and set(ENVIRONMENT) <= env.keys()
    written = yaml.safe_load(Path(env["WANDB_SWEEP_PARAM_PATH"]).read_text())
    assert written["wandb_version"] == 1
    assert written["lr"] == {"value": 1e-5} and written["net"] == {"value": {"d": 1}}
    assert not (tmp_path / "params" / "config-r1.json").exists(), "only when the command names it"


def test_the_json_file_is_there_when_the_command_names_it(tmp_path: Path) -> None:
    made = make({"command": ["run", "--cfg=${args_json_file}"]}, tmp_path)
    made.write(Command("run", "r1", params={"lr": 0.1}))
    path = made.line({"lr": 0.1}, "r1").argv[1].removeprefix("--cfg=")
    assert json.loads(Path(path).read_text()) == {"lr": 0.1}


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({}, "the sweep names no program"),
        ({"command": ["python", "${program}"]}, "the sweep names no program"),
        ({"program": "trian.py"}, 'Did you mean "train.py"?'),
    ],
)
def test_a_sweep_that_names_nothing_to_run(config: dict[str, Any], says: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").touch()
    with pytest.raises(UsageError, match=says.replace("?", r"\?")):
        make(config, tmp_path)


def test_a_program_that_imports_the_other_client_is_given_our_address(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("real.py").write_text("import os, sys as s, wandb\n")
    Path("ours.py").write_text("import os, besom as wandb\n")
    server = "http://127.0.0.1:1"
    for program, environment in (
        ("ours.py", {}),
        ("none.py", {}),
        ("real.py", {"WANDB_MODE": "offline"}),
        ("real.py", {"WANDB_BASE_URL": "x"}),
    ):
        with foreign(program, environment, tmp_path, server) as needed:
            assert needed == {}
    with foreign("real.py", {"BESOM_API_KEY": "k"}, tmp_path, server) as needed:
        assert (needed["WANDB_BASE_URL"], needed["WANDB_API_KEY"]) == (server, "k" + "0" * 39)
        made = dataclasses.replace(make({"program": "real.py"}, tmp_path), foreign=needed)
        env = made.env(Command("run", "r1", name="calm-oak-1"))
        assert (env["WANDB_BASE_URL"], env["WANDB_NAME"], env["WANDB_RUN_ID"]) == (server, "calm-oak-1", "r1")
        assert alias_warning(made) == ""


def test_where_the_other_client_is_not_installed_its_name_means_besom(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(metadata, "distributions", lambda **_: iter(()))
    Path("real.py").write_text("import wandb\nfrom wandb import init\nprint(wandb.__name__, init.__module__)\n")
    with foreign("real.py", os.environ, tmp_path / "alias", "") as needed:
        made = dataclasses.replace(make({"program": "real.py"}, tmp_path), foreign=needed)
        assert "runs with besom under that name" in alias_warning(made)
        said = subprocess.run([sys.executable, "real.py"], env={**os.environ, **needed}, capture_output=True, text=True)
    assert said.stdout.split()[0] == "besom", said.stderr


def test_every_macro_and_variable_has_its_line_in_the_docs() -> None:
    page = (ROOT / "docs" / "sweep-yaml.md").read_text(encoding="utf-8")
    assert [name for name in MACROS if f"`${{{name}}}`" not in page] == []
    assert [name for name in ENVIRONMENT if f"`{name}`" not in page] == []


class Ran:
    """A process that is watched by a test."""

    def __init__(self, *argv: str, **env: str) -> None:
        self.lines: list[str] = []
        self._ended: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.process = Process(
            argv, {**os.environ, **env}, on_line=self.lines.append, on_exit=lambda: self._ended.put(True)
        )

    def wait(self) -> int | None:
        self._ended.get(timeout=60)
        return self.process.code

    def line(self, n: int = 1) -> str:
        while len(self.lines) < n:
            time.sleep(0.01)
        return self.lines[n - 1]


def test_lines_of_both_streams_come_in_order_and_the_last_ones_are_kept() -> None:
    script = "import sys\nfor i in range(30): print(i, file=[sys.stdout, sys.stderr][i % 2], flush=True)\nsys.exit(3)"
    ran = Ran(sys.executable, "-c", script)
    assert ran.wait() == 3
    assert ran.lines == [str(i) for i in range(30)]
    assert ran.process.tail.splitlines() == [str(i) for i in range(10, 30)]


def test_a_progress_bar_is_its_last_state_and_bytes_that_are_no_text_do_no_harm() -> None:
    ran = Ran(sys.executable, "-c", r"import sys; sys.stdout.buffer.write(b'1%\r50%\r100%\n\xff\n')")
    assert ran.wait() == 0
    assert ran.lines == ["100%", "�"]


def test_a_bar_without_an_end_of_line_is_not_held_for_ever() -> None:
    ran = Ran(sys.executable, "-c", r"import sys; sys.stdout.write('%7d\r' * 40_000 % tuple(range(40_000)))")
    assert ran.wait() == 0
    assert max(map(len, ran.lines)) <= 7 and len(ran.lines) == 5 and ran.lines[0].strip() == "8191"


def test_stdin_is_closed() -> None:
    ran = Ran(sys.executable, "-c", "print(repr(input() if False else __import__('sys').stdin.read()))")
    assert ran.wait() == 0 and ran.lines == ["''"]


def test_a_signal_reaches_the_whole_group_and_nothing_is_left_behind() -> None:
    ran = Ran("sh", "-c", "sleep 100 & echo $!; sleep 100")
    helper = int(ran.line())
    ran.process.signal(signal.SIGTERM)
    assert ran.wait() == -signal.SIGTERM
    assert not psutil.pid_exists(helper) or psutil.Process(helper).status() == psutil.STATUS_ZOMBIE


def test_what_a_program_leaves_running_is_ended_with_it() -> None:
    ran = Ran("sh", "-c", "trap '' TERM; (trap '' TERM; sleep 100) >/dev/null 2>&1 & echo $!")
    helper = int(ran.line())
    assert ran.wait() == 0
    gone = time.monotonic() + 10  # the signal is sent; the kernel takes its time on a busy machine
    while psutil.pid_exists(helper) and psutil.Process(helper).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < gone, "the helper outlives its trial"
        time.sleep(0.02)


@pytest.mark.parametrize(("argv", "says"), [(["no-such-program"], "is not found"), (["/"], "is not found")])
def test_a_command_that_cannot_be_started(argv: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Process(argv, os.environ, on_line=print, on_exit=lambda: None)
