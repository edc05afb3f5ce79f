// The axes of parallel coordinates: which scale a parameter wants, where a value lies on it, and what brushes keep.
import { brief, real } from "./format";
import { label, linear, logarithmic } from "./ticks";

export interface Axis {
  key: string;
  kind: "linear" | "log" | "category";
  min: number;
  max: number;
  categories: string[];
  /** Values of a short numeric list: where the ticks stand. */
  stops: number[];
}

/** A brush keeps [low, high] of the axis in units of position: 0 is the foot, 1 the top. */
export interface Brush {
  key: string;
  low: number;
  high: number;
}

/** The axis for a column of values. `hint`: the parameter's entry in the sweep's config, when there is one. */
export function axisFor(key: string, values: readonly unknown[], hint: Record<string, unknown> = {}): Axis {
  const present = values.filter((v) => v !== null && v !== undefined);
  const numbers = present.map(real).filter((v): v is number => v !== null && Number.isFinite(v));
  const listed = Array.isArray(hint.values) ? hint.values : null;
  if (numbers.length < present.length || (listed && listed.some((v) => typeof v !== "number")) || present.some((v) => typeof v === "boolean")) {
    const names = [...new Set([...(listed ?? []), ...present].map((v) => brief(v)))];
    return { key, kind: "category", min: 0, max: Math.max(1, names.length - 1), categories: names, stops: [] };
  }
  const ends = [real(hint.min), real(hint.max), ...(listed ?? []).map(real)].filter((v): v is number => v !== null && Number.isFinite(v));
  // log_uniform's own ends are exponents; the values themselves are what to show.
  const spelled = String(hint.distribution ?? "");
  const exponents = spelled === "log_uniform" || spelled === "inv_log_uniform" || spelled === "q_log_uniform";
  let [min, max] = [Math.min(...numbers, ...(exponents ? [] : ends)), Math.max(...numbers, ...(exponents ? [] : ends))];
  if (!Number.isFinite(min)) [min, max] = [0, 1];
  const log = min > 0 && (spelled.includes("log") || max / min >= 50);
  if (min === max) [min, max] = log || min > 0 ? [min / 2, max * 1.5] : [min - 1, max + 1];
  return { key, kind: log ? "log" : "linear", min, max, categories: [], stops: listed && listed.length <= 6 ? listed.map(real).filter((v): v is number => v !== null) : [] };
}

/** Where a value lies: 0 at the foot, 1 at the top, null when it has no place (missing or not a number). */
export function place(axis: Axis, v: unknown): number | null {
  if (axis.kind === "category") {
    const at = axis.categories.indexOf(brief(v));
    return at < 0 ? null : axis.categories.length === 1 ? 0.5 : at / (axis.categories.length - 1);
  }
  const n = real(v);
  if (n === null || !Number.isFinite(n)) return null;
  if (axis.kind === "log") return n <= 0 ? null : Math.log(n / axis.min) / Math.log(axis.max / axis.min);
  return (n - axis.min) / (axis.max - axis.min);
}

export function axisTicks(axis: Axis): { at: number; text: string }[] {
  if (axis.kind === "category") {
    const every = Math.ceil(axis.categories.length / 12);
    return axis.categories.flatMap((text, i) => (i % every ? [] : [{ at: place(axis, text) ?? 0.5, text }]));
  }
  const ticks = axis.stops.length ? axis.stops : axis.kind === "log" ? logarithmic(axis.min, axis.max, 4) : linear(axis.min, axis.max, 4);
  return ticks.map((t) => ({ at: place(axis, t) ?? 0, text: label(t, ticks) }));
}

/** Whether a line is inside the brushes: on each brushed axis inside at least one of its brushes. */
export function kept(places: ReadonlyMap<string, number | null>, brushes: readonly Brush[]): boolean {
  const keys = new Set(brushes.map((b) => b.key));
  for (const key of keys) {
    const at = places.get(key) ?? null;
    if (at === null || !brushes.some((b) => b.key === key && at >= b.low - 1e-9 && at <= b.high + 1e-9)) return false;
  }
  return true;
}

/** The values at the ends of a brush, in the axis's own unit; for categories, those inside. */
export function brushed(axis: Axis, brush: Brush): { low: number; high: number } | { values: string[] } {
  if (axis.kind === "category") return { values: axis.categories.filter((c) => kept(new Map([[axis.key, place(axis, c)]]), [brush])) };
  const back = (t: number) => (axis.kind === "log" ? axis.min * (axis.max / axis.min) ** t : axis.min + (axis.max - axis.min) * t);
  const exact = (t: number) => Number(back(t).toPrecision(8)); // fewer digits would let a filter keep other trials than the brush
  return { low: exact(brush.low), high: exact(brush.high) };
}
