"""What every search method owes its users, as a test class to inherit.

A method of your own passes when `class TestMine(SamplerContract): method = "mine"` does, after it was registered. The
laws: points lie in the space, and satisfy its conditions and constraints; a finite space is covered without a repeat and then ends; the same arguments give the
same answer, whatever the order of the trials; nothing that a trial can contain makes it raise.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from besom.search import Suggestion, Trial, parse, size, suggest

FINITE: dict[str, Any] = {
    "lr": {"values": [1e-2, 1e-3, 1e-4]},
    "drop": {"distribution": "q_uniform", "min": 0, "max": 0.5, "q": 0.25},
    "bias": {"values": [True, False, None, 0, ""]},
    "net": {"parameters": {"layers": {"min": 1, "max": 2}, "act": {"value": "relu"}}},
}
MIXED: dict[str, Any] = {
    "lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-1},
    "drop": {"min": 0.0, "max": 0.5},
    "width": {"min": 16, "max": 512},
    "batch": {"distribution": "q_log_uniform_values", "min": 16, "max": 256, "q": 16},
    "opt": {"values": ["sgd", "adam", ["lion", 1], {"name": "rms"}], "probabilities": [0.1, 0.2, 0.3, 0.4]},
    "noise": {"distribution": "normal", "mu": 1.0, "sigma": 0.1},
    "net": {"parameters": {"bias": {"values": [False, True]}, "norm": {"distribution": "beta", "a": 2, "b": 3}}},
}
CHAINED: dict[str, Any] = {  # 25 points
    "parameters": {
        "opt": {"values": ["sgd", "adam"]},
        "momentum": {"values": [0.0, 0.9], "condition": 'opt == "sgd"'},
        "nesterov": {"values": [True, False], "condition": "momentum > 0.5"},
        "adam": {
            "condition": 'opt == "adam"',
            "parameters": {"beta": {"values": [0.9, 0.99]}, "ams": {"value": True, "condition": "beta > 0.95"}},
        },
        "batch": {"values": [16, 32]},
        "epochs": {"values": [5, 10]},
        "layers": {"min": 1, "max": 3},
    },
    "zip": [["batch", "epochs"]],
    "constraints": ["layers * batch <= 64"],
}
RULED: dict[str, Any] = {
    "parameters": {
        "lr": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1},
        "width": {"min": 16, "max": 512},
        "opt": {"values": ["sgd", "adam", "lion"]},
        "momentum": {"min": 0.0, "max": 1.0, "condition": 'opt == "sgd"'},
        "decay": {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.1, "condition": "momentum > 0.5"},
        "net": {
            "condition": 'opt != "sgd"',
            "parameters": {
                "drop": {"min": 0.0, "max": 0.5},
                "act": {"values": ["relu", None], "condition": "drop < 0.3"},
            },
        },
    },
    "constraints": ["lr * width < 50", "net.drop + lr < 0.6"],
}
ODD: tuple[tuple[str, Sequence[Any]], ...] = (
    ("nothing", []),
    ("always the same", [1.0]),
    ("not a number", [math.nan]),
    ("infinite", [math.inf]),
    ("minus infinite", [-math.inf]),
    ("huge", [1e308]),
    ("huge below zero", [-1e308]),
    ("tiny", [5e-324]),
    ("no number at all", ["x", None, True]),
    ("an integer beyond floats", [10**400]),
)


class SamplerContract:
    """Inherit and name `method`. `finite_only`: the method refuses a space without an end, as a grid does."""

    method: ClassVar[str]
    finite_only: ClassVar[bool] = False
    rounds: ClassVar[int] = 14  # trials of a longer test: past the first points of a model

    def sweep(self, parameters: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """A sweep with this method; of mixed parameters where it can."""
        default = FINITE if self.finite_only else MIXED
        metric = {"name": "loss", "goal": "minimize"}
        return {"method": self.method, "metric": metric, "parameters": parameters or default, **more}

    def play(
        self,
        sweep: dict[str, Any],
        rounds: int,
        objective: Callable[[int], Sequence[Any]] = lambda i: [float((i * 7) % 11)],
        *,
        state: str = "finished",
        seed: int | None = 1,
    ) -> list[Trial]:
        """Ask and tell, one at a time, until `rounds` trials or the end."""
        trials: list[Trial] = []
        while len(trials) < rounds:
            found = suggest(sweep, trials, 1, seed)
            if not found:
                break
            trials.append(told(found[0], len(trials), objective(len(trials)), state))
        return trials

    def test_every_suggestion_lies_in_the_space(self) -> None:
        sweep = self.sweep()
        space = parse(sweep)
        trials = self.play(sweep, self.rounds)
        assert trials
        assert all(space.contains(t.params) for t in trials)

    def test_a_finite_space_is_covered_without_a_repeat_and_ends(self) -> None:
        sweep = self.sweep(FINITE)
        trials = self.play(sweep, 999)
        assert len(trials) == size(sweep) == 90
        assert len({repr(t.params) for t in trials}) == 90

    def test_suggestions_satisfy_conditions_and_constraints(self) -> None:
        rules = CHAINED if self.finite_only else RULED
        sweep = self.sweep(**rules)
        space = parse(sweep)
        trials = self.play(sweep, self.rounds)
        found = [t.params for t in trials] + [s.params for s in suggest(sweep, trials, 4, 1)]
        assert all(space.contains(params) for params in found)
        assert len({repr(params) for params in found}) == len(found)

    def test_conditions_constraints_and_zip_leave_a_finite_space_that_is_covered_and_ends(self) -> None:
        sweep = self.sweep(**CHAINED)
        trials = self.play(sweep, 999)
        assert len(trials) == size(sweep) == 25
        assert len({json.dumps(t.params, sort_keys=True) for t in trials}) == 25
        assert all(parse(sweep).contains(t.params) for t in trials)

    def test_a_maximise_sweep_mirrors_a_minimise_one(self) -> None:
        def objective(sign: float) -> Callable[[int], Sequence[Any]]:
            return lambda i: [sign * ((i * 7) % 11 - 4.5)]

        down = self.play(self.sweep(), self.rounds, objective(1.0))
        up = self.play(self.sweep(metric={"name": "loss", "goal": "maximize"}), self.rounds, objective(-1.0))
        assert [t.params for t in up] == [t.params for t in down]

    def test_the_same_point_again_and_again_is_no_trouble(self) -> None:
        sweep = self.sweep()
        (point,) = suggest(sweep, [], 1, 1)
        again = [told(point, i, [float(i % 3)]) for i in range(self.rounds)]
        assert all(parse(sweep).contains(s.params) for s in suggest(sweep, again, 2, 1))

    def test_several_goals_and_bounds_are_no_trouble(self) -> None:
        metrics = [{"name": "loss"}, {"name": "acc", "goal": "maximize"}, {"name": "ms", "max": 20}]
        sweep = self.sweep(metric=None, metrics=metrics)
        trials: list[Trial] = []
        for i in range(self.rounds):
            (found,) = suggest(sweep, trials, 1, 1)
            assert parse(sweep).contains(found.params)
            values = {"loss": [float(i)], "acc": [float(i % 4)], "ms": [9.0 * i]}
            trials.append(Trial(str(i), found.params, "finished", {} if i == 3 else values, found.info))

    def test_trials_of_an_earlier_sweep_inform_and_count_nowhere_else(self) -> None:
        sweep = self.sweep(FINITE)
        points = [s.params for s in suggest({**sweep, "method": "random"}, [], 12, 3)]
        earlier = [
            Trial(f"e{i}", p, "finished", {"loss": [float(i)]}, {"from": "other", "index": i, "number": i, "point": i})
            for i, p in enumerate(points)
        ]
        trials: list[Trial] = []
        while found := suggest(sweep, earlier + trials, 8, 1):
            trials += [told(s, len(trials) + i, [1.0]) for i, s in enumerate(found)]
            assert len(trials) <= 90
        assert len({repr(t.params) for t in trials}) == 90

    def test_several_agents_share_a_finite_space_without_a_repeat(self) -> None:
        sweep = self.sweep(FINITE)
        trials: list[Trial] = []
        while found := suggest(sweep, trials, 4, 1):
            trials += [told(s, len(trials) + i, [], "running") for i, s in enumerate(found)]
        assert len({repr(t.params) for t in trials}) == len(trials) == 90

    def test_a_space_of_constants_is_one_point(self) -> None:
        sweep = self.sweep({"a": {"value": 1}, "b": {"values": ["x"]}, "c": {"min": 2, "max": 2}})
        assert [t.params for t in self.play(sweep, 5)] == [{"a": 1, "b": "x", "c": 2}]

    def test_the_same_arguments_give_the_same_answer(self) -> None:
        sweep = self.sweep()
        trials = self.play(sweep, self.rounds)
        assert suggest(sweep, trials, 3, 5) == suggest(sweep, trials, 3, 5)
        assert suggest(sweep, trials, 3) == suggest(sweep, trials, 3)

    def test_the_seed_of_the_sweep_wins(self) -> None:
        assert suggest(self.sweep(seed=3), [], 4, seed=9) == suggest(self.sweep(), [], 4, seed=3)

    def test_the_order_of_trials_does_not_matter(self) -> None:
        sweep = self.sweep()
        trials = self.play(sweep, self.rounds)
        expected = suggest(sweep, trials, 2, 1)
        assert suggest(sweep, trials[::-1], 2, 1) == expected
        assert suggest(sweep, trials[5:] + trials[:5], 2, 1) == expected

    def test_a_pending_point_is_not_proposed_again(self) -> None:
        sweep = self.sweep(FINITE)
        trials = self.play(sweep, self.rounds)
        pending = [told(s, 90 + i, [], "pending") for i, s in enumerate(suggest(sweep, trials, 5, 1))]
        after = suggest(sweep, trials + pending, 5, 1)
        assert not {repr(t.params) for t in pending} & {repr(s.params) for s in after}

    def test_info_is_json_and_says_which_method(self) -> None:
        for trial in self.play(self.sweep(), self.rounds):
            assert json.loads(json.dumps(trial.info, allow_nan=False)) == trial.info
            assert trial.info["method"] == self.method

    def test_a_sweep_continues_alike_after_json(self) -> None:
        sweep = self.sweep()
        trials = self.play(sweep, self.rounds)
        stored = [
            Trial(t.id, json.loads(json.dumps(t.params)), t.state, t.metrics, json.loads(json.dumps(t.info)))
            for t in trials
        ]
        assert suggest(sweep, stored, 2, 1) == suggest(sweep, trials, 2, 1)

    def test_odd_objective_values_never_raise(self) -> None:
        sweep = self.sweep()
        space = parse(sweep)
        for name, values in ODD:
            for other in ([1.0], values):
                trials = self.play(sweep, self.rounds, lambda i, v=values, o=other: v if i % 2 else o)  # type: ignore[misc]
                assert all(space.contains(t.params) for t in trials), name

    def test_every_state_of_trials_is_welcome(self) -> None:
        sweep = self.sweep()
        space = parse(sweep)
        for state in ("pending", "running", "failed", "crashed", "killed", "stopped"):
            for values in ([], [1.0, 3.0]):
                mixed = self.play(sweep, 8, lambda i, v=values: v, state=state) + self.play(sweep, 6, seed=2)  # type: ignore[misc]
                assert all(space.contains(s.params) for s in suggest(sweep, mixed, 2, 1)), state

    def test_strangers_among_the_trials_do_no_harm(self) -> None:
        sweep = self.sweep()
        own = self.play(sweep, self.rounds)
        first = dict(own[0].params)
        strangers = [
            Trial("empty", {}, metrics={"loss": [0.0]}),
            Trial("text", dict.fromkeys(first, "?"), metrics={"loss": [-1.0]}),
            Trial("none", dict.fromkeys(first), metrics={"loss": [-1.0]}),
            Trial("far", {**first, "lr": 1e300, "drop": -1e300}, metrics={"loss": [-1.0]}),
            Trial("other", {**first, "bias": "unheard of", "opt": "unheard of"}, metrics={"loss": [-1.0]}),
            Trial("info", first, metrics={"loss": [2.0]}, info={"model": {"fit": "x"}, "index": "x", "point": None}),
        ]
        found = suggest(sweep, own + strangers, 3, 1)
        assert found
        assert all(parse(sweep).contains(s.params) for s in found)

    def test_asking_for_none_gives_none(self) -> None:
        assert suggest(self.sweep(), [], 0) == []


def told(suggestion: Suggestion, number: int, values: Sequence[Any], state: str = "finished") -> Trial:
    """The trial that a suggestion became, with the values of `loss` that it logged."""
    return Trial(str(number), suggestion.params, state, {"loss": list(values)} if values else {}, suggestion.info)
