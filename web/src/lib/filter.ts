// A filter as chips and as text. The text is the truth (the server parses it); chips are the conditions that "and" joins
// at the top level. What a chip cannot draw is a chip of kind "expr", so that text -> chips -> text loses nothing.

export interface Chip {
  /** The condition as it stands in the text. */
  text: string;
  kind: "range" | "compare" | "set" | "expr";
  key: string;
  /** What the chip says beside its key: "1e-4 – 1.6e-3", "finished", "not killed". */
  words: string;
  low?: number;
  high?: number;
  values?: (string | number | boolean)[];
  not?: boolean;
}

interface Token {
  kind: "name" | "string" | "number" | "sign";
  text: string;
  start: number;
  end: number;
}

// The same tokens as besom/hub/filter.py reads.
const TOKEN = /\s*(?:("(?:[^"\\]|\\[^])*"|'(?:[^'\\]|\\[^])*')|(`(?:[^`]|``)*`)|(<=|>=|==|!=|!~|=|<|>|~|[()[\],])|([^\s()[\]=<>!~,"'`]+))/y;
const NUMBER = /^(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]?inf|nan)$/i;

/** Tokens of a filter text, or null where it cannot be read. */
function tokens(text: string): Token[] | null {
  const found: Token[] = [];
  TOKEN.lastIndex = 0;
  const end = text.trimEnd().length;
  while (TOKEN.lastIndex < end) {
    const match = TOKEN.exec(text);
    if (!match) return null;
    const body = match[0].trimStart();
    const kind = match[1] ? "string" : match[3] ? "sign" : match[4] && NUMBER.test(match[4]) ? "number" : "name";
    found.push({ kind, text: body, start: match.index + match[0].length - body.length, end: match.index + match[0].length });
  }
  return found;
}

const word = (token: Token | undefined, text: string) => token?.kind === "name" && token.text.toLowerCase() === text;
const sign = (token: Token | undefined, text: string) => token?.kind === "sign" && token.text === text;

/** The chips of a text. Text that cannot be read is one chip: the server will say what is wrong with it. */
export function chips(text: string): Chip[] {
  if (!text.trim()) return [];
  const all = tokens(text);
  if (!all) return [expression(text.trim())];
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const token of all) {
    if (sign(token, "(")) depth++;
    if (sign(token, ")")) depth--;
    if (depth === 0 && word(token, "or")) return [expression(text.trim())];
    if (depth === 0 && word(token, "and")) parts.push([]);
    else (parts[parts.length - 1] as Token[]).push(token);
  }
  if (parts.some((part) => part.length === 0)) return [expression(text.trim())];
  return parts.map((part) => condition(part, text.slice((part[0] as Token).start, (part[part.length - 1] as Token).end)));
}

/** The text of chips. */
export function text(list: readonly Chip[]): string {
  if (list.length === 1) return (list[0] as Chip).text;
  return list.map((chip) => (chip.kind === "expr" && loose(chip.text) ? `(${chip.text})` : chip.text)).join(" and ");
}

/** Whether an expression has an "or" outside of parentheses, so that it must be wrapped before it is joined by "and". */
function loose(expr: string): boolean {
  let depth = 0;
  for (const token of tokens(expr) ?? []) {
    if (sign(token, "(")) depth++;
    if (sign(token, ")")) depth--;
    if (depth === 0 && word(token, "or")) return true;
  }
  return false;
}

function expression(expr: string): Chip {
  return { text: expr, kind: "expr", key: "expr", words: expr };
}

