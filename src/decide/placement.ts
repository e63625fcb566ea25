// Which nodes could host a VM: KubeVirt's and the scheduler's filters as far as facts carry them. A prediction for
// people and for gates; the scheduler has the last word.
import {
  type NodeSelectorRequirement,
  type PlacementConstraints,
  type Toleration,
} from "../model/virtual-machine.ts";
import type { NodeFact, NodePlacement, Taint } from "../model/node.ts";
import type { NodeVerdict } from "../model/node-verdict.ts";
import type { Conclusions, NodeConclusion, Snapshot } from "../model/snapshot.ts";
import { MAX_CANDIDATES_COUNTED } from "../model/protection.ts";

/** Candidates kept per constraint: the most we count, and one more for the node a VM is already on. */
export const CANDIDATES_KEPT = MAX_CANDIDATES_COUNTED + 1;

/** virt-handler sends a heartbeat every 60 to 132 s: after a gap none has come before this. */
const NEXT_HEARTBEAT_MS = 150_000;

/** Whether any VM could be started on the node now; `isExcused`: the label by which KubeVirt says that it could not is void. */
export function canHost(node: NodeFact, verdict: NodeVerdict, isExcused = false): boolean {
  const { placement } = node;
  return (
    (verdict.kind === "healthy" || verdict.kind === "suspect") &&
    placement.ready &&
    !placement.unschedulable &&
    (placement.labels["kubevirt.io/schedulable"] === "true" || isExcused)
  );
}

/**
 * Monotonic time until which it is left open whether KubeVirt is right to call the node unschedulable; undefined where
 * nothing speaks against it. After an outage of the API server longer than five minutes KubeVirt finds every heartbeat too
 * old, and takes every node out of use until its next one. That tells of the outage and of no node: said aloud, it would
 * call each VM of the cluster unprotected for a minute.
 */
export function excusedUntilMs(
  { contact }: Pick<Snapshot, "contact">,
  { placement, placementChangedAtMs, heartbeat }: NodeFact,
): number | undefined {
  const { brokenSinceMs, unbrokenSinceMs } = contact;
  if (brokenSinceMs === undefined || placement.labels["kubevirt.io/schedulable"] !== "false")
    return undefined;
  const isOfTheGap = placementChangedAtMs >= unbrokenSinceMs && heartbeat.changedAtMs < unbrokenSinceMs;
  return isOfTheGap ? unbrokenSinceMs + NEXT_HEARTBEAT_MS : undefined;
}

/** Whether the node satisfies what the VM asks of it; says nothing of capacity. */
export function satisfies(placement: NodePlacement, constraints: PlacementConstraints): boolean {
  for (const [key, value] of Object.entries(constraints.nodeSelector)) {
    if (placement.labels[key] !== value) return false;
  }
  const terms = constraints.affinityTerms;
  if (terms.length > 0 && !terms.some((term) => term.every((r) => requirementHolds(r, placement.labels))))
    return false;
  return placement.taints.every(
    (taint) => taint.effect === "PreferNoSchedule" || isTolerated(taint, constraints.tolerations),
  );
}

function requirementHolds(
  requirement: NodeSelectorRequirement,
  labels: Readonly<Record<string, string>>,
): boolean {
  const value = labels[requirement.key];
  switch (requirement.operator) {
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "In":
      return value !== undefined && requirement.values.includes(value);
    case "NotIn":
      return value === undefined || !requirement.values.includes(value);
    case "Gt":
      return integer(value) > integer(requirement.values[0]);
    case "Lt":
      return integer(value) < integer(requirement.values[0]);
  }
}

/** NaN where it is none, and then no comparison holds, as in the scheduler. */
function integer(text: string | undefined): number {
  return text !== undefined && /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
}

function isTolerated(taint: Taint, tolerations: readonly Toleration[]): boolean {
  return tolerations.some(
    (toleration) =>
      (toleration.effect === undefined || toleration.effect === taint.effect) &&
      (toleration.key === undefined || toleration.key === taint.key) &&
      (toleration.operator === "Exists" || (toleration.value ?? "") === (taint.value ?? "")),
  );
}

/**
 * Candidate nodes per placement constraint. What the last turn found is kept where no node it rests on has changed, so
 * that a turn in which one node changed looks at one node and not at all of them.
 */
export function findCandidates(
  snapshot: Snapshot,
  hosts: ReadonlyMap<string, boolean>,
  conclusions: ReadonlyMap<string, NodeConclusion>,
): Map<string, readonly string[]> {
  const changed = changedNodes(conclusions, snapshot.last);
  const result = new Map<string, readonly string[]>();
  for (const [key, vmKeys] of snapshot.index.vmsByConstraints) {
    const before = snapshot.last?.candidates.get(key);
    if (before !== undefined && changed !== undefined && stillHolds(before, changed)) {
      result.set(key, before);
      continue;
    }
    const constraints = constraintsOfAny(snapshot, vmKeys);
    if (constraints !== undefined) result.set(key, scan(snapshot, hosts, constraints));
  }
  return result;
}

function changedNodes(
  now: ReadonlyMap<string, NodeConclusion>,
  last: Conclusions | undefined,
): ReadonlySet<string> | undefined {
  if (last === undefined) return undefined;
  const changed = new Set<string>();
  for (const [name, conclusion] of now) {
    const before = last.nodes.get(name);
    if (
      before === undefined ||
      before.placement !== conclusion.placement ||
      before.canHost !== conclusion.canHost
    ) {
      changed.add(name);
    }
  }
  for (const name of last.nodes.keys()) if (!now.has(name)) changed.add(name);
  return changed;
}

function stillHolds(before: readonly string[], changed: ReadonlySet<string>): boolean {
  if (changed.size === 0) return true;
  return before.length === CANDIDATES_KEPT && before.every((node) => !changed.has(node));
}

function constraintsOfAny(snapshot: Snapshot, vmKeys: ReadonlySet<string>): PlacementConstraints | undefined {
  for (const key of vmKeys) {
    const vm = snapshot.vms.get(key);
    if (vm !== undefined) return vm.constraints;
  }
  return undefined;
}

function scan(
  snapshot: Snapshot,
  hosts: ReadonlyMap<string, boolean>,
  constraints: PlacementConstraints,
): readonly string[] {
  const found: string[] = [];
  for (const node of snapshot.nodes.values()) {
    if (hosts.get(node.name) !== true || !satisfies(node.placement, constraints)) continue;
    found.push(node.name);
    if (found.length === CANDIDATES_KEPT) break;
  }
  return found;
}
