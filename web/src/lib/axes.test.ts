import { describe, expect, it } from "vitest";
import { axisFor, axisTicks, brushed, kept, place } from "./axes";

describe("the scale that a parameter wants", () => {
  it.each([
    ["drop_out", [0.1, 0.4], { min: 0, max: 0.5 }, { kind: "linear", min: 0, max: 0.5 }],
    ["lr", [1e-2, 1e-4], { values: [1e-2, 1e-3, 1e-4] }, { kind: "log", min: 1e-4, max: 1e-2 }],
    ["lr", [0.2, 0.1], { distribution: "log_uniform", min: -9.2, max: -2.3 }, { kind: "log", min: 0.1, max: 0.2 }],
    ["opt", ["adam", "sgd"], {}, { kind: "category", categories: ["adam", "sgd"] }],
    ["bias", [true, false], {}, { kind: "category", categories: ["true", "false"] }],
    ["mixed", [1, "auto"], { values: [1, "auto"] }, { kind: "category", categories: ["1", "auto"] }],
    ["one", [3], {}, { kind: "linear", min: 1.5, max: 4.5 }],
    ["none", [], {}, { kind: "linear", min: 0, max: 1 }],
  ])("%s of %j", (key, values, hint, expected) => expect(axisFor(key, values, hint)).toMatchObject(expected));
});

const LR = axisFor("lr", [1e-4, 1e-2]);
const OPT = axisFor("opt", ["adam", "sgd", "lion"]);

it("places values, and gives missing ones no place", () => {
  expect(place(LR, 1e-3)).toBeCloseTo(0.5);
  expect(place(OPT, "sgd")).toBe(0.5);
  expect(place(LR, undefined)).toBeNull();
  expect(place(LR, "NaN")).toBeNull();
  expect(place(OPT, "rms")).toBeNull();
});

it("labels its ticks", () => {
  expect(axisTicks(LR).map((t) => t.text)).toEqual(["1e-4", "1e-3", "1e-2"]);
  expect(axisTicks(axisFor("depth", [8, 16], { values: [8, 12, 16] })).map((t) => t.text)).toEqual(["8", "12", "16"]);
  expect(axisTicks(OPT).map((t) => t.text)).toEqual(["adam", "sgd", "lion"]);
});

describe("brushes", () => {
  const line = new Map([["lr", 0.5], ["opt", 0], ["gone", null]]);
  it.each([
    [[], true],
    [[{ key: "lr", low: 0.4, high: 0.6 }], true],
    [[{ key: "lr", low: 0.6, high: 0.9 }], false],
    [[{ key: "lr", low: 0.6, high: 0.9 }, { key: "lr", low: 0.1, high: 0.5 }], true],
    [[{ key: "lr", low: 0.4, high: 0.6 }, { key: "opt", low: 0.9, high: 1 }], false],
    [[{ key: "gone", low: 0, high: 1 }], false],
  ])("%j keep the line: %s", (brushes, inside) => expect(kept(line, brushes)).toBe(inside));
  it("become values again", () => {
    expect(brushed(LR, { key: "lr", low: 0, high: 0.5 })).toEqual({ low: 1e-4, high: 1e-3 });
    expect(brushed(OPT, { key: "opt", low: 0.4, high: 1 })).toEqual({ values: ["sgd", "lion"] });
  });
});
