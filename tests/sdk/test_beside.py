"""What runs beside a training: system metrics and the carrier. Neither may slow it or break it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

import besom
from besom.core import record as rec
from besom.sdk import carrier, system
from besom.sdk.system import Sampler, Source, parse_gpus
from besom.settings import Settings


def test_one_sample_of_this_machine() -> None:
    data = Source().sample()
    assert {"cpu", "memory", "process.cpu", "process.memory", "process.threads", "disk"} <= set(data)
    assert all(isinstance(value, float) for value in data.values())
    assert 0 < data["memory"] <= 100 and data["process.memory"] > 1 and data["process.threads"] >= 1


def test_samples_are_recorded_while_a_run_lives(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BESOM_STATS", "0.02")
    run = besom.init()
    deadline = time.monotonic() + 20
    while len(store.of(rec.Stats)) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    run.finish()
    samples = store.of(rec.Stats)
    assert len(samples) >= 3 and samples[0].time < samples[1].time and "cpu" in samples[0].data
    time.sleep(0.1)
    assert len(store.of(rec.Stats)) == len(samples)


def test_no_thread_and_no_psutil_when_off_or_before_the_first_sample(store: Any, script: Any) -> None:
    done = script(
        "import besom, sys, threading\nrun = besom.init()\nbesom.log({'a': 1})\n"
        "print('psutil' in sys.modules, [t.name for t in threading.enumerate() if t.name == 'besom-system'])",
        BESOM_STATS="0",
    )
    assert done.stdout == "False []\n"
    done = script("import besom, sys\nrun = besom.init()\nrun.finish()\nprint('psutil' in sys.modules)")
    assert done.stdout == "False\n"


def test_a_machine_that_cannot_be_read_gives_no_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Source:
        raise OSError("no /proc here")

    monkeypatch.setattr(system, "Source", fail)
    sampler = Sampler(lambda at, data: None, 0.001)
    deadline = time.monotonic() + 20
    while any(thread.name == "besom-system" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(thread.name == "besom-system" for thread in threading.enumerate())
    sampler.close()


def test_a_sample_that_comes_after_the_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """`nvidia-smi` takes a second; a run that ends meanwhile would tell of a record that was lost."""
    asked, ended = threading.Event(), threading.Event()
    kept: list[float] = []

    class Slow:
        def sample(self) -> dict[str, float]:
            asked.set()
            assert ended.wait(20)
            return {"cpu": 1.0}

    monkeypatch.setattr(system, "Source", Slow)
    sampler = Sampler(lambda at, data: kept.append(at), 0.001)
    thread = next(thread for thread in threading.enumerate() if thread.name == "besom-system")
    assert asked.wait(20)
    sampler.close()
    ended.set()
    thread.join(20)
    assert kept == [] and not thread.is_alive()


def test_where_no_thread_can_be_started_the_run_goes_on(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with besom.init() as run:
        run.log({"a": 1})
    assert store.rows() == [(0, {"a": 1})]


def test_gpus_are_read_from_the_tool(tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho '17, 3, 41, 55.2, 1024'\necho '0, 0, [N/A], 10, 3'\n")
    tool.chmod(0o755)
    data = system.gpus(str(tool))
    assert data["gpu.0.gpu"] == 17 and data["gpu.0.power"] == 55.2 and data["gpu.1.memory_used"] == 3
    assert "gpu.1.temp" not in data
    tool.write_text("#!/bin/sh\necho 'no devices' >&2; exit 9\n")
    assert system.gpus(str(tool)) == {} == parse_gpus("") == system.gpus(str(tmp_path / "none"))


def test_a_carrier_is_needed_with_a_server_or_with_alert_channels(tmp_path: Path) -> None:
    settings = Settings(dir=tmp_path)
    assert not carrier.needed(settings)
    assert carrier.needed(settings.replace(server="http://127.0.0.1:9"))
    (tmp_path / "deliver.on").touch()
    assert carrier.needed(settings)


def test_the_carrier_knows_the_store_and_not_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BESOM_RUN_ID", "WANDB_SWEEP_ID", "BESOM_NAME", "BESOM_RUN_GROUP"):
        monkeypatch.setenv(name, "x")
    env = carrier.environment(Settings(dir=tmp_path, server="http://127.0.0.1:9", api_key="k"))
    assert (env["BESOM_DIR"], env["BESOM_SERVER"], env["BESOM_API_KEY"]) == (str(tmp_path), "http://127.0.0.1:9", "k")
    assert not {"BESOM_RUN_ID", "WANDB_SWEEP_ID", "BESOM_NAME", "BESOM_RUN_GROUP"} & set(env)
    found = subprocess.run(
        [sys.executable, "-c", "import besom"], env=env, cwd=tmp_path, check=False, capture_output=True
    )
    assert found.returncode == 0, "the carrier finds besom from any folder"


def test_the_carrier_is_started_apart_from_the_training(
    store: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    fake = tmp_path / "python"
    fake.write_text(f'#!/bin/sh\necho "$@ $(ps -o sid= -p $$) $$" > {note}.new; mv {note}.new {note}\n')
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    carrier.start(Settings(dir=store.folder, server="http://127.0.0.1:9"))
    deadline = time.monotonic() + 20
    while not note.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    words = note.read_text().split()
    assert words[:3] == ["-m", "besom", "deliver"]
    assert words[3] == words[4] != str(os.getsid(0)), "a session of its own: it survives the terminal and the job"


def test_carriers_that_left_at_once_are_no_zombies(store: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An agent that runs a function begins thousands of runs in one process, each with a carrier."""
    (tmp_path / "python").write_text("#!/bin/sh\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    settings = Settings(dir=store.folder, server="http://127.0.0.1:9")
    before = {child.pid for child in psutil.Process().children()}
    deadline = time.monotonic() + 20
    for _ in range(5):
        carrier.start(settings)
    while (left := {child.pid for child in psutil.Process().children()} - before) and len(left) > 1:
        assert time.monotonic() < deadline, left
        time.sleep(0.02)
        carrier.start(settings)


@pytest.mark.parametrize("python", ["/nonexistent/python", ""])
def test_a_carrier_that_cannot_start_does_not_matter(
    store: Any, monkeypatch: pytest.MonkeyPatch, python: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", python)
    monkeypatch.setenv("BESOM_SERVER", "http://127.0.0.1:9")
    with besom.init() as run:
        run.log({"a": 1})
    assert store.rows() == [(0, {"a": 1})]
    assert ("could not be started" in capsys.readouterr().err) == bool(python)
