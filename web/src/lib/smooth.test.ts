import { expect, it } from "vitest";
import { smooth } from "./smooth";

it("leaves values alone at weight 0", () => expect(smooth([1, null, 3], 0)).toEqual([1, null, 3]));

it("starts at the first value, not at zero", () => expect(smooth([5, 5, 5], 0.9)).toEqual([5, 5, 5]));

it("keeps gaps and NaN in their places", () => {
  const out = smooth([1, null, NaN, 3], 0.5);
  expect(out[1]).toBeNull();
  expect(out[2]).toBeNaN();
  expect(out[3]).toBeCloseTo((0.25 * 1 + 0.5 * 3) / 0.75);
});

it("lies inside the range of what it smooths", () => {
  const values = Array.from({ length: 50 }, (_, i) => Math.sin(i * 7));
  const out = smooth(values, 0.8) as number[];
  expect(Math.max(...out)).toBeLessThanOrEqual(Math.max(...values));
  expect(Math.min(...out)).toBeGreaterThanOrEqual(Math.min(...values));
});
