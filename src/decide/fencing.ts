// The life of a NodeFencing until its proof: opened for a lost node, attempted level by level, or stood down when the node
// speaks again. Every rule reads the ledger and the world, and answers with the next step only.
import type { FencingFact, FencingLevel } from "../model/fencing.ts";
import type { NodeFact } from "../model/node.ts";
import type { ProtectionFact } from "../model/protection.ts";
import { attemptDueAtMs, nextLevel, roundsFailed } from "./attempts.ts";
import { decideConfirmation } from "./confirmation.ts";
import { isDisarmed } from "./disarm.ts";
import { whyDrillOver } from "./drill.ts";
import { nodeEvent } from "./event.ts";
import { heldOn } from "./held.ts";
import { lastHeardWallMs, sawChangeAfter } from "./judge-node.ts";
import { closeLedger, writeLedger } from "./ledger.ts";
import { decideReleases, type Releasing } from "./release.ts";
import { quarantine } from "./quarantine.ts";
import { answerNeedlessRequests, stormWith, whyNotRequested } from "./requested.ts";
import { decideProven } from "./returning.ts";
import { fencingsUnderWay, type Held, inOrderOfShots, whyNoShot } from "./shots.ts";
import { derivedName, seconds, timestamp } from "./text.ts";
import { protectedOn, type Turn } from "./turn.ts";
import { decideUndoing, hasFencedStorage } from "./undoing.ts";

/** The next steps of all fencings, open or to be opened. */
export function decideFencings(turn: Turn): void {
  const releasing: Releasing[] = [];
  const open = [...turn.openFencings.values()];
  const unproven = open.filter((fencing) => fencing.status.proof === undefined);
  answerNeedlessRequests(turn);
  for (const fencing of inOrderOfShots(turn, unproven)) advanceUnproven(turn, fencing);
  for (const fencing of open) {
    if (fencing.status.proof === undefined) continue;
    const due = decideProven(turn, fencing);
    if (due !== undefined) releasing.push(due);
  }
  decideReleases(turn, releasing);
  for (const lost of lostNodes(turn)) consider(turn, lost);
  for (const [node, verdict] of turn.verdicts) {
    if (verdict.kind === "healthy" && verdict.degraded !== undefined)
      turn.plan.refuse(`node/${node}`, "NodeDegraded", `${node}: ${verdict.degraded}`);
    if (verdict.kind !== "isolated" || protectedOn(turn, node).length === 0) continue;
    turn.plan.refuse(
      `node/${node}`,
      "NodeIsolated",
      `the kubelet of ${node} is silent but virt-handler is heard or its host answers, so its VMs may be running: not fenced`,
    );
  }
}

/** Nodes whose power states are read at once in a storm. */
const MAX_OPEN_IN_STORM = 100;

interface LostNode {
  readonly node: NodeFact;
  readonly silentMs: number;
  /** The VMs that its fencing would bring back, the most important first. */
  readonly vms: readonly ProtectionFact[];
}

/** Lost nodes without a fencing that hold VMs we would bring back: those with the most important VM first. */
function lostNodes(turn: Turn): readonly LostNode[] {
  const found: LostNode[] = [];
  for (const [name, verdict] of turn.verdicts) {
    if (verdict.kind !== "lost" || turn.openFencings.has(name)) continue;
    const node = turn.snapshot.nodes.get(name);
    const vms = heldOn(turn, name);
    if (node === undefined || vms.length === 0) continue;
    found.push({ node, vms, silentMs: verdict.silence.leaseMs ?? 0 });
  }
  const importance = (lost: LostNode): number => lost.vms[0]?.priority ?? 0;
  return found.sort((a, b) => importance(b) - importance(a) || (a.node.name < b.node.name ? -1 : 1));
}

