// Looks for a sign of life of the incarnation that is to be fenced, right before it is shot and right before it is called
// dead. A guard that cannot look says no.
import type { FencingFact } from "../model/fencing.ts";
import type { ActContext, NodeReading } from "./context.ts";
import { pause } from "./fence/call-deadline.ts";

/**
 * What a fresh look at the node found. `silent`: the incarnation meant, and no word from it. `gone`: no Node object.
 * `alive`: it was heard, or another incarnation is in charge. `unread`: the look itself failed. `stale`: we do not lead.
 */
export type Look =
  | { readonly kind: "silent" | "gone" }
  | { readonly kind: "alive" | "unread" | "stale"; readonly why: string };

/** Looks of `lookPatiently` at most, and the pause before the second; it doubles. */
const MAX_LOOKS = 4;
const LOOK_PAUSE_MS = 250;

/**
 * Reads the node and its Lease from the quorum. The Lease counts as silent only when we have not seen it change for as
 * long as it takes to call a node lost: so a renewal that came after the decision is a sign of life, whether the watch or
 * this reading brought it, and a proof is never believed of a node heard of a moment ago.
 */
export async function lookForLife(fencing: FencingFact, context: ActContext): Promise<Look> {
  if (!context.leadership.valid()) return NOT_LEADING;
  const read = await context.facts.refreshNode(fencing.nodeName);
  // The reading took its time: what follows it must be as sure of leadership as what went before.
  if (!context.leadership.valid()) return NOT_LEADING;
  if (read.ok) return judge(fencing, read.value, context);
  if (read.kind === "notFound") return { kind: "gone" };
  return { kind: "unread", why: `${fencing.nodeName} could not be read anew: ${read.message}` };
}

/** The same, again where the look failed: what hangs on it is a proof that must not be lost to one dropped connection. */
export async function lookPatiently(fencing: FencingFact, context: ActContext): Promise<Look> {
  let found = await lookForLife(fencing, context);
  for (let tries = 1; found.kind === "unread" && tries < MAX_LOOKS; tries++) {
    await pause(context.clock, LOOK_PAUSE_MS * 2 ** (tries - 1), context.leadership.signal);
    found = await lookForLife(fencing, context);
  }
  return found;
}

const NOT_LEADING: Look = { kind: "stale", why: "leadership has ended" };

function judge(fencing: FencingFact, reading: NodeReading, context: ActContext): Look {
  const alive = (why: string): Look => ({ kind: "alive", why: `${fencing.nodeName} ${why}` });
  if (reading.uid !== fencing.nodeUID) return alive(`is a new Node object (UID ${reading.uid})`);
  if (reading.bootID !== fencing.bootID) return alive(`reports boot ID ${reading.bootID ?? "none"}`);
  if (reading.leaseChangedAtMs === undefined) {
    // Without a Lease only the node controller's word is left.
    return reading.ready === "Unknown" ? { kind: "silent" } : alive("has no Lease and is not called Unknown");
  }
  if (reading.leaseChanged) return alive("has renewed its Lease");
  const silentMs = context.clock.now().monotonicMs - reading.leaseChangedAtMs;
  if (silentMs >= context.policy.nodeLostAfterMs) return { kind: "silent" };
  return alive(`renewed its Lease ${Math.round(silentMs / 1000)} s ago`);
}
