import { describe, expect, it } from "vitest";
import { chips, rangeText, setText, shortKey, text, writeKey } from "./filter";

describe("what a filter says on its chips", () => {
  it.each([
    ["state = finished", [["set", "state", "finished"]]],
    ["1e-4 <= lr <= 1.6e-3 and state not in (killed, failed)", [["range", "lr", "1e-4 – 1.6e-3"], ["set", "state", "not killed, failed"]]],
    ["not tags in (a, b)", [["set", "tags", "not a, b"]]],
    ["config.lr < 1e-3", [["compare", "config.lr", "< 1e-3"]]],
    ['name ~ "res"', [["compare", "name", "contains res"]]],
    ["`odd key, indeed` >= 2", [["compare", "odd key, indeed", "≥ 2"]]],
    ["val/loss > -0.5", [["compare", "val/loss", "> -0.5"]]],
    ['arch != "vit-b"', [["set", "arch", "not vit-b"]]],
    ["arch in (a, b, c, d)", [["set", "arch", "4 values"]]],
    ["state = finished and (lr < 1 or lr > 2)", [["set", "state", "finished"], ["expr", "expr", "(lr < 1 or lr > 2)"]]],
    ["a = 1 or b = 2", [["expr", "expr", "a = 1 or b = 2"]]],
    ['name = "x and y"', [["set", "name", "x and y"]]],
    ["lr <", [["expr", "expr", "lr <"]]],
    ["lr $ 3", [["expr", "expr", "lr $ 3"]]],
    ["a = 1 and", [["expr", "expr", "a = 1 and"]]],
    ["arch in [a, b]", [["expr", "expr", "arch in [a, b]"]]],
    ["seed is set and name = x-1", [["expr", "expr", "seed is set"], ["set", "name", "x-1"]]],
    ["`a``b` = nan", [["set", "a`b", "NaN"]]],
    ["   ", []],
  ])("%s", (source, expected) => {
    expect(chips(source).map((c) => [c.kind, c.key, c.words])).toEqual(expected);
  });
});

describe("chips and text round-trip", () => {
  it.each([
    "1e-4 <= lr <= 1.6e-3 and state not in (killed)",
    'name ~ "a and b" and not tags in (x, "y z") and config.lr < 1e-3',
    "state = finished and (lr < 1 or lr > 2)",
    "a = 1 or b = 2",
  ])("%s", (source) => {
    const once = text(chips(source));
    expect(once).toBe(source);
    expect(chips(once)).toEqual(chips(source));
  });
  it("wraps an or before joining it", () => {
    expect(text([...chips("a = 1 or b = 2"), ...chips("c = 3")])).toBe("(a = 1 or b = 2) and c = 3");
  });
});

describe("what the popover writes", () => {
  it.each([
    [rangeText("config.lr", 1e-4, 2e-3), "0.0001 <= config.lr <= 0.002"],
    [rangeText("lr", null, 5), "lr <= 5"],
    [rangeText("my key", 5, null), "`my key` >= 5"],
    [rangeText("lr", null, null), ""],
    [setText("state", ["finished"]), "state = finished"],
    [setText("arch", ["vit-b", "and"], true), 'arch not in ("vit-b", "and")'],
    [setText("config.bias", [true]), "config.bias = true"],
  ])("%s", (written, expected) => expect(written).toBe(expected));
  it("is read back as it was meant", () => {
    const [chip] = chips(setText("note", ['say "hi"', "back\\slash", "two\nlines", "1e-3", "inf"]));
    expect(chip?.values).toEqual(['say "hi"', "back\\slash", "two\nlines", "1e-3", "inf"]);
  });
});

it("shortens keys for people and quotes odd ones for the parser", () => {
  expect(shortKey("config.lr")).toBe("lr");
  expect(writeKey("not")).toBe("`not`");
  expect(writeKey("val/loss")).toBe("val/loss");
});
