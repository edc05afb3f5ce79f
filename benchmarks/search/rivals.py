"""One engine in its own interpreter, asked and told over a pipe: JSON lines in, JSON lines out.

    {"open": {engine, dims, seed, budget, pending}} -> {"ok": true}
    {"ask": true}            -> {"id": 3, "point": {...}, "ms": 1.2}; no point when a finite space is used up
    {"tell": [3, 0.25]}      -> {"ms": 0.1}

`ms`: CPU milliseconds of this process. Each engine is used as its documentation says, with the nearest form its own
language has for a dimension: logarithms, whole numbers, categories, ordered lists, and conditions where it knows them;
otherwise it sees a flat space, and what does not live is dropped before the task is evaluated.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import random
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

from search.dims import Dim, Point, live, parameters

Dims = tuple[Dim, ...]


class Engine:
    """`ask` gives a token of the engine's own and a point; `tell` hands the token back with the value."""

    def __init__(self, dims: Dims, seed: int, budget: int, pending: int, kind: str) -> None:
        self.dims, self.seed, self.budget, self.pending, self.kind = dims, seed, budget, pending, kind
        self.start()

    def start(self) -> None: ...

    def ask(self) -> tuple[Any, Point] | None:
        raise NotImplementedError

    def tell(self, token: Any, value: float) -> None: ...

    def children(self, parent: str | None, value: Any = None) -> list[Dim]:
        """The dimensions that hang on `value` of `parent`; those that always live for None."""
        if parent is None:
            return [d for d in self.dims if d.when is None]
        return [d for d in self.dims if d.when is not None and d.when[0] == parent and value in d.when[1]]


class Random(Engine):
    def start(self) -> None:
        self.generator = random.Random(self.seed)

    def ask(self) -> tuple[Any, Point]:
        return None, {d.name: d.value(self.generator.random()) for d in self.dims}


class Besom(Engine):
    """`suggest` of this repository. `kind`: the method."""

    def start(self) -> None:
        sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
        search = importlib.import_module("besom.search")
        self.suggest, self.trial = search.suggest, search.Trial
        spec = {k: dict(v) for k, v in parameters(self.dims).items()}
        self.sweep = {"method": self.kind, "metric": {"name": "y"}, "parameters": spec, "run_cap": self.budget}
        self.trials: list[Any] = []

    def ask(self) -> tuple[Any, Point] | None:
        found = self.suggest(self.sweep, self.trials, 1, self.seed)
        if not found:
            return None
        token = len(self.trials)
        self.trials.append(self.trial(str(token), found[0].params, "running", {}, found[0].info))
        return token, indexed(self.dims, dict(found[0].params))

    def tell(self, token: Any, value: float) -> None:
        t = self.trials[token]
        self.trials[token] = self.trial(t.id, t.params, "finished", {"y": [value]}, t.info)


class Optuna(Engine):
    """`kind`: tpe (the default of Optuna 5, multivariate for one objective), univariate (the default before), gp, cmaes,
    or auto (the rule of OptunaHub's AutoSampler for one objective and up to 250 trials)."""

    def start(self) -> None:
        optuna = importlib.import_module("optuna")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        samplers, kind = optuna.samplers, self.kind
        if kind == "auto":
            kind = "tpe" if any(d.kind == "cat" for d in self.dims) else "gp"
        self.flat = kind in ("gp", "cmaes")  # these two cannot follow conditions
        if kind == "tpe":
            sampler = samplers.TPESampler(seed=self.seed)
        elif kind == "univariate":
            sampler = samplers.TPESampler(seed=self.seed, multivariate=False)
        elif kind == "gp":
            sampler = samplers.GPSampler(seed=self.seed)
        else:
            sampler = samplers.CmaEsSampler(seed=self.seed)
        self.study = optuna.create_study(sampler=sampler)

    def ask(self) -> tuple[Any, Point]:
        trial, point = self.study.ask(), {}
        for d in self.dims:
            if not self.flat and d.name not in live(self.dims[: self.dims.index(d) + 1], point | {d.name: 0}):
                continue
            if d.kind == "cat":
                point[d.name] = trial.suggest_categorical(d.name, list(range(len(d.values))))
            elif d.kind == "ord":
                point[d.name] = trial.suggest_int(d.name, 0, len(d.values) - 1)
            elif d.kind == "int":
                point[d.name] = trial.suggest_int(d.name, int(d.low), int(d.high), log=d.log)
            else:
                point[d.name] = trial.suggest_float(d.name, d.low, d.high, log=d.log)
        return trial, point

    def tell(self, token: Any, value: float) -> None:
        self.study.tell(token, value)


