"""Engines of the early-stopping benchmark behind one face: `ask` for a trial, `tell` a value after each epoch and hear
whether to go on, `end` it. Ours and Optuna run here, others in a child process of their own environment (child.py).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from tables import EPOCHS, Task

from besom.search import Trial, stop, suggest

HERE = Path(__file__).resolve().parent
Params = dict[str, Any]
ASHA = {"type": "asha", "min_iter": 1, "max_iter": EPOCHS, "eta": 3}
HYPERBAND = {"type": "hyperband", "min_iter": 1, "eta": 3}
PREDICTIVE = {"type": "predictive"}


class Engine(Protocol):
    def ask(self) -> tuple[Any, Params]:
        """A trial and its params."""

    def tell(self, trial: Any, epoch: int, value: float) -> bool:
        """The value after `epoch` epochs (1 is the first). Whether the trial goes on."""

    def end(self, trial: Any, finished: bool) -> None:
        """The trial's epochs are used up (finished), or it was told to stop."""

    def close(self) -> None: ...


class Besom:
    """Our own: `suggest` and `stop` of the public face, nothing else."""

    def __init__(self, task: Task, seed: int, method: str, early: Params | None) -> None:
        self.sweep: Params = {
            "method": method,
            "metric": {"name": "y", "goal": "minimize"},
            "parameters": task.parameters,
            "seed": seed,
        }
        if early:
            self.sweep["early_terminate"] = early
        self.trials: list[Trial] = []
        self.values: list[float] = []
        self.why: list[str] = []

    def ask(self) -> tuple[int, Params]:
        (found,) = suggest(self.sweep, self.trials, 1)
        self.values = []
        self.trials.append(Trial(str(len(self.trials)), found.params, "running", {"y": self.values}, found.info))
        return len(self.trials) - 1, found.params

    def tell(self, trial: int, epoch: int, value: float) -> bool:
        self.values.append(value)
        return epoch == EPOCHS or not stop(self.sweep, self.trials)

    def end(self, trial: int, finished: bool) -> None:
        t = self.trials[trial]
        self.trials[trial] = Trial(t.id, t.params, "finished" if finished else "stopped", t.metrics, t.info)

    def close(self) -> None: ...


class Optuna:
    """Optuna's TPE with one of its pruners, all at their defaults but the pruner's length of a trial."""

    def __init__(self, task: Task, seed: int, pruner: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.optuna, self.task = optuna, task
        pruners = {
            "hyperband": lambda: optuna.pruners.HyperbandPruner(min_resource=1, max_resource=EPOCHS),
            "median": optuna.pruners.MedianPruner,
        }
        self.study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), pruner=pruners[pruner]())
        self.last = 0.0

    def ask(self) -> tuple[Any, Params]:
        trial = self.study.ask()
        params: Params = {}
        for name, spec in self.task.parameters.items():
            if "values" in spec:
                params[name] = trial.suggest_categorical(name, spec["values"])
            elif isinstance(spec["min"], int):
                params[name] = trial.suggest_int(name, spec["min"], spec["max"])
            else:
                params[name] = trial.suggest_float(name, spec["min"], spec["max"], log="distribution" in spec)
        return trial, params

    def tell(self, trial: Any, epoch: int, value: float) -> bool:
        trial.report(value, epoch)
        self.last = value
        return epoch == EPOCHS or not trial.should_prune()

    def end(self, trial: Any, finished: bool) -> None:
        state = self.optuna.trial.TrialState
        if finished:
            self.study.tell(trial, self.last)
        else:
            self.study.tell(trial, state=state.PRUNED)

    def close(self) -> None: ...


class Child:
    """An engine in another environment: lines of JSON through a pipe."""

    def __init__(self, task: Task, seed: int, python: str, engine: str) -> None:
        self.process = subprocess.Popen(
            [python, "-W", "ignore", str(HERE / "child.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self._say({"engine": engine, "seed": seed, "parameters": task.parameters, "epochs": EPOCHS})

    def _say(self, message: Any) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the engine ended after {message}")
        return json.loads(line)

    def ask(self) -> tuple[int, Params]:
        trial, params = self._say({"do": "ask"})
        return trial, params

    def tell(self, trial: int, epoch: int, value: float) -> bool:
        return bool(self._say({"do": "tell", "trial": trial, "epoch": epoch, "value": value}))

    def end(self, trial: int, finished: bool) -> None:
        self._say({"do": "end", "trial": trial, "finished": finished})

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)


Make = Callable[[Task, int, dict[str, str]], Engine]


def ours(method: str, early: Params | None) -> Make:
    return lambda task, seed, pythons: Besom(task, seed, method, early)


def child(package: str, engine: str) -> Make:
    return lambda task, seed, pythons: Child(task, seed, pythons[package], engine)


# name: (how to make it, the package whose environment it needs)
ENGINES: dict[str, tuple[Make, str]] = {
    "besom bayes + predictive": (ours("bayes", PREDICTIVE), ""),
    "besom bohb + predictive": (ours("bohb", PREDICTIVE), ""),
    "besom tpe + predictive": (ours("tpe", PREDICTIVE), ""),
    "besom bayes + asha": (ours("bayes", ASHA), ""),
    "besom random + hyperband": (ours("random", HYPERBAND), ""),
    "besom random + predictive": (ours("random", PREDICTIVE), ""),
    "Optuna TPE + hyperband": (lambda task, seed, pythons: Optuna(task, seed, "hyperband"), ""),
    "Optuna TPE + median": (lambda task, seed, pythons: Optuna(task, seed, "median"), ""),
    "Syne Tune ASHA": (child("syne-tune", "asha"), "syne-tune"),
    "Syne Tune BOHB": (child("syne-tune", "bohb"), "syne-tune"),
    "W&B random + hyperband": (child("sweeps", "hyperband"), "sweeps"),
}


def play(engine: Engine, task: Task, budget: int) -> tuple[list[tuple[int, float]], int]:
    """One sweep of `budget` epochs on one worker: (epochs spent, best value so far) where the best got better, and the
    number of trials."""
    spent, trials, best = 0, 0, float("inf")
    trace: list[tuple[int, float]] = []
    while spent < budget:
        trial, params = engine.ask()
        trials += 1
        curve = task.curve(params)
        epoch, go = 0, True
        while go and epoch < EPOCHS and spent < budget:
            epoch, spent = epoch + 1, spent + 1
            if curve[epoch - 1] < best:
                best = curve[epoch - 1]
                trace.append((spent, best))
            go = engine.tell(trial, epoch, curve[epoch - 1])
        engine.end(trial, epoch == EPOCHS)
    return trace, trials


if __name__ == "__main__":
    print("run benchmarks/halting.py", file=sys.stderr)
