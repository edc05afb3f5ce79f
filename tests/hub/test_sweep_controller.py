"""What agents are told, beat by beat. Agents here are played by the test; runs are real records in a real store."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from besom.core import record as rec
from besom.core.batch import Batch
from besom.core.errors import ConfigError, NotFound, UsageError
from besom.core.names import RunPath, SweepPath
from besom.core.wire import Beat, Command, Done, Orders, SweepView
from besom.hub.hub import Hub
from besom.store.migrations import open_database

GRID = {
    "program": "train.py",
    "method": "grid",
    "metric": {"name": "loss", "goal": "minimize"},
    "parameters": {"a": {"values": [0, 1]}, "b": {"values": [0, 1]}},
}
RANDOM = {**GRID, "method": "random", "parameters": {"x": {"min": 0.0, "max": 1.0}}}


class World:
    """A hub, a clock that the test moves, and a sweep."""

    def __init__(self, place: Path | str) -> None:
        self.now = 1_700_000_000.0
        self.database = open_database(place)
        self.hub = Hub(self.database, clock=lambda: self.now)
        self._streams = itertools.count()

    def sweep(self, config: dict[str, Any] = GRID, **changes: Any) -> SweepView:
        return self.hub.create_sweep("ann", "dkt", {**config, **changes})

    def agent(self, sweep: SweepView, host: str = "elsewhere") -> Player:
        registered = self.hub.register(f"ann/dkt/{sweep.id}", host, 1)
        return Player(self, registered.id)

    def look(self, sweep: SweepView) -> SweepView:
        return self.hub.sweep(SweepPath("ann", "dkt", sweep.id))

    def put(self, sweep: SweepView, state: str) -> SweepView:
        return self.hub.set_sweep(SweepPath("ann", "dkt", sweep.id), state=state)

    def logs(
        self, run: str, *losses: float, key: str = "loss", config: dict[str, Any] | None = None, end: bool = False
    ) -> None:
        """The run sends a stream of its own: it begins, logs, and may end."""
        records: list[rec.Record] = [rec.Run(self.now, run, "ann", "dkt", name=run, starts=True)]
        records += [rec.Config(config)] if config else []
        records += [rec.History(step, self.now, {key: loss}) for step, loss in enumerate(losses)]
        if end:
            records.append(rec.Exit(self.now, 0, rec.FINISHED))
        seqs = tuple(range(len(records)))
        stream = f"stream{next(self._streams)}"
        self.hub.append(RunPath("ann", "dkt", run), stream, Batch(0, len(records), seqs, tuple(records)))


class Player:
    """An agent as the hub sees one."""

    def __init__(self, world: World, id: str) -> None:
        self.world, self.id = world, id
        self.running: dict[str, Command] = {}

    def beat(self, want: int = 1, done: tuple[Done, ...] = ()) -> Orders:
        for one in done:
            self.running.pop(one.run, None)
        ask = Beat(tuple((c.run, c.attempt) for c in self.running.values()), done, want)
        orders = self.world.hub.beat(self.id, ask)
        self.running |= {c.run: c for c in orders.commands if c.type == "run"}
        return orders

    def take(self) -> Command:
        (command,) = [c for c in self.beat().commands if c.type == "run"]
        return command

    def end(
        self, command: Command, state: str = "finished", code: int | None = 0, want: int = 0, **more: str
    ) -> Orders:
        return self.beat(want, (Done(command.run, command.attempt, code, state, **more),))


ONCE = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
"""For what costs seconds in the model, and asks the store nothing of its own."""


@pytest.fixture
def world(tmp_path: Path, place: Callable[[Path], Path | str]) -> Iterator[World]:
    world = World(place(tmp_path))
    yield world
    world.database.close()


def kinds(orders: Orders) -> list[str]:
    return [command.type for command in orders.commands]


def test_a_grid_is_every_point_once_and_ends_by_itself_with_its_best_named(world: World) -> None:
    sweep = world.sweep()
    assert (sweep.state, sweep.budget) == ("pending", 4)
    agent = world.agent(sweep)
    seen = []
    for _ in range(4):
        trial = agent.take()
        seen.append(tuple(trial.params.values()))
        world.logs(trial.run, 5.0, 1.0 + trial.params["a"] + (1 - trial.params["b"]), 9.0, end=True)
        orders = agent.end(trial)
    assert seen == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert kinds(orders) == ["exit"] and "all 4 points were tried" in orders.commands[0].reason
    assert orders.best is not None and (orders.best.value, orders.best.params) == (1.0, {"a": 0, "b": 1})
    after = world.look(sweep)
    assert (after.state, after.counts, after.reason) == ("finished", {"finished": 4}, "all 4 points were tried")
    assert after.best is not None and after.best.run == after.trials[1].run


def test_an_agent_without_a_point_waits_because_one_may_be_lost(world: World) -> None:
    sweep = world.sweep(parameters={"a": {"values": [1, 2]}})
    first, second, third = (world.agent(sweep) for _ in range(3))
    one, two = first.take(), second.take()
    waits = third.beat()
    assert (kinds(waits), waits.state) == ([], "running")
    world.now += 61
    second.beat(want=0)
    assert third.take().params == one.params, "the first agent was silent for more than a minute"
    second.end(two)
    assert world.look(sweep).counts == {"finished": 1, "running": 1}


def test_a_lost_trial_keeps_its_run_and_number_and_counts_its_attempts(world: World) -> None:
    sweep = world.sweep()
    trial = world.agent(sweep).take()
    for attempt in (2, 3, 4):
        world.now += 61
        again = world.agent(sweep).take()
        assert (again.run, again.number, again.attempt) == (trial.run, 1, attempt)
    world.now += 61
    next_trial = world.agent(sweep).take()
    assert next_trial.number == 2, "lost three times and tried again three times, it is given up"
    assert world.look(sweep).trials[0].state == "crashed"


def test_on_the_same_machine_a_dead_agent_is_lost_at_once(world: World) -> None:
    import subprocess

    from besom.core.names import machine

    sweep = world.sweep()
    process = subprocess.Popen(["sleep", "60"])
    registered = world.hub.register(f"ann/dkt/{sweep.id}", machine(), process.pid)
    trial = Player(world, registered.id).take()
    other = world.agent(sweep)
    assert other.take().number == 2, "the first agent lives"
    process.kill()
    process.wait()
    other.running.clear()
    third = world.agent(sweep)
    assert third.take().run == trial.run


def test_a_word_that_comes_too_late_or_twice_is_not_heard(world: World) -> None:
    sweep = world.sweep()
    slow = world.agent(sweep)
    trial = slow.take()
    world.now += 61
    again = world.agent(sweep)
    retry = again.take()
    orders = slow.beat(want=0)
    assert kinds(orders) == ["stop"] and "another agent" in orders.commands[0].reason
    slow.end(trial, "failed", 1)
    assert world.look(sweep).trials[0].state == "running"
    again.end(retry)
    again.end(retry, "failed", 1)
    assert world.look(sweep).trials[0].state == "finished"


def test_a_command_that_got_lost_on_its_way_is_given_again(world: World) -> None:
    sweep = world.sweep()
    agent = world.agent(sweep)
    trial = agent.take()
    agent.running.clear()  # the answer never arrived
    assert agent.take() == trial
    assert len(world.look(sweep).trials) == 1


@pytest.mark.parametrize(("retry", "attempts"), [(None, 2), (0, 1), (2, 3)])
def test_a_failed_run_of_a_grid_is_tried_again_as_the_same_run(world: World, retry: int | None, attempts: int) -> None:
    sweep = world.sweep(**({} if retry is None else {"retry": retry}))
    agent = world.agent(sweep)
    first = agent.take()
    trial = first
    for attempt in range(1, attempts + 1):
        assert (trial.run, trial.attempt) == (first.run, attempt)
        agent.end(trial, "failed", 1, reason="exit code 1: boom", tail="Traceback\nboom")
        trial = agent.take()
    assert trial.number == 2
    view = world.look(sweep).trials[0]
    assert (view.state, view.attempt, view.reason) == ("failed", attempts, "exit code 1: boom")


def test_a_failed_run_of_a_random_sweep_is_not_tried_again(world: World) -> None:
    sweep = world.sweep(RANDOM)
    agent = world.agent(sweep)
    agent.end(agent.take(), "failed", 1)
    assert agent.take().number == 2


def test_a_program_that_never_called_init_still_has_its_run(world: World) -> None:
    sweep = world.sweep(retry=0)
    agent = world.agent(sweep)
    trial = agent.take()
    agent.end(trial, "failed", 1, reason="exit code 1: boom", tail="Traceback\nModuleNotFoundError: boom")
    run = world.hub.run(RunPath("ann", "dkt", trial.run))
    assert (run.state, run.exit_code, run.reason, run.sweep) == ("failed", 1, "exit code 1: boom", sweep.id)
    assert run.config == trial.params and run.name == trial.name
    lines = world.hub.console(RunPath("ann", "dkt", trial.run)).lines
    assert [line.text for line in lines] == ["Traceback", "ModuleNotFoundError: boom"]


def test_the_agents_word_on_the_end_wins_over_the_runs(world: World) -> None:
    sweep = world.sweep(retry=0)
    agent = world.agent(sweep)
    trial = agent.take()
    world.logs(trial.run, 1.0, end=True)
    agent.end(trial, "crashed", -9, reason="died by SIGKILL")
    run = world.hub.run(RunPath("ann", "dkt", trial.run))
    assert (run.state, run.exit_code, run.reason) == ("crashed", -9, "died by SIGKILL")


def test_a_preempted_run_and_one_whose_agent_was_told_to_leave_are_given_back(world: World) -> None:
    sweep = world.sweep()
    agent = world.agent(sweep)
    trial = agent.take()
    agent.end(trial, "preempted", 143, reason="its agent was told to leave")
    assert world.hub.run(RunPath("ann", "dkt", trial.run)).state == "preempted"
    again = agent.take()
    assert (again.run, again.attempt) == (trial.run, 2)
    record = rec.Preempt(world.now)
    world.logs(trial.run, 1.0)
    world.hub.append(RunPath("ann", "dkt", trial.run), "more", Batch(0, 1, (0,), (record,)))
    agent.end(again, "failed", 1)
    third = agent.take()
    assert (third.run, third.attempt) == (trial.run, 3), "mark_preempting() makes a failure a preemption"


def test_a_member_of_a_population_is_told_which_run_to_go_on_from(world: World) -> None:
    sweep = world.sweep({**RANDOM, "method": "pbt", "pbt": {"population": 1, "generations": 2}})
    agent = world.agent(sweep)
    first = agent.take()
    world.logs(first.run, 1.0, end=True)
    agent.end(first)
    second = agent.take()
    assert (first.parent, second.parent, second.params) == ("", first.run, first.params)
    world.logs(second.run, 0.5, end=True)
    assert kinds(agent.end(second, want=1)) == ["exit"]
    assert world.look(sweep).reason == "all 2 points were tried"


def test_an_agent_that_leaves_gives_its_trials_back(world: World) -> None:
    sweep = world.sweep()
    agent = world.agent(sweep)
    trial = agent.take()
    assert world.look(sweep).agents == 1
    world.hub.leave(agent.id)
    assert world.look(sweep).agents == 0
    assert world.agent(sweep).take().run == trial.run


def test_run_cap_counts_runs_and_not_attempts(world: World) -> None:
    sweep = world.sweep(RANDOM, run_cap=2, retry=1)
    agent = world.agent(sweep)
    trial = agent.take()
    agent.end(trial, "failed", 1)
    agent.end(agent.take())
    second = agent.take()
    assert second.number == 2
    assert kinds(agent.beat()) == [], "one run is still open"
    orders = agent.end(second, want=1)
    assert kinds(orders) == ["exit"] and "run_cap of 2 runs" in orders.commands[0].reason


@pytest.mark.parametrize(
    "goals",
    [
        {"metric": {"name": "loss", "target": 0.1}},
        {"metric": None, "metrics": [{"name": "ms", "max": 9}, {"name": "loss", "target": 0.1, "goal": "minimize"}]},
    ],
)
def test_the_target_ends_the_sweep_and_running_runs_go_on(world: World, goals: dict[str, Any]) -> None:
    sweep = world.sweep(RANDOM, **goals)
    one, two = world.agent(sweep), world.agent(sweep)
    first, second = one.take(), two.take()
    world.logs(first.run, 0.05)
    world.logs(first.run, 5.0, key="ms")
    orders = one.beat()
    assert kinds(orders) == ["exit"] and "reached the target with 0.05" in orders.commands[0].reason
    assert kinds(two.beat(want=0)) == ["exit"]
    two.end(second)
    assert [t.state for t in world.look(sweep).trials] == ["running", "finished"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return [{'x': 0.5}][len(trials):]", "no further point to try after 1 runs"),
        ("return 1 / 0", "division by zero"),
    ],
)
def test_a_function_that_ends_or_breaks_is_told_to_the_agent(
    world: World, tmp_path: Path, body: str, told: str
) -> None:
    (tmp_path / "mine.py").write_text(f"def choose(sweep, trials, n):\n    {body}\n")
    agent = world.agent(world.sweep(RANDOM, method="custom", custom=f"{tmp_path}/mine.py:choose"))
    if "zero" in told:
        with pytest.raises(UsageError, match=told):
            agent.beat()
    else:
        assert told in agent.end(agent.take(), want=1).commands[0].reason


def test_hyperband_ends_the_worse_half_and_says_why(world: World) -> None:
    sweep = world.sweep(RANDOM, early_terminate={"type": "hyperband", "min_iter": 2, "eta": 2})
    good, bad = world.agent(sweep), world.agent(sweep)
    first, second = good.take(), bad.take()
    world.logs(first.run, 0.3, 0.1)
    world.logs(second.run, 0.9, 0.9)
    third = world.agent(sweep)
    world.logs(third.take().run, 0.2, 0.2)
    assert kinds(good.beat(want=0)) == []
    orders = bad.beat(want=0)
    assert kinds(orders) == ["stop"] and "loss 0.9" in orders.commands[0].reason
    assert kinds(bad.beat(want=0)) == ["stop"], "until it has ended"
    bad.end(second, "stopped", -15)
    view = world.look(sweep).trials[1]
    assert view.state == "stopped" and view.reason.startswith("hyperband: ")
    assert world.hub.run(RunPath("ann", "dkt", second.run)).state == "killed"


def test_a_metric_that_went_to_both_infinities_does_not_stop_the_sweep(world: World) -> None:
    sweep = world.sweep()
    agent = world.agent(sweep)
    trial = agent.take()
    world.logs(trial.run, math.inf, -math.inf, 0.5, end=True)
    assert kinds(agent.end(trial, want=1)) == ["run"]
    assert world.look(sweep).trials[0].value == 0.5


def test_pause_resume_stop_cancel(world: World) -> None:
    sweep = world.sweep()
    agent = world.agent(sweep)
    trial = agent.take()
    world.put(sweep, "paused")
    idle = world.agent(sweep)
    assert (kinds(idle.beat()), idle.beat().state) == ([], "paused")
    assert kinds(agent.beat(want=0)) == [], "running runs go on"
    world.put(sweep, "running")
    second = idle.take()
    world.put(sweep, "finished")
    assert kinds(idle.beat(want=0)) == ["exit"]
    agent.end(trial)
    world.put(sweep, "running")
    assert world.look(sweep).reason == ""
    assert agent.take().number == 3
    world.put(sweep, "canceled")
    orders = idle.beat(want=0)
    assert kinds(orders) == ["stop", "exit"] and orders.commands[0].run == second.run
    idle.end(second, "stopped", -15)
    assert [t.state for t in world.look(sweep).trials] == ["finished", "killed", "running"]


@pytest.mark.parametrize(
    ("before", "wish", "says"),
    [
        ("finished", "paused", "becomes paused from"),
        ("finished", "canceled", "becomes canceled from"),
        ("canceled", "finished", "becomes finished from"),
        (None, "pausd", 'Did you mean "paused"'),
    ],
)
def test_what_a_sweep_cannot_become(world: World, before: str | None, wish: str, says: str) -> None:
    sweep = world.sweep()
    if before:
        world.put(sweep, before)
    with pytest.raises(UsageError, match=says):
        world.put(sweep, wish)


def test_a_config_changes_before_the_first_trial_only(world: World) -> None:
    sweep = world.sweep()
    path = SweepPath("ann", "dkt", sweep.id)
    assert world.hub.set_sweep(path, config={**GRID, "parameters": {"a": {"values": [7]}}}).budget == 1
    agent = world.agent(sweep)
    assert agent.take().params == {"a": 7}
    with pytest.raises(UsageError, match="before its first trial"):
        world.hub.set_sweep(path, config=GRID)


def test_a_metric_that_is_never_logged_is_told_after_the_first_run(world: World) -> None:
    sweep = world.sweep(RANDOM, metric={"name": "val_loss"})
    agent = world.agent(sweep)
    trial = agent.take()
    world.logs(trial.run, 1.0, key="val_los", end=True)
    orders = agent.end(trial)
    (warning,) = orders.warnings
    assert 'the metric "val_loss" was never logged' in warning and 'Did you mean "val_los"?' in warning
    assert world.look(sweep).warnings == (warning,)
    agent.end(agent.take())
    assert len(world.look(sweep).warnings) == 1, "said once"


def test_a_metric_that_is_only_in_the_summary_counts(world: World) -> None:
    sweep = world.sweep(RANDOM)
    agent = world.agent(sweep)
    trial = agent.take()
    records = (
        rec.Run(world.now, trial.run, "ann", "dkt", starts=True),
        rec.Summary({"loss": 0.25}),
        rec.Exit(world.now, 0, rec.FINISHED),
    )
    world.hub.append(RunPath("ann", "dkt", trial.run), "s", Batch(0, 3, (0, 1, 2), records))
    orders = agent.end(trial)
    assert orders.warnings == ()
    assert orders.best is not None and orders.best.value == 0.25


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ({"name": "loss"}, 1.0),
        ({"name": "loss", "goal": "maximize"}, 5.0),
        ({"name": "loss", "agg": "last"}, 3.0),
    ],
)
def test_a_run_is_worth_its_best_unless_the_sweep_says_last(world: World, metric: dict[str, str], value: float) -> None:
    sweep = world.sweep(RANDOM, metric=metric)
    agent = world.agent(sweep)
    world.logs(agent.take().run, 5.0, float("nan"), 1.0, 3.0)
    view = world.look(sweep)
    assert view.best is not None and view.best.value == value
    assert view.trials[0].steps == 4


def test_unknown_sweeps_and_agents(world: World) -> None:
    with pytest.raises(NotFound, match="there is no sweep ann/dkt/nope"):
        world.hub.register("ann/dkt/nope", "here", 1)
    with pytest.raises(NotFound, match="there is no agent nobody"):
        world.hub.beat("nobody", Beat())
    with pytest.raises(UsageError, match="1 to 128"):
        world.hub.create_sweep("ann", "my project", GRID)


def test_sweeps_are_listed_newest_first_without_their_trials(world: World) -> None:
    first = world.sweep()
    world.now += 1
    second = world.sweep(name="second")
    world.agent(second).take()
    listed = world.hub.sweeps("ann", "dkt").sweeps
    assert [s.id for s in listed] == [second.id, first.id]
    assert (listed[0].name, listed[0].counts, listed[0].trials) == ("second", {"running": 1}, ())
    assert world.hub.sweeps("bob").sweeps == ()


def test_two_sweeps_without_a_seed_try_different_points(world: World) -> None:
    one, two = (world.agent(world.sweep(RANDOM)).take().params for _ in range(2))
    assert one != two
    same = [world.agent(world.sweep(RANDOM, seed=7)).take().params for _ in range(2)]
    assert same[0] == same[1]


TWO = {
    **RANDOM,
    "metric": None,
    "metrics": [{"name": "loss", "goal": "minimize"}, {"name": "size", "goal": "minimize"}],
}


def test_of_two_goals_the_sweep_names_the_front(world: World) -> None:
    sweep = world.sweep(TWO)
    agent = world.agent(sweep)
    trials = []
    for loss, size in ((3.0, 1.0), (1.0, 3.0), (3.0, 3.0)):
        trial = agent.take()
        world.logs(trial.run, loss)
        world.logs(trial.run, size, key="size", end=True)
        agent.end(trial)
        trials.append(trial.run)
    after = world.look(sweep)
    assert set(after.front) == {trials[0], trials[1]}
    assert after.best is not None and after.best.run == trials[1]
    assert after.trials[0].outcomes == {"loss": 3.0, "size": 1.0}


def test_a_trial_beyond_a_limit_is_never_the_best(world: World) -> None:
    sweep = world.sweep(RANDOM, metrics=[{"name": "latency", "max": 20}])
    agent = world.agent(sweep)
    for loss, latency in ((1.0, 50.0), (2.0, 10.0)):
        trial = agent.take()
        world.logs(trial.run, loss)
        world.logs(trial.run, latency, key="latency", end=True)
        agent.end(trial)
    best = world.look(sweep).best
    assert best is not None and (best.value, best.outcomes) == (2.0, {"loss": 2.0, "latency": 10.0})


def test_a_point_with_repeats_is_worth_their_mean(world: World) -> None:
    sweep = world.sweep(parameters={"a": {"values": [0, 1]}}, repeats=3)
    assert sweep.budget == 6
    agent = world.agent(sweep)
    losses = {0: iter((0.0, 9.0, 9.0)), 1: iter((4.0, 5.0, 6.0))}
    for _ in range(6):
        trial = agent.take()
        world.logs(trial.run, next(losses[trial.params["a"]]), end=True)
        agent.end(trial)
    after = world.look(sweep)
    assert after.state == "finished" and after.best is not None
    assert (after.best.params, after.best.value) == ({"a": 1}, 5.0)


@pytest.mark.parametrize(
    ("budget", "reason"), [({"time": "2h"}, "the time budget of 2h is spent"), ({"cost": 10}, "the runs have cost 12")]
)
def test_a_sweep_ends_when_its_time_or_money_is_spent(world: World, budget: dict[str, Any], reason: str) -> None:
    sweep = world.sweep(RANDOM, budget=budget)
    agent = world.agent(sweep)
    first = agent.take()
    world.logs(first.run, 1.0)
    world.logs(first.run, 2.0, 6.0, key="cost", end=True)
    world.now += 3600
    agent.end(first)
    second = agent.take()
    world.logs(second.run, 6.0, key="cost", end=True)
    world.now += 3601
    orders = agent.end(second, want=1)
    assert kinds(orders) == ["exit"] and reason in orders.commands[0].reason


@ONCE
def test_a_sweep_starts_from_what_another_one_learnt(world: World) -> None:
    first = world.sweep(RANDOM, method="bayes")
    agent = world.agent(first)
    for _ in range(12):
        trial = agent.take()
        world.logs(trial.run, (trial.params["x"] - 0.3) ** 2, end=True)
        agent.end(trial)
    second = world.sweep(RANDOM, method="bayes", warm_start=[first.id], seed=1)
    assert second.config["warm_start"] == [f"ann/dkt/{first.id}"]
    trial = world.agent(second).take()
    assert trial.number == 1 and abs(trial.params["x"] - 0.3) < 0.05
    with pytest.raises(ConfigError, match="warm_start"):
        world.sweep(RANDOM, warm_start=["none"])


def test_runs_without_a_sweep_teach_one(world: World) -> None:
    for i, x in enumerate((0.1, 0.25, 0.3, 0.35, 0.5, 0.7, 0.9)):
        world.logs(f"run{i}", (x - 0.3) ** 2, config={"x": x}, end=True)
    sweep = world.sweep(RANDOM, method="bayes", warm_start=[f"run{i}" for i in range(7)], seed=1)
    assert abs(world.agent(sweep).take().params["x"] - 0.3) < 0.05


@ONCE
def test_it_tells_which_parameter_matters(world: World) -> None:
    sweep = world.sweep(RANDOM, parameters={"x": {"min": 0.0, "max": 1.0}, "y": {"min": 0.0, "max": 1.0}})
    agent = world.agent(sweep)
    for _ in range(30):
        trial = agent.take()
        world.logs(trial.run, 10 * trial.params["y"] + trial.params["x"], end=True)
        agent.end(trial)
    found = world.hub.importance(SweepPath("ann", "dkt", sweep.id))
    assert found.trials == 30 and found.shares[0].name == "y" and found.shares[0].share > 0.7
    curve = next(c for c in found.curves if c.name == "y")
    assert curve.mean[-1] > curve.mean[0] + 5


@ONCE
def test_a_sweep_ends_when_its_model_expects_nothing_more(world: World) -> None:
    sweep = world.sweep(RANDOM, method="bayes", terminate="auto", run_cap=100, seed=1)
    agent = world.agent(sweep)
    for _ in range(60):
        commands = [c for c in agent.beat().commands if c.type == "run"]
        if not commands:
            break
        world.logs(commands[0].run, (commands[0].params["x"] - 0.3) ** 2, end=True)
        agent.end(commands[0])
    after = world.look(sweep)
    assert (after.state, len(after.trials) < 60) == ("finished", True)
    assert "expects to gain" in after.reason
