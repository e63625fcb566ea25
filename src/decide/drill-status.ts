// What a FailoverDrill's status says: every change of it goes through here, so that conditions, Events and message agree.
import type { DrillFact, DrillOutcome, DrillRun, DrillRunResult, DrillStatus } from "../model/drill.ts";
import { sameData } from "../model/equal.ts";
import type { EventNote } from "../model/plan.ts";
import { API_VERSION } from "../api/kind.ts";
import type { ConditionReason, EventReason } from "../api/reasons.ts";
import { conditionsOf, type Judgement } from "./condition.ts";
import { statisticsOf } from "./drill-results.ts";
import { timestamp, wallMsOf } from "./text.ts";
import type { Turn } from "./turn.ts";

/** Plans a write of the status where it says something new. */
function write(
  turn: Turn,
  drill: DrillFact,
  next: Omit<DrillStatus, "epoch" | "observedGeneration" | "conditions"> & {
    readonly judgements: readonly Judgement[];
  },
  events: readonly EventNote[] = [],
): void {
  const { judgements, ...rest } = next;
  const { epoch, conditions: before } = drill.status;
  const { generation } = drill;
  const conditions = conditionsOf(judgements, before, turn.now.wallMs, generation);
  const status: DrillStatus = { ...rest, observedGeneration: generation, epoch, conditions };
  if (!sameData(status, drill.status)) turn.plan.add({ kind: "WriteDrill", drill, status, events });
}

/** What stays of the status from one write to the next. */
function kept({ status }: DrillFact) {
  const { phase, message, runs, statistics, lastEndedAt, lastPassedAt } = status;
  return {
    phase,
    message,
    runs,
    statistics,
    ...(lastEndedAt === undefined ? {} : { lastEndedAt }),
    ...(lastPassedAt === undefined ? {} : { lastPassedAt }),
  };
}

function judgement(
  type: "Progressing" | "Passed",
  status: Judgement["status"],
  reason: ConditionReason,
  message: string,
): Judgement {
  return { type, status, reason, message };
}

/** The verdict on the last series as it stands; Unknown before the first has ended. */
function lastVerdict({ status }: DrillFact): Judgement {
  const last = status.conditions.find(({ type }) => type === "Passed");
  if (last === undefined) return judgement("Passed", "Unknown", "DrillPending", "no series has ended yet");
  // A reason that stands was written by us.
  return judgement("Passed", last.status, last.reason as ConditionReason, last.message);
}

/** A run is waited for: until its time comes, or until what is in its way has gone. */
export function writeWaiting(
  turn: Turn,
  drill: DrillFact,
  wait: { readonly dueMs: number | undefined; readonly reason: ConditionReason; readonly message: string },
): void {
  const before = kept(drill);
  const progressing = drill.status.conditions.find(({ type }) => type === "Progressing");
  // What is in the way is told once: its numbers change with every turn, and are in the plan's refusals.
  const told = progressing?.reason === wait.reason && wait.reason !== "DrillPending";
  const why = told ? progressing.message : wait.message;
  const ended = before.lastEndedAt !== undefined && before.phase !== "Pending";
  write(turn, drill, {
    ...before,
    phase: ended ? before.phase : "Pending",
    message: ended && wait.reason === "DrillPending" ? before.message : why,
    ...(wait.dueMs === undefined ? {} : { nextRunAt: timestamp(wait.dueMs) }),
    judgements: [judgement("Progressing", "False", wait.reason, why), lastVerdict(drill)],
  });
}

/** A run is under way: at its beginning, and at each of its steps. */
export function writeRun(turn: Turn, drill: DrillFact, run: DrillRun): void {
  const { status } = drill;
  const before = kept(drill);
  const first = run.number === 1 && run.step === "Starting";
  const message = `run ${run.number} of ${drill.runs}: ${run.virtualMachines.length} VMs leave ${run.node}`;
  const begun = first && status.run === undefined;
  write(
    turn,
    drill,
    {
      ...before,
      phase: "Running",
      message,
      run,
      ...(begun ? { runs: [], statistics: [] } : {}),
      judgements: [
        judgement("Progressing", "True", "DrillRunning", message),
        begun
          ? judgement("Passed", "Unknown", "DrillRunning", "the series is under way")
          : lastVerdict(drill),
      ],
    },
    begun ? [event(drill, "Normal", "DrillStarted", `${drill.type}: ${message}`)] : [],
  );
}

