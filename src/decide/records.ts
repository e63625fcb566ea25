// What a status remembers of one VM while something is under way: a failover until it is really up again, an evacuation
// until it has left, and where it belongs. Written twice per failover and VM, at its beginning and its end.
import type {
  DisplacedFrom,
  EvacuationRecord,
  FailoverRecord,
  OutageRecord,
  ProtectionFact,
  ProtectionStatus,
} from "../model/protection.ts";
import { MAX_OUTAGES_KEPT } from "../model/protection.ts";
import { isFinal, type VMIFact } from "../model/virtual-machine.ts";
import { evacuationState, isToBeEmptied } from "./evacuation.ts";
import { restartLimit } from "./release.ts";
import type { Subject } from "./standing.ts";
import { timestamp } from "./text.ts";
import type { Turn } from "./turn.ts";

export type Records = Pick<ProtectionStatus, "failover" | "evacuation" | "displacedFrom" | "outages">;

/** The records as they should stand now. */
export function nextRecords(subject: Subject): Records {
  const failover = nextFailover(subject);
  const evacuation = nextEvacuation(subject, failover.failover !== undefined);
  const displacedFrom = nextDisplacement(subject, failover.left ?? evacuation.left);
  return {
    outages: failover.outages,
    ...(failover.failover === undefined ? {} : { failover: failover.failover }),
    ...(evacuation.record === undefined ? {} : { evacuation: evacuation.record }),
    ...(displacedFrom === undefined ? {} : { displacedFrom }),
  };
}

interface FailoverStep {
  readonly failover: FailoverRecord | undefined;
  readonly outages: readonly OutageRecord[];
  /** Set when the VM has just arrived elsewhere. */
  readonly left: DisplacedFrom | undefined;
}

function nextFailover(subject: Subject): FailoverStep {
  const { protection } = subject;
  const { outages, failover } = protection.status;
  const unchanged = (record: FailoverRecord | undefined): FailoverStep => ({
    failover: record,
    outages,
    left: undefined,
  });
  if (failover === undefined) return unchanged(openFailover(subject));
  const ended = howItEnded(subject, failover);
  if (ended === undefined) return unchanged(describe(subject, failover));
  const left: DisplacedFrom | undefined =
    ended.toNode === undefined || ended.toNode === failover.fromNode
      ? undefined
      : { node: failover.fromNode, cause: "Failover", since: timestamp(subject.turn.now.wallMs) };
  if (!ended.restarted) return { failover: undefined, outages, left };
  const outage = outageOf(subject, failover, ended.vmi);
  return { failover: undefined, outages: [outage, ...outages].slice(0, MAX_OUTAGES_KEPT), left };
}

/** Opens a record when the VM's node is lost; waits one turn for the NodeFencing's name, to save a second write. */
function openFailover({ turn, protection, vmi }: Subject): FailoverRecord | undefined {
  if (vmi?.nodeName === undefined || isFinal(vmi)) return undefined;
  if (turn.verdicts.get(vmi.nodeName)?.kind !== "lost") return undefined;
  const fencing = turn.openFencings.get(vmi.nodeName);
  const nodeName = vmi.nodeName;
  if (
    fencing === undefined &&
    turn.plan.steps.some((step) => step.kind === "OpenFencing" && step.node === nodeName)
  )
    return undefined;
  const lease = turn.snapshot.leases.get(nodeName);
  const silentMs = lease === undefined ? 0 : turn.now.monotonicMs - lease.renewal.changedAtMs;
  const opened: FailoverRecord = {
    ...(fencing === undefined ? {} : { fencing: fencing.name }),
    fromNode: nodeName,
    vmiUID: vmi.uid,
    lastGoodAt: fencing?.lastSeenAt ?? timestamp(turn.now.wallMs - silentMs),
    lostAt: fencing?.detectedAt ?? timestamp(turn.now.wallMs),
    phase: "Recovering",
    message: "",
  };
  return describe({ turn, protection, vm: turn.snapshot.vms.get(protection.vmKey), vmi }, opened);
}

/** Fills in phase and message; they change only when something stands in the way or no longer does. */
function describe(subject: Subject, record: FailoverRecord): FailoverRecord {
  const fencing = record.fencing ?? subject.turn.openFencings.get(record.fromNode)?.name;
  const blocked = whatBlocks(subject, { ...record, ...(fencing === undefined ? {} : { fencing }) });
  return {
    ...record,
    ...(fencing === undefined ? {} : { fencing }),
    phase: blocked === undefined ? "Recovering" : "Blocked",
    message: blocked ?? `${record.fromNode} is lost; progress is in NodeFencing ${fencing ?? ""}`,
  };
}

