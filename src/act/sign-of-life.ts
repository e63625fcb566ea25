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
export function lookForLife(fencing: FencingFact, context: ActContext): Promise<Look> {
  return look(fencing, context, (reading) => judge(fencing, reading, context));
}

/**
 * Whether the incarnation meant is still the one there, alive or not: the look before a living node is shot because
 * somebody asked for it.
 */
export function lookForIncarnation(fencing: FencingFact, context: ActContext): Promise<Look> {
  return look(fencing, context, (reading) => otherThan(fencing, reading) ?? { kind: "silent" });
}

/**
 * Whether a node that was alive until a moment ago has fallen silent since its device first said Off: waits for as long as
 * its kubelet would have needed to renew its Lease, for the device may be another machine's.
 */
export async function lookForSilence(
  fencing: FencingFact,
  offAtMs: number,
  context: ActContext,
): Promise<Look> {
  const { clock, policy, leadership } = context;
  const waitMs = offAtMs + policy.nodeSuspectAfterMs - clock.now().monotonicMs;
  await pause(clock, Math.max(0, waitMs), leadership.signal);
  const graceMs = Math.min(IN_FLIGHT_MS, policy.nodeSuspectAfterMs / 2);
  return patiently(context, () =>
    look(fencing, context, (reading) => {
      const other = otherThan(fencing, reading);
      if (other !== undefined) return other;
      if (reading.leaseChangedAtMs === undefined) return judge(fencing, reading, context);
      if (!reading.leaseChanged && reading.leaseChangedAtMs <= offAtMs + graceMs) return { kind: "silent" };
      return { kind: "alive", why: `${fencing.nodeName} has renewed its Lease since` };
    }),
  );
}

async function look(
  fencing: FencingFact,
  context: ActContext,
  judged: (reading: NodeReading) => Look,
): Promise<Look> {
  if (!context.leadership.valid()) return NOT_LEADING;
  const read = await context.facts.refreshNode(fencing.nodeName);
  // The reading took its time: what follows it must be as sure of leadership as what went before.
  if (!context.leadership.valid()) return NOT_LEADING;
  if (read.ok) return judged(read.value);
  if (read.kind === "notFound") return { kind: "gone" };
  return { kind: "unread", why: `${fencing.nodeName} could not be read anew: ${read.message}` };
}

/** The same, again where the look failed: what hangs on it is a proof that must not be lost to one dropped connection. */
export function lookPatiently(fencing: FencingFact, context: ActContext): Promise<Look> {
  return patiently(context, () => lookForLife(fencing, context));
}

async function patiently(context: ActContext, lookOnce: () => Promise<Look>): Promise<Look> {
  let found = await lookOnce();
  for (let tries = 1; found.kind === "unread" && tries < MAX_LOOKS; tries++) {
    await pause(context.clock, LOOK_PAUSE_MS * 2 ** (tries - 1), context.leadership.signal);
    found = await lookOnce();
  }
  return found;
}

/** A renewal that was on its way when the power went may arrive this long after. */
const IN_FLIGHT_MS = 5_000;

const NOT_LEADING: Look = { kind: "stale", why: "leadership has ended" };

/** Set where another incarnation, or another node, is there under the name. */
function otherThan(fencing: FencingFact, reading: NodeReading): Look | undefined {
  const alive = (why: string): Look => ({ kind: "alive", why: `${fencing.nodeName} ${why}` });
  if (reading.uid !== fencing.nodeUID) return alive(`is a new Node object (UID ${reading.uid})`);
  if (reading.bootID !== fencing.bootID) return alive(`reports boot ID ${reading.bootID ?? "none"}`);
  return undefined;
}

function judge(fencing: FencingFact, reading: NodeReading, context: ActContext): Look {
  const alive = (why: string): Look => ({ kind: "alive", why: `${fencing.nodeName} ${why}` });
  const other = otherThan(fencing, reading);
  if (other !== undefined) return other;
  if (reading.leaseChangedAtMs === undefined) {
    // Without a Lease only the node controller's word is left.
    return reading.ready === "Unknown" ? { kind: "silent" } : alive("has no Lease and is not called Unknown");
  }
  if (reading.leaseChanged) return alive("has renewed its Lease");
  const silentMs = context.clock.now().monotonicMs - reading.leaseChangedAtMs;
  if (silentMs >= context.policy.nodeLostAfterMs) return { kind: "silent" };
  return alive(`renewed its Lease ${Math.round(silentMs / 1000)} s ago`);
}
