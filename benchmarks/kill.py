"""`kill -9` of the whole process group of a training, at random moments: is every `log()` that returned readable?

    python benchmarks/kill.py [--kills 200] [--rates 2,50,0] [--longest 4] [--at-once 8]

Each training logs through the real SDK at a rate (rows a second; 0 is full speed) and notes, in a file of its own, how
many calls have returned. It is killed at a random moment of its first `--longest` seconds. Then its journals are read:
rows 0, 1, 2, ... must be there, with their values, at least as many as had returned, and the run must show as dead.
Writes benchmarks/results/kill.json and fails when a row is missing. A training that returned too few rows is void.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from common import HERE, ROOT, table, write_result

sys.path.insert(0, str(ROOT))

from besom.core import record as rec
from besom.journal import file as journals

MOST = 300_000
"""Rows after which a training at full speed waits for its end: the disk is not what is tested."""
TRAINING = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
import besom
rate, most, told = float(sys.argv[2]), int(sys.argv[3]), os.open("told", os.O_CREAT | os.O_WRONLY)
if not os.fork():  # a worker that belongs to the group
    time.sleep(600)
    os._exit(0)
besom.init(project="kill", settings={"silent": True})
for step in range(most):
    besom.log({"row": step, "half": step / 2, "text": "x" * (step % 50)})
    os.pwrite(told, (step + 1).to_bytes(8, "little"), 0)
    if rate:
        time.sleep(1 / rate)
time.sleep(600)
"""


class Outcome(NamedTuple):
    """One kill. `returned`: calls of log() known to have returned. `readable`: rows found, in order and right."""

    returned: int
    readable: int
    wrong: int
    alive: bool


def kill_once(rate: float, longest: float, seed: int) -> Outcome:
    """Start a training, kill its group at a random moment, and read what it left."""
    moment = random.Random(seed).uniform(0.05, longest)
    cache = HERE / ".cache"
    cache.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=cache))
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("BESOM_", "WANDB_"))}
    environment["BESOM_DIR"] = str(folder / "store")
    command = [sys.executable, "-c", TRAINING, str(ROOT), str(rate), str(MOST)]
    training = subprocess.Popen(
        command, cwd=folder, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        told = folder / "told"
        give_up = time.monotonic() + 60
        while not (told.exists() and told.stat().st_size == 8) and time.monotonic() < give_up:
            if training.poll() is not None:
                raise SystemExit(f"the training ended by itself: {(training.stderr or sys.stdin).read()!r}")
            time.sleep(0.01)
        time.sleep(moment)
    finally:
        os.killpg(training.pid, signal.SIGKILL)
        training.wait()
    try:
        returned = int.from_bytes(told.read_bytes(), "little")
        readable, wrong, alive = read(folder / "store")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Outcome(returned, readable, wrong, alive)


def read(store: Path) -> tuple[int, int, bool]:
    """(rows in order from 0, rows that are not what was logged, a journal shows as alive)."""
    rows: list[rec.History] = []
    alive = False
    for path in store.rglob("*.besom"):
        alive |= journals.alive(path)
        at = 0
        while (batch := journals.read(path, at)).end > at:
            rows += [record for record in batch.records if isinstance(record, rec.History)]
            at = batch.end
    wrong = 0
    for number, row in enumerate(rows):
        expected = {"row": number, "half": number / 2, "text": "x" * (number % 50)}
        wrong += row.step != number or row.data != expected
    return len(rows), wrong, alive


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rates", default="2,50,0")
    parser.add_argument("--longest", type=float, default=4.0)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rows: list[list[Any]] = []
    result: dict[str, dict[str, float]] = {}
    bad = 0
    for rate in map(float, options.rates.split(",")):
        seeds = [options.seed * 1_000_003 + number for number in range(options.kills)]
        with ThreadPoolExecutor(options.at_once if rate else min(options.at_once, os.cpu_count() or 1)) as pool:
            outcomes = list(pool.map(lambda seed, rate=rate: kill_once(rate, options.longest, seed), seeds))
        lost = sum(max(o.returned - o.readable, 0) for o in outcomes)
        name = f"{rate:g}/s" if rate else "full speed"
        figures = {
            "kills": len(outcomes),
            "void": sum(o.returned == 0 for o in outcomes),
            "returned": sum(o.returned for o in outcomes),
            "readable": sum(min(o.readable, o.returned) for o in outcomes),
            "lost": lost,
            "wrong": sum(o.wrong for o in outcomes),
            "shown_alive": sum(o.alive for o in outcomes),
        }
        result[name] = figures
        share = 100 * figures["readable"] / max(figures["returned"], 1)
        rows.append([name, *figures.values(), f"{share:.2f} %"])
        bad += lost + figures["wrong"] + figures["shown_alive"] + figures["void"]
    print(table(["rate", *next(iter(result.values())), "readable of returned"], rows))
    write_result("kill", result)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
