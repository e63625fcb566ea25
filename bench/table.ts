// The benchmark's answer: one line per figure with its budget beside it, as a table for people or JSON for scripts.
import { type Statistic, summarize } from "./samples.ts";

/** One figure. */
export interface Line {
  /** Name of the benchmark that measured it. */
  readonly bench: string;
  readonly what: string;
  /** Unit of samples and budget: `ms`, `s`, `MB`, or what is counted. */
  readonly unit: string;
  readonly samples: readonly number[];
  /** What design §10 asks, and of which statistic; a figure without one is shown for what it explains. */
  readonly budget?: {
    readonly of: Statistic;
    readonly atMost?: number;
    readonly atLeast?: number;
    /** Where the limit is another figure of the same run. */
    readonly because?: string;
  };
  /** Whose controllers restarted the VMs; undefined where none took part. */
  readonly virtController?: "stand-in" | "real";
}

/** `-`: there is no budget. */
export type Verdict = "met" | "missed" | "-";

/** Whether a figure keeps to its budget. It shows; it does not judge: no exit code depends on it. */
export function verdictOf({ samples, budget }: Line): Verdict {
  if (budget === undefined) return "-";
  const value = summarize(samples)[budget.of];
  const within = value <= (budget.atMost ?? Number.POSITIVE_INFINITY);
  return within && value >= (budget.atLeast ?? Number.NEGATIVE_INFINITY) ? "met" : "missed";
}

/** A p99 of fewer samples is just the largest. */
const MIN_SAMPLES_FOR_P99 = 100;

const COLUMNS = [
  "benchmark",
  "measured",
  "n",
  "min",
  "median",
  "p99",
  "max",
  "unit",
  "budget",
  "verdict",
  "virt-controller",
];
const RIGHT_ALIGNED = new Set(["n", "min", "median", "p99", "max"]);

/** All lines as an aligned table. */
export function renderTable(lines: readonly Line[]): string {
  const rows = [COLUMNS, ...lines.map(cellsOf)];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const pad = (cell: string, column: number): string =>
    RIGHT_ALIGNED.has(COLUMNS[column] ?? "")
      ? cell.padStart(widths[column] ?? 0)
      : cell.padEnd(widths[column] ?? 0);
  return rows.map((row) => row.map(pad).join("  ").trimEnd()).join("\n");
}

/** The same for scripts: every sample, the summary, the budget and the verdict. */
export function renderJson(lines: readonly Line[]): object[] {
  return lines.map((line) => ({ ...line, ...summarize(line.samples), verdict: verdictOf(line) }));
}

function cellsOf(line: Line): readonly string[] {
  const { n, min, median, p99, max } = summarize(line.samples);
  return [
    line.bench,
    line.what,
    String(n),
    figure(min),
    figure(median),
    n < MIN_SAMPLES_FOR_P99 ? "-" : figure(p99),
    figure(max),
    line.unit,
    budgetText(line.budget),
    verdictOf(line),
    line.virtController ?? "-",
  ];
}

function budgetText(budget: Line["budget"]): string {
  if (budget === undefined) return "-";
  const limit =
    budget.atMost === undefined ? `≥ ${figure(budget.atLeast ?? 0)}` : `≤ ${figure(budget.atMost)}`;
  return `${budget.of} ${limit}${budget.because === undefined ? "" : ` (${budget.because})`}`;
}

/** Three significant digits, and whole numbers as they are. */
function figure(value: number): string {
  if (Number.isInteger(value)) return String(value);
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}