/** How a run ended, before it is known whether another follows. */
export interface RunEnd extends Pick<DrillRunResult, "outcome" | "message" | "measures"> {
  readonly reason: ConditionReason;
  readonly node?: string;
  readonly virtualMachines: number;
  readonly number: number;
  readonly startedAt: string;
}

/** Whether the series goes on after a run: not after one that was not carried through, nor once a node was lost in vain. */
function goesOn(drill: DrillFact, end: RunEnd): boolean {
  const carriedThrough =
    end.reason === "PromiseKept" || end.reason === "PromiseBroken" || end.reason === "NotMeasured";
  if (!carriedThrough || (drill.type === "NodeLoss" && end.outcome !== "Passed")) return false;
  return end.number < drill.runs && !drill.suspended;
}

/** A run is over; and with the last one its series. `nextSeriesMs` is when another begins by itself. */
export function writeRunEnd(
  turn: Turn,
  drill: DrillFact,
  { end, nextSeriesMs }: { readonly end: RunEnd; readonly nextSeriesMs: number | undefined },
): void {
  const before = kept(drill);
  const { number, startedAt, outcome, reason, message, node, virtualMachines, measures } = end;
  const result: DrillRunResult = {
    number,
    startedAt,
    endedAt: timestamp(turn.now.wallMs),
    outcome,
    reason,
    message,
    ...(node === undefined ? {} : { node }),
    virtualMachines,
    measures,
  };
  const earlier = number === 1 ? [] : before.runs;
  const runs = [...earlier, result];
  const statistics = statisticsOf(runs);
  if (goesOn(drill, end)) {
    const dueMs = Math.max(wallMsOf(startedAt) + drill.intervalMs, turn.now.wallMs);
    const waiting = `run ${number} of ${drill.runs}: ${message}; the next is waited for`;
    write(turn, drill, {
      ...before,
      phase: "Pending",
      message: waiting,
      runs,
      statistics,
      nextRunAt: timestamp(dueMs),
      judgements: [
        judgement("Progressing", "True", "DrillRunning", `${number} of ${drill.runs} runs have ended`),
        lastVerdict(drill),
      ],
    });
    return;
  }
  const series = seriesEnd(runs, end);
  const told = runs.length === 1 ? series.message : `${runs.length} of ${drill.runs} runs: ${series.message}`;
  const at = timestamp(turn.now.wallMs);
  write(
    turn,
    drill,
    {
      ...before,
      phase: series.outcome,
      message: told,
      runs,
      statistics,
      lastEndedAt: at,
      ...(series.outcome === "Passed" ? { lastPassedAt: at } : {}),
      ...(nextSeriesMs === undefined ? {} : { nextRunAt: timestamp(nextSeriesMs) }),
      judgements: [
        judgement("Progressing", "False", series.reason, told),
        judgement("Passed", PASSED[series.outcome], series.reason, told),
      ],
    },
    [event(drill, series.outcome === "Passed" ? "Normal" : "Warning", EVENTS[series.outcome], told)],
  );
}

const PASSED = {
  Passed: "True",
  Failed: "False",
  Inconclusive: "Unknown",
  Refused: "Unknown",
  Interrupted: "Unknown",
} as const satisfies Record<DrillOutcome, Judgement["status"]>;

const EVENTS = {
  Passed: "DrillPassed",
  Failed: "DrillFailed",
  Inconclusive: "DrillInconclusive",
  Refused: "DrillRefused",
  Interrupted: "DrillInterrupted",
} as const satisfies Record<DrillOutcome, EventReason>;

interface SeriesEnd {
  readonly outcome: DrillOutcome;
  readonly reason: ConditionReason;
  readonly message: string;
}

/** The worst that any run came to; what ended the series early counts before it. */
function seriesEnd(runs: readonly DrillRunResult[], last: RunEnd): SeriesEnd {
  const ofLast = { outcome: last.outcome, reason: last.reason, message: last.message };
  if (last.outcome === "Refused" || last.outcome === "Interrupted") return ofLast;
  for (const outcome of ["Failed", "Inconclusive"] as const) {
    const worst = runs.find((run) => run.outcome === outcome);
    if (worst !== undefined)
      return {
        outcome,
        reason: worst.reason as ConditionReason,
        message: `run ${worst.number}: ${worst.message}`,
      };
  }
  return ofLast;
}

function event(
  { name, uid }: DrillFact,
  type: EventNote["type"],
  reason: EventReason,
  message: string,
): EventNote {
  const about = { apiVersion: API_VERSION, kind: "FailoverDrill", namespace: undefined, name, uid };
  return { about, type, reason, message };
}
