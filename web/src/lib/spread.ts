// The shade around a mean: which half-width the reader asked for.

export const SPREADS = ["std", "stderr", "ci95", "minmax", "none"] as const;
export type Spread = (typeof SPREADS)[number];
export const SPREAD_WORDS: Record<Spread, string> = {
  std: "mean ± std",
  stderr: "mean ± stderr",
  ci95: "mean ± 95 % CI",
  minmax: "mean, min to max",
  none: "mean only",
};
export const SPREAD_HEAD: Record<Spread, string> = { std: "std", stderr: "stderr", ci95: "95 %", minmax: "range", none: "" };

// Student's t, 0.975 quantile, by degrees of freedom 1..30.
const T975 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11, 2.101, 2.093,
  2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/** Half the width of the shade from the deviation of n runs (ddof = 1). Null when n < 2 or there is no shade of that kind. */
export function halfWidth(spread: Spread, std: number | null | undefined, n: number): number | null {
  if (std === null || std === undefined || !Number.isFinite(std) || n < 2) return null;
  if (spread === "std") return std;
  if (spread === "stderr") return std / Math.sqrt(n);
  if (spread === "ci95") return ((T975[n - 2] ?? 1.96 + 2.4 / (n - 1)) * std) / Math.sqrt(n);
  return null;
}

/** Lower and upper edge of the shade at every x, null where there is none. */
export function band(
  spread: Spread,
  s: { mean: readonly (number | null)[]; std?: readonly (number | null)[]; min: readonly (number | null)[]; max: readonly (number | null)[]; n: readonly number[] },
): { low: (number | null)[]; high: (number | null)[] } | null {
  if (spread === "none") return null;
  if (spread === "minmax") return { low: [...s.min], high: [...s.max] };
  if (!s.std?.length) return null;
  const half = s.mean.map((_, i) => halfWidth(spread, s.std?.[i], s.n[i] ?? 0));
  return {
    low: s.mean.map((m, i) => (m === null || half[i] === null ? null : m - (half[i] as number))),
    high: s.mean.map((m, i) => (m === null || half[i] === null ? null : m + (half[i] as number))),
  };
}
