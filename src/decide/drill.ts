// FailoverDrills: which run begins when, and what a drill that is no more has left behind. One drill at a time; how a run
// goes is drill-run.ts, what must hold before it is drill-guards.ts.
import {
  DRILL_ANNOTATION,
  type DrillFact,
  drillMark,
  type DrillRun,
  MAX_DRILL_RUNS,
  runKeyOf,
} from "../model/drill.ts";
import type { FencingFact } from "../model/fencing.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { targetOf, whyNotDrill } from "./drill-guards.ts";
import { advanceRun } from "./drill-run.ts";
import { dueMs, isMidSeries, nextSeriesMs } from "./drill-schedule.ts";
import { writeRun, writeRunEnd, writeWaiting } from "./drill-status.ts";
import type { MigrationSlots } from "./migration-slots.ts";
import type { Held } from "./shots.ts";
import { seconds, timestamp, wallMsOf } from "./text.ts";
import type { Turn } from "./turn.ts";

/** A run that nobody began in time, because nobody led, is not begun this long after its startTimeout. */
const LATE_SLACK_MS = 60_000;

/** The VMs that a run is disturbing now, by their keys: what takes them down meanwhile is its doing. */
export function drilledVMs(snapshot: Snapshot): ReadonlyMap<string, DrillFact> {
  const drilled = new Map<string, DrillFact>();
  for (const drill of snapshot.drills.values()) {
    const { run } = drill.status;
    if (run === undefined || run.step === "Starting" || drill.deleting) continue;
    for (const { namespace, name } of run.virtualMachines) drilled.set(`${namespace}/${name}`, drill);
  }
  return drilled;
}

