// Which VMs a node keeps from being up, beyond what `status.nodeName` says: a guest may have arrived by live migration, be
// starting there, or have left a pod behind that KubeVirt waits for. Knows nothing of verdicts but which nodes are lost.
import type { ProtectionFact } from "../model/protection.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { isFinal, type VMIFact } from "../model/virtual-machine.ts";
import { willRestart } from "./run-strategy.ts";
import { byImportance, protectionOf, type Turn } from "./turn.ts";

/** The VMs whose return needs the end of a lost node's incarnation to be proven, the most important first. */
export function heldOn(turn: Turn, nodeName: string): readonly ProtectionFact[] {
  const found: ProtectionFact[] = [];
  for (const vmKey of vmKeysOn(turn.snapshot, nodeName)) {
    const protection = protectionOf(turn.snapshot, vmKey);
    const vmi = turn.snapshot.vmis.get(vmKey);
    if (protection === undefined || vmi === undefined) continue;
    if (!protection.failover.enabled || !willRestart(turn, protection)) continue;
    if (isFinal(vmi) && !comesBack(turn, protection, vmi)) continue;
    if (isLostWith(turn.snapshot, vmi, nodeName) || isMovingTo(turn.snapshot, vmi, nodeName))
      found.push(protection);
  }
  return found.sort(byImportance);
}

/** VMs that anything on the node belongs to: their instance, or a pod of theirs. */
export function vmKeysOn({ index, pods }: Snapshot, nodeName: string): ReadonlySet<string> {
  const vmKeys = new Set(index.vmisByNode.get(nodeName));
  for (const key of index.podsByNode.get(nodeName) ?? []) {
    const vmKey = pods.get(key)?.vmKey;
    if (vmKey !== undefined) vmKeys.add(vmKey);
  }
  return vmKeys;
}

/**
 * The lost node without whose end the VM stays down; undefined where there is none. Of several the one that is on record
 * already, so that a record does not go to and fro between them.
 */
export function lostNodeOf(turn: Turn, vmi: VMIFact, onRecord: string | undefined): string | undefined {
  const { index, pods } = turn.snapshot;
  const nodes = new Set(vmi.nodeName === undefined ? [] : [vmi.nodeName]);
  for (const key of index.podsByVM.get(vmi.key) ?? []) {
    const nodeName = pods.get(key)?.nodeName;
    if (nodeName !== undefined) nodes.add(nodeName);
  }
  const lost = [...nodes].filter(
    (node) => turn.verdicts.get(node)?.kind === "lost" && isLostWith(turn.snapshot, vmi, node),
  );
  if (onRecord !== undefined && lost.includes(onRecord)) return onRecord;
  if (vmi.nodeName !== undefined && lost.includes(vmi.nodeName)) return vmi.nodeName;
  return lost.sort()[0];
}

/** Whether KubeVirt, or we, would start the VM again now that its instance has ended. */
export function comesBack({ snapshot }: Turn, protection: ProtectionFact, vmi: VMIFact): boolean {
  const strategy = snapshot.vms.get(protection.vmKey)?.runStrategy;
  if (strategy === "Always") return true;
  if (vmi.phase !== "Failed") return false;
  return strategy === "RerunOnFailure" || protection.status.failover?.vmiUID === vmi.uid;
}

/** Whether the VM goes down with the node, or cannot come up before the node's pods are gone. */
export function isLostWith(snapshot: Snapshot, vmi: VMIFact, nodeName: string): boolean {
  if (vmi.nodeName === nodeName && !isFinal(vmi)) return true;
  if (!hasLauncherOn(snapshot, vmi, nodeName)) return false;
  // KubeVirt keeps a VMI that has ended until the last of its pods is gone, and starts no other before.
  if (isFinal(vmi) || vmi.nodeName === undefined) return true;
  return isMovingTo(snapshot, vmi, nodeName) && hasSwitched(snapshot, vmi);
}

/** Whether its live migration has moved the guest to that node, whatever `status.nodeName` still says. */
export function hasSwitchedTo({ migration }: VMIFact, nodeName: string): boolean {
  return migration?.targetNode === nodeName && migration.targetReady;
}

/** A live migration to the node is under way. While it is, KubeVirt leaves the VM to it, alive at its source or not. */
function isMovingTo(snapshot: Snapshot, vmi: VMIFact, nodeName: string): boolean {
  const { migration } = vmi;
  return migration?.targetNode === nodeName && !migration.ended && hasLauncherOn(snapshot, vmi, nodeName);
}

/**
 * Whether the guest has left the node that its VMI names: the target has said so, or its launcher there has ended, which it
 * does within seconds of the switch. `status.nodeName` follows only by a word of the target, which may have died first.
 */
function hasSwitched(snapshot: Snapshot, vmi: VMIFact): boolean {
  return vmi.migration?.targetReady === true || !hasLauncherOn(snapshot, vmi, vmi.nodeName);
}

/** Whether a launcher of this instance has not ended there. */
function hasLauncherOn({ index, pods }: Snapshot, vmi: VMIFact, nodeName: string | undefined): boolean {
  for (const key of index.podsByVM.get(vmi.key) ?? []) {
    const pod = pods.get(key);
    if (pod?.kind === "launcher" && pod.nodeName === nodeName && pod.vmiUID === vmi.uid && !pod.finished)
      return true;
  }
  return false;
}
