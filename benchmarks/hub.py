"""How fast the hub takes records in and answers: CPU of this process, least of five for each question.

    python benchmarks/hub.py [RUNS [STEPS [ROWS]]]

RUNS runs (200) of ten metrics and STEPS steps (1000) each, appended in batches of ROWS records (10000) of up to 50 runs a
transaction. Values are random float64, which no column can shrink; losses of float32 take half the room.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]

from common import table, write_result  # noqa: E402

from besom.core import record as rec  # noqa: E402
from besom.core.batch import Batch  # noqa: E402
from besom.core.names import RunPath  # noqa: E402
from besom.hub.hub import Hub  # noqa: E402
from besom.hub.ingest import Delivery  # noqa: E402
from besom.store.migrations import open_database  # noqa: E402

KEYS = [f"m{i}" for i in range(10)]


def run_records(i: int, steps: int, rng: random.Random) -> list[Any]:
    """A run with 20 config keys."""
    config = {"lr": rng.random(), "arch": rng.choice(["cnn", "vit"]), "seed": i % 10}
    config |= {f"k{j}": rng.random() for j in range(17)}
    records: list[Any] = [rec.Run(1.7e9 + i, name=f"run {i}", starts=True), rec.Config(config)]
    for step in range(steps):
        records.append(rec.History(step, 1.7e9 + step * 0.1 + rng.random() * 0.05, {key: rng.random() for key in KEYS}))
    return [*records, rec.Exit(1.7e9 + steps, 0, "finished")]


def fill(hub: Hub, runs: int, steps: int, rows: int) -> float:
    """Take everything in; returns CPU seconds of the hub alone."""
    rng, spent = random.Random(0), 0.0
    for first in range(0, runs, 50):
        some = {i: run_records(i, steps, rng) for i in range(first, min(first + 50, runs))}
        for start in range(0, steps + 3, rows):
            deliveries = []
            for i, records in some.items():
                part = tuple(records[start : start + rows])
                batch = Batch(start, start + len(part), tuple(range(start, start + len(part))), part)
                deliveries.append(Delivery(RunPath("u", "p", f"r{i}"), "s", batch))
            began = time.process_time()
            hub.append_many(deliveries)
            spent += time.process_time() - began
    return spent


def questions(hub: Hub) -> dict[str, Callable[[], object]]:
    """What a page asks."""
    fifty = [f"r{i}" for i in range(50)]
    half = "lr < 0.5 and arch = cnn"
    return {
        "one curve": lambda: hub.curves("u", "p", keys=["m0"], runs=["r1"]),
        "50 curves": lambda: hub.curves("u", "p", keys=["m0"], runs=fifty),
        "group all runs: mean and deviation": lambda: hub.curves("u", "p", keys=["m0"], by=["arch"]),
        "runs: two filters, sort by best, page of 100": lambda: hub.runs(
            "u", "p", filter=half, sort="-metrics.m0.best"
        ),
        "runs: regular expression": lambda: hub.runs("u", "p", filter='name ~ "un 9.*9"', limit=1),
        "keys: facets and histograms": lambda: hub.keys("u", "p"),
        "groups": lambda: hub.groups("u", "p", by=["arch"], metric="m1"),
        "rows of one run": lambda: hub.rows(RunPath("u", "p", "r1")),
    }


def least(question: Callable[[], object]) -> float:
    """CPU milliseconds."""
    spent = []
    for _ in range(5):
        began = time.process_time()
        question()
        spent.append(time.process_time() - began)
    return min(spent) * 1000


def main() -> None:
    given = [int(text) for text in sys.argv[1:]]
    runs, steps, rows = (*given, *(200, 1000, 10_000)[len(given) :])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "besom.db"
        hub = Hub(open_database(path))
        spent = fill(hub, runs, steps, rows)
        points = runs * steps * len(KEYS)
        result: dict[str, Any] = {
            "runs": runs, "steps": steps, "rows a batch": rows, "points": points,
            "points per CPU second": round(points / spent),
        }  # fmt: skip
        result |= {f"{name} (ms)": round(least(question), 2) for name, question in questions(hub).items()}
        hub.database.close()
        result["bytes per point"] = round(path.stat().st_size / points, 2)
    print(table(["what", "figure"], list(result.items())))
    write_result("hub" if not given else f"hub_{runs}x{steps}x{rows}", result)


if __name__ == "__main__":
    main()
