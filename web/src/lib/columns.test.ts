import { describe, expect, it } from "vitest";
import { cell, columnWords, defaultColumns, nextSort, offeredColumns, sortWords, statOf } from "./columns";
import type { KeyView, RunView } from "./wire";

const key = (name: string, values: [unknown, number][]): KeyView => ({ key: name, kind: "number", n: 4, values, min: null, max: null, bins: [] });
const stat = { last: 0.5, min: 0.1, max: 0.9, mean: 0.5, best: 0.9, goal: "maximize", count: 3, last_step: 2 };
const run = { id: "r", name: "oak", created: 0, started: 10, seen: 40, ended: null, config: { lr: 0.0004, opt: "adam" }, summary: { note: "fine", deep: { a: 1 } }, metrics: { "val/acc": stat }, tags: ["a", "b"] } as unknown as RunView;

it("starts with what varies, best and last, and the time", () => {
  const keys = [key("config.lr", [[1, 2], [2, 2]]), key("config.same", [[1, 4]])];
  expect(defaultColumns(keys, ["val/acc", "loss", "system.cpu"], "val/acc", 4)).toEqual([
    "config.lr", "metrics.val/acc.best", "metrics.val/acc.last", "metrics.loss.best", "metrics.loss.last", "duration", "created",
  ]);
});

it("offers a summary key only when no metric has its name", () => {
  const offered = offeredColumns([key("summary.loss", [[1, 4]]), key("summary.note", [[1, 4]])], ["loss"]);
  expect(offered).toContain("metrics.loss.min");
  expect(offered).toContain("summary.note");
  expect(offered).not.toContain("summary.loss");
});

describe("a cell", () => {
  it.each([
    ["config.lr", "4e-4", true],
    ["config.opt", "adam", false],
    ["config.gone", "–", false],
    ["metrics.val/acc.best", "0.9000", true],
    ["metrics.gone.best", "–", true],
    ["summary.note", "fine", false],
    ["summary.deep", '{"a":1}', false],
    ["duration", "30 s", true],
    ["tags", "a, b", false],
  ])("%s says %s", (column, text, right) => {
    expect(cell.text(run, column, 100)).toBe(text);
    expect(cell.right(column, [run])).toBe(right);
  });
});

it("splits metrics whose names have dots and slashes", () => {
  expect(statOf("metrics.a.b/c.best")).toEqual(["a.b/c", "best"]);
  expect(statOf("config.best")).toBeNull();
  expect(columnWords("metrics.a.b/c.best")).toBe("a.b/c best");
});

describe("clicks on heads", () => {
  it.each([
    [["-created"], "name", false, ["name"]],
    [["name"], "name", false, ["-name"]],
    [["-name"], "name", false, ["name"]],
    [["name"], "created", true, ["name", "-created"]],
    [["name", "-created"], "created", true, ["name", "created"]],
  ])("%j, then %s (shift %s)", (sort, column, add, expected) => expect(nextSort(sort, column, add)).toEqual(expected));
  it("are said in words", () => expect(sortWords(["-metrics.val/acc.best", "config.lr"])).toBe("val/acc best ↓, then lr"));
});
