import { expect, it } from "vitest";
import { sequences, type Press } from "./keys";

const press = (key: string, more: Partial<Press> = {}): Press => ({ key, ctrlKey: false, metaKey: false, altKey: false, target: document.body, ...more });

it("reads single keys and sequences", () => {
  let time = 1;
  const read = sequences(() => time);
  expect(read(press("/"))).toBe("/");
  expect(read(press("g"))).toBeNull();
  expect(read(press("r"))).toBe("g r");
  expect(read(press("r"))).toBe("r");
  read(press("g"));
  time += 5000;
  expect(read(press("s"))).toBe("s");
});

it("leaves typing and the browser's own keys alone", () => {
  const read = sequences(() => 1);
  const input = document.createElement("input");
  expect(read(press("?", { target: input }))).toBeNull();
  expect(read(press("Escape", { target: input }))).toBe("Escape");
  expect(read(press("r", { metaKey: true }))).toBeNull();
  input.type = "checkbox";
  expect(read(press("j", { target: input }))).toBe("j");
});
