// Smoothing of curves for the eye: an exponential moving average, freed of its bias towards the first value.

/** `weight` in [0, 1): 0 leaves the values alone. Gaps and non-finite values stay where they are and do not count. */
export function smooth(values: readonly (number | null)[], weight: number): (number | null)[] {
  if (!(weight > 0)) return [...values];
  let sum = 0;
  let mass = 0;
  return values.map((v) => {
    if (v === null || !Number.isFinite(v)) return v;
    sum = sum * weight + (1 - weight) * v;
    mass = mass * weight + (1 - weight);
    return sum / mass;
  });
}
