// After the proof: taint, release, power-on, and the way of a fenced node back among those that may host VMs.
import { type FencingFact, type FencingStatus, parseFenceProof } from "../model/fencing.ts";
import { hasOurTaint, isOutOfService, type NodeFact } from "../model/node.ts";
import { missingForReturn } from "./judge-node.ts";
import { nodeEvent, writeLedger } from "./ledger.ts";
import { decideRelease } from "./release.ts";
import { timestamp } from "./text.ts";
import type { Turn } from "./turn.ts";

/** How long after writing it down we go on trying to power a node on; later it is a person's business. */
const POWER_ON_WINDOW_MS = 180_000;
/** How often the request is repeated within that window; the step itself looks at the state first. */
const POWER_ON_PERIOD_MS = 20_000;

/**
 * A renewal of the fenced incarnation's Lease seen this long after its proof contradicts the proof: the device lied. Not
 * sooner, since a renewal already on its way when the power went may still arrive.
 */
const CONTRADICTION_MS = 5_000;

/**
 * The next step of a fencing whose proof stands: taint, release, power-on, and the node's way back. Follows the order of
 * design §6: a pod deleted before the taint comes back on the dead node and then costs a start back-off (measured).
 */
export function decideProven(turn: Turn, fencing: FencingFact): void {
  const { snapshot, plan } = turn;
  const node = snapshot.nodes.get(fencing.nodeName);
  const proof = parseFenceProof(fencing, node);
  if (proof === undefined) {
    followReturn(turn, fencing, node);
    return;
  }
  const renewal = snapshot.leases.get(fencing.nodeName)?.renewal;
  if (
    renewal !== undefined &&
    fencing.provenAtMs !== undefined &&
    renewal.changedAtMs > fencing.provenAtMs + CONTRADICTION_MS
  ) {
    plan.refuse(
      `node/${fencing.nodeName}`,
      "ProofContradicted",
      `${fencing.nodeName} renews its Lease with the boot ID that was proven off: the fence device's word cannot be trusted, nothing more is released`,
    );
    return;
  }
  if (node !== undefined && !isOutOfService(node)) {
    plan.add({ kind: "Taint", node: node.name, proof });
    return;
  }
  if (decideRelease(turn, fencing, proof) === "open") return;
  if (fencing.status.phase !== "Released") {
    writeLedger(turn, fencing, {
      phase: "Released",
      releasedAt: timestamp(turn.now.wallMs),
      releasedVMs: namedReleases(turn, fencing),
    });
    return;
  }
  powerOn(turn, fencing);
}

function namedReleases(turn: Turn, fencing: FencingFact): FencingStatus["releasedVMs"] {
  const released: FencingStatus["releasedVMs"][number][] = [];
  for (const key of turn.snapshot.index.unsettled) {
    const protection = turn.snapshot.protections.get(key);
    if (protection?.status.failover?.fencing !== fencing.name) continue;
    const goneAtWallMs = turn.snapshot.index.podsGoneAtWallMs.get(protection.vmKey);
    if (goneAtWallMs === undefined) continue;
    released.push({
      namespace: protection.namespace,
      name: protection.vmName,
      priority: protection.priority,
      wave: 0,
      releasedAt: timestamp(goneAtWallMs),
    });
  }
  released.sort((a, b) => (a.releasedAt < b.releasedAt ? -1 : 1));
  return released;
}

function powerOn(turn: Turn, fencing: FencingFact): void {
  const topology = turn.snapshot.topologies.get(fencing.topology ?? "");
  const level =
    topology?.levels.find((one) => one.name === fencing.status.attempts.at(-1)?.level) ?? topology?.levels[0];
  if (topology?.afterFencing !== "PowerOn" || level === undefined) return;
  if (fencing.status.powerOnRequestedAt === undefined) {
    writeLedger(turn, fencing, { powerOnRequestedAt: timestamp(turn.now.wallMs) });
    return;
  }
  const sinceMs = turn.now.monotonicMs - fencing.changedAtMs;
  if (sinceMs > POWER_ON_WINDOW_MS) return;
  turn.plan.add({ kind: "PowerOn", fencing, level });
  turn.plan.lookAgain(turn.now.monotonicMs + POWER_ON_PERIOD_MS);
}

/** The fenced node is back under a new boot ID (or its object is new): lift what is ours once it can be trusted. */
function followReturn(turn: Turn, fencing: FencingFact, node: NodeFact | undefined): void {
  if (node === undefined) return;
  const missing =
    missingForReturn({ ...turn, nowMs: turn.now.monotonicMs }, node, fencing) ??
    oldPodsOn(turn, fencing, node);
  if (missing !== undefined) {
    turn.plan.refuse(`node/${node.name}`, "WaitingForReturn", `${node.name} is back; waiting for ${missing}`);
    turn.plan.lookAgain(turn.now.monotonicMs + 5_000);
    return;
  }
  if (hasOurTaint(node)) {
    turn.plan.add({ kind: "Untaint", node: node.name });
    return;
  }
  writeLedger(
    turn,
    fencing,
    {
      phase: "Returned",
      returnedAt: timestamp(turn.now.wallMs),
      ...(node.bootID === undefined ? {} : { returnedBootID: node.bootID }),
    },
    [
      nodeEvent(
        node,
        "Normal",
        "NodeReturned",
        `${node.name} is back with a new boot ID and takes VMs again`,
      ),
    ],
  );
}

/** Launcher pods of VMIs that were on the node when it was lost and have not ended: the kubelet still has to end them. */
function oldPodsOn(turn: Turn, fencing: FencingFact, node: NodeFact): string | undefined {
  const { snapshot } = turn;
  for (const key of snapshot.index.podsByNode.get(node.name) ?? []) {
    const pod = snapshot.pods.get(key);
    if (pod === undefined || pod.finished || pod.vmKey === undefined) continue;
    const lost = protectionRecord(turn, pod.vmKey);
    if (lost?.fencing === fencing.name && lost.vmiUID === pod.vmiUID)
      return `the kubelet to end the old pod ${pod.key}`;
  }
  return undefined;
}

function protectionRecord(turn: Turn, vmKey: string): { fencing?: string; vmiUID: string } | undefined {
  for (const key of turn.snapshot.index.protectionsByVM.get(vmKey) ?? []) {
    const record = turn.snapshot.protections.get(key)?.status.failover;
    if (record !== undefined) return record;
  }
  return undefined;
}
