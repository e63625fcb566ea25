// What a handful of measurements come to. Pure.

/** Smallest, middle, 99th percentile and largest of some samples, in their own unit. */
export interface Summary {
  readonly n: number;
  readonly min: number;
  readonly median: number;
  readonly p99: number;
  readonly max: number;
}

/** The word for one number of a summary. */
export type Statistic = Exclude<keyof Summary, "n">;

/** Nearest-rank percentiles, so that every number shown was really measured (the median of an even count lies between two). */
export function summarize(samples: readonly number[]): Summary {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (index: number): number => sorted[Math.max(0, Math.min(sorted.length - 1, index))] ?? Number.NaN;
  const middle = (sorted.length - 1) / 2;
  return {
    n: sorted.length,
    min: at(0),
    median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2,
    p99: at(Math.ceil(sorted.length * 0.99) - 1),
    max: at(sorted.length - 1),
  };
}
