// The fencing of a living node because somebody asked for it: what must hold beyond what holds for a dead one.
import { type FencingFact, isClosed } from "../model/fencing.ts";
import { closeLedger } from "./ledger.ts";
import type { Held } from "./shots.ts";
import { seconds } from "./text.ts";
import type { Turn } from "./turn.ts";

/** Without an answer of the API server for this long we do not know how the other nodes are. */
const BLIND_AFTER_MS = 7_000;
/** Verdicts are reached a moment after their time: several turns fit in. */
const VERDICT_SLACK_MS = 1_000;

/** Why the living node is not fenced now, or undefined. What a disarm and a storm hold is judged with each attempt. */
export function whyNotRequested(turn: Turn, fencing: FencingFact, underWay: number): Held | undefined {
  const { nodeName } = fencing;
  const blind = whyBlind(turn);
  if (blind !== undefined)
    return { reason: "LeaderBlind", message: `${nodeName} is not fenced as requested: ${blind}` };
  let healthy = 0;
  for (const [name, verdict] of turn.verdicts)
    if (name !== nodeName && verdict.kind === "healthy") healthy += 1;
  if (healthy === 0) {
    const message = `${nodeName} is not fenced as requested: no other of ${turn.verdicts.size} nodes is healthy, so its VMs could start nowhere`;
    return { reason: "LastHealthyNode", message };
  }
  const { maxConcurrentFencings } = turn.policy;
  const begun = fencing.status.attempts.length > 0;
  if (begun || underWay < maxConcurrentFencings) return undefined;
  const message = `${nodeName} is not fenced as requested yet: ${underWay} fencings are under way, limit ${maxConcurrentFencings}`;
  return { reason: "TooManyFencings", message };
}

/**
 * Why the power must not be cut where one node more would be one too many. A node that is late or isolated is counted
 * among those already.
 */
export function stormWith(turn: Turn, nodeName: string): Held | undefined {
  if (turn.storm !== undefined) return { reason: "StormHold", message: turn.storm };
  const counted = turn.verdicts.get(nodeName)?.kind !== "healthy";
  if (turn.stormRoom >= (counted ? 0 : 1)) return undefined;
  const message = `${nodeName} is not fenced as requested: as many nodes are lost, late or shot a moment ago as the storm limit allows`;
  return { reason: "StormHold", message };
}

/** Why we cannot say how the nodes are: nothing that may harm is begun then. */
export function whyBlind({ snapshot, policy, now, plan }: Turn): string | undefined {
  const { lastOkMs, unbrokenSinceMs } = snapshot.contact;
  const silentMs = now.monotonicMs - lastOkMs;
  if (silentMs > BLIND_AFTER_MS) return `the API server has not answered us for ${seconds(silentMs)}`;
  const seenMs = now.monotonicMs - unbrokenSinceMs;
  // So long that whoever has been silent all the while is known to be late by now, and was so in an earlier turn.
  const enoughMs = policy.nodeSuspectAfterMs + VERDICT_SLACK_MS;
  if (seenMs >= enoughMs) return undefined;
  plan.lookAgain(unbrokenSinceMs + enoughMs);
  return `we have watched the nodes for ${seconds(seenMs)} only, and ask for ${seconds(enoughMs)}`;
}

/** Ends the requests for the end of a boot that another ledger has proven over already: they would only shoot again. */
export function answerNeedlessRequests(turn: Turn): void {
  for (const fencing of turn.snapshot.fencings.values()) {
    if (fencing.requested !== true || isClosed(fencing) || fencing.status.attempts.length > 0) continue;
    const open = turn.openFencings.get(fencing.nodeName);
    if (open === undefined || open.uid === fencing.uid || open.status.proof === undefined) continue;
    if (open.bootID !== fencing.bootID || open.nodeUID !== fencing.nodeUID) continue;
    const message = `NodeFencing ${open.name} has proven already that boot ${fencing.bootID} of ${fencing.nodeName} is over: nothing is left to do`;
    closeLedger(turn, fencing, "Aborted", message);
  }
}
