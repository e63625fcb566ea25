// Tells one node's loss from a storm: when more is lost at once than the policy allows, it is more likely that we, the
// network or the API server are at fault, so nothing is shot. Reading power states is harmless and goes on.
import type { DecisionPolicy, NodeLimit } from "../model/decision-policy.ts";
import type { FencingFact } from "../model/fencing.ts";
import { isOutOfService } from "../model/node.ts";
import type { NodeVerdict } from "../model/node-verdict.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { PlanDraft } from "./turn.ts";

/** A node without VMs that has been silent for this long says nothing of what is happening now. */
const LONG_SILENT_MS = 600_000;

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

/**
 * What to say where a storm holds all shooting, else undefined. Nodes whose fencing is proven do not count, nor do those
 * out of use: else one node away for repair, or broken and forgotten, would hold up the failover of the next for days.
 */
export function judgeStorm(judged: Judged): string | undefined {
  const { policy, verdicts, openFencings } = judged;
  const limit = stormLimit(policy.stormMaxLost, verdicts.size);
  let lost = 0;
  let proven = 0;
  for (const [node, verdict] of verdicts) {
    if (verdict.kind !== "lost" && verdict.kind !== "isolated") continue;
    if (openFencings.get(node)?.status.proof !== undefined) proven += 1;
    else if (!isOutOfUse(judged, node)) lost += 1;
  }
  if (lost <= limit) return undefined;
  const others = proven === 0 ? "" : ` (${proven} more are proven off)`;
  return `${lost} of ${verdicts.size} nodes are lost at once${others}, limit ${limit}: nothing is powered off until fewer are`;
}

/**
 * Without a single VM, and not lost just now: somebody has emptied it before it fell silent (cordoned, or out of service
 * by somebody's word), it never had a kubelet, or it has been silent for long.
 */
function isOutOfUse({ snapshot, nowMs, plan }: Judged, name: string): boolean {
  const node = snapshot.nodes.get(name);
  if (node === undefined || snapshot.index.vmisByNode.has(name)) return false;
  if (node.placement.unschedulable || isOutOfService(node) || node.bootID === undefined) return true;
  const renewal = snapshot.leases.get(name)?.renewal;
  if (renewal === undefined) return false;
  const longSilentAtMs = renewal.changedAtMs + LONG_SILENT_MS;
  if (nowMs >= longSilentAtMs) return true;
  plan.lookAgain(longSilentAtMs);
  return false;
}