function condition(part: Token[], source: string): Chip {
  const [a, b, c, d, e] = part;
  if (part.length === 5 && a?.kind === "number" && c?.kind === "name" && e?.kind === "number") {
    if (b && d && ["<", "<="].includes(b.text) && ["<", "<="].includes(d.text)) {
      return { text: source, kind: "range", key: bare(c.text), low: Number(a.text), high: Number(e.text), words: `${a.text} – ${e.text}` };
    }
  }
  if (part.length === 3 && a?.kind === "name" && b?.kind === "sign" && c && c.kind !== "sign" && !["(", ")", ","].includes(b.text)) {
    const key = bare(a.text);
    const operand = literal(c);
    if (b.text === "=" || b.text === "==") return { text: source, kind: "set", key, values: [operand], words: String(operand) };
    if (b.text === "!=") return { text: source, kind: "set", key, values: [operand], not: true, words: `not ${operand}` };
    const chip: Chip = { text: source, kind: "compare", key, words: `${SIGNS[b.text] ?? b.text} ${c.kind === "string" ? String(operand) : c.text}` };
    if (typeof operand === "number" && b.text.startsWith("<")) chip.high = operand;
    if (typeof operand === "number" && b.text.startsWith(">")) chip.low = operand;
    return chip;
  }
  return set(part, source) ?? expression(source);
}

const SIGNS: Record<string, string> = { "<=": "≤", ">=": "≥", "<": "<", ">": ">", "~": "contains", "!~": "lacks" };

/** `[not] key [not] in (a, b)`. */
function set(part: Token[], source: string): Chip | null {
  let i = 0;
  let not = false;
  if (word(part[i], "not")) [not, i] = [true, i + 1];
  const key = part[i++];
  if (word(part[i], "not")) [not, i] = [true, i + 1];
  if (key?.kind !== "name" || !word(part[i++], "in") || !sign(part[i++], "(")) return null;
  const values: (string | number | boolean)[] = [];
  for (; i < part.length - 1; i += 2) {
    const token = part[i] as Token;
    if (token.kind === "sign" || !(sign(part[i + 1], ",") || (sign(part[i + 1], ")") && i === part.length - 2))) return null;
    values.push(literal(token));
  }
  if (!sign(part[part.length - 1], ")")) return null;
  const listed = values.length > 3 ? `${values.length} values` : values.join(", ");
  return { text: source, kind: "set", key: bare(key.text), values, words: not ? `not ${listed}` : listed, ...(not ? { not } : {}) };
}

function literal(token: Token): string | number | boolean {
  if (token.kind === "number") return Number(token.text);
  if (token.kind === "string") return unquote(token.text);
  if (token.text === "true") return true;
  if (token.text === "false") return false;
  return bare(token.text);
}

function unquote(quoted: string): string {
  return quoted.slice(1, -1).replace(/\\(["'\\])/g, "$1");
}

function bare(name: string): string {
  return name.startsWith("`") ? name.slice(1, -1).replaceAll("``", "`") : name;
}

const WORDS = new Set(["and", "or", "not", "in", "is", "set", "true", "false", "null", "none", "inf", "nan"]);

/** A key as it must be written: `odd keys` stand in backticks. */
export function writeKey(key: string): string {
  return /^[A-Za-z_][\w./]*$/.test(key) && !WORDS.has(key.toLowerCase()) ? key : `\`${key.replaceAll("`", "``")}\``;
}

export function writeValue(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const plain = String(value);
  return /^[A-Za-z_]\w*$/.test(plain) && !WORDS.has(plain.toLowerCase()) ? plain : `"${plain.replace(/["\\]/g, "\\$&")}"`;
}

/** The condition that keeps [low, high]; either end may be open. Empty when both are. */
export function rangeText(key: string, low: number | null, high: number | null): string {
  if (low !== null && high !== null) return `${low} <= ${writeKey(key)} <= ${high}`;
  if (low !== null) return `${writeKey(key)} >= ${low}`;
  return high !== null ? `${writeKey(key)} <= ${high}` : "";
}

/** The condition that keeps (or, with not, drops) the values. */
export function setText(key: string, values: readonly unknown[], not = false): string {
  if (values.length === 1) return `${writeKey(key)} ${not ? "!=" : "="} ${writeValue(values[0])}`;
  return `${writeKey(key)} ${not ? "not in" : "in"} (${values.map(writeValue).join(", ")})`;
}

/** The key as people say it: config.lr is lr. */
export function shortKey(key: string): string {
  return key.replace(/^(config|summary)\./, "");
}
