// How many nodes may be powered off: at the same time, and within an hour. Reading power states is not limited.
import type { FencingFact } from "../model/fencing.ts";
import type { RefusalReason } from "../api/reasons.ts";
import { roundsFailed } from "./attempts.ts";
import { heldOn } from "./held.ts";
import { SHOTS } from "./storm.ts";
import { seconds, wallMsOf } from "./text.ts";
import type { Turn } from "./turn.ts";

/** What the limit on fencings is counted over. */
const WINDOW_MS = 3_600_000;

export interface Held {
  readonly reason: RefusalReason;
  readonly message: string;
}

/** Why the node's power must not be cut now although nothing speaks against the fencing itself, or undefined. */
export function whyNoShot(turn: Turn, fencing: FencingFact): Held | undefined {
  if (turn.storm !== undefined) return { reason: "StormHold", message: turn.storm };
  // What has been shot at may be shot at again: it is one fencing, and half of one helps nobody.
  if (mayHaveBeenShot(fencing)) return undefined;
  return tooManyAtOnce(turn, fencing) ?? tooManyInWindow(turn, fencing);
}

function tooManyAtOnce(turn: Turn, fencing: FencingFact): Held | undefined {
  if (roundsFailed(turn, fencing) > 0) return undefined;
  const limit = turn.policy.maxConcurrentFencings;
  // A shot under way counts though its node is heard again and nobody wants it any more: it may just have left.
  const names = new Set(turn.snapshot.shooting);
  for (const step of turn.plan.steps)
    if (step.kind === "Fence" && step.mayPowerOff) names.add(step.fencing.name);
  names.delete(fencing.name);
  let busy = 0;
  for (const name of names) {
    const other = turn.snapshot.fencings.get(name);
    if (other !== undefined && roundsFailed(turn, other) === 0) busy += 1;
  }
  if (busy < limit) return undefined;
  const message = `${fencing.nodeName} is not powered off yet: ${busy} fencings are under way, limit ${limit}`;
  return { reason: "TooManyFencings", message };
}

/**
 * A network that fails for one node after the other makes no storm: each is alone when it is lost. So the nodes that were
 * powered off within the last hour are counted as well. By both clocks, since a new leader has only just seen old proofs.
 */
function tooManyInWindow(turn: Turn, fencing: FencingFact): Held | undefined {
  const limit = turn.policy.maxFencingsPerHour;
  const endsMs: number[] = [];
  for (const other of turn.snapshot.fencings.values()) {
    if (other === fencing) continue;
    const endMs = endOfCount(turn, other);
    if (endMs !== undefined && endMs > turn.now.monotonicMs) endsMs.push(endMs);
  }
  for (const step of turn.plan.steps)
    if (step.kind === "Fence" && step.mayPowerOff && !mayHaveBeenShot(step.fencing))
      endsMs.push(Number.MAX_SAFE_INTEGER);
  if (endsMs.length < limit) return undefined;
  const nextMs = endsMs.sort((a, b) => a - b)[endsMs.length - limit] ?? 0;
  if (nextMs < Number.MAX_SAFE_INTEGER) turn.plan.lookAgain(nextMs);
  const message = `${fencing.nodeName} is not powered off: ${endsMs.length} nodes were within ${seconds(WINDOW_MS)}, limit ${limit}; its power state is read on`;
  return { reason: "FencingRateReached", message };
}

/** Monotonic time at which this ledger's shot no longer counts; undefined where it has none. */
function endOfCount({ now }: Turn, { status, provenAtMs, changedAtMs }: FencingFact): number | undefined {
  if (status.proof === undefined) {
    const open =
      status.phase !== "Aborted" && status.attempts.some(({ outcome }) => outcome !== "AlreadyOff");
    return open ? changedAtMs + WINDOW_MS : undefined;
  }
  const proving = status.attempts.find((attempt) => attempt.number === status.proof?.attempt);
  if (!SHOTS.includes(proving?.outcome)) return undefined;
  const byWallMs = now.monotonicMs + (wallMsOf(status.proof.observedAt) + WINDOW_MS - now.wallMs);
  return Math.min(byWallMs, (provenAtMs ?? changedAtMs) + WINDOW_MS);
}

function mayHaveBeenShot({ status }: FencingFact): boolean {
  return status.attempts.length > 0;
}

/**
 * Fencings that keep devices busy. One whose every level has failed goes on trying with long pauses and no longer counts,
 * nor does one whose node is not lost at present: else a few broken devices would hold up every other node for good.
 */
export function fencingsUnderWay(turn: Turn): number {
  let count = 0;
  for (const fencing of turn.openFencings.values()) {
    if (fencing.status.proof !== undefined) continue;
    const begun = fencing.status.attempts.at(-1)?.outcome === "Started";
    const lost = turn.verdicts.get(fencing.nodeName)?.kind === "lost";
    if (begun || (lost && roundsFailed(turn, fencing) === 0)) count += 1;
  }
  return count;
}

/**
 * Unproven fencings in the order in which they may shoot: those that have begun, whether their ledgers are seen to say so
 * or not yet, then by their most important VM.
 */
export function inOrderOfShots(turn: Turn, unproven: readonly FencingFact[]): readonly FencingFact[] {
  if (unproven.length < 2) return unproven;
  const rank = new Map(
    unproven.map((fencing) => [
      fencing,
      mayHaveBeenShot(fencing) || turn.snapshot.shooting.has(fencing.name)
        ? Number.POSITIVE_INFINITY
        : (heldOn(turn, fencing.nodeName)[0]?.priority ?? -1),
    ]),
  );
  return [...unproven].sort((a, b) => {
    const [mine = 0, theirs = 0] = [rank.get(a), rank.get(b)];
    return mine === theirs ? (a.name < b.name ? -1 : 1) : theirs - mine;
  });
}
