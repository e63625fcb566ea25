// Why a VM on a node that is proven off is not let go yet. Every wait ends by itself, or says what would end it.
import type { FencingFact } from "../model/fencing.ts";
import type { ProtectionFact } from "../model/protection.ts";
import { isFinal } from "../model/virtual-machine.ts";
import { isInCycle } from "./dependencies.ts";
import { restartLimit } from "./restart-limit.ts";
import { seconds } from "./text.ts";
import type { Turn } from "./turn.ts";

export interface Hold {
  /** When time alone may end it; undefined where only an event can. */
  readonly lookAgainAtMs: number | undefined;
}

/** Why a VM is not let go yet, or undefined. What stands in the way is told in the plan's refusals. */
export function holdReason(turn: Turn, fencing: FencingFact, protection: ProtectionFact): Hold | undefined {
  const about = `vm/${protection.vmKey}`;
  if (!protection.failover.enabled) {
    turn.plan.refuse(about, "FailoverDisabled", "failover.enabled is false: the VM is left where it was");
    return { lookAgainAtMs: undefined };
  }
  const limit = restartLimit(turn, protection);
  if (limit !== undefined) {
    turn.plan.refuse(about, "RestartLimitReached", limit);
    return { lookAgainAtMs: undefined };
  }
  return migrationHold(turn, fencing, protection) ?? dependencyHold(turn, fencing, protection);
}

/**
 * The guest had already switched to a living target when its source died: the target's virt-handler acknowledges by
 * itself within seconds, and then nothing has to be restarted (KubeVirt migration-target.go). Deleting the source pod
 * before that would kill a living guest.
 */
function migrationHold(turn: Turn, fencing: FencingFact, protection: ProtectionFact): Hold | undefined {
  const migration = turn.snapshot.vmis.get(protection.vmKey)?.migration;
  if (migration === undefined || migration.ended || !migration.targetReady) return undefined;
  if (migration.sourceNode !== fencing.nodeName || migration.targetNode === undefined) return undefined;
  const untilMs = (fencing.provenAtMs ?? 0) + turn.policy.migrationAckGraceMs;
  if (!isTrusted(turn, migration.targetNode) || turn.now.monotonicMs >= untilMs) return undefined;
  turn.plan.refuse(
    `vm/${protection.vmKey}`,
    "WaitingForMigrationTarget",
    `its live migration to ${migration.targetNode} had already switched; waiting for the target to say so`,
  );
  return { lookAgainAtMs: untilMs };
}

function dependencyHold(turn: Turn, fencing: FencingFact, protection: ProtectionFact): Hold | undefined {
  if (protection.dependsOn.length === 0 || isInCycle(turn.snapshot, protection)) return undefined;
  for (const dependency of protection.dependsOn) {
    const other = turn.snapshot.protections.get(`${protection.namespace}/${dependency.name}`);
    if (other === undefined || isUp(turn, other, dependency.condition)) continue;
    if (!isComing(turn, other)) continue;
    const untilMs = (fencing.provenAtMs ?? 0) + dependency.timeoutMs;
    if (turn.now.monotonicMs >= untilMs) continue;
    turn.plan.refuse(
      `vm/${protection.vmKey}`,
      "WaitingForDependency",
      `waits for ${dependency.name} to be ${dependency.condition}, at most ${seconds(dependency.timeoutMs)} after the proof`,
    );
    return { lookAgainAtMs: untilMs };
  }
  return undefined;
}

/** Whether the other VM can be expected up at all: one that somebody has stopped is not waited for. */
function isComing(turn: Turn, protection: ProtectionFact): boolean {
  const vm = turn.snapshot.vms.get(protection.vmKey);
  if (vm === undefined || vm.deleting || vm.runStrategy === "Halted") return false;
  const vmi = turn.snapshot.vmis.get(protection.vmKey);
  const runs = vmi !== undefined && !isFinal(vmi);
  return runs || vm.runStrategy === "Always" || protection.status.failover !== undefined;
}

function isUp(turn: Turn, protection: ProtectionFact, condition: "Running" | "Ready"): boolean {
  const vmi = turn.snapshot.vmis.get(protection.vmKey);
  if (vmi === undefined || isFinal(vmi) || vmi.phase !== "Running" || vmi.nodeName === undefined)
    return false;
  return isTrusted(turn, vmi.nodeName) && (condition === "Running" || vmi.ready);
}

/** A node that may be slow counts as alive until it is lost. */
function isTrusted(turn: Turn, nodeName: string): boolean {
  const kind = turn.verdicts.get(nodeName)?.kind;
  return kind === "healthy" || kind === "suspect";
}