/** Opens a fencing for a lost node, or says why not. */
function consider(turn: Turn, { node, vms, silentMs }: LostNode): void {
  const { plan, now } = turn;
  const about = `node/${node.name}`;
  const topology = turn.topologies.get(node.name);
  if (topology === undefined) {
    plan.refuse(
      about,
      "NoFencingTopology",
      `no FencingTopology covers ${node.name}, so its ${vms.length} VMs stay down`,
    );
    return;
  }
  if (node.bootID === undefined) {
    plan.refuse(
      about,
      "BootIDUnknown",
      `${node.name} has never reported a boot ID, so no proof could name what it is about`,
    );
    return;
  }
  if (isDisarmed(turn, node.name, `${node.name} is not fenced, and its ${vms.length} VMs stay down`)) return;
  const underWay = fencingsUnderWay(turn) + plan.openings.size;
  // In a storm power is only read, which is harmless: whole racks may be found to be off, and their VMs come back.
  const limit = turn.storm === undefined ? turn.policy.maxConcurrentFencings : MAX_OPEN_IN_STORM;
  if (underWay >= limit) {
    plan.refuse(about, "TooManyFencings", `${underWay} fencings are under way, limit ${limit}`);
    return;
  }
  const message = `no sign of life from ${node.name} for ${seconds(silentMs)}; ${vms.length} protected VMs on it`;
  plan.add({
    kind: "OpenFencing",
    name: freeName(turn, node, node.bootID),
    node: node.name,
    nodeUID: node.uid,
    bootID: node.bootID,
    topology: topology.name,
    message,
    detectedAt: timestamp(now.wallMs),
    lastSeenAt: timestamp(lastHeardWallMs(turn.snapshot, node.name, now)),
    events: [nodeEvent(node, "Warning", "NodeLost", message)],
  });
}

/** The first name for this incarnation that no ledger has: earlier ones may have been closed, and some of those deleted. */
function freeName(turn: Turn, node: NodeFact, bootID: string): string {
  for (let number = 0; ; number++) {
    const name = derivedName("nf", node.name, `${node.uid}/${bootID}/${number}`);
    if (!turn.snapshot.fencings.has(name)) return name;
  }
}

function advanceUnproven(turn: Turn, fencing: FencingFact): void {
  const { nodeName } = fencing;
  const node = turn.snapshot.nodes.get(nodeName);
  if (node === undefined && !turn.snapshot.index.podsByNode.has(nodeName)) {
    const message = `the Node object of ${nodeName} is gone, and no VM is left on it`;
    abandon(turn, fencing, message);
    return;
  }
  if (node !== undefined && node.uid !== fencing.nodeUID) {
    const message = `the node object was replaced (UID ${node.uid}): this ledger is about another node`;
    abandon(turn, fencing, message);
    return;
  }
  if (node?.bootID !== undefined && node.bootID !== fencing.bootID) {
    if (fencing.requested === true && fencing.status.attempts.length === 0) {
      const message = `the request names boot ID ${fencing.bootID}, and ${nodeName} runs with ${node.bootID}: nothing was done; ask again with that one`;
      closeLedger(turn, fencing, "Aborted", message);
      return;
    }
    if (decideUndoing(turn, fencing, "Rebooted")) return;
    recordReboot(turn, fencing, node);
    return;
  }
  if (decideConfirmation(turn, fencing)) return;
  const level = nextLevel(turn, fencing);
  const verdict = turn.verdicts.get(nodeName);
  const alive = verdict !== undefined && verdict.kind !== "lost";
  const over = alive ? whyDrillOver(turn, fencing) : undefined;
  if (over !== undefined && fencing.status.attempts.length === 0) {
    closeLedger(turn, fencing, "Aborted", over);
    return;
  }
  if (alive && (fencing.requested !== true || over !== undefined)) {
    heardAgain(turn, fencing, level);
    return;
  }
  if (level === undefined) {
    turn.plan.refuse(
      `node/${nodeName}`,
      "NoFencingTopology",
      `FencingTopology ${fencing.topology ?? ""} is gone or has no levels: ${nodeName} cannot be fenced`,
    );
    return;
  }
  if (fencing.requested === true && alive) attemptRequested(turn, fencing, level);
  else attempt(turn, fencing, level);
}

/** Fences a living node, because somebody asked: with more care than a dead one, for VMs run there. */
function attemptRequested(turn: Turn, fencing: FencingFact, level: FencingLevel): void {
  const refusal = whyNotRequested(turn, fencing, fencingsUnderWay(turn));
  if (refusal === undefined) attempt(turn, fencing, level, stormWith(turn, fencing.nodeName));
  else turn.plan.refuse(`node/${fencing.nodeName}`, refusal.reason, refusal.message);
}

