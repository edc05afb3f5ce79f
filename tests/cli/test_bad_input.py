"""Bad input: for each slip a clear message that says what is allowed, an exit code, and no traceback."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
import sqlalchemy as sa

from besom import local
from besom.cli.commands import FAILED, OK, UNAVAILABLE, USAGE
from besom.settings import load

GOOD = """\
program: train.py
method: random
metric: {name: val_loss, goal: minimize}
run_cap: 3
parameters:
  lr: {min: 0.001, max: 0.1}
"""
TRAIN = "import besom\nbesom.init()\nbesom.log({'val_loss': 1.0})\nbesom.finish()\n"


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "train.py").write_text(TRAIN)
    (folder / "sweep.yaml").write_text(GOOD)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BESOM_ENTITY", "lab")
    return folder


def without_traceback(said) -> str:
    text = said.out + said.err
    assert "Traceback" not in text, text
    return text


@pytest.mark.parametrize(
    ("slip", "old", "new", "words"),
    [
        ("an unknown distribution", "min: 0.001", "distribution: log_unifrm_values, min: 0.001", ["parameters.lr", "log_unifrm_values", 'Did you mean "log_uniform_values"?']),
        ("an unknown key of a parameter", "max: 0.1", "maxx: 0.1", ["parameters.lr", "maxx", 'Did you mean "max"?']),
        ("min above max", "min: 0.001", "min: 1.0", ["parameters.lr", "1.0", "0.1", "min"]),
        ("empty values", "{min: 0.001, max: 0.1}", "{values: []}", ["parameters.lr", "values"]),
        ("no parameters", "parameters:\n  lr: {min: 0.001, max: 0.1}\n", "", ["parameters"]),
        ("an unknown method", "random", "bayse", ["method", "bayse", 'Did you mean "bayes"?']),
        ("no method", "method: random\n", "", ["method", "auto, bayes or grid"]),
        ("bayes without a metric", "method: random\nmetric: {name: val_loss, goal: minimize}", "method: bayes", ["metric"]),
        ("a metric without a name", "{name: val_loss, goal: minimize}", "{goal: minimize}", ["metric.name"]),
        ("a run cap that is no number", "run_cap: 3", "run_cap: many", ["run_cap", "many"]),
        ("a range in a grid", "method: random", "method: grid", ["parameters.lr", "grid"]),
        ("a bracket that is not closed", "max: 0.1}", "max: 0.1", ["sweep.yaml, line 7, column 1"]),
        ("a colon too many", "program: train.py", "program: train.py: x", ["sweep.yaml, line 1, column 18"]),
        ("a tab", "  lr:", "\tlr:", ["sweep.yaml, line 6, column 1", "tab"]),
        ("no mapping", GOOD, "- a\n- b\n", ["sweep.yaml", "mapping"]),
        ("an empty file", GOOD, "", ["sweep.yaml", "mapping"]),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value and "\n" not in value and len(value) < 40 else "",
)  # fmt: skip
def test_a_sweep_file_that_cannot_be_run(besom, desk: Path, slip: str, old: str, new: str, words: list[str]) -> None:
    assert old in GOOD
    (desk / "sweep.yaml").write_text(GOOD.replace(old, new))
    said = besom("sweep", "sweep.yaml", code=USAGE)
    text = without_traceback(said)
    assert said.out == "" and text.startswith("Error: "), text
    for word in words:
        assert word.lower() in text.lower(), f"{slip}: {word!r} is not in {text!r}"
    assert besom("sweep", "list", "--json").json == [], "nothing was created"


@pytest.mark.parametrize(
    ("slip", "old", "new", "words"),
    [
        ("an unknown key", "run_cap: 3", "runcap: 3", ["runcap", 'Did you mean "run_cap"?']),
        ("an unknown key of the metric", "goal: minimize", "gaol: minimize", ["metric.gaol", 'Did you mean "goal"?']),
        ("a program that is not here", "train.py", "trian.py", ["trian.py", 'Did you mean "train.py"?']),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value and ":" not in value else "",
)
def test_a_sweep_file_that_can_be_run_is_taken_with_a_warning(
    besom, desk: Path, slip: str, old: str, new: str, words: list[str]
) -> None:
    (desk / "sweep.yaml").write_text(GOOD.replace(old, new))
    strict = besom("sweep", "sweep.yaml", "--strict", code=USAGE)
    assert besom("sweep", "list", "--json").json == []
    said = besom("sweep", "sweep.yaml")
    assert "besom agent lab/" in said.out and said.err.count("Warning: ") == 1
    for word in words:
        assert word.lower() in said.err.lower() and word.lower() in strict.err.lower()
    assert words[0] in besom("sweep", "sweep.yaml", "--json").json["warnings"][0]


def test_a_file_that_is_not_there(besom, desk: Path) -> None:
    assert 'Did you mean "sweep.yaml"?' in besom("sweep", "swep.yaml", code=USAGE).err
    assert "folder" in besom("sweep", ".", code=USAGE).err
    (desk / "latin.yaml").write_bytes("name: Müller\n".encode("latin-1"))
    assert "UTF-8" in besom("sweep", "latin.yaml", code=USAGE).err
    assert "name one YAML file" in besom("sweep", "a.yaml", "b.yaml", code=USAGE).err


def start(besom, desk: Path, text: str = GOOD) -> str:
    (desk / "sweep.yaml").write_text(text)
    return besom("sweep", "sweep.yaml", "--json").json["command"].split()[-1]


def test_an_agent_without_a_program(besom, desk: Path) -> None:
    sweep = start(besom, desk, GOOD.replace("program: train.py\n", ""))
    assert "names no program" in without_traceback(besom("agent", sweep, code=USAGE))


@pytest.mark.parametrize("agents", ["1", "2"])
def test_an_agent_whose_program_is_not_there(besom, desk: Path, agents: str, capfd: pytest.CaptureFixture[str]) -> None:
    sweep = start(besom, desk, GOOD.replace("train.py", "trian.py"))
    said = besom("agent", sweep, "-n", agents, code=USAGE)
    text = without_traceback(said) + capfd.readouterr().err
    assert "trian.py is not in" in text and 'Did you mean "train.py"?' in text
    assert text.count("Error: ") == 1, "said once, however many agents there are"


def test_an_unknown_sweep(besom, desk: Path) -> None:
    assert "no sweep" in besom("agent", "abcdefgh", code=USAGE).err
    sweep = start(besom, desk)
    near = sweep.rpartition("/")[2][:-1] + "_"
    for words in (("agent", near), ("sweep", "show", near), ("sweep", "stop", near), ("runs", "--sweep", near)):
        assert f'Did you mean "{sweep.rpartition("/")[2]}"?' in without_traceback(besom(*words, code=USAGE))
    assert "lab/dkt/nowhere" in besom("agent", "lab/dkt/nowhere", code=USAGE).err
    assert "SWEEP_ID" in besom("agent", "a/b/c/d", code=USAGE).err


def test_a_metric_that_is_never_logged(besom, desk: Path) -> None:
    sweep = start(besom, desk, GOOD.replace("name: val_loss", "name: val_los"))
    said = besom("agent", sweep, "--count", "1")
    text = without_traceback(said)
    assert re.search(r"Warning: .*val_los\b", text) and "val_loss" in text, (
        "said at the end of the first run, with what was logged"
    )
    assert "val_los" in besom("sweep", "show", sweep).err


def test_a_script_that_fails_shows_its_last_lines(besom, desk: Path) -> None:
    (desk / "train.py").write_text(
        "import sys\nfor n in range(50):\n    print('line', n)\nsys.exit('the data is missing')\n"
    )
    sweep = start(besom, desk, GOOD.replace("run_cap: 3", "run_cap: 9"))
    said = besom("agent", sweep, "--quiet", code=FAILED)
    text = without_traceback(said)
    assert "✗ failed" in text and "exit code 1" in text and "the data is missing" in text
    assert "line 49" in text and "line 10" not in text, "the last lines, not all"
    assert "gave up" in text and "no trial has a value of val_loss" in text


def test_a_script_that_fails_alone(besom, desk: Path) -> None:
    (desk / "train.py").write_text("import sys\nif '--lr' in ''.join(sys.argv): sys.exit(3)\n")
    sweep = start(besom, desk, GOOD.replace("run_cap: 3", "run_cap: 1"))
    assert "exit code 3" in without_traceback(besom("agent", sweep))


def test_a_full_disk(besom, desk: Path) -> None:
    """SQLite's own word for it: the file may not grow by a page, and the sweep needs many."""
    engine = local.hub(load()).database.engine
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 1"))
    (desk / "sweep.yaml").write_text(GOOD + f"description: {'long ' * 100_000}\n")
    said = besom("sweep", "sweep.yaml", code=UNAVAILABLE)
    assert "no room" in without_traceback(said) and "free some" in said.err


