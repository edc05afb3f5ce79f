"""Eight processes that log into one store: no row lost, no "database is locked", and how fast against expman-rs.

    python benchmarks/writers.py [--processes 8] [--rows 10000] [--rounds 3] [--only besom]

All processes start at once. The rate is scalars a second from the common start until the last process has ended its run.
While besom's processes log, another one reads the store all the time, as a page does. Then the store is asked for every
row. Writes benchmarks/results/writers.json; fails when a row is missing, a process or the reader failed, or the rate of
besom is below that of expman-rs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import HERE, ROOT, environment, table, write_result

WIDTH = 5
TRACKERS = {"orjson+write": None, "besom": None, "expman-rs": "expman-rs"}
READER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import besom
stop, reads = Path(sys.argv[2]), 0
while not stop.exists():
    for run in besom.Api().runs("bench"):
        run.summary, run.state
    reads += 1
print(reads)
"""
COUNT = """
import json, sys
sys.path.insert(0, sys.argv[1])
import besom
runs = list(besom.Api().runs("bench"))
print(json.dumps({run.id: [run.state, sum(1 for _ in run.scan_history(keys=["metric_0"]))] for run in runs}))
"""


def clean(folder: Path) -> dict[str, str]:
    """The environment of a process that works in the store `folder`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BESOM_", "WANDB_"))}
    return {**kept, "BESOM_DIR": str(folder), "BESOM_SILENT": "true"}


def one_round(tracker: str, python: Path | str, processes: int, rows: int) -> dict[str, Any]:
    """All processes once; figures and what went wrong."""
    cache = HERE / ".cache"
    cache.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=cache))
    command = [str(python), str(HERE / "trackers.py"), tracker, "write", str(folder)]
    command += ["--width", str(WIDTH), "--calls", str(rows)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": clean(folder)}
    try:
        writers = [subprocess.Popen(command, cwd=folder, **pipes) for _ in range(processes)]
        give_up = time.monotonic() + 120
        while len(list(folder.glob("ready-*"))) < processes and time.monotonic() < give_up:
            time.sleep(0.01)
        reader = None
        if tracker == "besom":
            reader = subprocess.Popen([sys.executable, "-c", READER, str(ROOT), str(folder / "stop")], **pipes)
        (folder / "go").touch()
        answers, errors = [], []
        for writer in writers:
            out, error = writer.communicate(timeout=600)
            errors += [error.strip()[-300:]] if writer.returncode else []
            answers += [json.loads(out.splitlines()[-1])] if not writer.returncode else []
        (folder / "stop").touch()
        if reader is not None:
            _, error = reader.communicate(timeout=600)
            errors += [f"reader: {error.strip()[-300:]}"] if reader.returncode else []
        missing = lost_rows(folder, processes, rows) if tracker == "besom" else None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    begun = min((a["begun"] for a in answers), default=0.0)
    scalars = processes * rows * WIDTH
    return {
        "log_rate": scalars / max(max((a["logged"] for a in answers), default=0.0) - begun, 1e-9),
        "rate": scalars / max(max((a["ended"] for a in answers), default=0.0) - begun, 1e-9),
        "errors": errors,
        "missing": missing,
    }


def lost_rows(folder: Path, processes: int, rows: int) -> int:
    """Rows that the store does not give back, through the same Api that people use."""
    done = subprocess.run(
        [sys.executable, "-c", COUNT, str(ROOT)], capture_output=True, text=True, env=clean(folder), cwd=folder
    )
    if done.returncode:
        raise SystemExit(f"the store could not be read: {done.stderr[-500:]}")
    counts: dict[str, list[Any]] = json.loads(done.stdout.splitlines()[-1])
    unfinished = [name for name, (state, _) in counts.items() if state != "finished"]
    if unfinished:
        print(f"not finished: {unfinished}", file=sys.stderr)
    return processes * rows - sum(min(count, rows) for _, count in counts.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else list(TRACKERS)
    pythons: dict[str, Path | str] = {}
    for name in wanted:
        package = TRACKERS[name]
        python = environment(package) if package else sys.executable
        if python is not None:
            pythons[name] = python
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in pythons}
    for _ in range(options.rounds):
        for name, python in pythons.items():
            found[name].append(one_round(name, python, options.processes, options.rows))
    result, lines, bad = {}, [], 0
    for name, rounds in found.items():
        errors = [error for one in rounds for error in one["errors"]]
        missing = sum(one["missing"] or 0 for one in rounds)
        rates = [statistics.median(one[key] for one in rounds) for key in ("log_rate", "rate")]
        result[name] = {"log_rate": rates[0], "rate": rates[1], "missing": missing, "errors": errors}
        lines.append([name, *rates, missing if name == "besom" else None, len(errors)])
        bad += bool(errors) + missing
        for error in errors:
            print(f"{name}: {error}", file=sys.stderr)
    print(table(["", "scalars/s until logged", "until ended", "rows missing", "errors"], lines))
    if "besom" in result and "expman-rs" in result:
        ratio = result["besom"]["rate"] / result["expman-rs"]["rate"]
        result["ratio"] = {"besom / expman-rs": ratio}
        print(f"{'held  ' if ratio >= 1 else 'MISSED'} rate against expman-rs: {ratio:.2f}, at least 1")
        bad += ratio < 1
    write_result("writers", result)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
