// One run of a drill, step by step: intended, done, watched until the state is stable, measured. Each step is written down
// before its effect, so that a new leader either carries it on or ends it, and leaves nothing behind.
import type { DrillFact, DrilledVM, DrillProbing, DrillRun } from "../model/drill.ts";
import { drillMark, MAX_PROBED_VMS, runKeyOf } from "../model/drill.ts";
import { STABLE_FOR_MS } from "../model/drill-statistics.ts";
import { DRILL_ANNOTATION } from "../model/drill.ts";
import type { MigrationFact, VMIFact } from "../model/virtual-machine.ts";
import type { ConditionReason } from "../api/reasons.ts";
import { whyNotDrill } from "./drill-guards.ts";
import { judgeRun, measuresOf } from "./drill-results.ts";
import { nextSeriesMs } from "./drill-schedule.ts";
import { writeRun, writeRunEnd } from "./drill-status.ts";
import type { MigrationSlots } from "./migration-slots.ts";
import { abort, migrationStep } from "./migrations.ts";
import { derivedName, timestamp, wallMsOf } from "./text.ts";
import { protectionOf, type Turn } from "./turn.ts";

/** VMs are asked for this long before they are disturbed, so that it is known how they answer in peace. */
const BASELINE_MS = 3_000;
/** Longer than STABLE_FOR_MS, so that the trace shows that much of the stable state. */
const SETTLE_MS = STABLE_FOR_MS + 1_000;
/** What a run was to do must show within this time, or it was undone by somebody. */
const EFFECT_WITHIN_MS = 15_000;
/** A run that was intended and not begun within its startTimeout and this is not begun any more. */
const START_SLACK_MS = 30_000;
/** How often the probes are looked at while the service is waited for: what they find wakes nobody. */
const LOOK_PERIOD_MS = 500;

/** A run with what it is judged from. */
interface Running {
  readonly turn: Turn;
  readonly drill: DrillFact;
  readonly run: DrillRun;
  readonly slots: MigrationSlots;
  readonly probing: DrillProbing | undefined;
}

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

function act(running: Running): void {
  const { turn, drill, run } = running;
  switch (drill.type) {
    case "LiveMigration":
      migrate(running);
      break;
    case "NodeEvacuation":
      evacuate(running);
      break;
    case "NodeLoss":
      loseNode(running);
      break;
  }
  turn.plan.lookAgain(turn.now.monotonicMs + leftMs(turn, wallMsOf(run.startedAt) + drill.runTimeoutMs));
}

function migrate(running: Running): void {
  const { turn, run, slots } = running;
  const [vm] = run.virtualMachines;
  const vmi = vmiOf(turn, vm);
  if (isAway(running, vm)) return settled(running);
  const migration = migrationOf(running);
  if (migration?.finished === true && !migration.succeeded)
    return finish(
      running,
      failed(
        `the live migration failed${migration.failureReason === undefined ? "" : `: ${migration.failureReason}`}`,
      ),
    );
  if (vmi !== undefined && vmi.uid !== vm?.vmiUID)
    return finish(running, failed("the VM was restarted instead of migrated"));
  if (migration !== undefined) return;
  if (mayBeDoneStill(running, "the live migration is gone") && vmi !== undefined && slots.take(run.node)) {
    const targetSelector = protectionOf(turn.snapshot, vmi.key)?.evacuation.targetSelector ?? {};
    turn.plan.add({ ...migrationStep(turn, vmi, "Drill", targetSelector), name: run.effect ?? "" });
  }
}

/** Whether what the run is to do, and has left no trace of, may be done now; ends the run where that lasts. */
function mayBeDoneStill(running: Running, gone: string): boolean {
  const { turn, drill, run } = running;
  const refusal = whyNotDrill(turn, drill);
  const late = isPast(turn, wallMsOf(run.actedAt ?? run.startedAt) + EFFECT_WITHIN_MS);
  if (refusal !== undefined) turn.plan.refuse(`drill/${drill.name}`, refusal.reason, refusal.message);
  if (!late) return refusal === undefined;
  const message = refusal === undefined ? gone : `${refusal.reason}: ${refusal.message}`;
  end(running, { outcome: "Interrupted", reason: "DrillInterrupted", message });
  return false;
}

/** Cordoned by us, emptied as any cordoned node is, and uncordoned as soon as it is empty. */
function evacuate(running: Running): void {
  const { turn, drill, run } = running;
  const node = turn.snapshot.nodes.get(run.node);
  if (node === undefined) return interrupted(running, `the Node object of ${run.node} is gone`);
  const ours = node.annotations[DRILL_ANNOTATION] === drillMark(drill);
  const cordoned = node.placement.unschedulable;
  if (ours !== cordoned)
    return interrupted(
      running,
      ours ? `somebody has uncordoned ${run.node}` : `somebody else has cordoned ${run.node}`,
    );
  if (!cordoned) {
    if (mayBeDoneStill(running, `somebody has uncordoned ${run.node}`))
      turn.plan.add({ kind: "Cordon", node: run.node, drill: drillMark(drill) });
    return;
  }
  if (run.virtualMachines.every((vm) => isAway(running, vm))) settled(running);
}

