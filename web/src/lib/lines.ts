// From the server's columns to the lines of a chart: which are in colour, smoothed, shaded, and how they end.
import type { Line } from "../charts/frame";
import { type Row, seriesId } from "./runs";
import { smooth } from "./smooth";
import { band, halfWidth, type Spread } from "./spread";
import type { Curves } from "./wire";

export interface Style {
  grouped: boolean;
  spread: Spread;
  smooth: number;
  /** Slots of the ids that are in colour. */
  slots: ReadonlyMap<string, number>;
  coloured: ReadonlySet<string>;
}

/** Lines of one metric: grey ones first, coloured ones in the order of the list. */
export function linesOf(curves: Curves, metric: string, rows: readonly Row[], style: Style): Line[] {
  const byId = new Map(rows.map((row, i) => [row.id, { row, i }]));
  const found = curves.series.flatMap((series) => {
    if (series.key !== metric) return [];
    const id = seriesId(series, style.grouped);
    const hit = byId.get(id);
    if (!hit) return [];
    const inColour = style.coloured.has(id);
    const shade = style.grouped || style.spread === "minmax" ? band(style.spread, series) : null;
    const line: Line = {
      id,
      label: hit.row.label,
      y: smooth(series.mean, style.smooth),
      slot: inColour ? (style.slots.get(id) ?? 0) : null,
      runs: series.runs,
      end: endOf(hit.row),
    };
    if (inColour) {
      if (style.smooth > 0) line.raw = series.mean;
      if (shade) [line.low, line.high] = [smooth(shade.low, style.smooth), smooth(shade.high, style.smooth)];
      if (style.grouped) {
        line.n = series.n;
        line.spread = series.mean.map((_, k) => halfWidth(style.spread, series.std[k], series.n[k] ?? 0));
      }
    }
    return [{ line, i: hit.i }];
  });
  return found.sort((a, b) => Number(a.line.slot !== null) - Number(b.line.slot !== null) || a.i - b.i).map((f) => f.line);
}

function endOf(row: Row): "cross" | "dot" | null {
  if (row.states.running) return "dot";
  if (row.run && ["failed", "crashed"].includes(row.run.state)) return "cross";
  return null;
}

/** What a chart says in one sentence. */
export function summary(metric: string, lines: readonly Line[], says: (v: number) => string): string {
  const coloured = lines.filter((line) => line.slot !== null);
  if (coloured.length === 0) return `${metric}: no line to show.`;
  const ends = coloured.slice(0, 3).map((line) => {
    const last = [...line.y].reverse().find((v) => v !== null && Number.isFinite(v));
    return `${line.label} ends at ${last === undefined || last === null ? "no value" : says(last)}`;
  });
  const grey = lines.length - coloured.length;
  return `${metric}: ${coloured.length} ${coloured.length === 1 ? "line" : "lines"} in colour${grey ? `, ${grey} in grey` : ""}. ${ends.join("; ")}.`;
}
