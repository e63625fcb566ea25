// What a status remembers of a failover, from the loss of the node until the VM is really up again. Written twice per VM,
// at its beginning and at its end; in between only when something stands in the way.
import type { FencingFact } from "../model/fencing.ts";
import type { DisplacedFrom, FailoverRecord, OutageRecord } from "../model/protection.ts";
import { MAX_OUTAGES_KEPT } from "../model/protection.ts";
import { isFinal, type VMFact, type VMIFact } from "../model/virtual-machine.ts";
import { whatBlocks } from "./blocked.ts";
import { comesBack, hasSwitchedTo, lostNodeOf } from "./held.ts";
import { isHeardNow, lastHeardWallMs } from "./judge-node.ts";
import { isInCharge, type Subject } from "./subject.ts";
import { timestamp, wallMsOf } from "./text.ts";
import { protectionOf } from "./turn.ts";

/** A VM that KubeVirt calls stopped so long after its instance has gone was not about to be started again. */
const STOPPED_SETTLES_MS = 30_000;
/** Within this time of a node's return its kubelet and virt-handler have ended all instances of the life before. */
const NEXT_LIFE_SETTLES_MS = 60_000;

export interface FailoverStep {
  readonly failover: FailoverRecord | undefined;
  readonly outages: readonly OutageRecord[];
  /** Set when the VM has just arrived elsewhere, or has been lost a second time on its way. */
  readonly left: DisplacedFrom | undefined;
}

/** The record as it should stand now. */
export function nextFailover(subject: Subject): FailoverStep {
  const { outages } = subject.protection.status;
  const failover = standingRecord(subject);
  const leftFrom = (node: string): DisplacedFrom => ({
    node,
    cause: "Failover",
    since: timestamp(subject.turn.now.wallMs),
  });
  const opened = lossOf(subject, failover);
  if (opened !== undefined) {
    const moved = failover !== undefined && failover.fromNode !== opened.fromNode;
    const left = moved ? leftFrom(failover.fromNode) : undefined;
    return { failover: describe(subject, opened), outages, left };
  }
  if (failover === undefined) return { failover, outages, left: undefined };
  const ended = howItEnded(subject, failover);
  if (ended === undefined) return { failover: describe(subject, failover), outages, left: undefined };
  const arrived = ended.vmi?.nodeName;
  const left =
    arrived === undefined || arrived === failover.fromNode ? undefined : leftFrom(failover.fromNode);
  if (!ended.restarted) return { failover: undefined, outages, left };
  const outage = outageOf(subject, failover, ended.vmi);
  return { failover: undefined, outages: [outage, ...outages].slice(0, MAX_OUTAGES_KEPT), left };
}

/**
 * The record that stands for the VM. It goes with the charge: where a person writes an HAVirtualMachine in the middle of
 * a failover, that one carries it on, and the other lets go of it.
 */
function standingRecord(subject: Subject): FailoverRecord | undefined {
  const { turn, protection } = subject;
  const own = protection.status.failover;
  const inCharge = protectionOf(turn.snapshot, protection.vmKey);
  if (inCharge !== protection) return inCharge?.status.failover === undefined ? own : undefined;
  if (own !== undefined) return own;
  for (const key of turn.snapshot.index.protectionsByVM.get(protection.vmKey) ?? []) {
    const other = turn.snapshot.protections.get(key);
    // One that is being deleted is written no more, so what its status says may long be over.
    if (other?.status.failover !== undefined && !other.deleting) return other.status.failover;
  }
  return undefined;
}

/**
 * The record of the loss of the node that the VM is down with; undefined where none is lost or it is on record already. A
 * second loss on the way up carries the record on to the second node: the outage is the same one.
 */
function lossOf(subject: Subject, before: FailoverRecord | undefined): FailoverRecord | undefined {
  const { turn, vm, vmi } = subject;
  if (vmi === undefined || !isMeantToRun(vm) || !isInCharge(subject)) return undefined;
  if (isFinal(vmi) && !comesBack(turn, subject.protection, vmi)) return undefined;
  // It has not run yet: if its node reboots, the kubelet starts this very instance, and nothing was lost.
  if (!isFinal(vmi) && vmi.nodeName === undefined) return undefined;
  const { uid } = vmi;
  // Its successor was up already: what we see of it is older than what we wrote.
  if (subject.protection.status.outages.some(({ vmiUID }) => vmiUID === uid)) return undefined;
  const onRecord = before?.vmiUID === uid ? before.fromNode : undefined;
  const nodeName = lostNodeOf(turn, vmi, onRecord);
  if (nodeName === undefined || nodeName === onRecord) return undefined;
  const open = turn.openFencings.get(nodeName);
  const opening = turn.plan.openings.get(nodeName);
  const fencing = open?.name ?? opening?.name;
  const lastHeard = (): string => timestamp(lastHeardWallMs(turn.snapshot, nodeName, turn.now));
  return {
    ...(fencing === undefined ? {} : { fencing }),
    fromNode: nodeName,
    vmiUID: uid,
    lastGoodAt: before?.lastGoodAt ?? open?.lastSeenAt ?? opening?.lastSeenAt ?? lastHeard(),
    lostAt: before?.lostAt ?? open?.detectedAt ?? opening?.detectedAt ?? timestamp(turn.now.wallMs),
    phase: "Recovering",
    message: "",
  };
}

function isMeantToRun(vm: VMFact | undefined): boolean {
  return vm !== undefined && !vm.deleting && vm.runStrategy !== "Halted";
}