/** The next step of every drill, and the end of what deleted or ended ones have left. */
export function decideDrills(turn: Turn, slots: MigrationSlots): void {
  const { drills, drillProbings } = turn.snapshot;
  if (drills.size > 0 || drillProbings.size > 0) stopOrphanedProbes(turn);
  uncordonLeft(turn);
  let begun = false;
  for (const drill of [...drills.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (drill.deleting) continue;
    const { run } = drill.status;
    if (run !== undefined) advanceRun(turn, drill, run, slots);
    else begun = consider(turn, drill, begun) || begun;
  }
}

/** Begins the run that is due where nothing speaks against it, and says so where something does; true where it began. */
function consider(turn: Turn, drill: DrillFact, otherBegun: boolean): boolean {
  const { now, plan } = turn;
  const due = dueMs(turn, drill);
  if (due === undefined) return false;
  if (drill.suspended) {
    writeWaiting(turn, drill, {
      dueMs: undefined,
      reason: "DrillSuspended",
      message: "spec.suspend is true",
    });
    return false;
  }
  if (now.wallMs < due) {
    plan.lookAgain(now.monotonicMs + due - now.wallMs);
    writeWaiting(turn, drill, {
      dueMs: due,
      reason: "DrillPending",
      message: `the next run is due at ${timestamp(due)}`,
    });
    return false;
  }
  const lateMs = now.wallMs - due;
  const refusal = whyNotBegin(turn, drill, { lateMs, otherBegun });
  if (refusal === undefined) return begin(turn, drill);
  plan.refuse(`drill/${drill.name}`, refusal.reason, refusal.message);
  if (lateMs >= drill.startTimeoutMs) refuse(turn, drill, refusal);
  else {
    plan.lookAgain(now.monotonicMs + drill.startTimeoutMs - lateMs);
    writeWaiting(turn, drill, { dueMs: due, ...refusal });
  }
  return false;
}

function whyNotBegin(
  turn: Turn,
  drill: DrillFact,
  { lateMs, otherBegun }: { readonly lateMs: number; readonly otherBegun: boolean },
): Held | undefined {
  if (lateMs > drill.startTimeoutMs + LATE_SLACK_MS)
    return {
      reason: "StartMissed",
      message: `it was due ${seconds(lateMs)} ago, and nobody was there to begin it`,
    };
  if (otherBegun) return { reason: "OtherDrillUnderWay", message: "another FailoverDrill begins just now" };
  return whyNotDrill(turn, drill);
}

function begin(turn: Turn, drill: DrillFact): boolean {
  const target = targetOf(turn, drill);
  if ("reason" in target) return false;
  const node = turn.snapshot.nodes.get(target.node);
  if (node?.bootID === undefined) {
    refuse(turn, drill, { reason: "BootIDUnknown", message: `${target.node} has never reported a boot ID` });
    return false;
  }
  const run: DrillRun = {
    number: nextNumber(drill),
    step: "Starting",
    startedAt: timestamp(turn.now.wallMs),
    node: node.name,
    nodeUID: node.uid,
    bootID: node.bootID,
    virtualMachines: target.vmis.map(({ namespace, name, uid }) => ({ namespace, name, vmiUID: uid })),
  };
  writeRun(turn, drill, run);
  return true;
}

function nextNumber(drill: DrillFact): number {
  const last = isMidSeries(drill) ? (drill.status.runs.at(-1)?.number ?? 0) : 0;
  return Math.min(MAX_DRILL_RUNS, last + 1);
}

function refuse(
  turn: Turn,
  drill: DrillFact,
  refusal: Pick<Held, "message"> & { readonly reason: Held["reason"] },
): void {
  writeRunEnd(turn, drill, {
    end: {
      number: nextNumber(drill),
      startedAt: timestamp(turn.now.wallMs),
      outcome: "Refused",
      virtualMachines: 0,
      measures: [],
      ...refusal,
    },
    nextSeriesMs: nextSeriesMs(turn, drill),
  });
}

/** Nodes that a drill has cordoned and does not empty any more: it ended, was deleted, or gave way to somebody. */
function uncordonLeft(turn: Turn): void {
  for (const node of turn.snapshot.nodes.values()) {
    const mark = node.annotations[DRILL_ANNOTATION];
    if (mark === undefined) continue;
    const drill = markedDrill(turn, mark);
    const run = drill?.status.run;
    const wanted = drill?.type === "NodeEvacuation" && run?.step === "Acting" && run.node === node.name;
    if (!wanted) turn.plan.add({ kind: "Uncordon", node: node.name, drill: mark });
  }
}

function stopOrphanedProbes({ snapshot, plan }: Turn): void {
  const wanted = new Set<string>();
  for (const drill of snapshot.drills.values())
    if (drill.status.run !== undefined && !drill.deleting) wanted.add(runKeyOf(drill, drill.status.run));
  for (const [run, { results }] of snapshot.drillProbings)
    if (!wanted.has(run) && results === undefined) plan.add({ kind: "StopDrillProbes", run });
}

/** The drill that `DRILL_ANNOTATION` names; undefined where it is gone or going, or another now has its name. */
function markedDrill({ snapshot }: Turn, mark: string): DrillFact | undefined {
  const drill = snapshot.drills.get(mark.slice(0, mark.indexOf("/")));
  return drill !== undefined && !drill.deleting && drillMark(drill) === mark ? drill : undefined;
}

/**
 * Why a fencing that a drill asked for is not to go on while its node lives: the drill is gone, over, out of time, or,
 * before the first attempt, a guard of its speaks against it. Undefined where it is to go on, or no drill asked for it.
 */
export function whyDrillOver(turn: Turn, fencing: FencingFact): string | undefined {
  if (fencing.drill === undefined) return undefined;
  const drill = markedDrill(turn, fencing.drill);
  const run = drill?.status.run;
  if (drill === undefined || run?.effect !== fencing.name || run.step !== "Acting")
    return `the FailoverDrill that asked for it (${fencing.drill}) is over: nothing more is done`;
  if (turn.now.wallMs >= wallMsOf(run.startedAt) + drill.runTimeoutMs)
    return `FailoverDrill ${drill.name} is out of time: nothing more is done`;
  if (fencing.status.attempts.length > 0) return undefined;
  const refusal = whyNotDrill(turn, drill, { fencing: fencing.name });
  return refusal === undefined ? undefined : `FailoverDrill ${drill.name} is called off: ${refusal.message}`;
}
