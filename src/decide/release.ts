// Lets the VMs of a fenced node go, the most important first. KubeVirt restarts what we let go with few workers and in no
// order (measured: 100 VMs at once, 9 s to the first, 27 s to the last), so we let go only as many as keep those workers
// busy, and the important ones are served first while the last is no later.
import type { FencingFact, FenceProof } from "../model/fencing.ts";
import type { PodRef } from "../model/plan.ts";
import type { ProtectionFact } from "../model/protection.ts";
import { isFinal, type VMFact, type VMIFact } from "../model/virtual-machine.ts";
import { byImportance, protectionOf, type Turn } from "./turn.ts";
import { seconds, wallMsOf } from "./text.ts";
import { isInCycle } from "./dependencies.ts";

/** `open` while VMs in our care still wait on the node, `done` when none does. */
export function decideRelease(turn: Turn, fencing: FencingFact, proof: FenceProof): "open" | "done" {
  const waiting = waitingOn(turn, fencing.nodeName);
  let slots = turn.policy.maxRestartsInFlight - restartsInFlight(turn);
  for (const { protection, pods } of waiting) {
    const hold = holdReason(turn, fencing, protection);
    if (hold !== undefined) {
      if (hold.lookAgainAtMs !== undefined) turn.plan.lookAgain(hold.lookAgainAtMs);
      continue;
    }
    const takesSlot = willRestart(turn, protection);
    if (takesSlot && slots <= 0) {
      turn.plan.lookAgain(turn.now.monotonicMs + turn.policy.restartSlotMs);
      continue;
    }
    if (takesSlot) slots -= 1;
    turn.plan.add({ kind: "Release", vmKey: protection.vmKey, pods, proof, priority: protection.priority });
  }
  return waiting.some(({ protection }) => protection.failover.enabled) ? "open" : "done";
}

interface Waiting {
  readonly protection: ProtectionFact;
  readonly pods: readonly PodRef[];
}

/**
 * Pods on the node by the VM they hold: its launcher, its hot-plug pods, and also a dead migration target's, which would
 * hold up every later migration of a VM that lives elsewhere (KubeVirt counts it as a second active pod).
 */
function waitingOn(turn: Turn, nodeName: string): readonly Waiting[] {
  const { snapshot } = turn;
  const podsByVM = new Map<string, PodRef[]>();
  for (const key of snapshot.index.podsByNode.get(nodeName) ?? []) {
    const pod = snapshot.pods.get(key);
    if (pod?.vmKey === undefined) continue;
    const pods = podsByVM.get(pod.vmKey) ?? [];
    pods.push({ namespace: pod.namespace, name: pod.name, uid: pod.uid });
    podsByVM.set(pod.vmKey, pods);
  }
  const waiting: Waiting[] = [];
  for (const [vmKey, pods] of podsByVM) {
    const protection = protectionOf(snapshot, vmKey);
    if (protection !== undefined) waiting.push({ protection, pods });
  }
  return waiting.sort((a, b) => byImportance(a.protection, b.protection));
}

/**
 * VMs let go whose replacement has not been placed yet. A replacement that the scheduler cannot place, or that takes
 * longer than `restartSlotMs`, no longer counts, so that it cannot hold up the others.
 */
function restartsInFlight(turn: Turn): number {
  const { snapshot } = turn;
  let count = 0;
  for (const key of snapshot.index.unsettled) {
    const protection = snapshot.protections.get(key);
    const record = protection?.status.failover;
    if (protection === undefined || record === undefined) continue;
    const vm = snapshot.vms.get(protection.vmKey);
    if (vm === undefined || vm.deleting || !willRestart(turn, protection)) continue;
    if (hasPodOn(turn, protection.vmKey, record.fromNode)) continue;
    if (isOnItsWay(turn, snapshot.vmis.get(protection.vmKey), record.vmiUID)) count += 1;
  }
  return count;
}

