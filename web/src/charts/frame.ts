// What a line chart draws by hand on uPlot's canvas: shades, raw and grey lines below the coloured ones; line ends and
// labels above. Knows pixels and colours, not where the columns come from.
import type uPlot from "uplot";
import { colour, fade, type Inks, SLOTS } from "../lib/colours";
import type { Theme } from "../lib/theme";

export type Column = readonly (number | null)[];

/** A line of a chart. All columns have the length of the chart's x. `slot` null: grey context. */
export interface Line {
  id: string;
  label: string;
  y: Column;
  slot: number | null;
  raw?: Column | undefined;
  low?: Column | undefined;
  high?: Column | undefined;
  /** Half-width of the shade as the tooltip says it. */
  spread?: Column | undefined;
  /** How many runs are alive at each x, of `runs`. */
  n?: readonly number[] | undefined;
  runs: number;
  /** How the line ends: a cross for failed and crashed, a dot for running. */
  end?: "cross" | "dot" | null | undefined;
}

export interface Pen {
  u: uPlot;
  theme: Theme;
  inks: Inks;
  /** The line that is hovered; others step back. */
  hovered: string | null;
}

export function inkOf(line: Line, theme: Theme, inks: Inks): string {
  return line.slot === null ? inks.contextLine : colour(line.slot, theme);
}

export function dashOf(line: Line): number[] {
  return line.slot === null ? [] : ((SLOTS[line.slot % SLOTS.length]?.dash ?? []) as number[]);
}

export function clipped(u: uPlot, draw: (ctx: CanvasRenderingContext2D) => void): void {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top - 2, bbox.width, bbox.height + 4);
  ctx.clip();
  draw(ctx);
  ctx.restore();
}

function trace(u: uPlot, ctx: CanvasRenderingContext2D, ys: Column): void {
  const xs = u.data[0] as ArrayLike<number>;
  let begun = false;
  for (let i = 0; i < xs.length; i++) {
    const v = ys[i];
    if (v === null || v === undefined || !Number.isFinite(v)) continue;
    const x = u.valToPos(xs[i] as number, "x", true);
    const y = u.valToPos(v, "y", true);
    if (!Number.isFinite(y)) continue;
    if (begun) ctx.lineTo(x, y);
    else ctx.moveTo(x, y);
    begun = true;
  }
}

/** Everything that lies below the coloured lines. */
export function drawBelow(pen: Pen, lines: readonly Line[]): void {
  const { u, theme, inks, hovered } = pen;
  const coloured = lines.filter((line) => line.slot !== null);
  clipped(u, (ctx) => {
    ctx.lineJoin = "round";
    ctx.lineWidth = devicePixelRatio;
    ctx.strokeStyle = inks.contextLine;
    for (const line of lines) {
      if (line.slot !== null || line.id === hovered) continue;
      ctx.beginPath();
      trace(u, ctx, line.y);
      ctx.stroke();
    }
    const crowd = coloured.filter((line) => line.low).length > 5 ? 0.5 : 1;
    for (const line of coloured) {
      if (!line.low || !line.high) continue;
      const step = hovered === null ? crowd : line.id === hovered ? 1 : 0.35;
      shade(u, ctx, line.low, line.high, fade(colour(line.slot as number, theme), inks.bandOpacity * step));
    }
    for (const line of coloured) {
      if (!line.raw) continue;
      ctx.beginPath();
      ctx.strokeStyle = fade(colour(line.slot as number, theme), hovered === null || hovered === line.id ? 0.22 : 0.08);
      trace(u, ctx, line.raw);
      ctx.stroke();
    }
  });
}

function shade(u: uPlot, ctx: CanvasRenderingContext2D, low: Column, high: Column, fill: string): void {
  const xs = u.data[0] as ArrayLike<number>;
  const up: [number, number][] = [];
  const down: [number, number][] = [];
  for (let i = 0; i < xs.length; i++) {
    const [a, b] = [low[i], high[i]];
    if (a === null || b === null || a === undefined || b === undefined) continue;
    const x = u.valToPos(xs[i] as number, "x", true);
    const y = u.valToPos(b, "y", true);
    // On a log axis a shade may reach below zero: then it reaches the foot.
    const foot = u.valToPos(a, "y", true);
    up.push([x, Number.isFinite(y) ? y : u.bbox.top]);
    down.push([x, Number.isFinite(foot) ? foot : u.bbox.top + u.bbox.height]);
  }
  if (up.length < 2) return;
  ctx.beginPath();
  for (const [x, y] of up) ctx.lineTo(x, y);
  for (const [x, y] of down.reverse()) ctx.lineTo(x, y);
  ctx.closePath();
  ctx.fillStyle = fill;
  ctx.fill();
}

