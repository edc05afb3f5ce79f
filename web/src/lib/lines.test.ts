import { describe, expect, it } from "vitest";
import { linesOf, summary, type Style } from "./lines";
import { canonical, type Row } from "./runs";
import type { Curves, RunView } from "./wire";

const row = (id: string, state = "finished"): Row => ({ id, label: id, cells: [], n: 1, value: 0, std: null, states: { [state]: 1 }, runs: [id], run: { state } as RunView });
const series = (id: string, mean: (number | null)[], more = {}) => ({ id, key: "loss", n: mean.map(() => 1), mean, min: mean, max: mean, last: mean, std: [], runs: 1, ...more });
const curves: Curves = { x: [0, 1], points: 4, series: [series("a", [1, 2]), series("b", [3, 4]), series("gone", [5, 6])] };
const style: Style = { grouped: false, spread: "std", smooth: 0, slots: new Map([["b", 4]]), coloured: new Set(["b"]) };

it("draws every listed run, grey below colour", () => {
  const lines = linesOf(curves, "loss", [row("b"), row("a")], style);
  expect(lines.map((l) => [l.id, l.slot])).toEqual([["a", null], ["b", 4]]);
});

it("marks how a run ended", () => {
  const lines = linesOf(curves, "loss", [row("a", "crashed"), row("b", "running")], style);
  expect(lines.map((l) => l.end)).toEqual(["cross", "dot"]);
});

it("keeps the raw line behind a smoothed one", () => {
  const [line] = linesOf(curves, "loss", [row("b")], { ...style, smooth: 0.5 });
  expect(line?.raw).toEqual([3, 4]);
  expect(line?.y[1]).toBeLessThan(4);
});

describe("a group", () => {
  const key = { "config.lr": 0.1 };
  const grouped: Curves = { x: [0, 1], points: 4, series: [series(JSON.stringify(key), [1, 2], { n: [3, 2], std: [0.5, 0.25], runs: 3 })] };
  const [line] = linesOf(grouped, "loss", [{ ...row(canonical(key)), run: null }], { ...style, grouped: true, coloured: new Set([canonical(key)]), slots: new Map() });
  it("has a shade", () => expect([line?.low, line?.high]).toEqual([[0.5, 1.75], [1.5, 2.25]]));
  it("says how many runs are alive where", () => expect([line?.n, line?.runs, line?.spread]).toEqual([[3, 2], 3, [0.5, 0.25]]));
});

it("is summed up in a sentence", () => {
  expect(summary("loss", linesOf(curves, "loss", [row("b"), row("a")], style), String)).toBe("loss: 1 line in colour, 1 in grey. b ends at 4.");
  expect(summary("loss", [], String)).toBe("loss: no line to show.");
});
