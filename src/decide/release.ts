// Lets the VMs of fenced nodes go, the most important first. KubeVirt restarts what we let go with few workers and in no
// order (measured: 100 VMs at once, 9 s to the first, 27 s to the last), so we let go only as many as keep those workers
// busy, and the important ones are served first while the last is no later.
import type { FencingFact, FenceProof } from "../model/fencing.ts";
import type { PodRef } from "../model/plan.ts";
import type { ProtectionFact } from "../model/protection.ts";
import { isFinal } from "../model/virtual-machine.ts";
import { isLostWith } from "./held.ts";
import { holdReason } from "./holds.ts";
import { RestartSlots } from "./restart-slots.ts";
import { willRestart } from "./run-strategy.ts";
import { byImportance, protectionOf, type Turn } from "./turn.ts";

/** A node whose VMs may be let go now, and which of them are still there. */
export interface Releasing {
  readonly fencing: FencingFact;
  readonly proof: FenceProof;
  readonly waiting: readonly Waiting[];
}

export interface Waiting {
  readonly protection: ProtectionFact;
  readonly pods: readonly PodRef[];
  /** Its instance is on another node: what is left here is a migration target or a remnant. */
  readonly livesElsewhere: boolean;
}

/** The releases of all nodes together, since their VMs compete for the same slots. */
export function decideReleases(turn: Turn, releasing: readonly Releasing[]): void {
  const all = releasing.flatMap(({ waiting, ...node }) => waiting.map((one) => ({ ...one, ...node })));
  if (all.length === 0) return;
  const slots = new RestartSlots(
    turn,
    releasing.map(({ fencing }) => fencing),
  );
  for (const one of all.sort((a, b) => byImportance(a.protection, b.protection))) {
    if (!one.livesElsewhere && !mayGo(turn, one, slots)) continue;
    turn.plan.add({
      kind: "Release",
      vmKey: one.protection.vmKey,
      pods: one.pods,
      proof: one.proof,
      priority: one.protection.priority,
    });
  }
}

function mayGo(turn: Turn, one: Waiting & { readonly fencing: FencingFact }, slots: RestartSlots): boolean {
  const hold = holdReason(turn, one.fencing, one.protection);
  if (hold !== undefined) {
    if (hold.lookAgainAtMs !== undefined) turn.plan.lookAgain(hold.lookAgainAtMs);
    return false;
  }
  return !willRestart(turn, one.protection) || slots.take();
}

/**
 * Pods on the node by the VM they hold: its launcher, its hot-plug pods, and also a dead migration target's, which would
 * hold up every later migration of a VM that lives elsewhere (KubeVirt counts it as a second active pod). A pod that has
 * ended holds only the VM whose instance is still said to run in it.
 */
export function waitingOn(turn: Turn, nodeName: string): readonly Waiting[] {
  const { snapshot } = turn;
  const podsByVM = new Map<string, PodRef[]>();
  for (const key of snapshot.index.podsByNode.get(nodeName) ?? []) {
    const pod = snapshot.pods.get(key);
    if (pod?.vmKey === undefined) continue;
    if (pod.finished && snapshot.vmis.get(pod.vmKey)?.nodeName !== nodeName) continue;
    const pods = podsByVM.get(pod.vmKey) ?? [];
    pods.push({ namespace: pod.namespace, name: pod.name, uid: pod.uid });
    podsByVM.set(pod.vmKey, pods);
  }
  const waiting: Waiting[] = [];
  for (const [vmKey, pods] of podsByVM) {
    const protection = protectionOf(snapshot, vmKey);
    if (protection === undefined) continue;
    const vmi = snapshot.vmis.get(vmKey);
    const livesElsewhere =
      vmi?.nodeName !== undefined && !isFinal(vmi) && !isLostWith(snapshot, vmi, nodeName);
    waiting.push({ protection, pods, livesElsewhere });
  }
  return waiting;
}

/** Whether the release is not over while this one waits: a VM that is never to be released keeps no ledger open. */
export function isHeldOpen({ protection, livesElsewhere }: Waiting): boolean {
  return livesElsewhere || protection.failover.enabled;
}