class Smac(Engine):
    """SMAC3's facade for hyperparameter optimisation."""

    def start(self) -> None:
        import tempfile

        cs, smac = importlib.import_module("ConfigSpace"), importlib.import_module("smac")
        self.value = importlib.import_module("smac.runhistory").TrialValue
        space = cs.ConfigurationSpace(seed=self.seed)
        made: dict[str, Any] = {}
        for d in self.dims:
            if d.kind == "cat":
                made[d.name] = cs.CategoricalHyperparameter(d.name, [str(i) for i in range(len(d.values))])
            elif d.kind == "ord":
                made[d.name] = cs.OrdinalHyperparameter(d.name, list(range(len(d.values))))
            elif d.kind == "int":
                made[d.name] = cs.UniformIntegerHyperparameter(d.name, int(d.low), int(d.high), log=d.log)
            else:
                made[d.name] = cs.UniformFloatHyperparameter(d.name, d.low, d.high, log=d.log)
        space.add(list(made.values()))
        for d in self.dims:
            if d.when is not None:
                parent = next(p for p in self.dims if p.name == d.when[0])
                values = [str(parent.values.index(v)) for v in d.when[1]]
                space.add(cs.InCondition(made[d.name], made[parent.name], values))
        self.folder = tempfile.TemporaryDirectory()
        scenario = smac.Scenario(
            space, n_trials=self.budget, seed=self.seed, deterministic=True, output_directory=self.folder.name
        )
        facade = smac.HyperparameterOptimizationFacade
        self.smac = facade(
            scenario,
            lambda config, seed=0: 0.0,
            intensifier=facade.get_intensifier(scenario, max_config_calls=1),
            overwrite=True,
            logging_level=False,
        )

    def ask(self) -> tuple[Any, Point]:
        info = self.smac.ask()
        point = dict(info.config)
        return info, {d.name: int(point[d.name]) if d.listed else point[d.name] for d in self.dims if d.name in point}

    def tell(self, token: Any, value: float) -> None:
        self.smac.tell(token, self.value(cost=value))


class Hebo(Engine):
    def start(self) -> None:
        numpy, torch = importlib.import_module("numpy"), importlib.import_module("torch")
        numpy.random.seed(self.seed)
        torch.manual_seed(self.seed)
        torch.set_num_threads(1)
        space = (
            importlib.import_module("hebo.design_space.design_space")
            .DesignSpace()
            .parse([self.dimension(d) for d in self.dims])
        )
        self.array = numpy.array
        self.hebo = importlib.import_module("hebo.optimizers.hebo").HEBO(space, scramble_seed=self.seed)

    def dimension(self, d: Dim) -> dict[str, Any]:
        if d.kind == "cat":
            return {"name": d.name, "type": "cat", "categories": [str(i) for i in range(len(d.values))]}
        if d.kind == "ord":
            return {"name": d.name, "type": "int", "lb": 0, "ub": len(d.values) - 1}
        kind = {("real", False): "num", ("real", True): "pow", ("int", False): "int", ("int", True): "pow_int"}
        more = {"base": 10} if d.log else {}
        return {"name": d.name, "type": kind[d.kind, d.log], "lb": d.low, "ub": d.high} | more

    def ask(self) -> tuple[Any, Point]:
        frame = self.hebo.suggest(n_suggestions=1)
        row = frame.iloc[0].to_dict()
        return frame, {d.name: float(row[d.name]) if d.kind == "real" else int(row[d.name]) for d in self.dims}

    def tell(self, token: Any, value: float) -> None:
        self.hebo.observe(token, self.array([[value]]))


class Ax(Engine):
    """Ax's client with its default strategy."""

    def start(self) -> None:
        ax = importlib.import_module("ax")
        importlib.import_module("torch").set_num_threads(1)
        made = []
        for d in self.dims:
            if d.kind == "cat":
                values = [str(i) for i in range(len(d.values))]
                made.append(ax.ChoiceParameterConfig(d.name, values, "str", is_ordered=False))
            elif d.kind == "ord":
                values = list(range(len(d.values)))
                made.append(ax.ChoiceParameterConfig(d.name, values, "int", is_ordered=True))
            else:
                kind, bounds = ("int", (int(d.low), int(d.high))) if d.kind == "int" else ("float", (d.low, d.high))
                scale = "log" if d.log else "linear"
                made.append(ax.RangeParameterConfig(d.name, bounds, kind, scaling=scale))
        self.client = ax.Client(random_seed=self.seed)
        self.client.configure_experiment(made)
        self.client.configure_optimization("-y")

    def ask(self) -> tuple[Any, Point] | None:
        for token, point in self.client.get_next_trials(max_trials=1).items():
            return token, {d.name: int(point[d.name]) if d.listed else point[d.name] for d in self.dims}
        return None

    def tell(self, token: Any, value: float) -> None:
        self.client.complete_trial(token, {"y": value})


