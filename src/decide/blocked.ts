// What stands between a lost VM and its return, in words that stay the same while the obstacle does: they are written into
// a status, so no ages and no counts. The numbers are in the plan's refusals, and so in logs and metrics.
import type { FailoverRecord } from "../model/protection.ts";
import { isClosed } from "../model/fencing.ts";
import { isFinal, type VMIFact } from "../model/virtual-machine.ts";
import type { RefusalReason } from "../api/reasons.ts";
import { roundsFailed } from "./attempts.ts";
import { disarmMessage } from "./disarm.ts";
import { mayStillRun } from "./restarts.ts";
import { restartLimit } from "./restart-limit.ts";
import { strategyMessage, willRestart } from "./run-strategy.ts";
import type { Subject } from "./subject.ts";
import type { Turn } from "./turn.ts";

/** A VM that was let go and has no new instance after this long needs a person to look. */
const NOT_STARTED_AFTER_MS = 180_000;
/** The same for a new instance that is not Ready; large guests take minutes to boot. */
const NOT_READY_AFTER_MS = 300_000;

/** What a person must know to get the VM back: the first thing in the way; undefined while all goes its way. */
export function whatBlocks(subject: Subject, record: FailoverRecord): string | undefined {
  const { turn, protection, vm } = subject;
  if (!protection.failover.enabled) return "spec.failover.enabled is false: the VM is left as it is";
  if (vm === undefined || vm.deleting) return undefined;
  if (!willRestart(turn, protection)) return strategyMessage(vm);
  return restartLimit(turn, protection) ?? onTheNode(subject, record) ?? onTheWayUp(subject, record);
}

/** What keeps the node from being proven off, or its VMs from being released. */
function onTheNode({ turn }: Subject, { fromNode, fencing: name }: FailoverRecord): string | undefined {
  const fencing = turn.snapshot.fencings.get(name ?? "");
  if (fencing !== undefined && (isClosed(fencing) || fencing.status.phase === "Released")) return undefined;
  for (const reason of turn.plan.reasonsAbout(`node/${fromNode}`)) {
    const text = TEXT[reason];
    if (text !== undefined) return text(fromNode, turn);
  }
  if (fencing === undefined || fencing.status.proof !== undefined || roundsFailed(turn, fencing) === 0)
    return undefined;
  return `no fencing level has proven ${fromNode} off yet: see the attempts in NodeFencing ${fencing.name}`;
}

const TEXT: Partial<Record<RefusalReason, (node: string, turn: Turn) => string>> = {
  NoFencingTopology: (node) =>
    `no FencingTopology covers ${node}, so it cannot be proven off: write one, or see to the node yourself`,
  BootIDUnknown: (node) => `${node} has never reported a boot ID, so no proof could name what it is about`,
  TooManyFencings: (node) => `as many nodes as allowed are being fenced: ${node} waits for its turn`,
  StormHold: (node) =>
    `more nodes are lost at once than the policy allows: ${node} is not powered off until fewer are`,
  FencingDisarmed: (node, turn) => {
    const disarm = turn.disarms.get(node);
    return `${node} is not fenced${disarm === undefined ? "" : `: ${disarmMessage(disarm)}`}`;
  },
  NodeIsolated: (node) =>
    `the kubelet of ${node} is silent but virt-handler is heard or its host answers, so the VM may be running: not fenced`,
  ProofContradicted: (node) =>
    `${node} was proven off and is heard all the same: its fence device cannot be trusted, so nothing is released`,
};

/** What keeps a VM that was let go from being up. */
function onTheWayUp(subject: Subject, record: FailoverRecord): string | undefined {
  const { turn, protection, vmi, vm } = subject;
  const { index, pods } = turn.snapshot;
  if (vmi === undefined || vmi.uid === record.vmiUID) return notStarted(subject, record);
  if (isFinal(vmi)) {
    return vm?.runStrategy === "Manual" || vm?.runStrategy === "Once"
      ? `it was started again and has failed: run strategy ${vm.runStrategy} does not try once more`
      : undefined;
  }
  for (const key of index.podsByVM.get(protection.vmKey) ?? []) {
    const pod = pods.get(key);
    if (pod?.vmiUID === vmi.uid && pod.unschedulable !== undefined)
      return "released, but the scheduler finds no node for it: see its virt-launcher pod";
  }
  return isLate(subject, vmi.firstSeenMs + NOT_READY_AFTER_MS)
    ? `it was started again${onNode(vmi)} and is not Ready: see its VirtualMachineInstance`
    : undefined;
}

function notStarted(subject: Subject, record: FailoverRecord): string | undefined {
  const { turn, protection, vm, vmi } = subject;
  const { index, pods, fencings } = turn.snapshot;
  const byUs = vm?.runStrategy === "Manual" || vm?.runStrategy === "Once";
  if (byUs && (vmi === undefined || isFinal(vmi)) && mayStillRun(turn, record)) {
    return `its instance has ended, but ${record.fromNode} is not proven off: start the VM yourself once that node surely is`;
  }
  const provenAtMs = fencings.get(record.fencing ?? "")?.provenAtMs;
  if (provenAtMs === undefined) return undefined;
  for (const key of index.podsByVM.get(protection.vmKey) ?? []) {
    if (pods.get(key)?.nodeName === record.fromNode) return undefined;
  }
  const gone = index.podsGone.get(protection.vmKey);
  const sinceMs = gone?.node === record.fromNode ? gone.at.monotonicMs : provenAtMs;
  return isLate(subject, sinceMs + NOT_STARTED_AFTER_MS)
    ? "released, but KubeVirt has not started it again: see its VirtualMachine"
    : undefined;
}

function isLate({ turn }: Subject, atMs: number): boolean {
  if (turn.now.monotonicMs >= atMs) return true;
  turn.plan.lookAgain(atMs);
  return false;
}

function onNode(vmi: VMIFact): string {
  return vmi.nodeName === undefined ? "" : ` on ${vmi.nodeName}`;
}
