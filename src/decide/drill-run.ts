// One run of a drill, step by step: intended, done, watched until the state is stable, measured. Each step is written down
// before its effect, so that a new leader either carries it on or ends it, and leaves nothing behind.
import { type DrillFact, type DrillRun, MAX_PROBED_VMS, runKeyOf } from "../model/drill.ts";
import { STABLE_FOR_MS } from "../model/drill-statistics.ts";
import { act, settled } from "./drill-act.ts";
import { end, finish } from "./drill-end.ts";
import { whyNotDrill } from "./drill-guards.ts";
import { isAway, isPast, keyOf, migrationOf, type Running, stillAway, vmiOf } from "./drill-running.ts";
import { writeRun } from "./drill-status.ts";
import type { MigrationSlots } from "./migration-slots.ts";
import { abort, migrationStep } from "./migrations.ts";
import { derivedName, timestamp, wallMsOf } from "./text.ts";
import type { Turn } from "./turn.ts";

/** VMs are asked for this long before they are disturbed, so that it is known how they answer in peace. */
const BASELINE_MS = 3_000;
/** Longer than STABLE_FOR_MS, so that the trace shows that much of the stable state. */
const SETTLE_MS = STABLE_FOR_MS + 1_000;
/** A run that was intended and not begun within its startTimeout and this is not begun any more. */
const START_SLACK_MS = 30_000;
/** How often the probes are looked at while the service is waited for: what they find wakes nobody. */
const LOOK_PERIOD_MS = 500;

/** The next step of the run under way. */
export function advanceRun(turn: Turn, drill: DrillFact, run: DrillRun, slots: MigrationSlots): void {
  const probing = turn.snapshot.drillProbings.get(runKeyOf(drill, run));
  const running = { turn, drill, run, slots, probing };
  switch (run.step) {
    case "Starting":
      start(running);
      return;
    case "Acting":
      if (!isCutShort(running)) act(running);
      return;
    case "Settling":
      if (!isCutShort(running)) settle(running);
      return;
  }
}

/** Ends the run where its time is over, or where its probes went with their leader; true where it did. */
function isCutShort(running: Running): boolean {
  const { turn, drill, run, probing } = running;
  if (drill.probes.length > 0 && probing === undefined && drill.type !== "NodeLoss") {
    end(running, {
      outcome: "Interrupted",
      reason: "DrillInterrupted",
      message: "the leader changed in the middle, and its probes ended with it",
    });
    return true;
  }
  const endsAtMs = wallMsOf(run.startedAt) + drill.runTimeoutMs;
  if (!isPast(turn, endsAtMs)) return false;
  const migration = migrationOf(running);
  if (migration !== undefined && !migration.finished)
    abort(turn, migration, `FailoverDrill ${drill.name} took too long`);
  finish(running, {
    outcome: "Failed",
    reason: "DrillTimedOut",
    message: `not over within runTimeout: ${stillAway(running)}`,
  });
  return true;
}

/** Nothing is disturbed yet: the guards are asked again, the probes begin, and then the intent to act is written. */
function start(running: Running): void {
  const { turn, drill, run, probing } = running;
  const refusal = whyNotDrill(turn, drill);
  if (refusal !== undefined) {
    turn.plan.refuse(`drill/${drill.name}`, refusal.reason, refusal.message);
    if (isPast(turn, wallMsOf(run.startedAt) + drill.startTimeoutMs))
      end(running, { outcome: "Refused", ...refusal });
    return;
  }
  const tooLateMs = wallMsOf(run.startedAt) + drill.startTimeoutMs + START_SLACK_MS;
  const moved = run.virtualMachines.some(({ vmiUID, ...vm }) => {
    const vmi = vmiOf(turn, vm);
    return vmi?.uid !== vmiUID || vmi.nodeName !== run.node;
  });
  if (moved || isPast(turn, tooLateMs) || turn.snapshot.nodes.get(run.node)?.bootID !== run.bootID) {
    const message = moved ? "a VM moved before anything was done" : "it was not begun in time";
    end(running, { outcome: "Interrupted", reason: "DrillInterrupted", message });
    return;
  }
  if (drill.probes.length > 0) {
    if (probing === undefined) {
      turn.plan.add({
        kind: "StartDrillProbes",
        run: runKeyOf(drill, run),
        vmKeys: run.virtualMachines.slice(0, MAX_PROBED_VMS).map(keyOf),
        probes: drill.probes,
      });
      return;
    }
    const baselineMs = probing.startedAtMs + BASELINE_MS;
    if (turn.now.monotonicMs < baselineMs) {
      turn.plan.lookAgain(baselineMs);
      return;
    }
  }
  const effect = effectName(running);
  const named = effect === undefined ? {} : { effect };
  writeRun(turn, drill, { ...run, step: "Acting", actedAt: timestamp(turn.now.wallMs), ...named });
}

/** The name under which the run's effect is made: it follows from the run, so that two leaders can only make the same one. */
function effectName({ turn, drill, run }: Running): string | undefined {
  switch (drill.type) {
    case "LiveMigration": {
      const vmi = vmiOf(turn, run.virtualMachines[0]);
      return vmi === undefined ? undefined : migrationStep(turn, vmi, "Drill", {}).name;
    }
    case "NodeEvacuation":
      return undefined;
    case "NodeLoss":
      return derivedName("drill", run.node, runKeyOf(drill, run));
  }
}

/** Watches on until all VMs were up, and all services answered, for long enough without a break; then measures. */
function settle(running: Running): void {
  const { turn, drill, run, probing } = running;
  const up = run.virtualMachines.every((vm) => isAway(running, vm));
  if (run.settledAt === undefined) {
    if (up) settled(running);
    return;
  }
  if (!up) {
    const { settledAt: _tooEarly, ...unsettled } = run;
    writeRun(turn, drill, unsettled);
    return;
  }
  const { answeredSinceMs, results } = probing ?? {};
  const asked = probing !== undefined && results === undefined;
  const quietMs = answeredSinceMs === undefined ? 0 : turn.now.monotonicMs - answeredSinceMs;
  const settledLongAgo = isPast(turn, wallMsOf(run.settledAt) + SETTLE_MS);
  if (asked && quietMs < SETTLE_MS) turn.plan.lookAgain(turn.now.monotonicMs + LOOK_PERIOD_MS);
  else if (settledLongAgo) finish(running, undefined);
}