/** Fills in phase and message; they change only when something stands in the way or no longer does. */
function describe(subject: Subject, record: FailoverRecord): FailoverRecord {
  const { turn } = subject;
  const { fromNode } = record;
  const open = turn.openFencings.get(fromNode)?.name ?? turn.plan.openings.get(fromNode)?.name;
  const stoodDown = fencingOf(subject, record)?.status.phase === "Aborted";
  const fencing = record.fencing === undefined || stoodDown ? (open ?? record.fencing) : record.fencing;
  const named = { ...record, ...(fencing === undefined ? {} : { fencing }) };
  const blocked = whatBlocks(subject, named);
  return {
    ...named,
    phase: blocked === undefined ? "Recovering" : "Blocked",
    message:
      blocked ??
      `${fromNode} is lost${fencing === undefined ? "" : `; progress is in NodeFencing ${fencing}`}`,
  };
}

interface Ending {
  readonly restarted: boolean;
  readonly vmi: VMIFact | undefined;
}

function howItEnded(subject: Subject, record: FailoverRecord): Ending | undefined {
  const { turn, vm, vmi } = subject;
  if (vm === undefined || vm.runStrategy === "Halted") return { restarted: false, vmi: undefined };
  // It ended by itself, and KubeVirt does not start it again for that.
  if (vmi?.phase === "Succeeded" && vm.runStrategy !== "Always") return { restarted: false, vmi: undefined };
  if (vmi === undefined && wasStoppedMeanwhile(subject, vm)) return { restarted: false, vmi: undefined };
  if (vmi === undefined || vmi.phase !== "Running" || vmi.nodeName === undefined || !vmi.ready)
    return undefined;
  const verdict = turn.verdicts.get(vmi.nodeName)?.kind;
  if (vmi.uid !== record.vmiUID) {
    const runs = verdict === "healthy" || verdict === "suspect" || verdict === "returning";
    return runs ? { restarted: true, vmi } : undefined;
  }
  return verdict === "healthy" && survived(subject, record, vmi.nodeName)
    ? { restarted: false, vmi }
    : undefined;
}

/**
 * Whether its instance was deleted by somebody before it failed: KubeVirt leaves a RerunOnFailure VM stopped then. What it
 * says so soon after the instance has gone may be older than its own wish to start the VM again.
 */
function wasStoppedMeanwhile({ turn, protection }: Subject, vm: VMFact): boolean {
  if (vm.runStrategy !== "RerunOnFailure" || vm.printableStatus !== "Stopped") return false;
  const gone = turn.snapshot.index.podsGone.get(protection.vmKey);
  const settledAtMs = (gone?.at.monotonicMs ?? Number.NEGATIVE_INFINITY) + STOPPED_SETTLES_MS;
  if (turn.now.monotonicMs >= settledAtMs) return true;
  turn.plan.lookAgain(settledAtMs);
  return false;
}

/**
 * Whether the same guest still runs: its node is heard again, or its migration had already switched to another. Not
 * where the incarnation that it ran on has been proven ended, whatever its VMI still says.
 */
function survived(subject: Subject, record: FailoverRecord, nodeName: string): boolean {
  const { turn, vmi } = subject;
  if (turn.openFencings.has(nodeName)) return false;
  // Its guest had moved to the node that was lost: at its source there is nothing but the VMI's word.
  if (vmi !== undefined && nodeName !== record.fromNode && hasSwitchedTo(vmi, record.fromNode)) return false;
  if (!isHeardNow({ ...turn, nowMs: turn.now.monotonicMs }, nodeName)) return false;
  const fencing = fencingOf(subject, record);
  if (nodeName !== record.fromNode || fencing?.status.proof === undefined) return true;
  // It began in the node's next life already, before we heard of that: what died with the last one does not stay Ready.
  if (fencing.status.phase !== "Returned") return false;
  const settledAtMs = fencing.changedAtMs + NEXT_LIFE_SETTLES_MS;
  if (turn.now.monotonicMs >= settledAtMs) return true;
  turn.plan.lookAgain(settledAtMs);
  return false;
}

function outageOf(subject: Subject, record: FailoverRecord, vmi: VMIFact | undefined): OutageRecord {
  const { turn, protection } = subject;
  const proof = fencingOf(subject, record)?.status.proof;
  const gone = turn.snapshot.index.podsGone.get(protection.vmKey);
  // The pod that we last saw go may be another one, of an earlier or a later move; and without a proof nothing was released,
  // whoever took it away.
  const isOurs = proof !== undefined && gone?.node === record.fromNode;
  const released = isOurs && gone.at.wallMs >= wallMsOf(record.lostAt) ? gone.at.wallMs : undefined;
  const at = (
    key: "releasedAt" | "scheduledAt" | "runningAt" | "readyAt",
    wallMs: number | undefined,
  ): Record<string, string> => (wallMs === undefined ? {} : { [key]: timestamp(wallMs) });
  return {
    cause: "NodeLost",
    ...(record.fencing === undefined ? {} : { fencing: record.fencing }),
    fromNode: record.fromNode,
    ...(vmi?.nodeName === undefined ? {} : { toNode: vmi.nodeName }),
    vmiUID: record.vmiUID,
    ...(vmi === undefined ? {} : { newVMIUID: vmi.uid }),
    lastGoodAt: record.lastGoodAt,
    lostAt: record.lostAt,
    ...(proof === undefined ? {} : { provedAt: proof.observedAt }),
    ...at("releasedAt", released),
    ...at("scheduledAt", vmi?.scheduledAtWallMs),
    ...at("runningAt", vmi?.runningAtWallMs),
    ...at("readyAt", vmi?.readyAtWallMs ?? turn.now.wallMs),
  };
}

function fencingOf({ turn }: Subject, record: FailoverRecord): FencingFact | undefined {
  return turn.snapshot.fencings.get(record.fencing ?? "");
}
