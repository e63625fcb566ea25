// When the next run of a drill is due. By the wall clock: one that is wrong costs a drill its timing, never its guards.
import type { DrillFact } from "../model/drill.ts";
import { nextWeekly } from "../model/service-time.ts";
import { wallMsOf } from "./text.ts";
import type { Turn } from "./turn.ts";

/** When the next series begins by itself; undefined where none does. */
export function nextSeriesMs({ now }: Turn, { schedule }: DrillFact): number | undefined {
  return schedule === undefined ? undefined : nextWeekly(schedule.timeZone, schedule, now.wallMs);
}

/** Whether runs of a series have ended and others are still to come. */
export function isMidSeries({ status }: DrillFact): boolean {
  return status.phase === "Pending" && status.runs.length > 0;
}

/** When the run that is waited for is due; undefined where none is to come. A changed schedule counts at once. */
export function dueMs(turn: Turn, drill: DrillFact): number | undefined {
  const { status, generation } = drill;
  const asWritten = status.nextRunAt === undefined ? undefined : wallMsOf(status.nextRunAt);
  if (isMidSeries(drill)) return asWritten;
  if (drill.schedule === undefined)
    return status.lastEndedAt === undefined ? (asWritten ?? turn.now.wallMs) : undefined;
  const current = status.observedGeneration === generation;
  return current && asWritten !== undefined ? asWritten : nextSeriesMs(turn, drill);
}
