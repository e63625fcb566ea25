// After the proof: taint, release, power-on, and the way of a fenced node back among those that may host VMs.
import {
  type AttemptOutcome,
  type FencingFact,
  isExternal,
  type FencingStatus,
  MAX_RELEASED_NAMED,
  parseFenceProof,
  type PowerLevel,
} from "../model/fencing.ts";
import { hasOurTaint, isOutOfService, type NodeFact } from "../model/node.ts";
import { isDisarmed } from "./disarm.ts";
import { nodeEvent } from "./event.ts";
import { isHeardNow, missingForReturn, sawChangeAfter } from "./judge-node.ts";
import { writeLedger } from "./ledger.ts";
import { quarantine } from "./quarantine.ts";
import { isHeldOpen, type Releasing, waitingOn } from "./release.ts";
import { timestamp, wallMsOf } from "./text.ts";
import { decideLifting, decideUndoing } from "./undoing.ts";
import { protectionOf, type Turn } from "./turn.ts";

/** How long after writing it down we go on trying to power a node on; later it is a person's business. */
const POWER_ON_WINDOW_MS = 180_000;
/** Ends of attempts that may have left a request behind which acts later. */
const MAY_ACT_LATE: ReadonlySet<AttemptOutcome> = new Set(["StillOn", "TimedOut", "Abandoned"]);
/** How often the request is repeated within that window; the step itself looks at the state first. */
const POWER_ON_PERIOD_MS = 20_000;

/**
 * A sign of life of the fenced incarnation, seen this long after its proof, contradicts the proof: the device lied. Not
 * sooner, since a request already on its way when the power went may still arrive.
 */
const CONTRADICTION_MS = 5_000;

/**
 * The next step of a fencing whose proof stands: taint, release, power-on, and the node's way back; what is to be
 * released is returned, since VMs of all nodes compete for the same slots. Follows the order of design §6: a pod deleted
 * before the taint comes back on the dead node and then costs a start back-off (measured).
 */
export function decideProven(turn: Turn, fencing: FencingFact): Releasing | undefined {
  const { snapshot, plan } = turn;
  const node = snapshot.nodes.get(fencing.nodeName);
  const proof = parseFenceProof(fencing, node);
  if (proof === undefined) {
    followReturn(turn, fencing, node);
    return undefined;
  }
  const liar = whoContradicts(turn, fencing, node);
  if (liar !== undefined) {
    plan.refuse(
      `node/${fencing.nodeName}`,
      "ProofContradicted",
      `${liar} of ${fencing.nodeName} is heard under the boot ID that was proven off (${fencing.status.proof?.type ?? ""}): that word cannot be trusted, nothing more is released`,
    );
    return undefined;
  }
  if (node !== undefined && !isOutOfService(node)) {
    plan.add({ kind: "Taint", node: node.name, proof });
    return undefined;
  }
  const waiting = waitingOn(turn, fencing.nodeName);
  if (waiting.some((one) => isHeldOpen(one))) return { fencing, proof, waiting };
  if (fencing.status.phase === "Released") powerOn(turn, fencing);
  else {
    writeLedger(turn, fencing, {
      phase: "Released",
      releasedAt: timestamp(turn.now.wallMs),
      releasedVMs: namedReleases(turn, fencing),
      message: "every VM in our care has been released from it",
      // Intended in the same write, to save one of the few that a failover may cost.
      ...(powerOnLevel(turn, fencing) === undefined
        ? {}
        : { powerOnRequestedAt: timestamp(turn.now.wallMs) }),
    });
  }
  return waiting.length === 0 ? undefined : { fencing, proof, waiting };
}

/**
 * Who of the incarnation that was proven off has been heard since, if anybody. Storage that refuses a node says nothing
 * of its life, so no sign of life contradicts it.
 */
function whoContradicts(turn: Turn, fencing: FencingFact, node: NodeFact | undefined): string | undefined {
  if (fencing.provenAtMs === undefined || fencing.status.proof?.type === "StorageFenced") return undefined;
  const sinceMs = fencing.provenAtMs + CONTRADICTION_MS;
  const lease = turn.snapshot.leases.get(fencing.nodeName);
  // Once all are released a node may be switched on again, and then renews its Lease before it tells its new boot ID.
  const twice = fencing.status.phase !== "Released" || (lease?.renewedBeforeMs ?? 0) > sinceMs;
  if (twice && sawChangeAfter(lease?.renewal, sinceMs)) return "the kubelet";
  return sawChangeAfter(node?.heartbeat, sinceMs) ? "virt-handler" : undefined;
}

