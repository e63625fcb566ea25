// The cluster at a glance: what `status` shows, computed from one sighting by the operator's own rules.
import { defaultPolicy } from "../config.ts";
import { decide } from "../decide/decide.ts";
import { topologiesByNode } from "../decide/topologies.ts";
import { isClosed, type FencingFact } from "../model/fencing.ts";
import type { NodeFact } from "../model/node.ts";
import type { Plan } from "../model/plan.ts";
import type { ProtectionFact } from "../model/protection.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { Disarm } from "./disarm.ts";
import type { Sighting } from "./observe-once.ts";
import type { OperatorLease } from "./operator-lease.ts";

export interface NodeStatus {
  readonly name: string;
  readonly verdict: string;
  readonly cordoned: boolean;
  /** The FencingTopology that covers it; undefined where its loss could not be proven. */
  readonly fencingTopology: string | undefined;
  readonly vms: number;
  readonly protectedVMs: number;
  /** Its open NodeFencing. */
  readonly fencing: { readonly name: string; readonly phase: string; readonly message: string } | undefined;
  readonly notes: readonly string[];
}

export type VMState = "recovering" | "blocked" | "violated" | "down" | "unprotected" | "moving" | "well";

export interface VMStatus {
  readonly vm: string;
  readonly state: VMState;
  readonly node: string | undefined;
  readonly priority: number;
  readonly why: string;
}

export interface ClusterStatus {
  readonly server: string;
  readonly at: string;
  readonly operator: OperatorLease;
  readonly disarms: readonly Disarm[];
  readonly nodes: readonly NodeStatus[];
  readonly vms: Readonly<Record<VMState, number>> & {
    /** VMs that nobody has promised anything for. */
    readonly withoutPromise: number;
    readonly total: number;
  };
  /** VMs that are not well, the worst first. */
  readonly troubled: readonly VMStatus[];
  /** What cannot be read, and so is not in these figures. */
  readonly unreadable: readonly string[];
  /** Whether a person should look. */
  readonly attention: boolean;
}

const ORDER: readonly VMState[] = [
  "blocked",
  "down",
  "recovering",
  "violated",
  "unprotected",
  "moving",
  "well",
];

/** What is known beside the sighting. */
interface Surroundings {
  readonly server: string;
  readonly operator: OperatorLease;
  readonly disarms: readonly Disarm[];
}

/** Judges the whole cluster. */
export function clusterStatus(sighting: Sighting, around: Surroundings): ClusterStatus {
  const { snapshot, now } = sighting;
  const plan = decide(snapshot, defaultPolicy(), now);
  const nodes = [...snapshot.nodes.values()]
    .map((node) => nodeStatus(snapshot, plan, node))
    .sort((a, b) => compareNames(a.name, b.name));
  const all = [...snapshot.protections.values()].map((protection) => vmStatus(protection));
  const counts = Object.fromEntries(
    ORDER.map((state) => [state, all.filter((vm) => vm.state === state).length]),
  ) as Record<VMState, number>;
  const withoutPromise = [...snapshot.vms.keys()].filter(
    (key) => !snapshot.index.protectionsByVM.has(key),
  ).length;
  const troubled = all
    .filter(({ state }) => state !== "well")
    .sort(
      (a, b) =>
        ORDER.indexOf(a.state) - ORDER.indexOf(b.state) ||
        b.priority - a.priority ||
        compareNames(a.vm, b.vm),
    );
  const calm =
    around.operator.state === "leading" &&
    around.disarms.length === 0 &&
    nodes.every(({ verdict, fencing }) => verdict === "healthy" && fencing === undefined) &&
    troubled.every(({ state }) => state === "moving");
  return {
    ...around,
    at: new Date(now.wallMs).toISOString(),
    nodes,
    vms: { ...counts, withoutPromise, total: snapshot.vms.size },
    troubled,
    unreadable: sighting.unreadable,
    attention: !calm,
  };
}

function nodeStatus(snapshot: Snapshot, plan: Plan, node: NodeFact): NodeStatus {
  const vmKeys = [...(snapshot.index.vmisByNode.get(node.name) ?? [])];
  const fencing = openFencing(snapshot, node.name);
  const topology = topologiesByNode(snapshot).get(node.name);
  const refusals = plan.refusals.filter(({ about }) => about === `node/${node.name}`);
  return {
    name: node.name,
    verdict: plan.verdicts.get(node.name)?.kind ?? "unknown",
    cordoned: node.placement.unschedulable,
    fencingTopology: topology?.name,
    vms: vmKeys.length,
    protectedVMs: vmKeys.filter((key) => snapshot.index.protectionsByVM.has(key)).length,
    fencing:
      fencing === undefined
        ? undefined
        : { name: fencing.name, phase: fencing.status.phase, message: fencing.status.message ?? "" },
    notes: refusals.map(({ message }) => message),
  };
}

/** The open NodeFencing of a node, if any. */
export function openFencing(snapshot: Snapshot, node: string): FencingFact | undefined {
  return [...snapshot.fencings.values()].find((fencing) => fencing.nodeName === node && !isClosed(fencing));
}

/** How one promise stands, by its own status. */
export function vmStatus(protection: ProtectionFact): VMStatus {
  const { status, vmKey, priority } = protection;
  const base = { vm: vmKey, node: status.node, priority };
  const of = (type: string) => status.conditions.find((condition) => condition.type === type);
  const isProtected = of("Protected");
  const available = of("Available");
  const violated = of("SLOViolated");
  if (status.failover !== undefined) {
    const state = status.failover.phase === "Blocked" ? "blocked" : "recovering";
    return { ...base, state, why: status.failover.message };
  }
  if (available?.status === "False" && available.reason !== "Stopped")
    return { ...base, state: "down", why: `${available.reason}: ${available.message}` };
  if (violated?.status === "True") return { ...base, state: "violated", why: violated.message };
  if (isProtected === undefined)
    return { ...base, state: "unprotected", why: "the operator has not judged it yet" };
  if (isProtected.status !== "True" && available?.reason !== "Stopped")
    return { ...base, state: "unprotected", why: `${isProtected.reason}: ${isProtected.message}` };
  if (status.evacuation !== undefined && status.evacuation.phase !== "Done")
    return { ...base, state: "moving", why: `${status.evacuation.phase}: ${status.evacuation.message}` };
  return { ...base, state: "well", why: "" };
}

/** node-2 before node-10. */
export function compareNames(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
