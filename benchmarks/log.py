"""What a `log()` costs, against the floor (a JSON line and one write(2)) and against other trackers, in one run.

    python benchmarks/log.py [--calls 100000] [--rounds 5] [--only besom,pandm] [--seconds 5]

Each tracker runs in an environment of its own under benchmarks/.venvs, made when it is missing. Rounds are interleaved,
so that other load on the machine meets all alike; a figure is the median of its rounds. Prints tables with ratios to
the floor and whether our bars are held, and writes benchmarks/results/log.json.
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

from common import ENVIRONMENTS, HERE, ROOT, environment, table, version, write_result
from trackers import PACKAGES

FLOOR = "orjson+write"
SLOW = ("mlflow", "wandb offline", "tensorboardX", "trackio", "kohakuboard")


def run(tracker: str, python: Path | str, case: str, **options: Any) -> dict[str, Any] | None:
    """One case of one tracker in a fresh process and a fresh folder; None when it failed."""
    cache = HERE / ".cache"
    cache.mkdir(exist_ok=True)
    folder = tempfile.mkdtemp(dir=cache)
    arguments = [str(part) for key, value in options.items() for part in (f"--{key}", value)]
    command = [str(python), str(HERE / "trackers.py"), tracker, case, folder, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=clean_environment(), cwd=folder)
    except subprocess.TimeoutExpired:
        print(f"{tracker} {case}: no answer in 300 s", file=sys.stderr)
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    try:
        answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return answer
    except (ValueError, IndexError):
        print(f"{tracker} {case}: {done.stderr.strip()[-300:]}", file=sys.stderr)
        return None


def clean_environment() -> dict[str, str]:
    """The environment without what would lead a tracker to the stores of the person who measures.

    Compiled files are kept, as `pip install` keeps them, also where the environment forbids it.
    """
    ours = ("BESOM_", "WANDB_", "MLFLOW_", "TRACKIO_", "PYTHONDONTWRITEBYTECODE")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return {**kept, "PYTHONPYCACHEPREFIX": str(HERE / ".cache" / "compiled")}


def median(answers: list[dict[str, Any] | None]) -> dict[str, Any] | None:
    """The median of each figure over the rounds that worked."""
    good = [answer for answer in answers if answer]
    if not good:
        return None
    return {key: statistics.median([a[key] for a in good]) for key in good[0] if good[0][key] is not None}


def cold_import(rounds: int) -> dict[str, float]:
    """Milliseconds that `import besom` adds to a fresh interpreter (the least of the rounds; its files are compiled)."""
    times: dict[str, list[float]] = {"pass": [], "import besom": [], "import besom; besom.init": []}
    for _ in range(rounds):
        for code, took in times.items():
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=clean_environment())
            took.append((time.perf_counter() - begun) * 1e3)
    floor = min(times.pop("pass"))
    return {code: min(took) - floor for code, took in times.items()}


def measure(options: argparse.Namespace, pythons: dict[str, Path | str]) -> dict[str, Any]:
    """All figures, rounds interleaved."""
    five: dict[str, list[Any]] = {name: [] for name in pythons}
    thousand: dict[str, list[Any]] = {name: [] for name in pythons}
    whole: dict[str, list[Any]] = {name: [] for name in pythons}
    for number in range(options.rounds):
        for name, python in pythons.items():
            if number and name in SLOW:  # one round of them is enough to see the order of magnitude
                continue
            print(f"round {number + 1}: {name}", file=sys.stderr)
            five[name].append(run(name, python, "log", calls=options.calls, seconds=options.seconds))
            width = {"width": 1000, "calls": max(options.calls // 50, 20), "seconds": options.seconds}
            thousand[name].append(run(name, python, "log", **width))
            whole[name].append(run(name, python, "whole", again=1 if name in SLOW else 9))
    names = list(pythons)
    return {
        "five": {name: median(five[name]) for name in names},
        "thousand": {name: median(thousand[name]) for name in names},
        "whole": {name: median(whole[name]) for name in names},
        "import_ms": cold_import(max(options.rounds * 2, 3)),
        "versions": {n: version(p, PACKAGES[n] or "") if PACKAGES[n] else "" for n, p in pythons.items()},
    }


def show(result: dict[str, Any]) -> list[str]:
    """Print the tables; returns the bars that are missed."""
    missed = []
    for case, title in (("five", "log() of 5 scalars"), ("thousand", "log() of 1000 scalars")):
        floor = result[case][FLOOR]
        lines = []
        for name, f in result[case].items():
            if f is None:
                lines.append([name, *[None] * 6])
                continue
            ratios = [f["p50_us"] / floor["p50_us"], f["p99_us"] / floor["p99_us"]]
            lines.append([name, f["p50_us"], ratios[0], f["p99_us"], ratios[1], f["p999_us"], int(f["calls"])])
        print(f"\n{title}")
        print(table(["", "p50 us", "x floor", "p99 us", "x floor", "p99.9 us", "calls"], lines))
    print("\ninit + 50 logs + finish, in one process")
    lines = [[n, *([f.get("first_ms"), f.get("then_ms")] if f else [None] * 2)] for n, f in result["whole"].items()]
    print(table(["", "first ms (with imports)", "then ms"], lines))
    print("\nimports, ms more than a bare interpreter")
    print(table(["", "ms"], [[k, v] for k, v in result["import_ms"].items()]))
    for text, held in bars(result):
        print(f"{'held  ' if held else 'MISSED'} {text}")
        if not held:
            missed.append(text)
    return missed


def bars(result: dict[str, Any]) -> list[tuple[str, bool]]:
    """(the bar and the figure, whether it is held)."""
    five, thousand, whole = result["five"], result["thousand"], result["whole"]
    ours, floor = five["besom"], five[FLOOR]
    out = []

    def bar(text: str, value: float, most: float) -> None:
        out.append((f"{text}: {value:.2f}, at most {most:g}", value <= most))

    bar("p50 of 5 scalars against the floor", ours["p50_us"] / floor["p50_us"], 1.5)
    bar("p99 of 5 scalars against the floor", ours["p99_us"] / floor["p99_us"], 1.0)
    bar("p50 of 1000 scalars against the floor", thousand["besom"]["p50_us"] / thousand[FLOOR]["p50_us"], 2.0)
    for name, figures in five.items():
        if figures and name not in ("besom", "besom.log", FLOOR):
            bar(f"p50 against {name}", ours["p50_us"] / figures["p50_us"], 1.5 if name == "expman-rs" else 1.0)
    bar("init + 50 logs + finish, ms", whole["besom"]["then_ms"], 10.0)
    bar("import besom, ms", result["import_ms"]["import besom"], 100.0)
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    wanted = [name for name in options.only.split(",") if name] or list(PACKAGES)
    ENVIRONMENTS.mkdir(exist_ok=True)
    pythons: dict[str, Path | str] = {}
    for name in dict.fromkeys([FLOOR, "besom", "besom.log", *wanted]):
        package = PACKAGES[name]
        python = environment(package) if package else sys.executable
        if python is not None:
            pythons[name] = python
    result = measure(options, pythons)
    missed = show(result)
    write_result("log", result)
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
