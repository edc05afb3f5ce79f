"""A cell is one engine on one task from one seed: the whole trajectory, kept as a line of JSON so that a run resumes.

Modes: `plain` (one trial at a time), `pending8` (eight under way, the oldest ends first), `noisy` (the engine sees
the value with the noise of a 3-fold cross-validation, and its choice is judged by the true value).
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from search.engines import Engine, cache_folder
from search.pipe import Child
from search.tasks import Task

PATIENCE = 600.0  # seconds that an engine may take for one answer
TURN = 6  # tasks that a slow engine plays before the next one has its turn


@dataclass(frozen=True)
class Mode:
    name: str
    pending: int = 1
    noisy: bool = False


MODES = {m.name: m for m in (Mode("plain"), Mode("pending8", pending=8), Mode("noisy", noisy=True))}


@dataclass(frozen=True)
class Cell:
    """`seen`: values in the order in which trials ended; `true`: without noise, when there is some. `ms`: CPU milliseconds of
    each ask and tell. `error`: what ended the cell early; what was found until then counts."""

    task: str
    mark: str
    engine: str
    seed: int
    budget: int
    seen: list[float]
    ms: list[float]
    true: list[float] = field(default_factory=list)
    error: str | None = None

    def best(self, n: int) -> float:
        """The value of the point that looked best among the first n."""
        seen = self.seen[:n]
        return (self.true or self.seen)[seen.index(min(seen))] if seen else float("inf")


class Cells:
    """The cells of one mode on disk, one file for each engine and version."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self.folder = cache_folder() / mode.name
        self.folder.mkdir(exist_ok=True)
        self.read: dict[Path, dict[tuple[str, str, int], Cell]] = {}

    def path(self, engine: Engine) -> Path:
        return self.folder / f"{engine.name.replace(':', '-')}@{engine.version}.jsonl"

    def all(self, engine: Engine) -> dict[tuple[str, str, int], Cell]:
        path = self.path(engine)
        if path not in self.read:
            lines = path.read_text().splitlines() if path.exists() else []
            found: dict[tuple[str, str, int], Cell] = {}
            for line in lines:
                cell = Cell(**json.loads(line))
                key = (cell.task, cell.mark, cell.seed)
                if key not in found or found[key].budget <= cell.budget:
                    found[key] = cell
            self.read[path] = found
        return self.read[path]

    def get(self, engine: Engine, task: Task, seed: int, budget: int) -> Cell | None:
        cell = self.all(engine).get((task.name, task.mark, seed))
        return cell if cell is not None and cell.budget >= budget else None

    def put(self, engine: Engine, cell: Cell) -> None:
        self.all(engine)[cell.task, cell.mark, cell.seed] = cell
        with self.path(engine).open("a") as out:
            out.write(json.dumps(asdict(cell)) + "\n")


def play(child: Child, engine: Engine, task: Task, seed: int, budget: int, mode: Mode, noise: float) -> Cell:
    """One cell. The engine's process is told to begin anew."""
    generator = random.Random(f"{task.name} {seed}")
    seen: list[float] = []
    true: list[float] = []
    spent: list[float] = []
    dims = [asdict(d) for d in task.dims]
    told = {"engine": engine.name, "dims": dims, "seed": seed, "budget": budget, "pending": mode.pending}
    reply = child.ask({"open": told}, PATIENCE)
    under_way: deque[tuple[int, dict[str, Any], float]] = deque()
    asked = 0
    while "error" not in reply and len(seen) < budget:
        while asked < budget and len(under_way) < mode.pending:
            reply = child.ask({"ask": True}, PATIENCE)
            if "point" not in reply:
                asked = budget  # used up, or an error: what is under way still ends
                break
            under_way.append((reply["id"], reply["point"], reply["ms"]))
            asked += 1
        if not under_way:
            break
        number, point, ms = under_way.popleft()
        value = task.at(point)
        shown = value + generator.gauss(0.0, noise) if mode.noisy else value
        if "error" not in reply:
            reply = child.ask({"tell": [number, shown]}, PATIENCE)
        seen.append(round(shown, 7))
        true.append(round(value, 7))
        spent.append(round(ms + reply.get("ms", 0.0), 2))
    error = reply.get("error")
    return Cell(task.name, task.mark, engine.name, seed, budget, seen, spent, true if mode.noisy else [], error)


@dataclass(frozen=True)
class Job:
    engine: Engine
    task: Task
    seed: int
    budget: int


@dataclass(frozen=True)
class Plan:
    """How far cells go. `slow_seeds`, `slow_budget`: of engines that cannot afford more."""

    seeds: int = 10
    budget: int = 100
    slow_seeds: int = 3
    slow_budget: int = 50

    def of(self, engine: Engine) -> tuple[int, int]:
        """Seeds and budget of an engine."""
        seeds = min(self.seeds, self.slow_seeds) if engine.slow else self.seeds
        return seeds, min(self.budget, self.slow_budget) if engine.slow > 1 else self.budget


def jobs(engines: Sequence[Engine], tasks: Sequence[Task], plan: Plan) -> list[Job]:
    """Every cell that is wanted, the most telling first: seed 0 of the quick engines, a few more of them, seed 0 of the
    slow, the rest. Tasks are shuffled and the slow engines take turns, so that a run cut short is a fair sample."""
    order = sorted(tasks, key=lambda t: t.mark)
    found: list[tuple[tuple[float, int, int], Job]] = []
    for engine in engines:
        seeds, budget = plan.of(engine)
        for seed in range(seeds):
            first, later = (0.0, 1.0, 2.0, 3.5)[engine.slow], 3.0 + engine.slow
            part = first if seed == 0 else 1.5 if seed < 4 and not engine.slow else later
            for number, task in enumerate(order):
                turn = number // TURN if engine.slow else 0
                found.append(((part, seed, turn), Job(engine, task, seed, budget)))
    return [job for _, job in sorted(found, key=lambda row: row[0])]


def run(todo: Sequence[Job], cells: Cells, noise: dict[str, float]) -> Iterator[Cell]:
    """Play the jobs that are not kept yet, in order; yields each cell when it is kept."""
    child: Child | None = None
    at: str | None = None
    try:
        for job in todo:
            if cells.get(job.engine, job.task, job.seed, job.budget) is not None:
                continue
            if child is None or at != job.engine.name:
                if child is not None:
                    child.close()
                child, at = job.engine.child(), job.engine.name
            cell = play(child, job.engine, job.task, job.seed, job.budget, cells.mode, noise.get(job.task.name, 0.0))
            if cell.error and child.process.poll() is not None:
                child.close()
                child = None
            cells.put(job.engine, cell)
            yield cell
    finally:
        if child is not None:
            child.close()
