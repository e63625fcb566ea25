// Which nodes the readiness checks go to: alive by the last turn's verdict, covered by a topology, no fencing open.
import type { ReadinessTarget } from "../act/readiness/readiness-rounds.ts";
import { topologiesByNode } from "../decide/topologies.ts";
import { isClosed } from "../model/fencing.ts";
import type { NodeFact, NodeLeaseFact } from "../model/node.ts";
import type { Plan } from "../model/plan.ts";
import { STORAGE_CLIENTS_ANNOTATION } from "../model/storage-clients.ts";
import type { World } from "../observe/world.ts";

/**
 * The targets as of now. A node that has not been judged healthy, or that we have not heard ourselves yet, is left alone:
 * its "Off" would say nothing, and its storage addresses are not on record before. It is asked at once when they are.
 */
export function readinessTargets(world: World, plan: Plan | undefined): Map<string, ReadinessTarget> {
  const targets = new Map<string, ReadinessTarget>();
  if (plan === undefined) return targets;
  const { nodes, topologies, fencings } = world.reflectors;
  const fenced = new Set<string>();
  for (const fencing of fencings.store.values()) if (!isClosed(fencing)) fenced.add(fencing.nodeName);
  for (const [name, topology] of topologiesByNode({ nodes: nodes.store, topologies: topologies.store })) {
    const node = nodes.store.get(name);
    if (node === undefined || fenced.has(name) || plan.verdicts.get(name)?.kind !== "healthy") continue;
    if (world.leaseOf(name)?.renewal.firstSight === true) continue;
    const addresses = node.annotations[STORAGE_CLIENTS_ANNOTATION] ?? "";
    targets.set(name, {
      node,
      levels: topology.levels,
      rule: `${node.uid}/${topology.uid}/${topology.generation}/${addresses}`,
      livedAfter: (atMs) => livedAfter(nodes.store.get(name), world.leaseOf(name), atMs),
    });
  }
  return targets;
}

/**
 * Two renewals seen since: the first may have been written before and seen late. Without a Lease a changed heartbeat has
 * to do, which comes once a minute.
 */
function livedAfter(node: NodeFact | undefined, lease: NodeLeaseFact | undefined, atMs: number): boolean {
  if (lease !== undefined) return (lease.renewedBeforeMs ?? Number.NEGATIVE_INFINITY) > atMs;
  return node !== undefined && node.heartbeat.firstSight !== true && node.heartbeat.changedAtMs > atMs;
}
