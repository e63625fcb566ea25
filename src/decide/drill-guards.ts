// What must hold before a drill may disturb anything: a cluster at rest, VMs that can bear it, and, where a node is lost for
// real, the word of everybody concerned. Each guard names what it found, and refuses; none is ever overridden.
import {
  type DrillFact,
  MAX_DRILLED_VMS,
  NODE_LOSS_OPT_IN_LABEL,
  NODE_LOSS_OPT_IN_VALUE,
} from "../model/drill.ts";
import type { ProtectionFact } from "../model/protection.ts";
import { isFinal, type VMIFact } from "../model/virtual-machine.ts";
import type { RefusalReason } from "../api/reasons.ts";
import { disarmMessage } from "./disarm.ts";
import { whyNotMigratable } from "./evacuation.ts";
import { unfinishedMigrationOf } from "./migrations.ts";
import { whyBlind } from "./requested.ts";
import type { Held } from "./shots.ts";
import { candidatesOf, judgeStanding } from "./standing.ts";
import { subjectOf } from "./subject.ts";
import { byImportance, protectionOf, type Turn } from "./turn.ts";

/** What a drill is about, found in the world. */
export interface DrillTarget {
  readonly node: string;
  /** The VMs that it disturbs, the most important first. */
  readonly vmis: readonly VMIFact[];
}

/** The node that is to be left, and the VMs on it that are to leave; the reason where there is none. */
export function targetOf(turn: Turn, drill: DrillFact): DrillTarget | Held {
  const { snapshot } = turn;
  if (drill.vmKey !== undefined) {
    const vmi = snapshot.vmis.get(drill.vmKey);
    if (!snapshot.vms.has(drill.vmKey))
      return held("TargetNotFound", `there is no VirtualMachine ${drill.vmKey}`);
    if (vmi?.nodeName === undefined || isFinal(vmi))
      return held("VirtualMachineNotUp", `${drill.vmKey} does not run`);
    return { node: vmi.nodeName, vmis: [vmi] };
  }
  const node = drill.nodeName ?? "";
  if (!snapshot.nodes.has(node)) return held("TargetNotFound", `there is no Node ${node}`);
  const vmis = [...(snapshot.index.vmisByNode.get(node) ?? [])]
    .flatMap((key) => snapshot.vmis.get(key) ?? [])
    .filter((vmi) => !isFinal(vmi));
  if (vmis.length === 0) return held("NothingToDrill", `no VM is on ${node}`);
  if (vmis.length > MAX_DRILLED_VMS)
    return held(
      "TooManyVMs",
      `${vmis.length} VMs are on ${node}; a drill follows at most ${MAX_DRILLED_VMS}`,
    );
  return { node, vmis: inOrder(turn, vmis) };
}

function inOrder(turn: Turn, vmis: readonly VMIFact[]): readonly VMIFact[] {
  const ranked = vmis.map((vmi) => ({ vmi, protection: protectionOf(turn.snapshot, vmi.key) }));
  ranked.sort((a, b) => {
    if (a.protection !== undefined && b.protection !== undefined)
      return byImportance(a.protection, b.protection);
    if (a.protection === undefined && b.protection === undefined) return a.vmi.key < b.vmi.key ? -1 : 1;
    return a.protection === undefined ? 1 : -1;
  });
  return ranked.map(({ vmi }) => vmi);
}

/** What of the drill itself is already under way, and is no reason against it. */
interface Own {
  /** Name of the NodeFencing that it asked for. */
  readonly fencing?: string;
}