/** Fenced by the path of any requested fencing; what happens to its VMs is their failover. */
function loseNode(running: Running): void {
  const { turn, drill, run } = running;
  const fencing = turn.snapshot.fencings.get(run.effect ?? "");
  if (fencing === undefined) {
    const node = turn.snapshot.nodes.get(run.node);
    const topology = turn.topologies.get(run.node);
    if (!mayBeDoneStill(running, "its NodeFencing is gone")) return;
    if (node?.bootID !== run.bootID || node.uid !== run.nodeUID || topology === undefined)
      return interrupted(running, `${run.node} is not what it was: nothing was done`);
    const at = timestamp(turn.now.wallMs);
    turn.plan.add({
      kind: "OpenFencing",
      name: run.effect ?? "",
      node: run.node,
      nodeUID: run.nodeUID,
      bootID: run.bootID,
      topology: topology.name,
      message: `FailoverDrill ${drill.name}, run ${run.number} of ${drill.runs}`,
      detectedAt: at,
      lastSeenAt: at,
      drill: drillMark(drill),
    });
    return;
  }
  if (run.virtualMachines.every((vm) => isAway(running, vm))) return settled(running);
  const { phase, attempts, message = "" } = fencing.status;
  if (phase === "Aborted") return interrupted(running, `its fencing was called off: ${message}`);
  if (attempts.length > 0) return;
  const refusal = whyNotDrill(turn, drill, { fencing: fencing.name });
  if (refusal !== undefined) interrupted(running, `${refusal.reason}: ${refusal.message}`);
}

/** Whether the VM has left the node and is up again, or is not wanted up any more by its owner. */
function isAway({ turn, drill, run }: Running, vm: DrilledVM | undefined): boolean {
  if (vm === undefined) return true;
  const fact = turn.snapshot.vms.get(keyOf(vm));
  if (fact === undefined || fact.deleting || fact.runStrategy === "Halted") return true;
  const vmi = vmiOf(turn, vm);
  if (vmi === undefined || vmi.phase !== "Running" || !vmi.ready || vmi.deleting) return false;
  const protection = protectionOf(turn.snapshot, vmi.key);
  if (protection?.status.failover !== undefined) return false;
  if (drill.type === "NodeLoss") return vmi.uid !== vm.vmiUID;
  return vmi.nodeName !== run.node && (drill.type === "NodeEvacuation" || vmi.uid === vm.vmiUID);
}

function stillAway(running: Running): string {
  const { virtualMachines, node } = running.run;
  const missing = virtualMachines.filter((vm) => !isAway(running, vm));
  return missing.length === 0
    ? "the services do not answer"
    : `${missing.length} of ${virtualMachines.length} VMs from ${node} are not up elsewhere, the first ${keyOf(missing[0])}`;
}

/** All VMs are up elsewhere: written, so that what follows is counted from here whoever leads. */
function settled({ turn, drill, run }: Running): void {
  writeRun(turn, drill, { ...run, step: "Settling", settledAt: timestamp(turn.now.wallMs) });
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

type Cut = Pick<Parameters<typeof writeRunEnd>[2]["end"], "outcome" | "message"> & {
  readonly reason: ConditionReason;
};

function failed(message: string): Cut {
  return { outcome: "Failed", reason: "DrillFailed", message };
}

function interrupted(running: Running, message: string): void {
  end(running, { outcome: "Interrupted", reason: "DrillInterrupted", message });
}

/** Measures the run and ends it; `cut` where it is known already how. The probes are stopped first, for only then they tell. */
function finish(running: Running, cut: Cut | undefined): void {
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
function end(running: Running, cut: Cut): void {
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

function migrationOf({ turn, drill, run }: Running): MigrationFact | undefined {
  const [vm] = run.virtualMachines;
  if (drill.type !== "LiveMigration" || vm === undefined || run.effect === undefined) return undefined;
  return turn.snapshot.migrations.get(`${vm.namespace}/${run.effect}`);
}

function vmiOf(turn: Turn, vm: Pick<DrilledVM, "namespace" | "name"> | undefined): VMIFact | undefined {
  return vm === undefined ? undefined : turn.snapshot.vmis.get(keyOf(vm));
}

function keyOf(vm: Pick<DrilledVM, "namespace" | "name"> | undefined): string {
  return vm === undefined ? "" : `${vm.namespace}/${vm.name}`;
}

/** Whether a wall time has come; if not, asks for a turn when it has. A clock that is wrong costs a drill its timing only. */
function isPast(turn: Turn, atWallMs: number): boolean {
  const left = leftMs(turn, atWallMs);
  if (left <= 0) return true;
  turn.plan.lookAgain(turn.now.monotonicMs + left);
  return false;
}

function leftMs({ now }: Turn, atWallMs: number): number {
  return atWallMs - now.wallMs;
}
