// Restarts that KubeVirt leaves to others: Manual VMs get a start call, Once VMs have their failed VMI deleted. Only after
// the lost VMI has ended by KubeVirt's own word, and never while its node may still be running it.
import type { FailoverRecord, ProtectionFact } from "../model/protection.ts";
import { restartLimit } from "./restart-limit.ts";
import { willRestart } from "./run-strategy.ts";
import { protectionOf, type Turn } from "./turn.ts";

/** Steps for VMs of a failover whose run strategy does not bring them back by itself. */
export function decideRestarts(turn: Turn): void {
  const { snapshot } = turn;
  for (const key of snapshot.index.unsettled) {
    const protection = snapshot.protections.get(key);
    const record = protection?.status.failover;
    if (protection === undefined || record === undefined || !protection.failover.enabled) continue;
    if (protectionOf(snapshot, protection.vmKey) !== protection || !willRestart(turn, protection)) continue;
    if (restartLimit(turn, protection) !== undefined || mayStillRun(turn, record)) continue;
    decideRestart(turn, protection, record);
  }
}

function decideRestart(turn: Turn, protection: ProtectionFact, record: FailoverRecord): void {
  const { snapshot, plan } = turn;
  const vm = snapshot.vms.get(protection.vmKey);
  const vmi = snapshot.vmis.get(protection.vmKey);
  // A guest that succeeded has shut down by itself: nobody's failover.
  const failed = vmi?.uid === record.vmiUID && vmi.phase === "Failed";
  if (vm?.runStrategy === "Manual" && (failed || vmi === undefined))
    plan.add({ kind: "StartVM", vmKey: vm.key });
  if (vm?.runStrategy === "Once" && failed && !vmi.deleting)
    plan.add({ kind: "DeleteVMI", vmKey: vm.key, vmiUID: vmi.uid });
}

/**
 * A VMI also fails when somebody removes its pod by force, or the garbage collector does, while its node is merely out of
 * reach. What KubeVirt starts then is its own doing; what we start has to wait for the proof, or for the node to speak.
 */
export function mayStillRun(turn: Turn, record: FailoverRecord): boolean {
  if (turn.snapshot.fencings.get(record.fencing ?? "")?.status.proof !== undefined) return false;
  const verdict = turn.verdicts.get(record.fromNode)?.kind;
  return verdict === "lost" || verdict === "isolated";
}
