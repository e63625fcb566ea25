// Quarantine: a node that keeps falling and coming back gets no new VMs for a while. It stands on the node itself as a taint
// with its end as value, so that it outlives every leader, and whoever removes the taint has lifted it: it is set at a
// return and at no other time.
import type { FencingFact } from "../model/fencing.ts";
import { type NodeFact, quarantineOf } from "../model/node.ts";
import { nodeEvent } from "./event.ts";
import { seconds, timestamp, wallMsOf } from "./text.ts";
import type { Turn } from "./turn.ts";

/** How often a quarantine is looked at again at the least: its end is told by the wall clock, which may move. */
const MAX_LOOK_MS = 60_000;

/**
 * Plans the quarantine of a node that is about to count as returned from `fencing`, where it has returned too often. True
 * while that is the next step.
 */
export function quarantine(turn: Turn, fencing: FencingFact, node: NodeFact): boolean {
  const { quarantineAfterReturns: limit, quarantineWindowMs, quarantineMs } = turn.policy;
  if (limit === 0 || quarantineOf(node) !== undefined) return false;
  const returns = returnsOf(turn, fencing, node) + 1;
  if (returns < limit) return false;
  const untilMs = turn.now.wallMs + quarantineMs;
  const message = `${node.name} has returned ${returns} times within ${seconds(quarantineWindowMs)}, limit ${limit}: no new VMs go there until ${timestamp(untilMs)}. To lift it, remove its taint holdfast.dev/quarantine`;
  turn.plan.add({
    kind: "Quarantine",
    node: node.name,
    untilSeconds: Math.ceil(untilMs / 1000),
    events: [nodeEvent(node, "Warning", "NodeQuarantined", message)],
  });
  return true;
}

/** Returns of the node within the window, without the one at hand; from the ledgers, which outlive every leader. */
function returnsOf({ snapshot, policy, now }: Turn, fencing: FencingFact, node: NodeFact): number {
  let count = 0;
  for (const other of snapshot.fencings.values()) {
    if (other === fencing || other.nodeName !== node.name || other.status.phase !== "Returned") continue;
    const agoMs = now.wallMs - wallMsOf(other.status.returnedAt ?? "");
    if (agoMs < policy.quarantineWindowMs) count += 1;
  }
  return count;
}

/**
 * Tells of every quarantine, and lifts those whose time has passed by the leader's wall clock. A disarm's end is reckoned on
 * the monotonic clock as well, since one that ended early would let living nodes be shot; the wrong end of a quarantine only
 * lets VMs onto a node early, or keeps them off it for longer, and the next return sets it again. So it stays one number
 * that a person can read off the node.
 */
export function liftQuarantines(turn: Turn): void {
  const { plan, now } = turn;
  for (const node of turn.snapshot.nodes.values()) {
    const quarantined = quarantineOf(node);
    if (quarantined === undefined) continue;
    const { untilWallMs } = quarantined;
    const leftMs = (untilWallMs ?? Number.POSITIVE_INFINITY) - now.wallMs;
    if (leftMs <= 0) {
      const message = `the quarantine of ${node.name} is over: it takes new VMs again`;
      const events = [nodeEvent(node, "Normal", "QuarantineLifted", message)];
      plan.add({ kind: "Quarantine", node: node.name, untilSeconds: undefined, events });
      continue;
    }
    const until =
      untilWallMs === undefined ? "somebody removes it: its value is no time" : timestamp(untilWallMs);
    plan.refuse(
      `node/${node.name}`,
      "Quarantined",
      `${node.name} is quarantined by its taint holdfast.dev/quarantine until ${until}`,
    );
    if (untilWallMs !== undefined) plan.lookAgain(now.monotonicMs + Math.min(leftMs, MAX_LOOK_MS));
  }
}
