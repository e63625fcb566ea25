// FencingDisarms: which nodes they keep from being fenced, what their statuses say, and when one is over. Time is judged
// twice, since one clock that is wrong must not arm fencing early: by ours, and by those of the kubelets that are heard.
import { covers, type DisarmFact, isOver, MAX_HELD_NAMED } from "../model/disarm.ts";
import { sameData } from "../model/equal.ts";
import type { EventNote } from "../model/plan.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { API_VERSION } from "../api/kind.ts";
import type { EventReason } from "../api/reasons.ts";
import { conditionsOf, type Judgement } from "./condition.ts";
import { nodeEvent } from "./event.ts";
import { sawChangeAfter } from "./judge-node.ts";
import { wallMsOf } from "./text.ts";
import type { Turn } from "./turn.ts";

/** How often the kubelets' clocks are asked again where ours says that a disarm is over and theirs do not. */
const CLOCK_PERIOD_MS = 1_000;
/** And at most so rarely where they are far behind. */
const MAX_CLOCK_PERIOD_MS = 60_000;

/**
 * The FencingDisarm that keeps each node from being fenced: of several the one that lasts longest, then the first by
 * name. One whose end is not yet on record still stands: arming again is a durable step like any other.
 */
export function disarmsByNode(snapshot: Snapshot): Map<string, DisarmFact> {
  const result = new Map<string, DisarmFact>();
  const standing = [...snapshot.disarms.values()].filter((disarm) => !isOver(disarm));
  if (standing.length === 0) return result;
  standing.sort((a, b) => b.untilMs - a.untilMs || (a.name < b.name ? -1 : 1));
  for (const node of snapshot.nodes.values()) {
    const chosen = standing.find((disarm) => covers(disarm, node.placement.labels));
    if (chosen !== undefined) result.set(node.name, chosen);
  }
  return result;
}

/** Whether the node is disarmed; if so, that is told in the plan's refusals. */
export function isDisarmed(turn: Turn, nodeName: string, whatIsHeld: string): boolean {
  const disarm = turn.disarms.get(nodeName);
  if (disarm === undefined) return false;
  turn.plan.refuse(`node/${nodeName}`, "FencingDisarmed", `${whatIsHeld}: ${disarmMessage(disarm)}`);
  return true;
}

/** What is said wherever a disarm holds something. The same words while the disarm stays as it is. */
export function disarmMessage({ name, until, reason, requestedBy }: DisarmFact): string {
  const who = requestedBy === undefined ? "" : ` (${requestedBy})`;
  return `fencing is disarmed until ${until} by FencingDisarm ${name}${who}: ${reason}`;
}

/** Writes the status of each disarm whose meaning has changed. After the fencings, whose refusals it records. */
export function decideDisarms(turn: Turn): void {
  for (const disarm of turn.snapshot.disarms.values()) decideDisarm(turn, disarm);
}

function decideDisarm(turn: Turn, disarm: DisarmFact): void {
  const { snapshot, plan, now } = turn;
  const before = disarm.status.conditions;
  const was = before.find((condition) => condition.type === "Active");
  const over = isOver(disarm) || hasEnded(turn, disarm);
  const held = [...disarm.status.heldNodes, ...(over ? [] : newlyHeld(turn, disarm))].slice(
    0,
    MAX_HELD_NAMED,
  );
  let selectedNodes = 0;
  for (const node of snapshot.nodes.values()) if (covers(disarm, node.placement.labels)) selectedNodes += 1;
  const status = {
    observedGeneration: disarm.generation,
    selectedNodes,
    heldNodes: held,
    conditions: conditionsOf([judgement(disarm, over)], before, now.wallMs, disarm.generation),
  };
  if (sameData(status, disarm.status)) return;
  const events: EventNote[] = [];
  if (over && was?.status === "True")
    events.push(about(disarm, "FencingRearmed", `${disarm.until} has passed: nodes are fenced again`));
  if (!over && was?.status !== "True")
    events.push(about(disarm, "FencingDisarmed", `no node of ${selectedNodes} is fenced: ${disarm.reason}`));
  for (const name of held.slice(disarm.status.heldNodes.length)) {
    const node = snapshot.nodes.get(name);
    if (node !== undefined)
      events.push(
        nodeEvent(node, "Warning", "FencingHeld", `${name} is not fenced: ${disarmMessage(disarm)}`),
      );
  }
  plan.add({
    kind: "WriteSummary",
    resource: "fencingdisarms",
    name: disarm.name,
    resourceVersion: disarm.resourceVersion,
    status,
    events,
  });
}

function judgement(disarm: DisarmFact, over: boolean): Judgement {
  return over
    ? {
        type: "Active",
        status: "False",
        reason: "Expired",
        message: `${disarm.until} has passed: nodes are fenced again`,
      }
    : { type: "Active", status: "True", reason: "Active", message: disarmMessage(disarm) };
}

/** Nodes that this turn would have fenced but for this disarm, and that are not named yet. */
function newlyHeld(turn: Turn, disarm: DisarmFact): readonly string[] {
  const known = new Set(disarm.status.heldNodes);
  const found: string[] = [];
  for (const [name, chosen] of turn.disarms) {
    if (chosen !== disarm || known.has(name)) continue;
    if (turn.plan.reasonsAbout(`node/${name}`).includes("FencingDisarmed")) found.push(name);
  }
  return found.sort();
}

/**
 * Whether its time has passed, by our monotonic clock since we first saw it, and by the wall clocks of most kubelets that
 * are heard. A leader with a wrong clock would else arm fencing in the middle of the work it was disarmed for; that a
 * slow clock keeps it disarmed for longer is told everywhere and harms nothing that is well.
 */
function hasEnded(turn: Turn, disarm: DisarmFact): boolean {
  const { plan, now } = turn;
  if (now.monotonicMs < disarm.untilMs) {
    plan.lookAgain(disarm.untilMs);
    return false;
  }
  const theirsMs = wallMsByKubelets(turn);
  const untilWallMs = wallMsOf(disarm.until);
  if (theirsMs !== undefined && theirsMs >= untilWallMs) return true;
  const leftMs = theirsMs === undefined ? 0 : untilWallMs - theirsMs;
  plan.lookAgain(now.monotonicMs + Math.min(MAX_CLOCK_PERIOD_MS, Math.max(CLOCK_PERIOD_MS, leftMs)));
  return false;
}

/**
 * The time by the middle one of the kubelets' clocks, from the stamps of the renewals that we saw come just now. Ours where
 * no node has a Lease; undefined where some have and none is heard: then there is nothing that could be fenced anyway.
 */
function wallMsByKubelets(turn: Turn): number | undefined {
  const { snapshot, policy, now } = turn;
  const times: number[] = [];
  let anyLease = false;
  for (const name of snapshot.nodes.keys()) {
    const renewal = snapshot.leases.get(name)?.renewal;
    if (renewal === undefined) continue;
    anyLease = true;
    if (!sawChangeAfter(renewal, now.monotonicMs - policy.nodeSuspectAfterMs)) continue;
    const stampMs = wallMsOf(renewal.value ?? "");
    if (stampMs > 0) times.push(stampMs + (now.monotonicMs - renewal.changedAtMs));
  }
  if (times.length === 0) return anyLease ? undefined : now.wallMs;
  return times.sort((a, b) => a - b)[Math.floor((times.length - 1) / 2)];
}

function about({ name, uid }: DisarmFact, reason: EventReason, message: string): EventNote {
  return {
    about: { apiVersion: API_VERSION, kind: "FencingDisarm", namespace: undefined, name, uid },
    type: "Normal",
    reason,
    message,
  };
}