def test_a_store_that_cannot_be_written(besom, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk / "a file").write_text("")
    monkeypatch.setenv("BESOM_DIR", str(desk / "a file" / "store"))
    assert "a file" in without_traceback(besom("runs", code=FAILED))


def test_a_port_in_use(besom) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = besom("server", "--port", str(port), code=USAGE)
    assert f"port {port}" in said.err and "--port" in without_traceback(said)


@pytest.mark.parametrize("words", [("--host", "0.0.0.0"), ("--port", "65536"), ("--port", "http")])
def test_a_server_where_it_may_not_be(besom, words: tuple[str, str]) -> None:
    assert words[1] in without_traceback(besom("server", *words, code=USAGE))


def test_a_filter_that_is_wrong_is_pointed_at(besom, log_run) -> None:
    log_run("aaa", {"val_loss": [1.0]}, lr=0.1)
    said = besom("runs", "dkt", "--filter", "config.lr << 1", code=USAGE)
    lines = without_traceback(said).splitlines()
    at = lines.index("  config.lr << 1")
    assert lines[at + 1].index("^") - 2 == "config.lr << 1".index("<", 11)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("runs", "dkt", "--sort", "val_los"), ["val_los", 'Did you mean "val_loss"?']),
        (("runs", "dtk"), ["lab/dtk", 'Did you mean "dkt"?']),
        (("runs", "a/b/c"), ["ENTITY/PROJECT"]),
        (("run", "zzz"), ["no run 'zzz'"]),
        (("run", "a/b/c/d"), ["PROJECT/ID"]),
        (("run", "aaa", "-k", "val_los"), ["val_los", 'Did you mean "val_loss"?']),
        (("export", "dtk"), ['Did you mean "dkt"?']),
        (("agent", "x", "--count", "0"), ["--count"]),
        (("agent", "x", "-n", "0"), ["-n"]),
        (("journal", "cat", "nothing.besom"), ["nothing.besom"]),
        (("alerts", "add", "slack", "hooks.slack.com/x"), ["https://"]),
        (("alerts", "add", "pager", "https://x"), ["pager", "slack"]),
        (("alerts", "remove", "7"), ["7"]),
        (("alerts", "test"), ["besom alerts add slack URL"]),
        (("login", "--host", "ftp://x"), ["ftp://x"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_other_slips(besom, log_run, words: tuple[str, ...], expected: list[str]) -> None:
    log_run("aaa", {"val_loss": [1.0, 0.5]}, lr=0.1)
    text = without_traceback(besom(*words, code=USAGE))
    for word in expected:
        assert word in text


def test_a_journal_that_is_none(besom, desk: Path) -> None:
    assert "train.py" in without_traceback(besom("journal", "cat", "train.py", code=FAILED))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("BESOM_MODE", "ofline", ["BESOM_MODE", 'Did you mean "offline"?']), ("BESOM_ATTEMPT", "two", ["BESOM_ATTEMPT"])],
)
def test_a_setting_that_is_wrong(
    besom, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: list[str]
) -> None:
    monkeypatch.setenv(name, value)
    said = besom("settings", code=USAGE)
    for word in words:
        assert word in without_traceback(said)
    monkeypatch.delenv(name)


def test_good_input_is_good(besom, desk: Path) -> None:
    sweep = start(besom, desk)
    said = besom("agent", sweep, code=OK)
    assert "best" in said.out