/** Why the drill must not disturb anything now; undefined where nothing speaks against it. */
export function whyNotDrill(turn: Turn, drill: DrillFact, own: Own = {}): Held | undefined {
  const unfit = whyClusterUnfit(turn, drill, own);
  if (unfit !== undefined) return unfit;
  const target = targetOf(turn, drill);
  if ("reason" in target) return target;
  if (turn.snapshot.nodes.get(target.node)?.placement.unschedulable)
    return held("NodeCordoned", `${target.node} is cordoned, so its VMs are leaving it already`);
  for (const vmi of target.vmis) {
    const refusal = whyVMUnfit(turn, drill, vmi);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

function whyClusterUnfit(turn: Turn, drill: DrillFact, own: Own): Held | undefined {
  const { snapshot, verdicts } = turn;
  const blind = whyBlind(turn);
  if (blind !== undefined) return held("LeaderBlind", `nothing is disturbed while we see badly: ${blind}`);
  if (turn.storm !== undefined) return held("StormHold", turn.storm);
  const [disarmed] = turn.disarms;
  if (disarmed !== undefined)
    return held("FencingDisarmed", `${disarmed[0]} could not be fenced: ${disarmMessage(disarmed[1])}`);
  for (const other of turn.openFencings.values())
    if (other.name !== own.fencing)
      return held("FencingUnderWay", `NodeFencing ${other.name} of ${other.nodeName} is not over`);
  for (const other of snapshot.drills.values())
    if (other.uid !== drill.uid && other.status.run !== undefined)
      return held("OtherDrillUnderWay", `FailoverDrill ${other.name} is under way`);
  for (const [node, verdict] of verdicts)
    if (verdict.kind !== "healthy") return held("NodeUnhealthy", `${node} is ${verdict.kind}`);
  for (const node of snapshot.nodes.values())
    if (!node.placement.ready) return held("NodeUnhealthy", `${node.name} is not Ready`);
  if (drill.type === "NodeLoss" && turn.stormRoom < 1)
    return held("StormHold", "with one node lost more, no other could be fenced: the storm limit is reached");
  return undefined;
}

function whyVMUnfit(turn: Turn, drill: DrillFact, vmi: VMIFact): Held | undefined {
  const { key } = vmi;
  const protection = protectionOf(turn.snapshot, key);
  if (protection === undefined)
    return held("NotProtected", `${key} has no HAVirtualMachine, so nobody would bring it back`);
  if (vmi.phase !== "Running" || !vmi.ready || vmi.paused !== undefined || vmi.deleting)
    return held("VirtualMachineNotUp", `${key} is not up: a drill disturbs only what is well`);
  if (protection.status.failover !== undefined)
    return held("VirtualMachineNotUp", `${key} is being failed over`);
  const migration = unfinishedMigrationOf(turn, key);
  if (migration !== undefined)
    return held("MigrationUnderWay", `${key} is being live-migrated by ${migration.name}`);
  return drill.type === "NodeLoss"
    ? whyNotLosable(turn, protection)
    : whyNotMovable(turn, { drill, protection, vmi });
}

function whyNotMovable(
  turn: Turn,
  { drill, protection, vmi }: { drill: DrillFact; protection: ProtectionFact; vmi: VMIFact },
): Held | undefined {
  if (drill.type === "NodeEvacuation" && protection.evacuation.strategy === "None")
    return held("NotMigratable", `${vmi.key} stays on a cordoned node: its evacuation.strategy is None`);
  const why = whyNotMigratable(turn, vmi);
  return why === undefined ? undefined : held("NotMigratable", `${vmi.key}: ${why}`);
}

/** Fencing its node must bring the VM back, and its owner must have said that it may be tried. */
function whyNotLosable(turn: Turn, protection: ProtectionFact): Held | undefined {
  const { vmKey, namespace } = protection;
  const inNamespace = turn.snapshot.namespaces.get(namespace)?.[NODE_LOSS_OPT_IN_LABEL];
  if (protection.mayBeLostInDrill !== true && inNamespace !== NODE_LOSS_OPT_IN_VALUE)
    return held(
      "NotOptedIn",
      `${vmKey} may not be lost in a drill: label its HAVirtualMachine or its namespace ${NODE_LOSS_OPT_IN_LABEL}=${NODE_LOSS_OPT_IN_VALUE}`,
    );
  const subject = subjectOf(turn, protection);
  const standing = judgeStanding(subject, candidatesOf(subject), undefined);
  const verdict = standing.find(({ type }) => type === "Protected");
  if (verdict?.status === "True") return undefined;
  const restartable = standing.find(({ type }) => type === "Restartable");
  return restartable?.reason === "NoCandidateNode"
    ? held("NoFailoverCapacity", `${vmKey}: ${restartable.message}`)
    : held("NotProtected", `${vmKey} would not come back by itself: ${verdict?.message ?? "not judged"}`);
}

function held(reason: RefusalReason, message: string): Held {
  return { reason, message };
}
