// Runs and groups as the list shows them: names, order, keys that vary, sections of metrics.
import { brief, real } from "./format";
import { shortKey } from "./filter";
import type { GroupView, KeyView, RunView, Series } from "./wire";

/** One row of the workspace's list: a run, or a group of runs. `id` is what Series.id says. */
export interface Row {
  id: string;
  label: string;
  /** The group's key values in the order of `by`; empty for a run. */
  cells: string[];
  n: number;
  value: number | null;
  std: number | null;
  states: Record<string, number>;
  runs: string[];
  run: RunView | null;
}

/** A group's key in one spelling, whatever order its keys came in. */
export function canonical(key: Record<string, unknown>): string {
  return JSON.stringify(Object.fromEntries(Object.entries(key).sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** The id of a series in the spelling of Row.id. */
export function seriesId(series: Series, grouped: boolean): string {
  if (!grouped) return series.id;
  try {
    return canonical(JSON.parse(series.id) as Record<string, unknown>);
  } catch {
    return series.id;
  }
}

/** A value of a nested config, or of the run itself, by dotted key. */
export function lookUp(run: RunView, key: string): unknown {
  if (key.startsWith("config.")) return deep(run.config, key.slice(7));
  if (key.startsWith("summary.")) return run.summary[key.slice(8)];
  return (run as unknown as Record<string, unknown>)[key];
}

function deep(tree: Record<string, unknown>, path: string): unknown {
  if (path in tree) return tree[path];
  let at: unknown = tree;
  for (const part of path.split(".")) {
    if (typeof at !== "object" || at === null) return undefined;
    at = (at as Record<string, unknown>)[part];
  }
  return at;
}

/** The nested config as dotted keys, in order. */
export function flatten(tree: Record<string, unknown>, prefix = ""): [string, unknown][] {
  return Object.entries(tree).flatMap(([key, v]): [string, unknown][] =>
    typeof v === "object" && v !== null && !Array.isArray(v) && Object.keys(v).length > 0
      ? flatten(v as Record<string, unknown>, `${prefix}${key}.`)
      : [[prefix + key, v]],
  );
}

export function metricOf(run: RunView, metric: string, use: "best" | "last"): number | null {
  const stat = run.metrics[metric];
  return stat ? real(stat[use]) : null;
}

/** 1 when larger is better, -1 when smaller is; from the runs that logged the metric. */
export function direction(runs: readonly RunView[], metric: string): 1 | -1 {
  for (const run of runs) {
    const goal = run.metrics[metric]?.goal;
    if (goal) return goal.startsWith("max") ? 1 : -1;
  }
  return /acc|auc|f1|score|reward|bleu|map|iou|success|precision|recall/i.test(metric) ? 1 : -1;
}

export function better(a: number | null, b: number | null, sign: 1 | -1): number {
  const [x, y] = [a ?? NaN, b ?? NaN];
  if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
  return sign * (y - x);
}

export function runRows(runs: readonly RunView[], metric: string, use: "best" | "last"): Row[] {
  const sign = direction(runs, metric);
  return runs
    .map((run) => ({ id: run.id, label: run.name || run.id, cells: [], n: 1, value: metricOf(run, metric, use), std: null, states: { [run.state]: 1 }, runs: [run.id], run }))
    .sort((a, b) => better(a.value, b.value, sign));
}

export function groupRows(groups: readonly GroupView[], by: readonly string[], sign: 1 | -1): Row[] {
  return groups
    .map((g) => {
      const cells = by.map((key) => brief(g.key[key]));
      return { id: canonical(g.key), label: cells.join(" "), cells, n: g.n, value: real(g.value), std: real(g.std), states: g.states, runs: g.runs, run: null };
    })
    .sort((a, b) => better(a.value, b.value, sign));
}

/** Config keys whose value varies, the ones with fewest values first: what "all but" groups by. */
export function varying(keys: readonly KeyView[], matched: number): string[] {
  return keys
    .filter((k) => k.key.startsWith("config.") && (k.values.length > 1 || k.n < matched || (k.min !== null && k.max !== null && k.min < k.max)))
    .map((k) => k.key);
}

/** The keys to group by: those named, or all that vary but those named. */
export function grouping(by: readonly string[], but: readonly string[], keys: readonly KeyView[], matched: number): string[] {
  if (by.length || !but.length) return [...by];
  return varying(keys, matched).filter((key) => !but.includes(key));
}

/** "lr", "all but seed", "lr, arch". */
export function groupWords(by: readonly string[], but: readonly string[]): string {
  if (by.length) return by.map(shortKey).join(", ");
  return but.length ? `all but ${but.map(shortKey).join(", ")}` : "nothing";
}

/** Metrics in sections by what stands before the first slash; validation first, those without a prefix after those with one, "system" last. */
export function sections(metrics: readonly string[]): { name: string; metrics: string[] }[] {
  const found = new Map<string, string[]>();
  for (const metric of metrics) {
    if (metric.startsWith("_")) continue;
    const cut = metric.indexOf("/");
    const name = cut > 0 ? metric.slice(0, cut) : metric.startsWith("system.") ? "system" : "";
    found.set(name, [...(found.get(name) ?? []), metric]);
  }
  const rank = (name: string) => (/^(val|valid|eval|test)/.test(name) ? 0 : name === "system" ? 3 : name === "" ? 2 : 1);
  return [...found]
    .map(([name, list]) => ({ name: name || "metrics", order: rank(name), metrics: list }))
    .sort((a, b) => a.order - b.order || (a.name < b.name ? -1 : 1))
    .map(({ name, metrics: list }) => ({ name, metrics: list }));
}

/** The metric a first visit shows in the list: the one that a sweep optimises, else a validation accuracy or loss. */
export function mainMetric(metrics: readonly string[], optimised: readonly string[] = []): string {
  const seen = metrics.filter((m) => !m.startsWith("_") && !m.startsWith("system"));
  const aim = optimised.find((m) => seen.includes(m));
  if (aim) return aim;
  const patterns = [/^(val|valid|eval|test).*(acc|loss|score|f1|auc)/i, /^(val|valid|eval|test)/i, /acc|loss/i];
  for (const pattern of patterns) {
    const hit = seen.find((m) => pattern.test(m));
    if (hit) return hit;
  }
  return seen[0] ?? "";
}

/** Which rows are in colour: those forced, then from the top, those dropped left out. */
export function inColour(rows: readonly Row[], top: number, picked: readonly string[], dropped: readonly string[]): string[] {
  const forced = rows.filter((row) => picked.includes(row.id)).map((row) => row.id);
  const best = rows.filter((row) => !picked.includes(row.id) && !dropped.includes(row.id)).map((row) => row.id);
  const chosen = new Set([...forced, ...best.slice(0, Math.max(0, top - forced.length))]);
  return rows.filter((row) => chosen.has(row.id)).map((row) => row.id);
}
