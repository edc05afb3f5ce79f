// Axis ticks and their labels: 3 to 5 ticks, `15k`, `4e-4`, `0.80`.

/** Round multiples inside [min, max]; about `want` of them. */
export function linear(min: number, max: number, want = 4): number[] {
  if (!(max > min)) return Number.isFinite(min) ? [min] : [];
  const power = 10 ** Math.floor(Math.log10((max - min) / want));
  const inside = (step: number) => Math.floor(max / step + 1e-9) - Math.ceil(min / step - 1e-9) + 1;
  const steps = [0.5, 1, 2, 2.5, 5, 10].map((m) => m * power);
  const step = steps.reduce((a, b) => (Math.abs(inside(b) - want) < Math.abs(inside(a) - want) ? b : a));
  const ticks: number[] = [];
  for (let i = Math.ceil(min / step - 1e-9); i * step <= max + step * 1e-9; i++) ticks.push(Number((i * step).toPrecision(12)));
  return ticks;
}

/** Decades inside [min, max], thinned to about `want`; 1, 2 and 5 when there are fewer than two decades. */
export function logarithmic(min: number, max: number, want = 5): number[] {
  if (!(min > 0) || !(max > min)) return min > 0 ? [min] : [];
  const low = Math.floor(Math.log10(min));
  const high = Math.ceil(Math.log10(max));
  const inside = (v: number) => v >= min * (1 - 1e-9) && v <= max * (1 + 1e-9);
  const decades: number[] = [];
  const stride = Math.max(1, Math.ceil((high - low) / want));
  for (let e = low; e <= high; e += stride) decades.push(Number(`1e${e}`));
  const full = decades.filter(inside);
  if (full.length >= 3) return full;
  const fine: number[] = [];
  for (let e = low; e <= high; e++) for (const m of [1, 2, 5]) fine.push(Number(`${m}e${e}`));
  const some = fine.filter(inside);
  return some.length >= 2 ? some : linear(min, max, 3);
}

/** The label of a tick, given all ticks of its axis (so that 0.8 beside 0.85 reads 0.80). */
export function label(v: number, ticks: readonly number[]): string {
  if (v === 0) return "0";
  const biggest = Math.max(...ticks.map(Math.abs));
  const size = Math.abs(v);
  const sign = v < 0 ? "−" : "";
  if (size < 1e-3 && biggest < 0.01) return sign + short(size);
  if (biggest >= 1e9) return sign + short(size);
  if (biggest >= 1e6) return `${sign}${trim(size / 1e6)}M`;
  if (biggest >= 10000) return `${sign}${trim(size / 1e3)}k`;
  const smallest = Math.min(...ticks.filter((t) => t !== 0).map(Math.abs));
  if (biggest / smallest > 50) return sign + (size < 0.1 ? short(size) : trim(size));
  const decimals = Math.max(0, ...ticks.map((t) => (Number(t.toPrecision(10)).toString().split(".")[1] ?? "").length));
  return sign + (decimals > 4 ? short(size) : size.toFixed(decimals));
}

function short(size: number): string {
  return size.toExponential(3).replace(/\.?0+e/, "e").replace("e+", "e");
}

function trim(size: number): string {
  return String(Number(size.toPrecision(4)));
}

/** [min, max] of the finite values, padded by 4 %; on a log scale only positive ones count. Null when there are none. */
export function extent(columns: Iterable<readonly (number | null)[]>, log = false): [number, number] | null {
  let min = Infinity;
  let max = -Infinity;
  for (const column of columns) {
    for (const v of column) {
      if (v === null || !Number.isFinite(v) || (log && v <= 0)) continue;
      if (v < min) min = v;
      if (v > max) max = v;
    }
  }
  if (min > max) return null;
  if (log) return min === max ? [min / 2, max * 2] : [min / (max / min) ** 0.04, max * (max / min) ** 0.04];
  if (min === max) {
    const pad = min === 0 ? 1 : Math.abs(min) * 0.1;
    return [min - pad, max + pad];
  }
  const pad = (max - min) * 0.04;
  return [min - pad, max + pad];
}

const SPANS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000];

/** Ticks of an axis in seconds, at round times; about `want`. `offset`: seconds to add for local midnight. */
export function temporal(min: number, max: number, want = 4, offset = 0): number[] {
  const rough = (max - min) / want;
  if (!(rough > 0)) return [];
  if (rough < 1) return linear(min, max, want);
  const step = SPANS.find((s) => s >= rough) ?? Math.ceil(rough / 2592000) * 2592000;
  const ticks: number[] = [];
  for (let t = Math.ceil((min + offset) / step) * step; t <= max + offset; t += step) ticks.push(t - offset);
  return ticks;
}

/** Seconds since the run began, on an axis: 0, 45 s, 10 m, 2 h, 3 d. */
export function spanLabel(seconds: number): string {
  if (seconds === 0) return "0";
  const [size, unit] = seconds >= 172800 ? [86400, "d"] : seconds >= 7200 ? [3600, "h"] : seconds >= 120 ? [60, "m"] : [1, "s"];
  return `${Number((seconds / size).toFixed(1))} ${unit}`;
}
