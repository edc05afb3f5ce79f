import { expect, it } from "vitest";
import { spread } from "./frame";

it("keeps labels where there is room", () => expect(spread([10, 50, 90], 14, 0, 100)).toEqual([10, 50, 90]));

it("pushes labels apart and keeps them inside", () => {
  const places = spread([95, 96, 97, 98], 14, 0, 100);
  expect(places).toEqual([58, 72, 86, 100]);
});
