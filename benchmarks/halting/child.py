"""A rival in an environment of its own: the first line says which, then one JSON line in and one out for each of ask,
tell and end. It imports nothing of ours. All settings are the rival's defaults but the length of a trial.
"""

from __future__ import annotations

import json
import random
import sys
from typing import Any

import numpy as np

Params = dict[str, Any]


class SyneTune:
    def __init__(self, engine: str, seed: int, parameters: Params, epochs: int) -> None:
        from syne_tune import config_space as space
        from syne_tune.backend.trial_status import Trial
        from syne_tune.optimizer.baselines import ASHA, BOHB

        self.trial_type = Trial
        config: Params = {}
        for name, spec in parameters.items():
            if "values" in spec:
                config[name] = space.choice(spec["values"])
            elif isinstance(spec["min"], int):
                config[name] = space.randint(spec["min"], spec["max"])
            else:
                make = space.loguniform if "distribution" in spec else space.uniform
                config[name] = make(spec["min"], spec["max"])
        kind = {"asha": ASHA, "bohb": BOHB}[engine]
        self.scheduler = kind(config, metric="y", time_attr="epoch", max_t=epochs, random_seed=seed)
        self.trials: list[Any] = []
        self.last: Params = {}

    def ask(self) -> tuple[int, Params]:
        import datetime

        trial = self.trial_type(len(self.trials), self.scheduler.suggest().config, datetime.datetime.now())
        self.trials.append(trial)
        self.scheduler.on_trial_add(trial)
        return trial.trial_id, trial.config

    def tell(self, trial: int, epoch: int, value: float) -> bool:
        self.last = {"y": value, "epoch": epoch}
        return bool(self.scheduler.on_trial_result(self.trials[trial], self.last) == "CONTINUE")

    def end(self, trial: int, finished: bool) -> None:
        self.scheduler.on_trial_remove(self.trials[trial])


class Sweeps:
    """W&B's own engine, as its controller uses it: next_run and stop_runs over all runs so far."""

    def __init__(self, engine: str, seed: int, parameters: Params, epochs: int) -> None:
        import sweeps

        self.sweeps = sweeps
        self.config = {
            "method": "random",
            "metric": {"name": "y", "goal": "minimize"},
            "parameters": parameters,
            "early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 3},
        }
        self.bands = [3**k for k in range(20)]
        self.runs: list[Any] = []

    def ask(self) -> tuple[int, Params]:
        run = self.sweeps.next_run(self.config, self.runs)
        run.state, run.name = "running", str(len(self.runs))
        self.runs.append(run)
        return len(self.runs) - 1, {k: v["value"] for k, v in run.config.items()}

    def tell(self, trial: int, epoch: int, value: float) -> bool:
        self.runs[trial].history.append({"y": value})
        # with one worker nothing changes between two bands, so asking there is enough
        return epoch not in self.bands or not self.sweeps.stop_runs(self.config, self.runs)

    def end(self, trial: int, finished: bool) -> None:
        self.runs[trial].state = "finished" if finished else "killed"


def main() -> None:
    first = json.loads(sys.stdin.readline())
    random.seed(first["seed"])
    np.random.seed(first["seed"])
    kind = Sweeps if first["engine"] == "hyperband" else SyneTune
    out, sys.stdout = sys.stdout, sys.stderr  # a rival's prints stay out of the pipe
    engine = kind(first["engine"], first["seed"], first["parameters"], first["epochs"])
    print("{}", file=out, flush=True)
    for line in sys.stdin:
        message = json.loads(line)
        do = message.pop("do")
        answer = getattr(engine, do)(**message)
        print(json.dumps(answer, default=lambda x: x.item()), file=out, flush=True)


if __name__ == "__main__":
    main()