/** The last place of a line inside the plot, in canvas pixels. */
export function lastPoint(u: uPlot, ys: Column): [number, number] | null {
  const xs = u.data[0] as ArrayLike<number>;
  for (let i = xs.length - 1; i >= 0; i--) {
    const v = ys[i];
    if (v === null || v === undefined || !Number.isFinite(v)) continue;
    const x = u.valToPos(xs[i] as number, "x", true);
    const y = u.valToPos(v, "y", true);
    if (x > u.bbox.left + u.bbox.width + 1) continue;
    return x < u.bbox.left || !Number.isFinite(y) ? null : [x, y];
  }
  return null;
}

/** Ends of the coloured lines, the hovered grey line, and labels at the right when there is room for them. */
export function drawAbove(pen: Pen, lines: readonly Line[], labels: boolean): void {
  const { u, theme, inks, hovered } = pen;
  const px = devicePixelRatio;
  clipped(u, (ctx) => {
    for (const line of lines) {
      if (line.slot === null && line.id === hovered) {
        ctx.beginPath();
        ctx.lineWidth = 1.6 * px;
        ctx.strokeStyle = inks.text3;
        trace(u, ctx, line.y);
        ctx.stroke();
      }
    }
  });
  for (const line of lines) {
    if (line.slot === null || !line.end) continue;
    const at = lastPoint(u, line.y);
    if (!at || at[1] < u.bbox.top - 4 || at[1] > u.bbox.top + u.bbox.height + 4) continue;
    mark(u.ctx, at, line.end, inkOf(line, theme, inks), inks.surface, px);
  }
  if (labels) drawLabels(pen, lines.filter((line) => line.slot !== null));
}

function mark(ctx: CanvasRenderingContext2D, [x, y]: [number, number], kind: "cross" | "dot", ink: string, halo: string, px: number): void {
  ctx.save();
  if (kind === "dot") {
    ctx.beginPath();
    ctx.arc(x, y, 5.5 * px, 0, 7);
    ctx.fillStyle = fade(ink, 0.25);
    ctx.fill();
    ctx.beginPath();
    ctx.arc(x, y, 2.6 * px, 0, 7);
    ctx.fillStyle = ink;
    ctx.fill();
  } else {
    ctx.lineCap = "round";
    for (const [stroke, width] of [[halo, 5], [ink, 1.7]] as const) {
      ctx.strokeStyle = stroke;
      ctx.lineWidth = width * px;
      ctx.beginPath();
      ctx.moveTo(x - 3.5 * px, y - 3.5 * px);
      ctx.lineTo(x + 3.5 * px, y + 3.5 * px);
      ctx.moveTo(x + 3.5 * px, y - 3.5 * px);
      ctx.lineTo(x - 3.5 * px, y + 3.5 * px);
      ctx.stroke();
    }
  }
  ctx.restore();
}

/** Names at the line ends, pushed apart so that none covers another, each with a leader. */
function drawLabels({ u, theme, inks, hovered }: Pen, lines: readonly Line[]): void {
  const px = devicePixelRatio;
  const pitch = 14.5 * px;
  const right = u.bbox.left + u.bbox.width;
  const spots = lines
    .map((line) => ({ line, at: lastPoint(u, line.y) }))
    .filter((s): s is { line: Line; at: [number, number] } => s.at !== null)
    .sort((a, b) => a.at[1] - b.at[1]);
  const top = u.bbox.top + 4 * px;
  const room = Math.floor(u.bbox.height / pitch);
  const shown = spots.slice(0, room);
  const places = spread(shown.map((s) => s.at[1]), pitch, top, u.bbox.top + u.bbox.height - 6 * px);
  const { ctx } = u;
  ctx.save();
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  shown.forEach(({ line, at }, i) => {
    const y = places[i] as number;
    const ink = inkOf(line, theme, inks);
    const quiet = hovered !== null && hovered !== line.id;
    ctx.globalAlpha = quiet ? 0.35 : 1;
    // A line that ended early has no leader: it would cross the plot.
    if (at[0] > right - 4 * px) {
      ctx.strokeStyle = fade(ink, 0.55);
      ctx.lineWidth = px;
      ctx.beginPath();
      ctx.moveTo(right + 2 * px, at[1]);
      ctx.lineTo(right + 9 * px, y);
      ctx.stroke();
    }
    ctx.fillStyle = ink;
    ctx.fillRect(right + 12 * px, y - 3.5 * px, 7 * px, 7 * px);
    ctx.fillStyle = inks.text1;
    ctx.font = `${line.id === hovered || i === 0 ? 600 : 450} ${11 * px}px "Inter Variable", system-ui, sans-serif`;
    ctx.fillText(line.label.length > 20 ? `${line.label.slice(0, 19)}…` : line.label, right + 24 * px, y);
  });
  ctx.restore();
}

/** Sorted places moved apart to at least `pitch`, inside [top, bottom]. */
export function spread(ys: readonly number[], pitch: number, top: number, bottom: number): number[] {
  const out: number[] = [];
  for (const y of ys) out.push(Math.max(y, out.length ? (out[out.length - 1] as number) + pitch : top));
  for (let i = out.length - 1, limit = bottom; i >= 0; i--, limit -= pitch) out[i] = Math.min(out[i] as number, limit);
  return out;
}
