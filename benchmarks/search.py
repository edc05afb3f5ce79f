"""besom's search methods and their rivals on the same cells: real tuning tasks and synthetic functions.

    python benchmarks/search.py [--engines besom,rivals] [--seeds 10]     play what is not kept yet, then score it
    python benchmarks/search.py --engines rivals --no-score                only play; what is kept resumes
    python benchmarks/search.py --mode pending8 | noisy                    eight at a time; noisy values
    python benchmarks/search.py --latency                                  CPU time of one suggestion
    python benchmarks/search.py --docs                                     tables and pictures into docs/methods.md

Engines live in environments of their own under benchmarks/.venvs, made when they are first asked for; cells (an engine
on a task from a seed) are kept under ~/.cache/besom-bench. `benchmarks/search/` has the tasks and how they are made.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[_name] = "1"  # before numpy is imported

from search import known as knowledge  # noqa: E402
from search import report  # noqa: E402
from search.cells import MODES, Cells, Plan, jobs, run  # noqa: E402
from search.engines import OURS, RIVALS, Engine, cache_folder, engine, score_sources  # noqa: E402
from search.tasks import Task, tasks  # noqa: E402

BUDGETS = (25, 50, 100)


def chosen_engines(words: str) -> list[Engine]:
    groups = {"besom": OURS, "rivals": RIVALS, "fast": tuple(e for e in RIVALS if not e.slow)}
    found = [e for word in words.split(",") for e in groups.get(word) or (engine(word),)]
    return list(dict.fromkeys(found))


def chosen_tasks(words: str) -> list[Task]:
    """By family, by part of a name, `open` or `held`; all for nothing."""
    kinds = {"open": lambda t: not t.held, "held": lambda t: t.held}
    tests = [kinds.get(w) or (lambda t, w=w: t.family == w or w in t.name) for w in words.split(",") if w]
    return [t for t in tasks() if not tests or any(test(t) for test in tests)]


def learn(wanted: list[Task]) -> dict[str, knowledge.Known]:
    """What is known of the tasks; learnt and kept where it is not, or no longer true."""
    known = knowledge.load()
    for task in wanted:
        if task.name not in known or known[task.name].mark != task.mark:
            print(f"learning what chance reaches: {task.name}", file=sys.stderr)
            known[task.name] = knowledge.learn(task)
            knowledge.save(known)
    return known


def play(args: argparse.Namespace, engines: list[Engine], wanted: list[Task], cells: Cells) -> None:
    """Play the cells that are missing, with a bar on a terminal and a line for each otherwise."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    noise = {name: k.noise for name, k in learn(wanted).items()} if cells.mode.noisy else {}
    usable = [e for e in engines if e.ready()]
    todo = jobs(usable, wanted, Plan(args.seeds, args.budget, args.slow_seeds, args.slow_budget))
    todo = [j for j in todo if cells.get(j.engine, j.task, j.seed, j.budget) is None]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    start = time.monotonic()
    with Progress(*columns, disable=not sys.stderr.isatty()) as bar:
        line = bar.add_task("cells", total=len(todo))
        for number, cell in enumerate(run(todo, cells, noise), 1):
            ms = sum(cell.ms) / max(len(cell.ms), 1)
            text = f"{cell.engine}, {cell.task}, seed {cell.seed}"
            bar.update(line, advance=1, description=text)
            if bar.disable:
                print(f"{number}/{len(todo)} {text}: {ms:.0f} ms a trial {cell.error or ''}".rstrip(), flush=True)
            if args.limit and time.monotonic() - start > 60 * args.limit:
                print(f"the time limit of {args.limit:g} minutes is reached; {len(todo) - number} cells are left")
                break


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--engines", default="besom,rivals", help="names or groups (besom, rivals, fast), with commas; besom:NAME")
    add("--tasks", default="", help="real, synthetic, open, held or parts of names, with commas")
    add("--seeds", type=int, default=10)
    add("--slow-seeds", type=int, default=3, help="seeds of the slow engines")
    add("--budget", type=int, default=100, help="trials of a cell")
    add("--slow-budget", type=int, default=50, help="trials of a cell of the slowest engines")
    add("--budgets", default=",".join(map(str, BUDGETS)), help="numbers of trials after which to score")
    add("--mode", choices=sorted(MODES), default="plain")
    add("--limit", type=float, help="minutes to play at most")
    add("--cache", type=Path, help="folder of the cells")
    add("--sources", help="score the cells of another state of besom/search: the digest in their files' names")
    add("--no-score", action="store_true", help="only play")
    add("--no-play", action="store_true", help="only score what is kept")
    add(
        "--known", action="store_true", help="learn what chance and long runs reach, and lower it to what engines found"
    )
    add("--latency", action="store_true", help="CPU time of one suggestion at 100, 1,000 and 10,000 trials")
    add("--docs", action="store_true", help="write the kept results into docs/methods.md")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    cache_folder(args.cache)
    if args.sources:
        score_sources(args.sources)
        args.no_play = True
    if args.docs:
        report.write_docs()
        return
    if args.latency:
        report.measure_latency(chosen_engines(args.engines))
        return
    engines, wanted, cells = chosen_engines(args.engines), chosen_tasks(args.tasks), Cells(MODES[args.mode])
    if args.known:
        known = knowledge.lower(learn(wanted), (c for e in engines for c in cells.all(e).values()))
        knowledge.save(known)
        return
    if not args.no_play:
        play(args, engines, wanted, cells)
    if not args.no_score:
        budgets = [b for b in map(int, args.budgets.split(",")) if b <= args.budget]
        report.score_and_keep(engines, wanted, cells, learn(wanted), budgets)


if __name__ == "__main__":
    main()
