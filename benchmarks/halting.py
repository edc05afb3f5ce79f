"""Early stopping on real learning curves: what is the best value after 20, 25, 50 and 100 full trials' worth of epochs?

Seven tasks (halting/tables.py), one worker, a trial has 50 epochs and an engine hears a value after each. A score is
(random's median - best found) / (random's median - best known), clipped to [-1, 1.5], where random's median is what
random search has found after 100 whole trials: 0 at 20 equivalents means that it is reached in a fifth of the epochs.
Tasks marked `dev` chose the rules; the others are reported, from seeds that nothing was chosen on.

    python benchmarks/halting.py [--seeds 10] [--engines NAME,...] [--tasks dev|test] [--cache FOLDER] [--minutes 30]

Cells that are played are kept in the cache and not played again. Rivals live in environments of their own below the
cache (`pip install syne-tune`, `pip install sweeps`); Optuna is looked for in this one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "halting"), str(HERE), str(HERE.parent)]

import numpy as np  # noqa: E402
from common import table, write_result  # noqa: E402
from engines import ENGINES, play  # noqa: E402
from tables import EPOCHS, TASKS, Task, load, point  # noqa: E402

MARKS = (20, 25, 50, 100)
FIRST_SEED = {True: 0, False: 1000}
SLOW = {"Syne Tune BOHB": 3, "W&B random + hyperband": 3}  # seeds at most: minutes a cell


def python_of(package: str, cache: Path) -> str:
    """The Python of an environment below the cache that holds the package, made when it is missing."""
    folder = cache / package
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        print(f"installing {package}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", package], check=True)
        (folder / "installed").touch()
    return str(python)


def random_median(task: Task) -> float:
    """What 100 whole trials of random search have found, in the median of 300 sweeps."""
    dice = np.random.default_rng(0)
    found = [min(task.curve(point(task.parameters, dice.random(len(task.parameters))))) for _ in range(4000)]
    return float(np.median([dice.choice(found, 100).min() for _ in range(300)]))


def best_at(trace: list[tuple[int, float]], epochs: int) -> float:
    return [value for spent, value in trace if spent <= epochs][-1]


def score(task: Task, median: float, value: float) -> float:
    return float(np.clip((median - value) / (median - task.best), -1.0, 1.5))


def cells(arguments: Any, names: list[str], engines: list[str]) -> dict[str, Any]:
    """Every (engine, task, seed) cell, played or read from the cache; as many as the time allows, seed by seed."""
    until = time.monotonic() + 60 * arguments.minutes
    done: dict[str, Any] = {}
    tasks = {name: load(name) for name in names}
    pythons: dict[str, str] = {}
    for k in range(arguments.seeds):
        for name, task in tasks.items():
            seed = FIRST_SEED[task.dev] + k
            for engine in engines:
                make, package = ENGINES[engine]
                key = f"{engine}/{name}/{seed}"
                path = arguments.cache / "cells" / f"{key.replace(' ', '_').replace('/', '__')}.json"
                if path.exists():
                    done[key] = json.loads(path.read_text())
                elif time.monotonic() < until and k < SLOW.get(engine, arguments.seeds):
                    if package and package not in pythons:
                        pythons[package] = python_of(package, arguments.cache)
                    start = time.process_time()
                    player = make(task, seed, pythons)
                    trace, trials = play(player, task, MARKS[-1] * EPOCHS)
                    player.close()
                    done[key] = {"trace": trace, "trials": trials, "seconds": round(time.process_time() - start, 1)}
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(json.dumps(done[key]))
                    print(f"{key}: {trials} trials, {trace[-1][1]:.5g}", file=sys.stderr, flush=True)
    return done


def interval(by_task: list[list[float]], dice: Any) -> list[float]:
    """95 % of the mean over tasks, seeds resampled within each."""
    means = [np.mean([np.mean(dice.choice(s, len(s))) for s in by_task]) for _ in range(2000)]
    return [round(float(x), 3) for x in np.percentile(means, [2.5, 97.5])]


def summary(done: dict[str, Any], names: list[str], engines: list[str], seeds: int) -> dict[str, Any]:
    tasks = {name: load(name) for name in names}
    medians = {name: random_median(task) for name, task in tasks.items()}
    dice = np.random.default_rng(0)
    out: dict[str, Any] = {}
    for engine in engines:
        scores: dict[int, list[list[float]]] = {mark: [] for mark in MARKS}
        reached, trials, seconds = [], [], []
        for name, task in tasks.items():
            first = FIRST_SEED[task.dev]
            played = [c for k in range(seeds) if (c := done.get(f"{engine}/{name}/{first + k}"))]
            if not played:
                break
            for mark in MARKS:
                scores[mark].append([score(task, medians[name], best_at(c["trace"], mark * EPOCHS)) for c in played])
            hits = [next((s for s, v in c["trace"] if v <= medians[name]), MARKS[-1] * EPOCHS) for c in played]
            reached.append(float(np.median(hits)) / EPOCHS)
            trials += [c["trials"] for c in played]
            seconds += [c["seconds"] for c in played]
        else:
            out[engine] = {
                "seeds": min(len(s) for s in scores[MARKS[0]]),
                "scores": {m: round(float(np.mean([np.mean(s) for s in scores[m]])), 3) for m in MARKS},
                "intervals": {m: interval(scores[m], dice) for m in MARKS},
                "tasks": {n: {m: round(float(np.mean(scores[m][i])), 3) for m in MARKS} for i, n in enumerate(names)},
                "reached": dict(zip(names, reached, strict=True)),
                "trials": round(float(np.mean(trials))),
                "seconds": round(float(np.mean(seconds)), 1),
            }
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--engines", default="", help="names, separated by commas; all when left out")
    parser.add_argument("--tasks", choices=("dev", "test"), default="test")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "besom-bench" / "halting")
    parser.add_argument("--minutes", type=float, default=1e9, help="no new cell is begun after this many")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    names = [name for name, (dev, *_) in TASKS.items() if dev == (arguments.tasks == "dev")]
    engines = [e for e in ENGINES if not arguments.engines or e in arguments.engines.split(",")]
    done = cells(arguments, names, engines)
    result = summary(done, names, engines, arguments.seeds)
    rows = []
    for engine, r in sorted(result.items(), key=lambda item: -item[1]["scores"][50]):
        shown = [f"{r['scores'][m]:.3f} [{r['intervals'][m][0]:.2f}, {r['intervals'][m][1]:.2f}]" for m in MARKS]
        rows.append([engine, r["seeds"], *shown, f"{np.median(list(r['reached'].values())):.0f}", r["trials"]])
    print(table(["engine", "seeds", *(f"@{m}" for m in MARKS), "random@100 at", "trials"], rows))
    if arguments.tasks == "test" and not arguments.engines:
        write_result("halting", {"epochs": EPOCHS, "tasks": names, "engines": result})


if __name__ == "__main__":
    main()
