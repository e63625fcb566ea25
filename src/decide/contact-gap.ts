// What people are told after a gap in our contact with the API server: that silence is counted anew, and who was away, it or
// we. Words only: the verdicts do not depend on the answer.
import type { DecisionPolicy } from "../model/decision-policy.ts";
import type { NodeLeaseFact } from "../model/node.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { RefusalReason } from "../api/reasons.ts";
import { seconds } from "./text.ts";
import type { PlanDraft } from "./turn.ts";

/**
 * A renewal counts as made while we heard nothing only if it was made so long before our contact came back: the requests of
 * kubelets that wait for an API server carry stamps from shortly before it answers.
 */
const MARGIN_MS = 2_000;
/** In a shorter gap a node may have had nothing to renew (each does every 10 s), so that none did tells nothing. */
const TELLING_GAP_MS = 12_000;
/** While the Leases are being read anew the question is asked again this often. */
const LOOK_AGAIN_MS = 2_000;

interface Watched {
  readonly snapshot: Snapshot;
  readonly policy: DecisionPolicy;
  readonly nowMs: number;
  readonly plan: PlanDraft;
}

/**
 * After a gap nobody is called lost for a while, and people wonder why. Where others were heard meanwhile, by the Leases
 * that they renewed, it was our own contact that was lost; where nobody was, the API server was away for all.
 */
export function tellOfGap({ snapshot, policy, nowMs, plan }: Watched): void {
  const { unbrokenSinceMs, brokenSinceMs } = snapshot.contact;
  const backMs = nowMs - unbrokenSinceMs;
  if (backMs >= policy.nodeLostAfterMs) return;
  let spared = 0;
  for (const name of snapshot.nodes.keys()) {
    const renewal = snapshot.leases.get(name)?.renewal;
    if (renewal !== undefined && nowMs - renewal.changedAtMs >= policy.nodeLostAfterMs) spared += 1;
  }
  const gapMs = brokenSinceMs === undefined ? 0 : unbrokenSinceMs - brokenSinceMs;
  if (spared === 0 && (gapMs < policy.nodeLostAfterMs || isForgotten(snapshot))) return;
  const anew = `${spared} of ${snapshot.nodes.size} nodes have been silent for longer than the API server has answered us without a break (${seconds(backMs)}): their silence is counted from then`;
  const { reason, because } = whoWasAway(snapshot, gapMs);
  if (reason === "SilenceCountedAnew") plan.lookAgain(nowMs + LOOK_AGAIN_MS);
  plan.lookAgain(unbrokenSinceMs + policy.nodeLostAfterMs);
  plan.refuse("cluster", reason, because === undefined ? anew : `${anew}. ${because}`);
}

interface Absence {
  readonly reason: Extract<RefusalReason, "SilenceCountedAnew" | "ContactLost" | "APIServerAway">;
  /** What shows it; undefined where this replica has only begun to watch, or has yet to hear. */
  readonly because: string | undefined;
}

function whoWasAway(snapshot: Snapshot, gapMs: number): Absence {
  const { unbrokenSinceMs } = snapshot.contact;
  let told = 0;
  let renewed = 0;
  let all = 0;
  for (const name of snapshot.nodes.keys()) {
    const lease = snapshot.leases.get(name);
    if (lease === undefined) continue;
    all += 1;
    if (snapshot.leaseAsOfMs(name) < unbrokenSinceMs || !remembersGap(lease, unbrokenSinceMs)) continue;
    told += 1;
    if (wasRenewedInGap(lease, snapshot)) renewed += 1;
  }
  if (gapMs === 0 || told * 2 <= all) return { reason: "SilenceCountedAnew", because: undefined };
  const because = `${renewed} of ${told} nodes renewed their Leases during the ${seconds(gapMs)} in which we heard nothing`;
  if (renewed * 2 > told)
    return { reason: "ContactLost", because: `${because}: our own contact was lost, not the API server` };
  if (renewed === 0 && gapMs >= TELLING_GAP_MS)
    return { reason: "APIServerAway", because: `${because}: the API server was away for everybody` };
  return { reason: "SilenceCountedAnew", because: `${because}: who was away cannot be told` };
}

/** Most nodes have been heard twice since: there is nothing left to wonder about. */
function isForgotten(snapshot: Snapshot): boolean {
  const { unbrokenSinceMs } = snapshot.contact;
  let forgotten = 0;
  for (const name of snapshot.nodes.keys()) {
    const before = snapshot.leases.get(name)?.writtenBeforeMs;
    if (before !== undefined && before > unbrokenSinceMs - MARGIN_MS) forgotten += 1;
  }
  return forgotten * 2 > snapshot.nodes.size;
}

/** Where both renewals that we know of came after the gap, what was written in it is forgotten: no sign of silence. */
function remembersGap({ writtenAtMs, writtenBeforeMs }: NodeLeaseFact, unbrokenSinceMs: number): boolean {
  const oldestMs = writtenBeforeMs ?? writtenAtMs;
  return oldestMs !== undefined && oldestMs <= unbrokenSinceMs - MARGIN_MS;
}

/** By the last two renewals, since the first one after our contact is back soon follows those of before. */
function wasRenewedInGap({ writtenAtMs, writtenBeforeMs }: NodeLeaseFact, { contact }: Snapshot): boolean {
  const fromMs = contact.brokenSinceMs ?? contact.unbrokenSinceMs;
  return [writtenAtMs, writtenBeforeMs].some(
    (atMs) => atMs !== undefined && atMs > fromMs && atMs <= contact.unbrokenSinceMs - MARGIN_MS,
  );
}