class Hyperopt(Engine):
    """Tree-structured Parzen estimator over nested choices."""

    def start(self) -> None:
        numpy = importlib.import_module("numpy")
        self.h = importlib.import_module("hyperopt")
        self.base = importlib.import_module("hyperopt.base")
        self.generator = numpy.random.default_rng(self.seed)
        self.space = self.level(None, None, "")
        self.domain, self.trials = self.base.Domain(lambda p: 0.0, self.space), self.h.Trials()

    def level(self, parent: str | None, value: Any, tail: str) -> dict[str, Any]:
        """The dimensions below one value of a parent. `tail` keeps labels apart."""
        hp, found = self.h.hp, {}
        for d in self.children(parent, value):
            label = d.name + tail
            if d.kind == "cat":
                options = [
                    {"is": i, "below": self.level(d.name, v, f"{tail} {d.name}{i}")} for i, v in enumerate(d.values)
                ]
                found[d.name] = hp.choice(label, options)
            elif d.kind == "ord":
                found[d.name] = hp.quniform(label, -0.5, len(d.values) - 0.5001, 1)
            elif d.kind == "int" and d.log:
                found[d.name] = hp.qloguniform(label, math.log(d.low - 0.4999), math.log(d.high + 0.4999), 1)
            elif d.kind == "int":
                found[d.name] = hp.quniform(label, d.low - 0.5, d.high + 0.4999, 1)
            elif d.log:
                found[d.name] = hp.loguniform(label, math.log(d.low), math.log(d.high))
            else:
                found[d.name] = hp.uniform(label, d.low, d.high)
        return found

    def ask(self) -> tuple[Any, Point]:
        ids = self.trials.new_trial_ids(1)
        self.trials.refresh()
        seed = int(self.generator.integers(2**31 - 1))
        documents = self.h.tpe.suggest(ids, self.domain, self.trials, seed)
        self.trials.insert_trial_docs(documents)
        self.trials.refresh()
        chosen = self.h.space_eval(self.space, {k: v[0] for k, v in documents[0]["misc"]["vals"].items() if v})
        return ids[0], self.read(chosen)

    def read(self, chosen: dict[str, Any]) -> Point:
        point: Point = {}
        for d in self.dims:
            if d.name not in chosen:
                continue
            if d.kind == "cat":
                point |= {d.name: int(chosen[d.name]["is"])} | self.read(chosen[d.name]["below"])
            elif d.kind == "real":
                point[d.name] = min(max(float(chosen[d.name]), d.low), d.high)
            else:
                low, high = (0, len(d.values) - 1) if d.kind == "ord" else (int(d.low), int(d.high))
                point[d.name] = min(max(round(chosen[d.name]), low), high)
        return point

    def tell(self, token: Any, value: float) -> None:
        document = next(t for t in self.trials._dynamic_trials if t["tid"] == token)
        document["state"], document["result"] = self.base.JOB_STATE_DONE, {"status": "ok", "loss": value}
        self.trials.refresh()


class Nevergrad(Engine):
    """NGOpt, which picks an optimiser by space and budget."""

    def start(self) -> None:
        self.ng = importlib.import_module("nevergrad")
        numpy = importlib.import_module("numpy")
        space = self.ng.p.Dict(**{d.name: self.dimension(d) for d in self.dims})
        space.random_state = numpy.random.RandomState(self.seed)
        self.optimizer = self.ng.optimizers.NGOpt(space, budget=self.budget, num_workers=self.pending)

    def dimension(self, d: Dim) -> Any:
        p = self.ng.p
        if d.kind == "cat":
            return p.Choice(list(range(len(d.values))))
        if d.kind == "ord":
            return p.TransitionChoice(list(range(len(d.values))))
        scalar = p.Log(lower=d.low, upper=d.high) if d.log else p.Scalar(lower=d.low, upper=d.high)
        return scalar.set_integer_casting() if d.kind == "int" else scalar

    def ask(self) -> tuple[Any, Point]:
        candidate = self.optimizer.ask()
        return candidate, dict(candidate.value)

    def tell(self, token: Any, value: float) -> None:
        self.optimizer.tell(token, value)


