import { describe, expect, it } from "vitest";
import { DEFAULTS, decode, encode, type View } from "./view";

const FULL: View = {
  filter: '1e-4 <= config.lr <= 1.6e-3 and name ~ "a&b=c"',
  by: ["config.lr", "config.odd, key\\"],
  but: ["config.seed"],
  spread: "ci95",
  x: "_relative",
  smooth: 0.6,
  log: ["*", "train/loss"],
  metric: "val/acc",
  use: "last",
  top: 12,
  zoom: [100, 2500.5],
  linked: false,
  picked: ["abc"],
  dropped: ['{"config.lr":0.1,"config.arch":"vit"}'],
  find: "oak",
  panel: "loss",
  closed: ["system"],
  sort: ["-metrics.val/acc.best", "name"],
  columns: ["config.lr", "metrics.val/acc.last"],
  tab: "logs",
};

it("has a bare address at first", () => {
  expect(encode(DEFAULTS)).toBe("");
  expect(decode("")).toEqual(DEFAULTS);
});

it("comes back whole from its address", () => expect(decode(encode(FULL))).toEqual(FULL));

it("stays readable", () => expect(encode({ ...DEFAULTS, metric: "val/acc", by: ["config.lr", "config.arch"] })).toBe("?by=config.lr,config.arch&metric=val/acc"));

describe("an address made by hand or by an older page gives a view", () => {
  it.each([
    ["?smooth=7", { smooth: 0.99 }],
    ["?smooth=x&top=0&spread=wild", { top: 1 }],
    ["?zoom=5,1", {}],
    ["?zoom=1", {}],
    ["?use=worst&unknown=1", {}],
    ["?top=", {}],
  ])("%s", (search, expected) => expect(decode(search)).toEqual({ ...DEFAULTS, ...expected }));
});
