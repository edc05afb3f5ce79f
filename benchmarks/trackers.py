"""One adapter for each tracker: `begin(folder)` gives (log(step, metrics), end()). Runs in that tracker's environment.

    python benchmarks/trackers.py NAME CASE FOLDER [options]

Prints one JSON line. Cases: `log` (time of each call), `whole` (init, 50 logs, finish), `import`, `write` (log for a
number of rows and say when each returned; for writers.py). Imports nothing of besom but in its own adapter.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Log = Callable[[int, dict[str, float]], Any]
End = Callable[[], Any]


def orjson_write(folder: Path) -> tuple[Log, End]:
    """The floor: a line of JSON and one write(2), no user-space buffer."""
    import orjson

    fd = os.open(folder / f"rows-{os.getpid()}.jsonl", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    dumps, write, now = orjson.dumps, os.write, time.time

    def log(step: int, metrics: dict[str, float]) -> None:
        write(fd, dumps({"step": step, "time": now(), "data": metrics}) + b"\n")

    return log, lambda: os.close(fd)


def besom(folder: Path) -> tuple[Log, End]:
    os.environ["BESOM_DIR"] = str(folder)
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    import besom

    run = besom.init(project="bench", settings={"silent": True})
    log = run.log
    return lambda step, metrics: log(metrics), besom.finish


def besom_module(folder: Path) -> tuple[Log, End]:
    """As scripts write it: the function of the module looks the current run up."""
    _, end = besom(folder)
    import besom as module

    log = module.log
    return lambda step, metrics: log(metrics), end


def pandm(folder: Path) -> tuple[Log, End]:
    import pandm

    run = pandm.init("bench", directory=folder)
    return lambda step, metrics: run.log(metrics), pandm.finish


def expman(folder: Path) -> tuple[Log, End]:
    from expman import Experiment

    run = Experiment("bench", run_name=f"run-{os.getpid()}", base_dir=str(folder))
    return lambda step, metrics: run.log_vector(metrics, step=step), run.close


def tensorboardx(folder: Path) -> tuple[Log, End]:
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(folder / f"run-{os.getpid()}"))

    def log(step: int, metrics: dict[str, float]) -> None:
        for key, value in metrics.items():
            writer.add_scalar(key, value, step)

    return log, writer.close


def trackio(folder: Path) -> tuple[Log, End]:
    os.environ.update(TRACKIO_DIR=str(folder), HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")
    import trackio

    trackio.init(project="bench", name=f"run-{os.getpid()}", embed=False)
    return lambda step, metrics: trackio.log(metrics), trackio.finish


def wandb(folder: Path) -> tuple[Log, End]:
    os.environ.update(WANDB_MODE="offline", WANDB_DIR=str(folder), WANDB_SILENT="true", WANDB_ERROR_REPORTING="false")
    import wandb

    run = wandb.init(project="bench")
    return lambda step, metrics: run.log(metrics), run.finish


def mlflow(folder: Path) -> tuple[Log, End]:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.start_run()
    return lambda step, metrics: mlflow.log_metrics(metrics, step=step), mlflow.end_run


def kohakuboard(folder: Path) -> tuple[Log, End]:
    from kohakuboard.client import Board

    board = Board(name="bench", base_dir=str(folder))
    return lambda step, metrics: board.log(**metrics), board.finish


PACKAGES = {
    "orjson+write": None,
    "besom": None,
    "besom.log": None,
    "expman-rs": "expman-rs",
    "pandm": "pandm",
    "kohakuboard": "kohakuboard",
    "trackio": "trackio",
    "tensorboardX": "tensorboardX",
    "wandb offline": "wandb",
    "mlflow": "mlflow",
}
"""Tracker -> the package of its environment; None for our own."""
ADAPTERS: dict[str, Callable[[Path], tuple[Log, End]]] = {
    "orjson+write": orjson_write,
    "besom": besom,
    "besom.log": besom_module,
    "expman-rs": expman,
    "pandm": pandm,
    "kohakuboard": kohakuboard,
    "trackio": trackio,
    "tensorboardX": tensorboardx,
    "wandb offline": wandb,
    "mlflow": mlflow,
}


def rows(width: int) -> list[dict[str, float]]:
    """64 rows of `width` scalars that differ from each other, made before the clock runs."""
    return [{f"metric_{k}": (i * 31 + k * 17) % 1000 / 997 for k in range(width)} for i in range(64)]


def case_log(begin: Callable[[Path], tuple[Log, End]], folder: Path, width: int, calls: int, seconds: float) -> Any:
    """What a call of log() takes: at most `calls` calls or `seconds`, after a tenth of them to get warm."""
    log, end = begin(folder)
    data, clock, took = rows(width), time.perf_counter_ns, []
    start = clock()
    warm, stop = start + int(seconds * 0.2e9), start + int(seconds * 1.2e9)
    for step in range(calls + calls // 10):
        row = data[step & 63]
        begun = clock()
        log(step, row)
        ended = clock()
        if step >= calls // 10 or ended > warm:
            took.append(ended - begun)
        if ended > stop:
            break
    begun = clock()
    end()
    finish = clock() - begun
    took.sort()
    count = len(took)
    return {
        "calls": count,
        "p50_us": took[count // 2] / 1e3,
        "p99_us": took[min(count * 99 // 100, count - 1)] / 1e3,
        "p999_us": took[min(count * 999 // 1000, count - 1)] / 1e3,
        "mean_us": sum(took) / count / 1e3,
        "finish_ms": finish / 1e6,
    }


def case_whole(begin: Callable[[Path], tuple[Log, End]], folder: Path, again: int) -> Any:
    """Milliseconds of init + 50 logs + finish: the first time (with imports), and then `again` times in one process."""
    data, took = rows(5), []
    for _ in range(1 + again):
        begun = time.perf_counter()
        log, end = begin(folder)
        for step in range(50):
            log(step, data[step & 63])
        end()
        took.append((time.perf_counter() - begun) * 1e3)
    return {"first_ms": took[0], "then_ms": sorted(took[1:])[again // 2] if again else None}


def case_write(begin: Callable[[Path], tuple[Log, End]], folder: Path, width: int, calls: int) -> Any:
    """Wall seconds of `calls` rows from a common start (a file named `go`), until the tracker says it is done."""
    log, end = begin(folder)
    data = rows(width)
    (folder / f"ready-{os.getpid()}").touch()
    while not (folder / "go").exists():
        time.sleep(0.001)
    begun = time.time()
    for step in range(calls):
        log(step, data[step & 63])
    logged = time.time()
    end()
    return {"begun": begun, "logged": logged, "ended": time.time()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("tracker", choices=ADAPTERS)
    parser.add_argument("case", choices=["log", "whole", "write"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--width", type=int, default=5)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--again", type=int, default=5)
    options = parser.parse_args()
    begin, answer = ADAPTERS[options.tracker], os.dup(1)
    os.dup2(2, 1)  # trackers print; the answer is the one line on the real output
    if options.case == "log":
        result = case_log(begin, options.folder, options.width, options.calls, options.seconds)
    elif options.case == "whole":
        result = case_whole(begin, options.folder, options.again)
    else:
        result = case_write(begin, options.folder, options.width, options.calls)
    os.write(answer, json.dumps(result).encode() + b"\n")


if __name__ == "__main__":
    main()
