"""Tables of a run, results/search.json, and the generated part of docs/methods.md. Pure but for the files at its end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from common import RESULTS, ROOT, table, write_result

from search.cells import Cell, Cells, Mode
from search.engines import Engine
from search.known import Known
from search.latency import latency
from search.picture import picture
from search.score import Key, ahead, interval, ranks, score
from search.tasks import Task

PAGE = ROOT / "docs" / "methods.md"
PICTURE = ROOT / "docs" / "images" / "search.svg"
FAMILIES = ("real", "synthetic")
OURS = "besom:bayes"
ENOUGH = 0.9  # of the cells of seed 0: an engine with fewer is only compared pair by pair
POINTS = (5, 8, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 100)  # numbers of trials on the picture

Scores = dict[str, dict[Key, float]]  # engine -> cell -> score, at one number of trials


def scores(kept: Mapping[str, Sequence[Cell]], known: Mapping[str, Known], budget: int, mode: Mode) -> Scores:
    """Of all engines after `budget` trials; cells that were played with less do not count."""
    return {
        name: {(c.task, c.seed): score(c, known[c.task], budget, noisy=mode.noisy) for c in cells if c.budget >= budget}
        for name, cells in kept.items()
    }


def mean(values: Mapping[Key, float], family: Mapping[str, str]) -> dict[str, Any]:
    """The mean of each family; both families weigh the same in `mean`, whose interval is by bootstrap over cells."""
    parts = {f: [v for (task, _), v in values.items() if family[task] == f] for f in FAMILIES}
    found: dict[str, Any] = {f: float(np.mean(v)) if v else None for f, v in parts.items()}
    filled = [v for v in parts.values() if v]
    if filled:
        found["mean"] = float(np.mean([np.mean(v) for v in filled]))
        # halves of the interval's width add in squares, for the families are independent
        spans = [np.subtract(interval(v), np.mean(v)) for v in filled]
        low, high = (float(np.sqrt(sum(s[i] ** 2 for s in spans))) / len(filled) for i in (0, 1))
        found |= {"low": found["mean"] - low, "high": found["mean"] + high}
    return found


def block(names: Sequence[str], by_budget: Mapping[int, Scores], family: Mapping[str, str]) -> dict[str, Any]:
    """Means and ranks of some engines on the cells that all of them have at the largest of the budgets."""
    shared = set.intersection(*[set(by_budget[max(by_budget)][n]) for n in names]) if names and by_budget else set()
    found: dict[str, Any] = {"cells": len(shared), "seeds": sorted({s for _, s in shared}), "engines": {}}
    for budget, all_scores in by_budget.items():
        cut = {n: {k: all_scores[n][k] for k in shared} for n in names}
        place = ranks(cut)
        for name in names if shared else ():
            row = mean(cut[name], family) | {"rank": place[name]}
            found["engines"].setdefault(name, {})[str(budget)] = _short(row)
    return found


def summary(
    engines: Sequence[Engine],
    kept: Mapping[str, Sequence[Cell]],
    known: Mapping[str, Known],
    tasks: Sequence[Task],
    mode: Mode,
    budgets: Sequence[int],
) -> dict[str, Any]:
    """Everything that results/search.json holds of one mode."""
    family = {t.name: t.family for t in tasks}
    by_budget = {b: scores(kept, known, b, mode) for b in budgets}
    names = [n for n, cells in kept.items() if cells]
    seeds = {n: len({c.seed for c in kept[n]}) for n in names}
    full = [n for n in names if len({c.task for c in kept[n] if c.seed == 0}) >= ENOUGH * len(tasks)]
    quick = [n for n in full if seeds[n] >= max(seeds.values()) and all(c.budget >= max(budgets) for c in kept[n])]
    least = min((c.budget for n in full for c in kept[n]), default=0)
    told: dict[str, Any] = {
        "tasks": {f: sum(t.family == f for t in tasks) for f in FAMILIES},
        "engines": {
            e.name: {
                "label": e.label,
                "version": e.version,
                "cells": len(kept[e.name]),
                "seeds": seeds[e.name],
                "ms": round(float(np.mean([m for c in kept[e.name] for m in c.ms] or [0])), 1),
                "ended early": sum(c.error is not None for c in kept[e.name]),
            }
            for e in engines
            if e.name in names
        },
        "quick": block(quick, by_budget, family),
        "all": block(full, {b: by_budget[b] for b in budgets if b <= least}, family),
        "pairs": {
            n: {str(b): pair for b, s in by_budget.items() if (pair := _pair(s, n, family)) is not None}
            for n in names
            if OURS in names and n != OURS
        },
        "by task": {
            t.name: {
                n: [_mean(v for (task, _), v in s[n].items() if task == t.name) for s in by_budget.values()]
                for n in names
            }
            for t in tasks
        },
    }
    curves: dict[str, Any] = {}
    for budget in [p for p in POINTS if p <= max(budgets)]:
        for name, values in scores({n: kept[n] for n in names}, known, budget, mode).items():
            part = mean(values, family)
            for f in FAMILIES:
                if part[f] is not None:
                    curves.setdefault(f, {}).setdefault(name, []).append([budget, round(part[f], 4)])
    return told | {"budgets": list(budgets), "curves": curves}


def _pair(all_scores: Scores, other: str, family: Mapping[str, str]) -> dict[str, Any] | None:
    """How far ours is ahead of another engine on the cells that both have."""
    found: dict[str, Any] = {}
    for name in (*FAMILIES, "both"):
        picked = [{k: v for k, v in all_scores[n].items() if name in ("both", family[k[0]])} for n in (OURS, other)]
        difference = ahead(*picked)
        found[name] = None if difference is None else [round(x, 4) for x in difference]
    return found if found["both"] else None


def _mean(values: Iterable[float]) -> float | None:
    rows = list(values)
    return round(float(np.mean(rows)), 3) if rows else None


def _short(row: dict[str, Any]) -> dict[str, Any]:
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}


# tables


def block_rows(told: Mapping[str, Any], part: str) -> tuple[list[str], list[list[str]]]:
    """Head and rows of one block, the best mean at its largest budget first."""
    engines = told[part].get("engines", {})
    if not engines:
        return [], []
    budgets = list(next(iter(engines.values())))
    main = budgets[-1] if part == "all" else "50" if "50" in budgets else budgets[-1]
    head = ["engine", f"real @{main}", f"synthetic @{main}", f"mean @{main}", "95 %"]
    others = [b for b in budgets if b != main]
    head += [*[f"mean @{b}" for b in others], f"rank @{main}", "ms"]
    rows = []
    for name, by_budget in sorted(engines.items(), key=lambda item: -item[1][main]["mean"]):
        at = by_budget[main]
        spread = f"{_digits(at['low'])} to {_digits(at['high'])}"
        row = [
            told["engines"][name]["label"],
            _digits(at["real"]),
            _digits(at["synthetic"]),
            _digits(at["mean"]),
            spread,
        ]
        row += [_digits(by_budget[b]["mean"]) for b in others]
        rows.append([*row, f"{at['rank']:.2f}", _ms(told["engines"][name]["ms"])])
    return head, rows


def pair_rows(told: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Ours minus every other engine, on the cells that both have."""
    budgets = [str(b) for b in told["budgets"]]
    rows = []
    for name, pairs in told["pairs"].items():
        at = pairs.get("50") or next(iter(pairs.values()), None)
        if at is None:
            continue
        cells = [_difference(at["real"]), _difference(at["synthetic"])]
        cells += [_difference(pairs[b]["both"]) if b in pairs else "" for b in budgets]
        rows.append((at["both"][0], [told["engines"][name]["label"], str(at["both"][3]), *cells]))
    head = ["besom bayes less", "cells", "real @50", "synthetic @50", *[f"both @{b}" for b in budgets]]
    return head, [row for _, row in sorted(rows, key=lambda r: r[0])]


