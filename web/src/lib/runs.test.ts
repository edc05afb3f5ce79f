import { describe, expect, it } from "vitest";
import { canonical, direction, flatten, grouping, groupRows, groupWords, inColour, lookUp, mainMetric, runRows, sections, seriesId, varying } from "./runs";
import type { KeyView, RunView, Series } from "./wire";

function run(id: string, acc: number | null, extra: Partial<RunView> = {}): RunView {
  const stat = { last: acc ?? 0, min: 0, max: acc ?? 0, mean: 0, best: acc ?? 0, goal: "maximize", count: 3, last_step: 2 };
  return {
    id, entity: "me", project: "p", name: id, state: "finished", created: 0, started: 0, seen: 0, ended: null, reason: "", exit_code: 0, group: "",
    job_type: "", tags: [], notes: "", sweep: "", attempt: 1, config: { lr: 0.1, model: { depth: 3 } }, summary: { acc: acc ?? null }, metrics: acc === null ? {} : { acc: stat },
    meta: {}, last_step: 2, ...extra,
  };
}

function key(name: string, values: [unknown, number][], n = 4): KeyView {
  return { key: name, kind: "string", n, values, min: null, max: null, bins: [] };
}

it("puts the best run on top and runs without the metric last", () => {
  const rows = runRows([run("a", 0.5), run("none", null), run("b", 0.9)], "acc", "best");
  expect(rows.map((r) => r.id)).toEqual(["b", "a", "none"]);
});

it("puts the smallest loss on top", () => {
  const rows = groupRows(
    [
      { key: { "config.lr": 0.0004 }, n: 2, runs: ["a", "b"], states: {}, value: 2, std: 0.1, min: 1, max: 3 },
      { key: { "config.lr": 0.1 }, n: 1, runs: ["c"], states: {}, value: 1, std: null, min: 1, max: 1 },
    ],
    ["config.lr"],
    -1,
  );
  expect(rows.map((r) => r.label)).toEqual(["0.1", "4e-4"]);
});

it("knows a group whatever the order of its keys", () => {
  const series = { id: '{"b": 2, "a": 1}' } as Series;
  expect(seriesId(series, true)).toBe(canonical({ a: 1, b: 2 }));
  expect(seriesId({ id: "r1" } as Series, false)).toBe("r1");
});

it("looks up nested config, summary and the run's own fields", () => {
  expect(lookUp(run("a", 0.5), "config.model.depth")).toBe(3);
  expect(lookUp(run("a", 0.5, { config: { "odd.key": 1 } }), "config.odd.key")).toBe(1);
  expect(lookUp(run("a", 0.5), "summary.acc")).toBe(0.5);
  expect(lookUp(run("a", 0.5), "state")).toBe("finished");
  expect(lookUp(run("a", 0.5), "config.lr.deeper")).toBeUndefined();
});

it("flattens a config and keeps empty things", () => {
  expect(flatten({ a: { b: 1, c: {} }, d: [1] })).toEqual([["a.b", 1], ["a.c", {}], ["d", [1]]]);
});

describe("grouping by all but the seed", () => {
  const keys = [key("config.lr", [[0.1, 2], [0.2, 2]]), key("config.seed", [[0, 2], [1, 2]]), key("config.same", [["x", 4]]), key("state", [["finished", 3], ["failed", 1]])];
  it("takes the config keys that vary", () => expect(varying(keys, 4)).toEqual(["config.lr", "config.seed"]));
  it("leaves the seed out", () => expect(grouping([], ["config.seed"], keys, 4)).toEqual(["config.lr"]));
  it("is overruled by keys that were named", () => expect(grouping(["state"], ["config.seed"], keys, 4)).toEqual(["state"]));
  it("is said in words", () => {
    expect(groupWords([], ["config.seed"])).toBe("all but seed");
    expect(groupWords([], [])).toBe("nothing");
  });
});

it("sections metrics by prefix, validation first and system last", () => {
  expect(sections(["system.cpu", "train/loss", "val/acc", "loss", "train/lr", "_step"])).toEqual([
    { name: "val", metrics: ["val/acc"] },
    { name: "train", metrics: ["train/loss", "train/lr"] },
    { name: "metrics", metrics: ["loss"] },
    { name: "system", metrics: ["system.cpu"] },
  ]);
});

it("guesses the metric that matters", () => {
  expect(mainMetric(["train/loss", "val/acc", "val/loss"])).toBe("val/acc");
  expect(mainMetric(["epoch", "val_loss"])).toBe("val_loss");
  expect(mainMetric(["val_acc", "val_loss"], ["gone", "val_loss"])).toBe("val_loss");
  expect(mainMetric([])).toBe("");
});

it("knows which way is better", () => {
  expect(direction([run("a", 1)], "acc")).toBe(1);
  expect(direction([], "val_loss")).toBe(-1);
});

it("colours the picked and the best, never the dropped", () => {
  const rows = runRows([run("a", 0.9), run("b", 0.8), run("c", 0.7), run("d", 0.6)], "acc", "best");
  expect(inColour(rows, 2, [], [])).toEqual(["a", "b"]);
  expect(inColour(rows, 2, ["d"], ["a"])).toEqual(["b", "d"]);
});
