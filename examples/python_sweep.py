"""A sweep from Python: no YAML, no command line. The function is called once for each trial, in this process.

python examples/python_sweep.py
"""

import math

import besom

sweep_config = {
    "name": "two valleys",
    "method": "bayes",
    "metric": {"name": "loss", "goal": "minimize"},
    "parameters": {
        "x": {"min": -4.0, "max": 4.0},
        "y": {"min": -4.0, "max": 4.0},
        "steps": {"value": 20},
    },
}


def train():
    """Roll down from (x, y) in a landscape with two valleys; the deeper one is the answer."""
    with besom.init() as run:
        x, y = run.config["x"], run.config["y"]
        for _ in range(run.config["steps"]):
            deep, flat = (
                math.exp(-((x - 2) ** 2 + (y - 1) ** 2) / 4),
                0.6 * math.exp(-((x + 2) ** 2 + (y + 1) ** 2) / 4),
            )
            besom.log({"loss": 1 - deep - flat, "x": x, "y": y})
            x, y = 0.97 * x + 0.03 * math.copysign(2, x), 0.97 * y + 0.03 * math.copysign(1, y)


if __name__ == "__main__":
    sweep_id = besom.sweep(sweep_config, project="python-sweep")
    besom.agent(sweep_id, function=train, count=15)

    best = min(besom.Api().runs("python-sweep"), key=lambda run: run.summary["loss"])
    print(f"best: {best.name} with loss {best.summary['loss']:.4f} from {best.config}")
