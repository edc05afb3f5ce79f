import { describe, expect, it } from "vitest";
import { ago, brief, count, deviation, duration, plural, real, setting, signed, timeOfDay, value } from "./format";

describe("a measured value keeps four digits", () => {
  it.each([
    [0.83571, "0.8357"],
    [0.61, "0.6100"],
    [61240, "61,240"],
    [2794.36, "2,794.4"],
    [4.2e-5, "4.2e-5"],
    [0, "0"],
    [-0.5, "−0.5000"],
    [1.5e12, "1.5e12"],
    ["NaN", "NaN"],
    ["Infinity", "∞"],
    ["-Infinity", "−∞"],
    [null, "–"],
    ["adam", "adam"],
  ])("%s is written %s", (x, text) => expect(value(x)).toBe(text));
});

describe("a setting keeps its own spelling", () => {
  it.each([
    [0.0004, "4e-4"],
    [0.00123456, "0.00123456"],
    [0.1, "0.1"],
    [512, "512"],
    [2e8, "2e8"],
    ["1e-5", "1e-5"],
    [true, "true"],
    [[1, 2], "[1,2]"],
    [null, "–"],
  ])("%s is written %s", (x, text) => expect(setting(x)).toBe(text));
  it("is shortened in a list", () => expect(brief(0.31415926)).toBe("0.314"));
});

it("writes deviations without a leading zero", () => {
  expect(deviation(0.00612)).toBe("± .0061");
  expect(deviation(1.25)).toBe("± 1.3");
  expect(deviation(null)).toBe("");
});

it("signs differences", () => {
  expect(signed(0.015)).toBe("+.015");
  expect(signed(-0.002)).toBe("−.0020");
});

it("reads the words that JSON needs for numbers it lacks", () => {
  expect(real("NaN")).toBeNaN();
  expect(real("-Infinity")).toBe(-Infinity);
  expect(real("adam")).toBeNull();
  expect(real(undefined)).toBeNull();
});

it.each([
  [0.5, "0.5 s"],
  [42, "42 s"],
  [540, "9 min"],
  [11100, "3 h 05"],
  [187200, "2 d 4 h"],
])("%d seconds last %s", (s, text) => expect(duration(s)).toBe(text));

it.each([
  [100, "now"],
  [-380, "8 min ago"],
  [-10700, "3 h ago"],
  [-1036700, "12 d ago"],
])("a run seen at %d was seen %s", (time, text) => expect(ago(time, 100)).toBe(text));

it("tells the time of day", () => expect(timeOfDay(new Date(2026, 1, 3, 9, 5, 7).getTime() / 1000)).toBe("09:05:07"));

it("counts in words", () => {
  expect(count(2431)).toBe("2,431");
  expect(plural(1, "run")).toBe("1 run");
  expect(plural(28, "group")).toBe("28 groups");
});
