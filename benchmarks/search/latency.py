"""CPU time and memory of one suggestion in a space of ten mixed dimensions, in a process of its own for each figure.

    latency.py METHOD TRIALS     prints {"mean": ms, "worst": ms, "first": ms, "import": ms, "mb": ...}

`mean` and `worst` are over ASKS suggestions one after another, each with one finished trial more; `first` is the one
before, in a process that has seen nothing yet. `import`: of the module, before a model is used.
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ASKS = 25
COUNTS = (100, 1000, 10000)
ROOT = Path(__file__).resolve().parents[2]
PARAMETERS: dict[str, Any] = {
    **{f"x{i}": {"min": 0.0, "max": 1.0} for i in range(3)},
    "lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0},
    "decay": {"distribution": "log_uniform_values", "min": 1e-6, "max": 0.1},
    "layers": {"min": 1, "max": 12},
    "units": {"distribution": "q_log_uniform_values", "min": 8, "max": 512, "q": 1},
    "optimizer": {"values": ["sgd", "adam", "lion", "rmsprop"]},
    "norm": {"values": [True, False]},
    "batch": {"values": [16, 32, 64, 128, 256]},
}


def objective(p: dict[str, Any]) -> float:
    """Something smooth with an interaction, for a model to learn."""
    bowl = sum((p[f"x{i}"] - 0.2 * i - 0.2) ** 2 for i in range(3))
    steps = (math.log10(p["lr"]) + 3) ** 2 / 9 + (math.log10(p["decay"]) + 4) ** 2 / 40
    shape = (p["layers"] - 5) ** 2 / 60 + (math.log2(p["units"]) - 7) ** 2 / 30 + (math.log2(p["batch"]) - 6) ** 2 / 30
    return bowl + steps + shape + 0.2 * (p["optimizer"] != "adam") + 0.1 * (p["norm"] != (p["optimizer"] == "sgd"))


def measure(method: str, count: int) -> dict[str, float]:
    sys.path.insert(0, str(ROOT))
    start = time.process_time()
    from besom.search import Trial, suggest

    imported = time.process_time() - start
    sweep = {"method": method, "metric": {"name": "y"}, "parameters": PARAMETERS}

    def finished(number: int, params: Any, info: Any) -> Trial:
        return Trial(str(number), params, "finished", {"y": [objective(dict(params))]}, info)

    random = sweep | {"method": "random"}
    trials = [finished(i, s.params, {}) for i, s in enumerate(suggest(random, [], count, 0))]
    spent = []
    for _ in range(ASKS + 1):
        start = time.process_time()
        found = suggest(sweep, trials, 1, 0)[0]
        spent.append(1000 * (time.process_time() - start))
        trials.append(finished(len(trials), found.params, found.info))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"mean": sum(spent[1:]) / ASKS, "worst": max(spent[1:]), "first": spent[0], "import": 1000 * imported}
    return {k: round(v, 1) for k, v in (figures | {"mb": memory}).items()}


def latency(methods: list[str]) -> dict[str, dict[str, Any]]:
    """method -> number of trials -> figures."""
    found: dict[str, dict[str, Any]] = {}
    for method in methods:
        for count in COUNTS:
            done = subprocess.run([sys.executable, __file__, method, str(count)], capture_output=True, text=True)
            figures = json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr[-200:]}
            found.setdefault(method, {})[str(count)] = figures
    return found


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