def _digits(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.2f}"


def _difference(pair: Sequence[float] | None) -> str:
    return "" if pair is None else f"{pair[0]:+.3f} ({pair[1]:+.3f} to {pair[2]:+.3f})"


def _ms(ms: float) -> str:
    return f"{ms:.0f}" if ms >= 10 else f"{ms:.1f}"


def show(told: Mapping[str, Any]) -> None:
    for part, text in (("quick", "engines with every seed"), ("all", "every engine, on the cells that all have")):
        head, rows = block_rows(told, part)
        if rows:
            print(f"\n{text}: {told[part]['cells']} cells")
            print(table(head, rows))
    head, rows = pair_rows(told)
    if rows:
        print("\ndifference on the cells that both have, and its 95 % interval")
        print(table(head, rows))
    early = {n: e["ended early"] for n, e in told["engines"].items() if e["ended early"]}
    if early:
        print("\ncells that an error ended early: " + ", ".join(f"{n} {k}" for n, k in early.items()))


def score_and_keep(
    engines: Sequence[Engine],
    tasks: Sequence[Task],
    cells: Cells,
    known: Mapping[str, Known],
    budgets: Sequence[int],
) -> None:
    """Print the tables of one mode and keep them in results/search.json beside the other modes."""
    marks = {t.name: t.mark for t in tasks}
    kept = {e.name: [c for c in cells.all(e).values() if marks.get(c.task) == c.mark] for e in engines}
    told = summary(engines, kept, known, tasks, cells.mode, budgets)
    show(told)
    write_result("search", results() | {cells.mode.name: told})


def latency_rows(told: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    counts = list(next(iter(told.values())))
    head = ["method", *[f"{c} trials" for c in counts], "memory MB"]
    rows = []
    for method, figures in told.items():
        cells = [f"{_ms(f['mean'])} / {_ms(f['worst'])}" if "mean" in f else "fails" for f in figures.values()]
        rows.append([method, *cells, f"{max(f.get('mb', 0) for f in figures.values()):.0f}"])
    return head, rows


def measure_latency(engines: Sequence[Engine]) -> None:
    """CPU milliseconds of one suggestion, average / worst, of our own methods; printed and kept."""
    told = latency([e.name.partition(":")[2] for e in engines if e.name.startswith("besom")])
    print("CPU ms of one suggestion, average / worst")
    print(table(*latency_rows(told)))
    write_result("search", results() | {"latency": told})


def results() -> dict[str, Any]:
    path = RESULTS / "search.json"
    return json.loads(path.read_text())["result"] if path.exists() else {}


# docs


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write_docs() -> None:
    """Fill the marked parts of docs/methods.md from results/search.json, and draw its picture."""
    told = results()
    plain = told["plain"]
    parts = {"quick": markdown(*block_rows(plain, "quick")), "all": markdown(*block_rows(plain, "all"))}
    parts["pairs"] = markdown(*pair_rows(plain))
    for mode in ("pending8", "noisy"):
        if mode in told:
            parts[mode] = markdown(*block_rows(told[mode], "quick"))
    if "latency" in told:
        parts["latency"] = markdown(*latency_rows(told["latency"]))
    text = PAGE.read_text()
    for name, content in parts.items():
        found = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = found.sub(lambda m, c=content: f"{m[1]}{c}\n{m[2]}", text)
    PAGE.write_text(text)
    labels = {n: e["label"] for n, e in plain["engines"].items()}
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(plain["curves"], labels))
