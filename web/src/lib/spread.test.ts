import { describe, expect, it } from "vitest";
import { band, halfWidth } from "./spread";

describe("five runs with a deviation of 2", () => {
  it.each([
    ["std", 2],
    ["stderr", 2 / Math.sqrt(5)],
    ["ci95", (2.776 * 2) / Math.sqrt(5)],
    ["none", null],
  ] as const)("%s", (spread, half) => {
    const got = halfWidth(spread, 2, 5);
    if (half === null) expect(got).toBeNull();
    else expect(got).toBeCloseTo(half);
  });
});

it("has no shade for a single run", () => expect(halfWidth("std", 2, 1)).toBeNull());

it("approaches the normal quantile for many runs", () => expect(halfWidth("ci95", 1, 1000)).toBeCloseTo(1.96 / Math.sqrt(1000), 3));

it("shades only where two runs or more are alive", () => {
  const b = band("std", { mean: [1, 2, null], std: [0.5, null, null], min: [0, 2, null], max: [2, 2, null], n: [2, 1, 0] });
  expect(b).toEqual({ low: [0.5, null, null], high: [1.5, null, null] });
  expect(band("minmax", { mean: [1], std: [0.5], min: [0], max: [2], n: [2] })).toEqual({ low: [0], high: [2] });
  expect(band("none", { mean: [1], std: [0.5], min: [0], max: [2], n: [2] })).toBeNull();
});