/** What a person must know to get the VM back: the first thing in the way. */
function whatBlocks(subject: Subject, record: FailoverRecord): string | undefined {
  const { turn, protection, vm } = subject;
  if (!protection.failover.enabled) return "spec.failover.enabled is false: the VM is left as it is";
  if (vm === undefined) return undefined;
  const limit = restartLimit(turn, protection);
  if (limit !== undefined) return limit;
  const fencing = turn.snapshot.fencings.get(record.fencing ?? "");
  if (fencing?.status.proof === undefined) return refusalAbout(turn, `node/${record.fromNode}`);
  const vmi = subject.vmi;
  if (vmi !== undefined && vmi.uid !== record.vmiUID && !isFinal(vmi)) {
    for (const key of turn.snapshot.index.podsByVM.get(protection.vmKey) ?? []) {
      const pod = turn.snapshot.pods.get(key);
      if (pod?.vmiUID === vmi.uid && pod.unschedulable !== undefined) {
        return "released, but the scheduler finds no node for it: see its virt-launcher pod";
      }
    }
  }
  return undefined;
}

function refusalAbout(turn: Turn, about: string): string | undefined {
  return turn.plan.refusals.find(
    (refusal) => refusal.about === about && refusal.reason !== "WaitingForReturn",
  )?.message;
}

interface Ending {
  readonly restarted: boolean;
  readonly toNode: string | undefined;
  readonly vmi: VMIFact | undefined;
}

function howItEnded({ turn, protection, vm, vmi }: Subject, record: FailoverRecord): Ending | undefined {
  if (vm === undefined || vm.runStrategy === "Halted")
    return { restarted: false, toNode: undefined, vmi: undefined };
  if (vmi === undefined || vmi.phase !== "Running" || vmi.nodeName === undefined) return undefined;
  const verdict = turn.verdicts.get(vmi.nodeName)?.kind;
  if (vmi.uid !== record.vmiUID) {
    return vmi.ready && (verdict === "healthy" || verdict === "suspect" || verdict === "returning")
      ? { restarted: true, toNode: vmi.nodeName, vmi }
      : undefined;
  }
  // The same guest still runs: its node was heard again, or its migration had already switched.
  const lives = vmi.ready && verdict === "healthy" && !turn.openFencings.has(vmi.nodeName);
  return lives && protection.status.failover !== undefined
    ? { restarted: false, toNode: vmi.nodeName, vmi }
    : undefined;
}

function outageOf(
  { turn, protection }: Subject,
  record: FailoverRecord,
  vmi: VMIFact | undefined,
): OutageRecord {
  const fencing = turn.snapshot.fencings.get(record.fencing ?? "");
  const goneAtWallMs = turn.snapshot.index.podsGoneAtWallMs.get(protection.vmKey);
  const at = (
    key: "scheduledAt" | "runningAt" | "readyAt",
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
    ...(fencing?.status.proof === undefined ? {} : { provedAt: fencing.status.proof.observedAt }),
    ...(goneAtWallMs === undefined ? {} : { releasedAt: timestamp(goneAtWallMs) }),
    ...at("scheduledAt", vmi?.scheduledAtWallMs),
    ...at("runningAt", vmi?.runningAtWallMs),
    ...at("readyAt", vmi?.readyAtWallMs ?? turn.now.wallMs),
  };
}

interface EvacuationStep {
  readonly record: EvacuationRecord | undefined;
  readonly left: DisplacedFrom | undefined;
}

function nextEvacuation(subject: Subject, failingOver: boolean): EvacuationStep {
  const { turn, protection, vmi } = subject;
  const before = protection.status.evacuation;
  const none: EvacuationStep = { record: undefined, left: undefined };
  if (failingOver || vmi?.nodeName === undefined)
    return before !== undefined && !failingOver ? { record: before, left: undefined } : none;
  if (before !== undefined && before.fromNode !== vmi.nodeName) {
    return {
      record: undefined,
      left: { node: before.fromNode, cause: "Evacuation", since: timestamp(turn.now.wallMs) },
    };
  }
  const node = turn.snapshot.nodes.get(vmi.nodeName);
  if (node === undefined || !isToBeEmptied(turn, node)) return none;
  const state = evacuationState(turn, protection, vmi);
  const startedAt = before?.startedAt ?? timestamp(turn.now.wallMs);
  const record = (phase: EvacuationRecord["phase"], message: string, migration?: string): EvacuationStep => ({
    record: {
      fromNode: node.name,
      startedAt,
      phase,
      message,
      ...(migration === undefined ? {} : { migration }),
    },
    left: undefined,
  });
  switch (state.kind) {
    case "migrating":
      return record("Migrating", "", state.migration.name);
    case "restarting":
    case "restartDue":
      return record("Restarting", "it cannot be live-migrated, so it is restarted elsewhere");
    case "refused":
      return record("Refused", state.why);
    case "waiting":
      return record("Waiting", state.why);
    case "due":
      // Its turn comes with a free slot; nothing worth a write yet.
      return { record: before, left: undefined };
  }
}

function nextDisplacement(
  { protection, vmi }: Subject,
  left: DisplacedFrom | undefined,
): DisplacedFrom | undefined {
  if (protection.failback.policy === "Never") return undefined;
  const before = protection.status.displacedFrom;
  if (before !== undefined)
    return vmi?.nodeName === before.node && isSettled(protection) ? undefined : before;
  return left;
}

function isSettled(protection: ProtectionFact): boolean {
  return protection.status.failover === undefined && protection.status.evacuation === undefined;
}
