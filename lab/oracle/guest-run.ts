// One guest execution as the oracle wrote it down, and what follows from a list of them. Pure.
import type { GuestEnd, GuestExecution } from "./witness.ts";

/** Times are milliseconds since the Unix epoch, on a clock that never jumps back. */
export interface GuestRun extends GuestExecution {
  readonly began: "boot" | "migration";
  /** From here on the guest holds its disk. */
  readonly startedAtMs: number;
  /** From here on it does its work; undefined while it boots. */
  readonly upAtMs: number | undefined;
  readonly stoppedAtMs: number | undefined;
  readonly end: GuestEnd | undefined;
  /** Stretches in which its machine hung. */
  readonly frozen: readonly { readonly fromMs: number; readonly toMs: number | undefined }[];
}

/** A stretch in which a VM was not doing its work anywhere. */
export interface Outage {
  readonly vm: string;
  readonly fromMs: number;
  /** Undefined while it lasts. */
  readonly toMs: number | undefined;
  /** Node it was on before, and after. */
  readonly fromNode: string;
  readonly toNode: string | undefined;
}

interface Stretch {
  readonly node: string;
  readonly fromMs: number;
  readonly toMs: number | undefined;
}

/** Gaps between the stretches in which a VM worked, oldest first; before its first stretch there is no outage. */
export function outagesOf(vm: string, runs: readonly GuestRun[]): Outage[] {
  const stretches = runs.flatMap(workingStretches).sort((a, b) => a.fromMs - b.fromMs);
  const outages: Outage[] = [];
  let last: Stretch | undefined;
  for (const stretch of stretches) {
    if (last?.toMs !== undefined && last.toMs < stretch.fromMs) {
      outages.push({
        vm,
        fromMs: last.toMs,
        toMs: stretch.fromMs,
        fromNode: last.node,
        toNode: stretch.node,
      });
    }
    if (!last || endOf(stretch) > endOf(last)) last = stretch;
  }
  if (last?.toMs !== undefined) {
    outages.push({ vm, fromMs: last.toMs, toMs: undefined, fromNode: last.node, toNode: undefined });
  }
  return outages;
}

function endOf(stretch: Stretch): number {
  return stretch.toMs ?? Number.POSITIVE_INFINITY;
}

function workingStretches(run: GuestRun): Stretch[] {
  if (run.upAtMs === undefined) return [];
  const stretches: Stretch[] = [];
  let fromMs: number | undefined = run.upAtMs;
  for (const pause of run.frozen) {
    if (fromMs !== undefined && pause.fromMs > fromMs) {
      stretches.push({ node: run.node, fromMs, toMs: pause.fromMs });
    }
    fromMs = pause.toMs === undefined ? undefined : Math.max(pause.toMs, run.upAtMs);
  }
  if (fromMs !== undefined && (run.stoppedAtMs ?? Number.POSITIVE_INFINITY) > fromMs) {
    stretches.push({ node: run.node, fromMs, toMs: run.stoppedAtMs });
  }
  return stretches;
}
