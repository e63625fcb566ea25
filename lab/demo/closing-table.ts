// The closing table: what became of each VM, phase by phase, and how long it was really down.
import type { Stage } from "./stage.ts";
import { NAMESPACE } from "./cast.ts";

/** Phases of a failover in seconds; undefined where one was not observed. */
export interface Phases {
  readonly detect: number | undefined;
  readonly fence: number | undefined;
  readonly release: number | undefined;
  readonly schedule: number | undefined;
  readonly boot: number | undefined;
  readonly ready: number | undefined;
}

export interface VmRow {
  readonly name: string;
  readonly runStrategy: string;
  readonly priority: number;
  readonly outcome: string;
  readonly node: string | undefined;
  readonly phases: Phases | undefined;
  /** Seconds in which its guest did not work, by the oracle; undefined where it still does not. */
  readonly downtime: number | undefined;
  readonly migrations: number;
}

type Outage = NonNullable<
  NonNullable<ReturnType<Stage["view"]["protections"]["get"]>>["status"] extends infer S
    ? S extends { outages?: readonly (infer O)[] }
      ? O
      : never
    : never
>;

/** A row per VM, from Holdfast's own records and the oracle's. */
export function rowsOf(stage: Stage): readonly VmRow[] {
  return stage.cast.map(({ vm }) => {
    const key = `${NAMESPACE}/${vm.name}`;
    const protection = stage.view.protections.get(key);
    const runs = stage.cluster.oracle.history(key);
    const outage = protection?.status?.outages?.[0];
    const gaps = stage.cluster.oracle.outages(key);
    const isDown = gaps.some((gap) => gap.toMs === undefined);
    const downMs = gaps.reduce((sum, gap) => sum + ((gap.toMs ?? gap.fromMs) - gap.fromMs), 0);
    const migrations = runs.filter((run) => run.began === "migration").length;
    return {
      name: vm.name,
      runStrategy: vm.runStrategy ?? "Always",
      priority: protection?.spec.priority ?? 0,
      outcome: outcomeOf(stage, key, { restarted: outage !== undefined, migrations, isDown }),
      node: stage.cluster.oracle.running(key)[0]?.node,
      phases: outage === undefined ? undefined : phasesOf(outage),
      downtime: isDown ? undefined : downMs / 1000,
      migrations,
    };
  });
}

function outcomeOf(
  stage: Stage,
  key: string,
  seen: { readonly restarted: boolean; readonly migrations: number; readonly isDown: boolean },
): string {
  const parts: string[] = [];
  if (seen.migrations > 0) parts.push(`migrated ${seen.migrations}x`);
  if (seen.restarted) parts.push("failed over");
  if (seen.isDown || stage.cluster.oracle.history(key).length === 0) parts.push("down, as it should be");
  return parts.length === 0 ? "undisturbed" : parts.join(", ");
}

function phasesOf(outage: Outage): Phases {
  const times = [
    outage.lastGoodAt,
    outage.lostAt,
    outage.provedAt,
    outage.releasedAt,
    outage.scheduledAt,
    outage.runningAt,
    outage.readyAt,
  ];
  const between = (i: number): number | undefined => {
    const from = times[i];
    const to = times[i + 1];
    if (from === undefined || to === undefined) return undefined;
    return Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000);
  };
  return {
    detect: between(0),
    fence: between(1),
    release: between(2),
    schedule: between(3),
    boot: between(4),
    ready: between(5),
  };
}

const HEADER = [
  "VM",
  "strategy",
  "prio",
  "outcome",
  "node",
  "detect",
  "fence",
  "release",
  "schedule",
  "boot",
  "ready",
  "downtime",
];

/** The rows as an aligned table for a terminal. Seconds; `-` where there is nothing to tell. */
export function renderTable(rows: readonly VmRow[]): string {
  const cells = [HEADER, ...rows.map(cellsOf)];
  const widths = HEADER.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells
    .map((row) =>
      row
        .map((cell, i) => pad(cell, widths[i] ?? 0, i))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function pad(cell: string, width: number, column: number): string {
  return column === 2 || column > 4 ? cell.padStart(width) : cell.padEnd(width);
}

function cellsOf(row: VmRow): readonly string[] {
  const p = row.phases;
  return [
    row.name,
    row.runStrategy,
    String(row.priority),
    row.outcome,
    row.node ?? "-",
    ...[p?.detect, p?.fence, p?.release, p?.schedule, p?.boot, p?.ready].map(secondsOf),
    row.downtime === undefined ? "down" : secondsOf(row.downtime),
  ];
}

function secondsOf(value: number | undefined): string {
  return value === undefined ? "-" : value.toFixed(2);
}
