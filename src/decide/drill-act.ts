// What a run of a drill does: migrates, empties or loses; each act leaves a trace that the next turn finds.
import { DRILL_ANNOTATION, drillMark } from "../model/drill.ts";
import { end, failed, finish, interrupted } from "./drill-end.ts";
import { whyNotDrill } from "./drill-guards.ts";
import { isAway, isPast, leftMs, migrationOf, type Running, vmiOf } from "./drill-running.ts";
import { writeRun } from "./drill-status.ts";
import { migrationStep } from "./migrations.ts";
import { timestamp, wallMsOf } from "./text.ts";
import { protectionOf } from "./turn.ts";

/** What a run was to do must show within this time, or it was undone by somebody. */
const EFFECT_WITHIN_MS = 15_000;

/** The next step of a run that disturbs, until its VMs are up elsewhere. */
export function act(running: Running): void {
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

/** All VMs are up elsewhere: written, so that what follows is counted from here whoever leads. */
export function settled({ turn, drill, run }: Running): void {
  writeRun(turn, drill, { ...run, step: "Settling", settledAt: timestamp(turn.now.wallMs) });
}
