// Columns of the runs table: which are there, what a cell says, and what a click on a head does to the sort.
import { shortKey } from "./filter";
import { ago, brief, duration, value } from "./format";
import { lookUp, varying } from "./runs";
import type { KeyView, MetricStat, RunView } from "./wire";

const OWN: Record<string, string> = { sweep: "Sweep", group: "Group", job_type: "Job", tags: "Tags", created: "Started", duration: "Duration", last_step: "Steps", notes: "Notes", attempt: "Attempt" };
const STATS = ["best", "last", "min", "max", "mean"] as const;

/** A first look: the config keys that vary, best and last of the metric that matters and of three others, duration and start. */
export function defaultColumns(keys: readonly KeyView[], metrics: readonly string[], main: string, matched: number): string[] {
  const config = varying(keys, matched).slice(0, 6);
  const shown = metrics.filter((m) => !m.startsWith("system") && m !== main && m !== "epoch").slice(0, main ? 2 : 3);
  const pairs = (main ? [main, ...shown] : shown).flatMap((m) => [`metrics.${m}.best`, `metrics.${m}.last`]);
  return [...config, ...pairs, "duration", "created"];
}

export function offeredColumns(keys: readonly KeyView[], metrics: readonly string[]): string[] {
  const config = keys.map((k) => k.key).filter((k) => k.startsWith("config."));
  const stats = metrics.filter((m) => !m.startsWith("_")).flatMap((m) => (m.startsWith("system") ? ["mean", "max"] : STATS).map((s) => `metrics.${m}.${s}`));
  const own = new Set(metrics.map((m) => `summary.${m}`));
  const summary = keys.map((k) => k.key).filter((k) => k.startsWith("summary.") && !own.has(k) && !k.startsWith("summary._"));
  return [...config, ...stats, ...summary, ...Object.keys(OWN)];
}

/** metrics.val/acc.best -> ["val/acc", "best"]; null for any other column. */
export function statOf(column: string): [string, keyof MetricStat] | null {
  const hit = /^metrics\.(.+)\.(best|last|min|max|mean)$/.exec(column);
  return hit ? [hit[1] as string, hit[2] as keyof MetricStat] : null;
}

export function columnWords(column: string): string {
  const stat = statOf(column);
  return stat ? `${stat[0]} ${stat[1]}` : (OWN[column] ?? shortKey(column));
}

export const cell = {
  text(run: RunView, column: string, now: number): string {
    const stat = statOf(column);
    if (stat) return value(run.metrics[stat[0]]?.[stat[1]]);
    if (column === "duration") return duration((run.ended ?? run.seen) - run.started);
    if (column === "created") return ago(run.created, now);
    if (column === "tags") return run.tags.join(", ");
    const v = lookUp(run, column);
    return column.startsWith("summary.") ? value(typeof v === "object" && v !== null ? JSON.stringify(v) : v) : v === "" ? "" : brief(v);
  },
  /** Numbers stand at the right. */
  right(column: string, runs: readonly RunView[]): boolean {
    if (statOf(column) || ["duration", "created", "last_step", "attempt"].includes(column)) return true;
    return runs.some((run) => typeof lookUp(run, column) === "number");
  },
};

/** A click on a head: new column best first for metrics, else ascending; again the other way; Shift keeps the keys before it. */
export function nextSort(sort: readonly string[], column: string, add: boolean): string[] {
  const i = sort.findIndex((s) => s.replace(/^-/, "") === column);
  const old = sort[i];
  const turned = old === undefined ? (column === "created" || column === "duration" ? `-${column}` : column) : old.startsWith("-") ? column : `-${column}`;
  if (!add) return [turned];
  return i < 0 ? [...sort, turned] : sort.map((s, k) => (k === i ? turned : s));
}

export function sortWords(sort: readonly string[]): string {
  return sort.map((s) => `${columnWords(s.replace(/^-/, ""))}${s.startsWith("-") ? " ↓" : ""}`).join(", then ");
}
