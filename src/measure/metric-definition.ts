// What is said of a metric before it is measured.

/** The values a label can have, or in words why they are few. */
export type LabelBound = readonly string[] | string;

export interface MetricDefinition {
  readonly type: "gauge" | "counter" | "histogram";
  /** `holdfast_`, what is measured, the unit last; counters end in `_total`. */
  readonly name: string;
  readonly help: string;
  readonly labels: Readonly<Record<string, LabelBound>>;
  /** Upper bounds of a histogram. */
  readonly buckets?: readonly number[];
}
