import { expect, it } from "vitest";
import { allocate, fade, INKS, ramp, SLOTS } from "./colours";
import { resolve } from "./theme";

it("gives the first slots to the first lines", () => {
  expect([...allocate(new Map(), ["a", "b", "c"]).values()]).toEqual([0, 1, 2]);
});

it("keeps a line's colour when others come and go", () => {
  const first = allocate(new Map(), ["a", "b", "c"]);
  const second = allocate(first, ["c", "d"]);
  expect(second.get("c")).toBe(2);
  expect(second.get("d")).toBe(0);
  expect(second.get("a")).toBe(0);
});

it("uses every slot once before any slot twice", () => {
  const ids = Array.from({ length: 40 }, (_, i) => `r${i}`);
  const slots = [...allocate(new Map(), ids).values()];
  for (let slot = 0; slot < SLOTS.length; slot++) expect(slots.filter((s) => s === slot)).toHaveLength(2);
});

it("walks the ramp from the page outwards", () => {
  expect(ramp(0, "light")).toBe(INKS.light.ramp[0]);
  expect(ramp(0.5, "dark")).toBe(INKS.dark.ramp[2]);
  expect(ramp(NaN, "light")).toBe(INKS.light.ramp[0]);
});

it("fades hex colours", () => expect(fade("#4463c8", 0.5)).toBe("#4463c880"));

it("follows the system until a theme is picked", () => {
  expect(resolve(null, true)).toBe("dark");
  expect(resolve("light", true)).toBe("light");
  expect(resolve("nonsense", false)).toBe("light");
});
