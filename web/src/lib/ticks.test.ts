import { describe, expect, it } from "vitest";
import { extent, label, linear, logarithmic, spanLabel, temporal } from "./ticks";

describe("linear ticks", () => {
  it.each([
    [0, 90000, [0, 25000, 50000, 75000]],
    [0.58, 0.86, [0.6, 0.7, 0.8]],
    [-1, 1, [-1, -0.5, 0, 0.5, 1]],
    [3, 3, [3]],
  ])("of [%d, %d]", (min, max, ticks) => expect(linear(min, max)).toEqual(ticks));
});

describe("logarithmic ticks", () => {
  it("are decades over many decades", () => expect(logarithmic(1e-5, 1e-2)).toEqual([1e-5, 1e-4, 1e-3, 1e-2]));
  it("are 1, 2, 5 over few", () => expect(logarithmic(0.6, 5)).toEqual([1, 2, 5]));
  it("stay few over a hundred decades", () => expect(logarithmic(1e-50, 1e50).length).toBeLessThanOrEqual(6));
  it("do not exist below zero", () => expect(logarithmic(-1, 1)).toEqual([]));
});

describe("labels", () => {
  const labels = (ticks: number[]) => ticks.map((t) => label(t, ticks));
  it.each([
    [[0, 15000, 30000], ["0", "15k", "30k"]],
    [[0.8, 0.85], ["0.80", "0.85"]],
    [[0, 2e-4, 4e-4], ["0", "2e-4", "4e-4"]],
    [[1e-5, 1e-3, 1e-1, 10], ["1e-5", "1e-3", "0.1", "10"]],
    [[0, 2500000], ["0", "2.5M"]],
    [[-2, 0, 2], ["−2", "0", "2"]],
  ])("of %j", (ticks, expected) => expect(labels(ticks)).toEqual(expected));
});

describe("the extent of columns", () => {
  it("skips gaps, NaN and infinities", () => {
    const [min, max] = extent([[null, 1, NaN], [Infinity, 3]]) ?? [0, 0];
    expect(min).toBeCloseTo(0.92);
    expect(max).toBeCloseTo(3.08);
  });
  it("skips what a log scale cannot show", () => {
    const [min] = extent([[-1, 0, 1, 10]], true) ?? [0];
    expect(min).toBeGreaterThan(0.8);
  });
  it("opens around a single value", () => expect(extent([[5]])).toEqual([4.5, 5.5]));
  it("is nothing for nothing", () => expect(extent([[null, NaN]])).toBeNull());
});

describe("an axis of time", () => {
  it("has round times", () => expect(temporal(0, 3600)).toEqual([0, 900, 1800, 2700, 3600]));
  it("falls back to numbers below a second", () => expect(temporal(0, 1)).toEqual([0, 0.25, 0.5, 0.75, 1]));
  it("is cut at local midnight", () => expect(temporal(0, 400000, 4, 3600).every((t) => (t + 3600) % 86400 === 0)).toBe(true));
  it.each([[0, "0"], [45, "45 s"], [600, "10 m"], [9000, "2.5 h"], [259200, "3 d"]])("%d is %s", (s, text) => expect(spanLabel(s)).toBe(text));
});