/** Closes a ledger whose machine nobody knows any more: its storage is not given back to whatever may run on it. */
function abandon(turn: Turn, fencing: FencingFact, message: string): void {
  if (decideUndoing(turn, fencing, "Unknown")) return;
  const left = hasFencedStorage(fencing)
    ? `; its storage stays fenced: once the machine is surely off, set the NetworkFence labelled holdfast.dev/fencing=${fencing.uid} to Unfenced`
    : "";
  closeLedger(turn, fencing, "Aborted", `${message}${left}`);
}

/** Where the power must not be cut the state is read all the same: a node that is off is no victim of ours. */
function attempt(turn: Turn, fencing: FencingFact, level: FencingLevel, requestedHeld?: Held): void {
  const { nodeName } = fencing;
  const node = turn.snapshot.nodes.get(nodeName);
  const last = fencing.status.attempts.at(-1);
  if (isDisarmed(turn, nodeName, `${nodeName} is not fenced any further`)) {
    // An attempt under way may have sent its request before: the device's state settles it, and no new one is made.
    if (last?.outcome === "Started") turn.plan.add({ kind: "Fence", fencing, level, mayPowerOff: false });
    return;
  }
  const held = requestedHeld ?? whyNoShot(turn, fencing);
  if (held !== undefined) turn.plan.refuse(`node/${nodeName}`, held.reason, held.message);
  if (
    roundsFailed(turn, fencing) > 0 &&
    last?.outcome !== "Started" &&
    fencing.status.message === undefined
  ) {
    const message = `no fencing level has proven ${nodeName} off; the last, ${last?.level ?? ""}, ended ${last?.outcome ?? ""}. It is tried again with growing pauses`;
    const why = last?.answer === undefined ? message : `${message}. ${last.answer}`;
    const events = node === undefined ? [] : [nodeEvent(node, "Warning", "FencingFailed", why)];
    writeLedger(turn, fencing, { message }, events);
    return;
  }
  const dueAtMs = attemptDueAtMs(turn, fencing, level);
  if (turn.now.monotonicMs < dueAtMs) {
    turn.plan.lookAgain(dueAtMs);
    return;
  }
  const proven = `${nodeName} is proven off; its VMs are released, the most important first`;
  turn.plan.add({
    kind: "Fence",
    fencing,
    level,
    mayPowerOff: held === undefined,
    events: node === undefined ? [] : [nodeEvent(node, "Normal", "NodeFenced", proven)],
  });
}

/** The node speaks again with the boot ID we set out to fence: settle what was begun, then stand down. */
function heardAgain(turn: Turn, fencing: FencingFact, level: FencingLevel | undefined): void {
  const { nodeName } = fencing;
  if (level !== undefined && fencing.status.attempts.at(-1)?.outcome === "Started") {
    // A request may have been sent: let the device's state settle it. The step itself will not shoot.
    turn.plan.add({ kind: "Fence", fencing, level, mayPowerOff: false });
    return;
  }
  if (turn.verdicts.get(nodeName)?.kind !== "healthy") return;
  const lease = turn.snapshot.leases.get(nodeName);
  // A node that was never heard while we watched is no more alive than it was when the ledger was opened. And one renewal
  // is not enough: after a reboot it comes before the node's status tells the new boot ID.
  const heard =
    lease === undefined
      ? turn.snapshot.nodes.get(nodeName)?.ready === "True"
      : sawChangeAfter(lease.renewal, fencing.changedAtMs) &&
        (lease.renewedBeforeMs ?? 0) > fencing.changedAtMs;
  if (!heard || decideUndoing(turn, fencing, "Spared")) return;
  closeLedger(turn, fencing, "Aborted", `${nodeName} is heard again with the same boot ID: it was not lost`);
}

function recordReboot(turn: Turn, fencing: FencingFact, node: NodeFact): void {
  if (quarantine(turn, fencing, node)) return;
  const at = timestamp(turn.now.wallMs);
  const bootID = node.bootID ?? "";
  const detail = `${node.name} runs with boot ID ${bootID}, so the incarnation ${fencing.bootID} has ended`;
  const told = `${node.name} rebooted by itself; no VM was released by force`;
  writeLedger(
    turn,
    fencing,
    {
      phase: "Returned",
      proof: { type: "Rebooted", bootID, observedAt: at, detail },
      returnedAt: at,
      returnedBootID: bootID,
      message: "the node came back by itself with a new boot ID; its kubelet ends the old pods",
    },
    [nodeEvent(node, "Normal", "NodeReturned", told)],
  );
}