function isOnItsWay(turn: Turn, vmi: VMIFact | undefined, lostUID: string): boolean {
  if (vmi === undefined || vmi.uid === lostUID) return true;
  if (vmi.phase !== "Pending" && vmi.phase !== "Scheduling") return false;
  if (turn.now.monotonicMs - vmi.firstSeenMs > turn.policy.restartSlotMs) return false;
  for (const key of turn.snapshot.index.podsByVM.get(vmi.key) ?? []) {
    if (turn.snapshot.pods.get(key)?.unschedulable !== undefined) return false;
  }
  return true;
}

function hasPodOn(turn: Turn, vmKey: string, nodeName: string): boolean {
  for (const key of turn.snapshot.index.podsByVM.get(vmKey) ?? []) {
    if (turn.snapshot.pods.get(key)?.nodeName === nodeName) return true;
  }
  return false;
}

/** Whether letting the VM go makes KubeVirt, or us, start it again. */
export function willRestart(turn: Turn, protection: ProtectionFact): boolean {
  const vm: VMFact | undefined = turn.snapshot.vms.get(protection.vmKey);
  if (vm === undefined || vm.deleting) return false;
  switch (vm.runStrategy) {
    case "Always":
    case "RerunOnFailure":
      return true;
    case "Manual":
      return protection.failover.startManual;
    case "Once":
      return protection.failover.restartOnce;
    case "Halted":
    case "WaitAsReceiver":
      return false;
  }
}

interface Hold {
  readonly lookAgainAtMs: number | undefined;
}

/** Why a VM is not let go yet, or undefined. What stands in the way is told in the plan's refusals. */
function holdReason(turn: Turn, fencing: FencingFact, protection: ProtectionFact): Hold | undefined {
  const about = `vm/${protection.vmKey}`;
  if (!protection.failover.enabled) {
    turn.plan.refuse(about, "FailoverDisabled", "failover.enabled is false: the VM is left where it was");
    return { lookAgainAtMs: undefined };
  }
  const limit = restartLimit(turn, protection);
  if (limit !== undefined) {
    turn.plan.refuse(about, "RestartLimitReached", limit);
    return { lookAgainAtMs: turn.now.monotonicMs + 60_000 };
  }
  return migrationHold(turn, fencing, protection) ?? dependencyHold(turn, fencing, protection);
}

/** What to say where the VM has been restarted as often as it may within its window, else undefined. */
export function restartLimit(turn: Turn, protection: ProtectionFact): string | undefined {
  const { maxRestarts, restartWindowMs } = protection.failover;
  const recent = protection.status.outages.filter(
    (outage) => turn.now.wallMs - wallMsOf(outage.lostAt) < restartWindowMs,
  ).length;
  if (recent < maxRestarts) return undefined;
  return `restarted ${recent} times within ${seconds(restartWindowMs)}, limit ${maxRestarts}: it stays down until the window has passed or failover.maxRestarts is raised`;
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
  const target = turn.verdicts.get(migration.targetNode);
  const untilMs = (fencing.provenAtMs ?? 0) + turn.policy.migrationAckGraceMs;
  if (target?.kind !== "healthy" || turn.now.monotonicMs >= untilMs) return undefined;
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
    const vm = turn.snapshot.vms.get(other.vmKey);
    if (vm === undefined || vm.runStrategy === "Halted") continue;
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

function isUp(turn: Turn, protection: ProtectionFact, condition: "Running" | "Ready"): boolean {
  const vmi = turn.snapshot.vmis.get(protection.vmKey);
  if (vmi === undefined || isFinal(vmi) || vmi.phase !== "Running" || vmi.nodeName === undefined)
    return false;
  const verdict = turn.verdicts.get(vmi.nodeName);
  if (verdict?.kind !== "healthy" && verdict?.kind !== "suspect") return false;
  return condition === "Running" || vmi.ready;
}
