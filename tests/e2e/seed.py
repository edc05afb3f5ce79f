"""A store with a life: two projects, a sweep steered by its real controller, alerts, and runs that ended in every way.

Serves the browser tests and the screenshots. Everything goes in through the hub's own doors; nothing writes tables.
The values are simulated and the same at every call but for the time of day.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

from besom.core.batch import Batch
from besom.core.record import Alert, Config, Console, Define, Exit, History, Record, Run, Stats
from besom.core.wire import Beat, Done
from besom.hub.hub import Hub
from besom.store.ports import RunPath

ENTITY = "ada"
ARCHS = {"vit-b": 0.835, "vit-s": 0.812, "conv-s": 0.806}
RATES = (2e-4, 4e-4, 8e-4)
AUGS = {"mix": 0.004, "ra2": 0.0}
STEPS = 90
WORDS = ("north", "crisp", "woven", "pale", "dusky", "mossy", "silver", "stern", "hollow", "brisk", "amber", "quiet")
TREES = ("bracken", "clover", "alder", "sorrel", "ling", "teasel", "rowan", "larch", "gorse", "fescue", "willow")


def seed(hub: Hub, *, seeds: int = 5, trials: int = 40) -> str:
    """Fill the store; returns the id of the sweep."""
    names = _names()
    for record in vit(names, seeds):
        _write(hub, *record)
    sweep = sweep_of(hub, trials)
    now = time.time()
    small = Run(time=now - 86400 * 3, name="first try", meta={"host": "laptop"}, starts=True)
    rows: list[Record] = [History(i, small.time + i, {"acc": 0.9 + i / 1000}) for i in range(5)]
    _write(hub, "toy", "toy1", [small, *rows, Exit(small.time + 9, 0, "finished")])
    return sweep


def _names() -> Iterator[str]:
    pick = random.Random(7)
    for n in count(2301):
        yield f"{pick.choice(WORDS)}-{pick.choice(TREES)}-{n}"


def _write(hub: Hub, project: str, run: str, records: list[Record]) -> None:
    seqs = tuple(range(0, 10 * len(records), 10))
    hub.append(RunPath(ENTITY, project, run), f"{run}-s", Batch(0, 10 * len(records), seqs, tuple(records)))


def vit(names: Iterator[str], seeds: int) -> Iterator[tuple[str, str, list[Record]]]:
    """A grid of settings with several seeds each; a few of them ended badly, two are running."""
    now = time.time()
    number = 0
    for arch, top in ARCHS.items():
        for rate in RATES:
            for aug, plus in AUGS.items():
                for s in range(seeds):
                    number += 1
                    config = {"arch": arch, "lr": rate, "aug": aug, "seed": s, "opt": {"name": "adamw", "decay": 0.05}}
                    best = top + plus - 0.008 * abs(math.log2(rate / 4e-4)) ** 1.5
                    state = {7: "running", 18: "crashed", 31: "failed", 44: "running", 60: "killed"}.get(
                        number, "finished"
                    )
                    yield (
                        "vit-distill",
                        f"v{number:03}",
                        one(next(names), config, best, state, now - number * 2400, number),
                    )


def one(name: str, config: dict[str, Any], best: float, state: str, begun: float, number: int) -> list[Record]:
    """The records of one run."""
    noise = random.Random(number)
    off = noise.gauss(0, 0.004)
    meta = {
        "host": "gpu-3", "python": "3.12.4", "os": "Linux 6.8", "program": "train.py",
        "args": ["--cfg", f"{config['arch']}.yaml"], "git": {"commit": "9f3c1e7ab2", "remote": "git@example.org:lab/vit.git"},
    }  # fmt: skip
    end = STEPS if state == "finished" else 30 + number % 40
    if state == "running":
        begun = time.time() - 60 * end
    records: list[Record] = [
        Run(time=begun, name=name, tags=("paper-fig-3",) if number % 5 == 0 else (), meta=meta, starts=True),
        Config(config),
        Define("val/acc", goal="maximize"),
    ]
    for i in range(end):
        t, step = begun + 60 * i, 1000 * i
        fade = math.exp(-i / (8 + 2 * (config["lr"] < 3e-4)))
        row = {
            "train/loss": 0.62 + 5 * fade + noise.gauss(0, 0.04) + 8 * abs(0.84 - best),
            "train/grad_norm": 0.6 + 1.6 * math.exp(-i / 25) * min(1, (i + 1) / 4) + abs(noise.gauss(0, 0.12)),
            "train/lr": config["lr"] * min(1, (i + 1) / 5) * 0.5 * (1 + math.cos(math.pi * i / STEPS)),
            "epoch": i // 3,
        }
        if i % 2 == 0:
            row["val/acc"] = (best + off) * (1 - 0.75 * fade) + noise.gauss(0, 0.0025)
            row["val/loss"] = 3.2 * (1 - row["val/acc"]) + noise.gauss(0, 0.01)
        records.append(History(step, t, row))
        if i % 3 == 0:
            use = 94 + noise.gauss(0, 1) if i % 30 else 20
            records.append(
                Stats(t, {"gpu.0.util": use, "gpu.0.memory": 71 + noise.random(), "cpu": 50 + 9 * noise.random()})
            )
            warn = "warn: dataloader waited 1.8 s\n" if i % 30 == 9 else ""
            records.append(Console(t, "out", f"step {step}  train/loss {row['train/loss']:.4f}\n{warn}"))
    last = begun + 60 * end
    if state == "failed":
        records.append(Console(last, "err", "RuntimeError: CUDA out of memory\n"))
        records.append(Alert(last, title="Loss jumps", text="z-score 4.1 at step 41,200", level="WARN"))
        records.append(Exit(last, 1, "failed", "RuntimeError: CUDA out of memory"))
    elif state == "crashed":
        records.append(Exit(last, None, "crashed", "the process ended without a word", "reaper"))
    elif state == "killed":
        records.append(Exit(last, -2, "killed", "Ctrl-C"))
    elif state == "finished":
        records.append(Exit(last, 0, "finished"))
    return records


def sweep_of(hub: Hub, trials: int) -> str:
    """A sweep of `trials` trials under its own controller: one failed, two are running at the end."""
    config = {
        "name": "lr and dropout", "method": "random", "program": "train.py", "run_cap": trials + 12,
        "metric": {"name": "val_loss", "goal": "minimize"}, "seed": 3,
        "parameters": {
            "lr": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-1}, "drop_out": {"min": 0.0, "max": 0.5},
            "depth": {"values": [8, 12, 16]}, "optimizer": {"values": ["adamw", "lion", "sgd"]},
        },
    }  # fmt: skip
    sweep = hub.create_sweep(ENTITY, "digits", config)
    agent = hub.register(f"{ENTITY}/digits/{sweep.id}", "gpu-1", 4711)
    noise = random.Random(3)
    done: tuple[Done, ...] = ()
    alive: tuple[tuple[str, int], ...] = ()
    for number in range(trials):
        orders = hub.beat(agent.id, Beat(running=alive, done=done, want=1))
        done = ()
        for command in orders.commands:
            if command.type != "run":
                continue
            running = number >= trials - 2
            failed = number == 11
            _write(hub, "digits", command.run, list(trial(command, sweep.id, noise, running, failed)))
            if running:
                alive += ((command.run, command.attempt),)
            elif failed:
                done = (Done(command.run, command.attempt, 1, "failed", "ValueError: loss is NaN"),)
            else:
                done = (Done(command.run, command.attempt, 0, "finished"),)
    hub.beat(agent.id, Beat(running=alive, done=done))
    later = Hub(hub.database, clock=lambda: time.time() + 3600)  # no lease ends while somebody looks
    later.beat(agent.id, Beat(running=alive))
    return sweep.id


def trial(command: Any, sweep: str, noise: random.Random, running: bool, failed: bool) -> Iterator[Record]:
    now = time.time()
    p = command.params
    yield Run(time=now, name=command.name, sweep=sweep, attempt=command.attempt, meta={"host": "gpu-1"}, starts=True)
    yield Config(p)
    far = abs(math.log10(p["lr"]) + 2.6) * 0.12 + abs(p["drop_out"] - 0.2) * 0.3 + 0.02 * (16 - p["depth"]) / 4
    floor = 0.12 + far + {"adamw": 0.0, "lion": 0.02, "sgd": 0.09}[p["optimizer"]]
    for i in range(12 if not running else 5):
        if failed and i == 4:
            yield Console(now + i, "err", "ValueError: loss is NaN\n")
            yield Exit(now + i, 1, "failed", "ValueError: loss is NaN")
            return
        loss = floor + 1.6 * math.exp(-i / 2.5) + noise.gauss(0, 0.006)
        yield History(i, now + i, {"val_loss": loss, "loss": loss * 0.9, "acc": 1 - loss / 3})
    if not running:
        yield Exit(now + 12, 0, "finished")
