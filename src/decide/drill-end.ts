// How a run of a drill ends: measured where it was carried through, and with the reason where it was not.
import { runKeyOf } from "../model/drill.ts";
import { judgeRun, measuresOf } from "./drill-results.ts";
import type { Running } from "./drill-running.ts";
import { nextSeriesMs } from "./drill-schedule.ts";
import { type RunEnd, writeRunEnd } from "./drill-status.ts";

/** How a run ends where that does not follow from its measures. */
type Cut = Pick<RunEnd, "outcome" | "reason" | "message">;

/** What the run was to do went wrong. */
export function failed(message: string): Cut {
  return { outcome: "Failed", reason: "DrillFailed", message };
}

/** Ends the run: somebody or something came between. */
export function interrupted(running: Running, message: string): void {
  end(running, { outcome: "Interrupted", reason: "DrillInterrupted", message });
}

/** Measures the run and ends it; `cut` where it is known already how. The probes are stopped first, for only then they tell. */
export function finish(running: Running, cut: Cut | undefined): void {
  const { turn, drill, run, probing } = running;
  if (probing !== undefined && probing.results === undefined) {
    turn.plan.add({ kind: "StopDrillProbes", run: runKeyOf(drill, run) });
    return;
  }
  const measures = measuresOf(turn, drill, { run, probing });
  const { reason, ...verdict } = cut ?? judgeRun(drill, measures);
  const lostProbes = drill.probes.length > 0 && probing === undefined;
  const message = lostProbes ? `${verdict.message} (the probes ended with their leader)` : verdict.message;
  writeEnd(running, { ...verdict, reason, message }, measures);
}

/** Ends a run that is not to be measured. */
export function end(running: Running, cut: Cut): void {
  writeEnd(running, cut, []);
}

function writeEnd(
  { turn, drill, run }: Running,
  { outcome, reason, message }: Cut,
  measures: Parameters<typeof writeRunEnd>[2]["end"]["measures"],
): void {
  const { number, startedAt, node, virtualMachines } = run;
  writeRunEnd(turn, drill, {
    end: {
      number,
      startedAt,
      node,
      virtualMachines: virtualMachines.length,
      outcome,
      reason,
      message,
      measures,
    },
    nextSeriesMs: nextSeriesMs(turn, drill),
  });
}