class Skopt(Engine):
    """scikit-optimize's Optimizer: a Gaussian process and its default acquisition."""

    def start(self) -> None:
        skopt, space = importlib.import_module("skopt"), importlib.import_module("skopt.space")
        made: list[Any] = []
        for d in self.dims:
            prior = "log-uniform" if d.log else "uniform"
            if d.kind == "cat":
                made.append(space.Categorical([str(i) for i in range(len(d.values))]))
            elif d.kind == "ord":
                made.append(space.Integer(0, len(d.values) - 1))
            elif d.kind == "int":
                made.append(space.Integer(int(d.low), int(d.high), prior=prior))
            else:
                made.append(space.Real(d.low, d.high, prior=prior))
        self.optimizer = skopt.Optimizer(made, random_state=self.seed)

    def ask(self) -> tuple[Any, Point]:
        row = self.optimizer.ask()
        return row, {d.name: float(v) if d.kind == "real" else int(v) for d, v in zip(self.dims, row, strict=True)}

    def tell(self, token: Any, value: float) -> None:
        self.optimizer.tell(token, value)


class Sweeps(Engine):
    """The engine behind W&B's `method: bayes`, given the same sweep.yaml less the conditions it does not know."""

    def start(self) -> None:
        self.sweeps = importlib.import_module("sweeps")
        importlib.import_module("numpy").random.seed(self.seed)
        random.seed(self.seed)
        spec = {k: {a: b for a, b in v.items() if a != "condition"} for k, v in parameters(self.dims).items()}
        metric = {"name": "y", "goal": "minimize"}
        self.sweep = {"method": "bayes", "metric": metric, "parameters": spec}
        self.runs: list[Any] = []

    def ask(self) -> tuple[Any, Point] | None:
        run = self.sweeps.next_run(self.sweep, self.runs)
        if run is None:
            return None
        run = self.sweeps.SweepRun(config=run.config, state="running", search_info=run.search_info)
        self.runs.append(run)
        return len(self.runs) - 1, indexed(self.dims, {k: v["value"] for k, v in run.config.items()})

    def tell(self, token: Any, value: float) -> None:
        run = self.runs[token]
        self.runs[token] = self.sweeps.SweepRun(
            config=run.config,
            state="finished",
            search_info=run.search_info,
            summary_metrics={"y": value},
            history=[{"y": value}],
        )


def indexed(dims: Dims, params: dict[str, Any]) -> Point:
    """The point behind the parameters of a sweep: values of lists become their index."""
    point: Point = {}
    for d in dims:
        if d.name in params:
            value = params[d.name]
            if d.listed:
                value = next(i for i, v in enumerate(d.values) if type(v) is type(value) and v == value)
            point[d.name] = int(value) if d.kind == "int" else value
    return point


ENGINES = {
    "random": Random,
    "besom": Besom,
    "optuna": Optuna,
    "smac": Smac,
    "hebo": Hebo,
    "ax": Ax,
    "hyperopt": Hyperopt,
    "nevergrad": Nevergrad,
    "skopt": Skopt,
    "sweeps": Sweeps,
}


def answer(message: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """One line's answer. `state`: the engine and what is under way."""
    if "open" in message:
        told = message["open"]
        dims = tuple(Dim(**d | {"values": tuple(d["values"]), "when": when_of(d["when"])}) for d in told["dims"])
        name, _, kind = told["engine"].partition(":")
        state.clear()
        state |= {"engine": ENGINES[name](dims, told["seed"], told["budget"], told["pending"], kind), "tokens": {}}
        return {"ok": True}
    start = time.process_time()
    found: dict[str, Any] = {}
    if "ask" in message:
        asked = state["engine"].ask()
        if asked is not None:
            found = {"id": len(state["tokens"]), "point": asked[1]}
            state["tokens"][found["id"]] = asked[0]
    else:
        state["engine"].tell(state["tokens"][message["tell"][0]], message["tell"][1])
    return found | {"ms": round(1000 * (time.process_time() - start), 3)}


def when_of(when: Any) -> Any:
    return None if when is None else (when[0], tuple(when[1]))


def plain(value: Any) -> Any:
    """What an engine's own number types are in JSON."""
    return value.item() if hasattr(value, "item") else str(value)


def main() -> None:
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an engine prints must not reach the pipe
    warnings.simplefilter("ignore")
    state: dict[str, Any] = {}
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line), state)
        except Exception as error:  # an engine of others may raise anything; the cell records it
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"[:300]}
        out.write(json.dumps(reply, default=plain) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
