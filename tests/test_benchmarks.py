"""The search benchmark: a cell is played and kept, a table gives back what was tabulated, a score is what the page says."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from besom.search import check

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

from search.cells import MODES, Cell, Cells, Plan, jobs, run  # noqa: E402
from search.dims import cat, integer, live, log, parameters, real  # noqa: E402
from search.engines import cache_folder, engine  # noqa: E402
from search.known import Known  # noqa: E402
from search.lookup import file_of, reader  # noqa: E402
from search.real import TASKS  # noqa: E402
from search.report import summary  # noqa: E402
from search.score import ranks, score  # noqa: E402
from search.tasks import Task, tabulated  # noqa: E402


def bowl() -> Task:
    dims = (log("lr", 1e-4, 1), integer("depth", 1, 9), cat("norm", None, True, "batch"))
    return Task("bowl", "synthetic", dims, lambda p: abs(p["lr"] - 0.01) + p["depth"] + p["norm"], False, "one")


def table() -> Task:
    task = next(t for t in TASKS if t.name == "Gaussian process, diabetes")
    return tabulated(task.name, task.dims, task.held)


@pytest.mark.parametrize("mode", ["pending8", "noisy"])
def test_two_engines_play_two_tasks_and_a_second_run_finds_everything_kept(tmp_path, mode):
    cache_folder(tmp_path)
    engines, tasks = [engine("random"), engine("besom:quasi")], [bowl(), table()]
    todo = jobs(engines, tasks, Plan(seeds=1, budget=5))
    noise = {t.name: 0.1 for t in tasks}
    played = list(run(todo, Cells(MODES[mode]), noise))
    assert len(played) == 4
    assert all(len(c.seen) == 5 and c.error is None for c in played)
    assert all((c.true != c.seen) if mode == "noisy" else c.true == [] for c in played)
    again = Cells(MODES[mode])
    assert list(run(todo, again, noise)) == []
    known = {t.name: Known(t.mark, 0.0, 0.1, [9.0] * 5, [9.0] * 5) for t in tasks}
    kept = {e.name: list(again.all(e).values()) for e in engines}
    told = summary(engines, kept, known, tasks, MODES[mode], [5])
    assert told["quick"]["cells"] == 2
    assert sorted(told["quick"]["engines"]) == ["besom:quasi", "random"]


def test_an_engine_that_fails_keeps_what_it_had_found(tmp_path):
    cache_folder(tmp_path)
    (cell,) = run(jobs([engine("besom:nonesuch")], [bowl()], Plan(seeds=1)), Cells(MODES["plain"]), {})
    assert cell.seen == []
    assert "nonesuch" in cell.error


def test_a_score_is_the_share_of_the_way_from_chance_to_the_best_known():
    known = Known("m", best=1.0, noise=0.0, random=[6.0, 5.0, 5.0], noisy=[9.0, 9.0, 9.0])

    def of(*values, true=()):
        return Cell("t", "m", "e", 0, 3, list(values), [], list(true))

    assert score(of(9, 5, 5), known, 3) == 0.0
    assert score(of(9, 3, 1), known, 2) == 0.5
    assert score(of(9, 3, 1), known, 3) == 1.0
    assert score(of(9, 9, 99), known, 3) == -1.0
    assert score(of(0, -9, 0), known, 3) == 1.5
    # under noise the point that looked best is judged by its true value
    assert score(of(3, 2, 4, true=(1, 5, 1)), known, 3, noisy=True) == 0.5


def test_ranks_are_over_the_cells_that_all_engines_have():
    a, b = {("t", 0): 0.9, ("t", 1): 0.5, ("u", 0): 0.0}, {("t", 0): 0.1, ("t", 1): 0.5}
    assert ranks({"a": a, "b": b}) == {"a": 1.25, "b": 1.75}


def test_a_lattice_gives_its_nodes_exactly_and_lies_between_them_elsewhere():
    task = table()
    with np.load(file_of(task.name)) as stored:
        values, nodes = stored["values0"], stored["nodes0 length"]
    length, noise, _ = task.dims
    at = [length.low * (length.high / length.low) ** u for u in nodes[3:5]]
    found = [task.at({"length": x, "noise": noise.low, "nu": 1}) for x in (*at, (at[0] * at[1]) ** 0.5)]
    assert found[:2] == pytest.approx(values[3:5, 0, 1].tolist())
    assert found[2] == pytest.approx(sum(found[:2]) / 2)


def test_every_real_task_has_a_table_and_a_space_that_is_a_sweep():
    generator = np.random.default_rng(0)
    for task in TASKS:
        value = reader(task.name, task.dims)
        points = [live(task.dims, {d.name: d.value(u) for d in task.dims}) for u in generator.random(5)]
        assert all(np.isfinite(value(p)) for p in points), task.name
        spec = {"method": "random", "metric": {"name": "y"}, "parameters": parameters(task.dims)}
        assert check(spec) == [], task.name


def test_a_parameter_without_its_parent_does_not_live():
    dims = (cat("kernel", "linear", "rbf"), real("gamma", 0, 1, ("kernel", ("rbf",))))
    assert live(dims, {"kernel": 0, "gamma": 0.5}) == {"kernel": 0}
    assert live(dims, {"kernel": 1, "gamma": 0.5}) == {"kernel": 1, "gamma": 0.5}
    assert parameters(dims)["gamma"]["condition"] == "kernel == 'rbf'"
