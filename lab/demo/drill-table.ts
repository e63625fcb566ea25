// What a drill has measured, as a table for people and for Markdown. Pure.
import type { DrillSummary } from "../../src/model/drill-statistics.ts";

/** One probe over all runs. Times in milliseconds. */
export interface DrillRow
  extends Pick<DrillSummary, "runs" | "sent" | "lost" | "longestOutageMs" | "converged"> {
  readonly name: string;
  readonly skipped: number;
  readonly outageMs: Mean;
  readonly convergenceMs: Mean | undefined;
  readonly result: string;
}

interface Mean {
  readonly mean: number;
  readonly standardDeviation?: number | undefined;
  readonly confidence95?: { readonly low: number; readonly high: number } | undefined;
}

const HEADER = [
  "probe",
  "runs",
  "sent",
  "lost",
  "outage, ms",
  "95 % of the mean",
  "longest",
  "stable after, ms",
  "result",
];
const LEFT = new Set([0, 8]);

/** Aligned for a terminal, and a table in Markdown. */
export function renderDrillTable(rows: readonly DrillRow[]): string {
  const cells = [HEADER, ...rows.map(cellsOf)];
  const widths = HEADER.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => (LEFT.has(i) ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(" | ")} |`;
  const rule = `|${widths.map((width, i) => (LEFT.has(i) ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`)).join("|")}|`;
  return [line(cells[0] ?? []), rule, ...cells.slice(1).map(line)].join("\n");
}

function cellsOf(row: DrillRow): readonly string[] {
  const { outageMs, convergenceMs } = row;
  const deviation = outageMs.standardDeviation;
  const interval = outageMs.confidence95;
  return [
    row.name,
    String(row.runs),
    row.skipped === 0 ? String(row.sent) : `${row.sent} (and ${row.skipped} not)`,
    String(row.lost),
    `${whole(outageMs.mean)}${deviation === undefined ? "" : ` ± ${whole(deviation)}`}`,
    interval === undefined ? "-" : `${whole(interval.low)} to ${whole(interval.high)}`,
    whole(row.longestOutageMs),
    convergenceMs === undefined ? "-" : `${whole(convergenceMs.mean)} (${row.converged} of ${row.runs})`,
    row.result,
  ];
}

function whole(value: number): string {
  return String(Math.round(value));
}
