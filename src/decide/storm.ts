// Tells one node's loss from a storm: when more is lost at once than the policy allows, it is more likely that we, the
// network or the API server are at fault, so nothing is shot. Reading power states is harmless and goes on.
import type { DecisionPolicy, NodeLimit } from "../model/decision-policy.ts";
import type { AttemptOutcome, FencingFact } from "../model/fencing.ts";
import { isOutOfService, type NodeFact } from "../model/node.ts";
import type { NodeVerdict } from "../model/node-verdict.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { PlanDraft } from "./turn.ts";

/** A node that has been silent for this long, by itself or without VMs, says nothing of what is happening now. */
const LONG_SILENT_MS = 600_000;
/** A node that we powered off, and that has not come back, counts as lost for this long. */
const SHOT_COUNTS_MS = 300_000;

/**
 * A node that was to be fenced and is heard again counts as late for this long, a Lease's period and a little: what ends
 * the silence of one node (a switch that is mended) ends that of the others within such a period, not at the same instant.
 */
const RETURN_COUNTS_MS = 12_000;

/** How many nodes may be lost and unproven at once: never less than one. */
export function stormLimit(limit: NodeLimit, nodeCount: number): number {
  const nodes = "count" in limit ? limit.count : Math.floor((nodeCount * limit.percent) / 100);
  return Math.max(1, nodes);
}

interface Judged {
  readonly snapshot: Snapshot;
  readonly policy: DecisionPolicy;
  readonly verdicts: ReadonlyMap<string, NodeVerdict>;
  readonly openFencings: ReadonlyMap<string, FencingFact>;
  readonly nowMs: number;
  readonly plan: PlanDraft;
}

export interface Storm {
  /** What to say where it is one. */
  readonly message: string | undefined;
  /** How many more nodes could be lost before it is one; negative in one. */
  readonly room: number;
}

/**
 * What to say where a storm holds all shooting, else undefined. Nodes that fell silent together are lost one after the
 * other, up to a Lease's period apart, and a fencing takes less than that. So what is late counts before it is lost, and
 * what we powered off ourselves counts on for a while: else a whole rack that only lost its network would be shot node by
 * node, no more than one of them lost at any moment.
 *
 * Nodes that were off by themselves do not count, nor do those out of use, nor those that were lost long ago and alone:
 * else one node away for repair, or one whose BMC died with it, would hold up the failover of the next for days.
 */
export function judgeStorm(judged: Judged): Storm {
  const silent: NodeFact[] = [];
  const limit = stormLimit(judged.policy.stormMaxLost, judged.verdicts.size);
  const { lost, late, shot, proven } = count(judged, silent);
  const room = limit - lost - late - shot;
  if (lost === 0 || room >= 0) return { message: undefined, room };
  const more = [
    late === 0 ? "" : `, ${late} more late`,
    shot === 0 ? "" : `, ${shot} more powered off by us a moment ago`,
    proven === 0 ? "" : ` (${proven} more are proven off)`,
  ].join("");
  const message = `${lost} of ${judged.verdicts.size} nodes are lost at once${more}, limit ${limit}: nothing is powered off until fewer are${whereAbouts(judged, silent)}`;
  return { message, room };
}

/**
 * What the silent nodes have in common: nodes of one failure domain that fall silent together have more likely lost its
 * switch or its power than each its own, and where not one is heard it is more likely we who are cut off.
 */
function whereAbouts({ snapshot, policy, verdicts }: Judged, silent: readonly NodeFact[]): string {
  if (silent.length === verdicts.size)
    return "; not one node is heard, so it is more likely our own connection, or the API server, than the nodes";
  const label = policy.failureDomainLabel;
  const domains = new Set(silent.map((node) => node.placement.labels[label]));
  const [domain] = domains;
  if (domains.size !== 1 || domain === undefined) return "";
  let there = 0;
  for (const node of snapshot.nodes.values()) if (node.placement.labels[label] === domain) there += 1;
  return `; all ${silent.length} are in ${label}=${domain}, which has ${there} nodes: look at what they share`;
}

function count(judged: Judged, silent: NodeFact[]) {
  const counts = { lost: 0, late: 0, shot: 0, proven: 0 };
  const longLost = lostLongAgo(judged);
  for (const [node, { kind }] of judged.verdicts) {
    const fencing = judged.openFencings.get(node);
    if (fencing?.status.proof !== undefined) {
      if (kind === "lost") counts[wasShotLately(judged, fencing) ? "shot" : "proven"] += 1;
    } else if (kind === "healthy") {
      if (fencing !== undefined && isHeardJustNow(judged, node)) counts.late += 1;
    } else if (kind === "suspect") {
      if (!isOutOfUse(judged, node)) {
        counts.late += 1;
        silent.push(...factOf(judged, node));
      }
    } else if ((kind === "lost" || kind === "isolated") && !longLost.has(node) && !isOutOfUse(judged, node)) {
      counts.lost += 1;
      silent.push(...factOf(judged, node));
    }
  }
  return counts;
}

