// The life of a NodeFencing until its proof: opened for a lost node, attempted level by level, or stood down when the node
// speaks again. Every rule reads the ledger and the world, and answers with the next step only.
import type { FencingFact, FencingLevel } from "../model/fencing.ts";
import type { NodeFact } from "../model/node.ts";
import { closeLedger, nodeEvent, writeLedger } from "./ledger.ts";
import { decideProven } from "./returning.ts";
import { derivedName, seconds, timestamp } from "./text.ts";
import { protectedOn, type Turn } from "./turn.ts";

/** Back-off doubles with each round through all levels, up to this. */
const MAX_BACKOFF_MS = 300_000;

/** The next steps of all fencings, open or to be opened. */
export function decideFencings(turn: Turn): void {
  for (const fencing of turn.openFencings.values()) advance(turn, fencing);
  for (const [node, verdict] of turn.verdicts) {
    if (verdict.kind === "lost" && !turn.openFencings.has(node)) consider(turn, node);
    if (verdict.kind === "isolated" && protectedOn(turn, node).length > 0) {
      turn.plan.refuse(
        `node/${node}`,
        "NodeIsolated",
        `the kubelet of ${node} is silent but virt-handler is heard, so its VMs may be running: not fenced`,
      );
    }
  }
}

/** Opens a fencing for a lost node, or says why not. */
function consider(turn: Turn, nodeName: string): void {
  const { snapshot, plan, now } = turn;
  const node = snapshot.nodes.get(nodeName);
  const verdict = turn.verdicts.get(nodeName);
  if (node === undefined || verdict?.kind !== "lost") return;
  const vms = protectedOn(turn, nodeName);
  if (!vms.some((protection) => protection.failover.enabled)) return;
  const about = `node/${nodeName}`;
  const topology = turn.topologies.get(nodeName);
  if (topology === undefined) {
    plan.refuse(
      about,
      "NoFencingTopology",
      `no FencingTopology covers ${nodeName}, so its ${vms.length} VMs stay down`,
    );
    return;
  }
  if (node.bootID === undefined) {
    plan.refuse(
      about,
      "BootIDUnknown",
      `${nodeName} has never reported a boot ID, so no proof could name what it is about`,
    );
    return;
  }
  const unproven = [...turn.openFencings.values()].filter(
    (fencing) => fencing.status.proof === undefined,
  ).length;
  if (unproven >= turn.policy.maxConcurrentFencings) {
    plan.refuse(
      about,
      "TooManyFencings",
      `${unproven} fencings are under way, limit ${turn.policy.maxConcurrentFencings}`,
    );
    return;
  }
  const earlier = [...snapshot.fencings.values()].filter(
    (fencing) => fencing.nodeName === nodeName && fencing.bootID === node.bootID,
  ).length;
  const silentMs = verdict.silence.leaseMs ?? 0;
  const message = `no sign of life from ${nodeName} for ${seconds(silentMs)}; ${vms.length} protected VMs on it`;
  plan.add({
    kind: "OpenFencing",
    name: derivedName("nf", nodeName, `${node.uid}/${node.bootID}/${earlier}`),
    node: nodeName,
    nodeUID: node.uid,
    bootID: node.bootID,
    topology: topology.name,
    message,
    detectedAt: timestamp(now.wallMs),
    lastSeenAt: timestamp(now.wallMs - (now.monotonicMs - lastSeenMs(turn, nodeName))),
    events: [nodeEvent(node, "Warning", "NodeLost", message)],
  });
}

/** Monotonic time at which the node was last heard by any path. */
function lastSeenMs(turn: Turn, nodeName: string): number {
  const lease = turn.snapshot.leases.get(nodeName);
  return lease?.renewal.changedAtMs ?? turn.now.monotonicMs;
}

function advance(turn: Turn, fencing: FencingFact): void {
  if (fencing.status.proof === undefined) advanceUnproven(turn, fencing);
  else decideProven(turn, fencing);
}