/** The VMs that went under this ledger, the first first: those still coming up, and those that are up again. */
function namedReleases(turn: Turn, fencing: FencingFact): FencingStatus["releasedVMs"] {
  const released: FencingStatus["releasedVMs"][number][] = [];
  for (const [vmKey, gone] of turn.snapshot.index.podsGone) {
    if (gone.node !== fencing.nodeName || gone.at.wallMs < wallMsOf(fencing.detectedAt)) continue;
    const protection = protectionOf(turn.snapshot, vmKey);
    if (protection === undefined) continue;
    released.push({
      namespace: protection.namespace,
      name: protection.vmName,
      priority: protection.priority,
      wave: 0,
      releasedAt: timestamp(gone.at.wallMs),
    });
  }
  released.sort((a, b) => (a.releasedAt < b.releasedAt ? -1 : 1));
  return released.slice(0, MAX_RELEASED_NAMED);
}

/**
 * The level whose device is to switch the node on again, where that is wanted: the one that proved it off. What others
 * did to the node they undo themselves, and a person who vouches for it may be at work inside.
 */
function powerOnLevel(turn: Turn, fencing: FencingFact): PowerLevel | undefined {
  if (fencing.status.proof?.type !== "PowerOff") return undefined;
  // A request may leave it out: then the one in charge of the node counts.
  const topology =
    turn.snapshot.topologies.get(fencing.topology ?? "") ?? turn.topologies.get(fencing.nodeName);
  if (topology?.afterFencing !== "PowerOn") return undefined;
  const { attempts, proof } = fencing.status;
  const proving = attempts.find((one) => one.number === proof?.attempt) ?? attempts.at(-1);
  const switching = topology.levels.flatMap((level) => (isExternal(level) ? [] : [level]));
  return switching.find((one) => one.name === proving?.level) ?? switching[0];
}

function powerOn(turn: Turn, fencing: FencingFact): void {
  const level = powerOnLevel(turn, fencing);
  if (level === undefined) return;
  // Where the topology has been changed since.
  if (fencing.status.powerOnRequestedAt === undefined) {
    writeLedger(turn, fencing, { powerOnRequestedAt: timestamp(turn.now.wallMs) });
    return;
  }
  const quietAtMs = noLateOffAtMs(turn, fencing);
  if (turn.now.monotonicMs < quietAtMs) {
    turn.plan.lookAgain(quietAtMs);
    return;
  }
  if (turn.now.monotonicMs - Math.max(fencing.changedAtMs, quietAtMs) > POWER_ON_WINDOW_MS) return;
  // Whoever works on it with its power off must not have it switched on.
  if (isDisarmed(turn, fencing.nodeName, `${fencing.nodeName} is not switched on`)) return;
  turn.plan.add({ kind: "PowerOn", fencing, level });
  turn.plan.lookAgain(turn.now.monotonicMs + POWER_ON_PERIOD_MS);
}

/**
 * Monotonic time from which no request to cut the power is expected to act any more. A BMC that agreed and was still On at
 * the end of the attempt may act on each of the requests, as late as it has shown to be: the last one would hit the node when
 * it runs again.
 */
function noLateOffAtMs(turn: Turn, { provenAtMs = 0, status: { attempts } }: FencingFact): number {
  const first = attempts.find(({ outcome }) => MAY_ACT_LATE.has(outcome));
  const last = attempts.findLast(({ outcome }) => outcome === "PoweredOff" || MAY_ACT_LATE.has(outcome));
  if (first === undefined) return provenAtMs;
  const apartMs = wallMsOf(last?.startedAt ?? "") - wallMsOf(first.startedAt);
  return provenAtMs + Math.max(0, Math.min(turn.policy.latePowerOffGraceMs, apartMs));
}

/** The fenced node is back under a new boot ID (or its object is new): lift what is ours once it can be trusted. */
function followReturn(turn: Turn, fencing: FencingFact, node: NodeFact | undefined): void {
  if (node === undefined || decideLifting(turn, fencing)) return;
  const missing =
    missingForReturn({ ...turn, nowMs: turn.now.monotonicMs }, node, fencing) ??
    oldPodsOn(turn, fencing, node);
  if (missing !== undefined) {
    turn.plan.refuse(`node/${node.name}`, "WaitingForReturn", `${node.name} is back; waiting for ${missing}`);
    turn.plan.lookAgain(turn.now.monotonicMs + 5_000);
    return;
  }
  if (decideUndoing(turn, fencing, "Rebooted")) return;
  if (quarantine(turn, fencing, node)) return;
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

/**
 * Our taint on a node without a ledger, for instance because somebody deleted it: nobody else would ever lift it. Only
 * from a node that is heard, so that no incarnation is let back that a proof was about.
 */
export function liftOrphanedTaints(turn: Turn): void {
  for (const node of turn.snapshot.nodes.values()) {
    if (!hasOurTaint(node) || turn.openFencings.has(node.name) || node.ready !== "True") continue;
    if (turn.verdicts.get(node.name)?.kind !== "healthy") continue;
    if (isHeardNow({ ...turn, nowMs: turn.now.monotonicMs }, node.name))
      turn.plan.add({ kind: "Untaint", node: node.name });
  }
}
