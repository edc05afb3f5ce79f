"""`wandb.Api()` as a source. The real one asks a real server here: our own, which answers as W&B's does."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from besom.core import record as rec
from besom.core.batch import Batch
from besom.core.names import RunPath
from besom.hub.hub import Hub
from besom.server.app import Application
from besom.server.serve import Server, listen
from besom.server.wandb.door import Door
from besom.settings import load
from besom.store.blobs import Blobs
from besom.store.migrations import open_database


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A server with two runs of lab/dkt."""
    hub = Hub(open_database(tmp_path / "server.db"))
    for id, state, code in (("good", rec.FINISHED, 0), ("bad", rec.FAILED, 1)):
        records = (
            rec.Run(1000.0, id=id, name=f"name of {id}", group="g", tags=("a",), notes="a note", job_type="t", starts=True),
            rec.Config({"lr": 1e-3, "opt": {"name": "adam"}}),
            *(rec.History(n, 1000.0 + n, {"loss": 1 / (n + 1), "deep.x": [n, math.nan, math.inf][n % 3]}) for n in range(9)),
            rec.Summary({"best": 7}),
            rec.Exit(1010.0, code, state),
        )  # fmt: skip
        hub.append(RunPath("lab", "dkt", id), "s", Batch(0, len(records), tuple(range(len(records))), records))
    application = Application(lambda: hub, doors=Door(lambda: hub, Blobs(tmp_path / "blobs"), "lab").routes)
    sock, server = listen("127.0.0.1", 0), Server(application)
    thread = threading.Thread(target=server.run, args=([sock],))
    thread.start()
    yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    application.close()
    hub.database.close()


def bring(place: str, address: str, key: str = "k" * 40) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "WANDB_BASE_URL": address, "WANDB_API_KEY": key, "WANDB_ERROR_REPORTING": "false"}
    words = [sys.executable, "-m", "besom", "import", "wandb-api", place]
    return subprocess.run(words, env=environment, capture_output=True, text=True)


def test_runs_of_a_server_come_over(runs, client, address: str) -> None:
    done = bring("lab/dkt", address)
    assert done.returncode == 0, done.stderr
    found = runs("dkt")
    assert {name: run.state for name, run in found.items()} == {"name of good": "finished", "name of bad": "failed"}
    good = found["name of good"]
    assert (good.id, good.group, good.tags, good.notes, good.job_type) == ("good", "g", ("a",), "a note", "t")
    assert (
        good.config == {"lr": 0.001, "opt": {"name": "adam"}} and good.summary["best"] == 7 and good.created == 1000.0
    )
    rows = client.rows(load().entity, "dkt", "good").columns
    assert rows["loss"] == [1 / (n + 1) for n in range(9)] and rows["_time"] == [1000.0 + n for n in range(9)]
    assert math.isnan(rows["deep.x"][1]) and rows["deep.x"][2] == math.inf
    assert "2 runs in" in (again := bring("lab/dkt", address)).stdout and "0 records" in again.stdout


def test_a_project_that_is_not_there_is_said(address: str) -> None:
    done = bring("lab/none", address)
    assert done.returncode == 2 and "lab/none: there is no run here" in done.stderr
