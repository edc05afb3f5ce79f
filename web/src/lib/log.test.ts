import { expect, it } from "vitest";
import { levelOf, plain } from "./log";

it.each([
  ["\u001b[31mred\u001b[0m text", "red text"],
  ["10 %\r50 %\r100 %", "100 %"],
  ["done\r", "done"],
  ["\u001b]0;title\u0007prompt", "prompt"],
  ["<b>not bold</b>", "<b>not bold</b>"],
  ["tab\tstays", "tab\tstays"],
])("%j reads %j", (text, read) => expect(plain(text)).toBe(read));

it.each([
  ["ValueError: shapes", "error"],
  ["Traceback (most recent call last):", "error"],
  ["UserWarning: slow", "warn"],
  ["WARN disk", "warn"],
  ["step 3 loss 0.1", ""],
  ["mirror terror", ""],
])("%s is %s", (text, level) => expect(levelOf(text)).toBe(level));