function advanceUnproven(turn: Turn, fencing: FencingFact): void {
  const node = turn.snapshot.nodes.get(fencing.nodeName);
  if (node !== undefined && node.uid !== fencing.nodeUID) {
    closeLedger(
      turn,
      fencing,
      "Aborted",
      `the node object was replaced (UID ${node.uid}): this ledger is about another node`,
    );
    return;
  }
  if (node?.bootID !== undefined && node.bootID !== fencing.bootID) {
    recordReboot(turn, fencing, node);
    return;
  }
  const verdict = turn.verdicts.get(fencing.nodeName);
  const last = fencing.status.attempts.at(-1);
  const level = nextLevel(turn, fencing);
  if (level === undefined) {
    turn.plan.refuse(
      `node/${fencing.nodeName}`,
      "NoFencingTopology",
      `FencingTopology ${fencing.topology ?? ""} is gone or has no levels: ${fencing.nodeName} cannot be fenced`,
    );
    return;
  }
  if (verdict !== undefined && verdict.kind !== "lost") {
    heardAgain(turn, fencing, level);
    return;
  }
  const dueAtMs =
    last === undefined || last.outcome === "Started" ? 0 : fencing.changedAtMs + backoffMs(turn, fencing);
  if (turn.now.monotonicMs < dueAtMs) {
    turn.plan.lookAgain(dueAtMs);
    return;
  }
  if (turn.storm !== undefined) turn.plan.refuse(`node/${fencing.nodeName}`, "StormHold", turn.storm);
  turn.plan.add({ kind: "Fence", fencing, level, mayPowerOff: turn.storm === undefined });
}

/** The node speaks again with the boot ID we set out to fence: settle what was begun, then stand down. */
function heardAgain(turn: Turn, fencing: FencingFact, level: FencingLevel): void {
  const last = fencing.status.attempts.at(-1);
  if (last?.outcome === "Started") {
    // A request may have been sent: let the device's state settle it. The step itself will not shoot.
    turn.plan.add({ kind: "Fence", fencing, level, mayPowerOff: false });
    return;
  }
  const renewal = turn.snapshot.leases.get(fencing.nodeName)?.renewal;
  const verdict = turn.verdicts.get(fencing.nodeName);
  if (verdict?.kind === "healthy" && renewal !== undefined && renewal.changedAtMs > fencing.changedAtMs) {
    closeLedger(
      turn,
      fencing,
      "Aborted",
      `${fencing.nodeName} is heard again with the same boot ID: it was not lost`,
    );
  }
}

function recordReboot(turn: Turn, fencing: FencingFact, node: NodeFact): void {
  const at = timestamp(turn.now.wallMs);
  const bootID = node.bootID ?? "";
  writeLedger(
    turn,
    fencing,
    {
      phase: "Returned",
      proof: {
        type: "Rebooted",
        bootID,
        observedAt: at,
        detail: `${node.name} runs with boot ID ${bootID}, so the incarnation ${fencing.bootID} has ended`,
      },
      returnedAt: at,
      returnedBootID: bootID,
      message: "the node came back by itself with a new boot ID; its kubelet ends the old pods",
    },
    [
      nodeEvent(
        node,
        "Normal",
        "NodeReturned",
        `${node.name} rebooted by itself; no VM was released by force`,
      ),
    ],
  );
}

/** Levels in order, each with its retries, then from the start again: giving up would strand the VMs. */
function nextLevel(turn: Turn, fencing: FencingFact): FencingLevel | undefined {
  const levels =
    turn.snapshot.topologies.get(fencing.topology ?? "")?.levels ??
    turn.topologies.get(fencing.nodeName)?.levels ??
    [];
  const perRound = levels.reduce((sum, level) => sum + level.retries + 1, 0);
  if (perRound === 0) return undefined;
  let index = finishedAttempts(fencing) % perRound;
  for (const level of levels) {
    if (index <= level.retries) return level;
    index -= level.retries + 1;
  }
  return levels[0];
}

function finishedAttempts(fencing: FencingFact): number {
  const last = fencing.status.attempts.at(-1);
  if (last === undefined) return 0;
  return last.outcome === "Started" ? last.number - 1 : last.number;
}

function backoffMs(turn: Turn, fencing: FencingFact): number {
  const levels = turn.snapshot.topologies.get(fencing.topology ?? "")?.levels ?? [];
  const perRound = Math.max(
    1,
    levels.reduce((sum, level) => sum + level.retries + 1, 0),
  );
  const finished = finishedAttempts(fencing);
  const level = nextLevel(turn, fencing);
  const lastLevel = fencing.status.attempts.at(-1);
  // Escalation does not wait: the next level is another device.
  if (level !== undefined && lastLevel?.level !== level.name && finished % perRound !== 0) return 0;
  const round = Math.floor(finished / perRound);
  return Math.min(MAX_BACKOFF_MS, (level?.backoffMs ?? 5_000) * 2 ** Math.min(round, 10));
}
