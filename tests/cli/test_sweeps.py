"""`besom sweep`: one word for a file, an id or a command; where a sweep lands; steering; alerts, journals and the server."""

from __future__ import annotations

import http.server
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from besom.cli.commands import FAILED, USAGE
from besom.cli.sweeps import best_line
from besom.core.wire import SweepView
from besom.journal.file import Journal
from besom.settings import load

SWEEP = """\
method: grid
metric: {name: loss, goal: minimize}
parameters: {x: {values: [1, 2]}, y: {value: 3}}
"""


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "sweep.yaml").write_text(SWEEP)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BESOM_ENTITY", "lab")
    return folder


def test_it_prints_the_line_to_paste(besom) -> None:
    said = besom("sweep", "sweep.yaml", "-p", "dkt", "--name", "first look")
    line = next(line.strip() for line in said.out.splitlines() if line.strip().startswith("besom agent "))
    view = besom("sweep", "show", line.split()[-1], "--json").json
    assert line == f"besom agent lab/dkt/{view['id']}" and view["name"] == "first look" and "2 runs" in said.out


@pytest.mark.parametrize(
    "words", [("-p", "dkt", "sweep.yaml"), ("sweep.yaml", "-p", "dkt"), ("--project=dkt", "./sweep.yaml")]
)
def test_options_before_or_after(besom, words: tuple[str, ...]) -> None:
    assert besom("sweep", *words, "--json").json["project"] == "dkt"


@pytest.mark.parametrize(
    ("what", "extra", "program", "variable", "words", "project"),
    [
        ("nothing says", "", "", "", (), "uncategorized"),
        ("its program's init()", "program: train.py\n", "import besom\nbesom.init(project='dkt')", "", (), "dkt"),
        ("under another name", "program: train.py\n", "import besom as w\nrun = w.init(config={}, project=\"dkt\")", "", (), "dkt"),
        ("not a variable", "program: train.py\n", "p = 'x'\nbesom.init(project=p)", "", (), "uncategorized"),
        ("not broken Python", "program: train.py\n", "besom.init(project='dkt'", "", (), "uncategorized"),
        ("the file", "project: file\nprogram: train.py\n", "besom.init(project='dkt')", "", (), "file"),
        ("the environment", "project: file\n", "", "env", (), "env"),
        ("an option", "project: file\n", "", "env", ("-p", "option"), "option"),
    ],
)  # fmt: skip
def test_where_a_sweep_lands(
    besom,
    desk: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    extra: str,
    program: str,
    variable: str,
    words: tuple[str, ...],
    project: str,
) -> None:
    (desk / "train.py").write_text(program)
    (desk / "sweep.yaml").write_text(extra + SWEEP)
    if variable:
        monkeypatch.setenv("BESOM_PROJECT", variable)
    assert besom("sweep", "sweep.yaml", *words, "--json").json["project"] == project, what


def test_steering_in_both_spellings(besom) -> None:
    id = besom("sweep", "sweep.yaml", "-p", "dkt", "--json").json["id"]
    for words, state in (
        (("pause", id), "paused"),
        (("resume", id), "pending"),
        (("--pause", f"dkt/{id}"), "paused"),
        (("--resume", f"lab/dkt/{id}"), "pending"),
        (("stop", id), "finished"),
        (("resume", id), "pending"),
        (("--cancel", id), "canceled"),
    ):
        besom("sweep", *words)
        assert besom("sweep", "show", id, "--json").json["state"] == state, words
    assert "name one sweep" in besom("sweep", "--stop", code=USAGE).err
    assert besom("sweep", "list").out.splitlines()[1].split()[:2] == [id, "dkt"]


def test_a_sweep_by_its_name(besom) -> None:
    id = besom("sweep", "sweep.yaml", "-p", "a", "--name", "first", "--json").json["id"]
    assert besom("sweep", "show", "first", "--json").json["id"] == id
    besom("sweep", "sweep.yaml", "-p", "b", "--name", "first")
    assert f"lab/a/{id}" in besom("sweep", "show", "first", code=USAGE).err
    assert besom("sweep", "show", "first", "-p", "a", "--json").json["id"] == id
    assert (
        len(besom("sweep", "list", "-p", "a", "--json").json) == 1 and len(besom("sweep", "list", "--json").json) == 2
    )