/**
 * Nodes unheard and unproven that fell silent so long ago, no more of them within such a time than one may lose at once,
 * that they are no part of what happens now. What fell silent together counts together, however long ago, but for nodes
 * that are out of use: spare nodes that are switched off at night fall silent together every evening.
 */
function lostLongAgo(judged: Judged): ReadonlySet<string> {
  const { snapshot, policy, verdicts, openFencings, nowMs, plan } = judged;
  const silent: { readonly node: string; readonly sinceMs: number }[] = [];
  for (const [node, { kind }] of verdicts) {
    const sinceMs = snapshot.leases.get(node)?.renewal.changedAtMs;
    if ((kind !== "lost" && kind !== "isolated") || sinceMs === undefined || isOutOfUse(judged, node))
      continue;
    if (openFencings.get(node)?.status.proof === undefined) silent.push({ node, sinceMs });
  }
  silent.sort((a, b) => a.sinceMs - b.sinceMs);
  const limit = stormLimit(policy.stormMaxLost, verdicts.size);
  const longLost = new Set<string>();
  /** Up to which place nodes are among more than the limit that fell silent within a `LONG_SILENT_MS`. */
  let oneOfManyUntil = -1;
  for (const [at, { node, sinceMs }] of silent.entries()) {
    const beyondLimit = silent[at + limit];
    if (beyondLimit !== undefined && beyondLimit.sinceMs - sinceMs < LONG_SILENT_MS)
      oneOfManyUntil = at + limit;
    const longSilentAtMs = sinceMs + LONG_SILENT_MS;
    if (nowMs < longSilentAtMs) plan.lookAgain(longSilentAtMs);
    else if (at > oneOfManyUntil) longLost.add(node);
  }
  return longLost;
}

function factOf({ snapshot }: Judged, name: string): readonly NodeFact[] {
  const node = snapshot.nodes.get(name);
  return node === undefined ? [] : [node];
}

/** Whether its last renewal of the Lease ended a silence in which a node counts as lost, a moment ago. */
function isHeardJustNow({ snapshot, policy, nowMs, plan }: Judged, name: string): boolean {
  const lease = snapshot.leases.get(name);
  if (lease?.renewedBeforeMs === undefined) return false;
  const { changedAtMs } = lease.renewal;
  const untilMs = changedAtMs + RETURN_COUNTS_MS;
  if (changedAtMs - lease.renewedBeforeMs < policy.nodeLostAfterMs || nowMs >= untilMs) return false;
  plan.lookAgain(untilMs);
  return true;
}

/** Ends of an attempt that did something to a node that may have been well. */
export const SHOTS: readonly (AttemptOutcome | undefined)[] = ["PoweredOff", "Remediated", "StorageFenced"];

/** Whether it was on until we cut its power, and that is not long ago: it may have been as well as we are. */
function wasShotLately({ nowMs, plan }: Judged, { status, provenAtMs = 0 }: FencingFact): boolean {
  const proving = status.attempts.find((attempt) => attempt.number === status.proof?.attempt);
  const untilMs = provenAtMs + SHOT_COUNTS_MS;
  if (!SHOTS.includes(proving?.outcome) || nowMs >= untilMs) return false;
  plan.lookAgain(untilMs);
  return true;
}

/**
 * Without a single VM, and not lost just now: somebody has emptied it before it fell silent (cordoned, or out of service
 * by somebody's word), it never had a kubelet, or it has been silent for long.
 */
function isOutOfUse({ snapshot, openFencings, nowMs, plan }: Judged, name: string): boolean {
  const node = snapshot.nodes.get(name);
  if (node === undefined || snapshot.index.vmisByNode.has(name)) return false;
  if (isOutOfService(node) || node.bootID === undefined) return true;
  // Cordoned since, by somebody who looks after it: it was in use when it fell silent, or we would not be fencing it.
  if (node.placement.unschedulable && !openFencings.has(name)) return true;
  const renewal = snapshot.leases.get(name)?.renewal;
  if (renewal === undefined) return false;
  const longSilentAtMs = renewal.changedAtMs + LONG_SILENT_MS;
  if (nowMs >= longSilentAtMs) return true;
  plan.lookAgain(longSilentAtMs);
  return false;
}