@pytest.mark.parametrize(
    ("metrics", "told"),
    [([], "no trial has a value of loss, so"), ([{"name": "ms", "max": 5}], "loss and keeps the bounds, so")],
)
def test_why_there_is_no_best(capsys: pytest.CaptureFixture[str], metrics: list[dict[str, object]], told: str) -> None:
    config = {"metrics": metrics}
    best_line(SweepView("s", "lab", "a", "n", "grid", config, "finished", 0.0, "loss", counts={"finished": 1}))
    assert told in " ".join(capsys.readouterr().err.split())


def test_a_file_that_is_called_like_a_command(besom, desk: Path) -> None:
    (desk / "list").write_text(SWEEP)
    assert "besom agent" in besom("sweep", "./list").out
    assert "besom agent" not in besom("sweep", "list").out


def test_help_shows_files_options_and_commands(besom) -> None:
    said = besom("sweep", "--help").out
    for word in ("FILE.yaml", "--strict", "pause", "show"):
        assert word in said
    assert (
        "create" not in said and "Usage: besom sweep FILE.yaml" in besom("sweep", "--nonsense", code=USAGE).err + said
    )


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict]]]:
    """A stand-in for Slack on this machine: its address, and what it was sent. It refuses when its path says so."""
    got: list[dict] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(404 if "gone" in self.path else 200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    server.server_close()


def test_channels_come_and_go(besom, webhook) -> None:
    address, got = webhook
    assert "alerts test" in besom("alerts", "add", "slack", f"{address}/services/T0/B0/secretsecret").err
    said = besom("alerts", "list")
    assert "slack" in said.out and "secretsecret" not in said.out
    assert besom("alerts", "test").out.rstrip().endswith("sent") and len(got) == 1
    assert (load().dir / "deliver.on").exists(), "runs start the carrier from now on"
    number = besom("alerts", "list", "--json").json["channels"][0]["id"]
    assert "0 left" in besom("alerts", "remove", str(number)).out
    assert not (load().dir / "deliver.on").exists()


def test_a_channel_that_refuses(besom, webhook) -> None:
    besom("alerts", "add", "slack", f"{webhook[0]}/gone")
    said = besom("alerts", "test", code=FAILED)
    assert "404" in said.out


def test_a_journal_record_by_record(besom, desk: Path) -> None:
    script = "import besom\nrun = besom.init(project='dkt', config={'lr': 0.1}, name='n')\nfor i in range(3): run.log({'loss': 1 / (i + 1)})\nrun.finish()\n"
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    (file,) = (load().dir / "journals").rglob("*.besom")
    said = besom("journal", "cat", str(file))
    assert "run lab/dkt/" in said.err and "closed" in said.err
    assert [line.split()[1] for line in said.out.splitlines() if line.split()[1] == "history"] == ["history"] * 3
    objects = [json.loads(line) for line in besom("journal", "cat", str(file), "--json").out.splitlines()]
    assert [o["data"]["loss"] for o in objects if o["record"] == "history"] == [1.0, 0.5, 1 / 3]
    assert objects[-1]["record"] == "exit" and objects[-1]["state"] == "finished"
    seqs = [o["seq"] for o in objects]
    assert seqs == sorted(set(seqs)) and str(seqs[0]) == said.out.splitlines()[0].split()[0]
    later = [
        json.loads(line)
        for line in besom("journal", "cat", str(file), "--json", "--start", str(seqs[3])).out.splitlines()
    ]
    assert later == objects[3:]
    data = bytearray(file.read_bytes())
    data[seqs[2] + 20] ^= 255
    file.write_bytes(data)
    damaged = besom("journal", "cat", str(file), "--json")
    assert len(damaged.out.splitlines()) == len(objects) - 1 and "1 record was lost to damage" in damaged.err


def test_a_journal_that_is_being_written(besom, tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, run="r", entity="lab", project="dkt")
    try:
        said = besom("journal", "cat", str(journal.path))
        assert said.out == "" and "being written" in said.err
    finally:
        journal.close()


def test_the_server_serves_and_ends(besom, log_run, desk: Path) -> None:
    log_run("aaa", {"loss": [1.0]})
    child = subprocess.Popen(
        [sys.executable, "-m", "besom", "server", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    try:
        address = re.search(r"http://127\.0\.0\.1:\d+", child.stdout.readline())[0]  # type: ignore[index]
        for _ in range(200):
            answer = httpx.get(f"{address}/api/projects", timeout=60)
            if answer.status_code != 503:
                break
        assert [view["project"] for view in answer.json()["projects"]] == ["dkt"]
        said = besom("runs", "dkt", "--json")
        assert said.json["total"] == 1, "the store can be read beside the server"
    finally:
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 0 and "Traceback" not in err, err
