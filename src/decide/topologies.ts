// Which FencingTopology is in charge of which node, and what each topology's status says of it.
import type { FencingTopologyFact } from "../model/fencing.ts";
import { selectorMatches } from "../model/label-selector.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { conditionsOf } from "./condition.ts";
import { sameData } from "../model/equal.ts";
import { whyNotFenceable } from "../model/fencing-readiness.ts";
import type { NodeFact } from "../model/node.ts";
import { judgeTopologyReadiness } from "./topology-readiness.ts";
import type { Turn } from "./turn.ts";

/** The topology of each node: of those that select it the one with the highest precedence, then the first by name. */
export function topologiesByNode(
  snapshot: Pick<Snapshot, "nodes" | "topologies">,
): Map<string, FencingTopologyFact> {
  const ordered = [...snapshot.topologies.values()].sort(
    (a, b) => b.precedence - a.precedence || (a.name < b.name ? -1 : 1),
  );
  const result = new Map<string, FencingTopologyFact>();
  for (const node of snapshot.nodes.values()) {
    const chosen = ordered.find((topology) => selectorMatches(topology.nodeSelector, node.placement.labels));
    if (chosen !== undefined) result.set(node.name, chosen);
  }
  return result;
}

/** Why no level of its topology could fence the node now, by the last checks; undefined where one could or nobody knows. */
export function notFenceable(
  turn: Pick<Turn, "snapshot" | "topologies">,
  nodeName: string,
): string | undefined {
  const levels = turn.topologies.get(nodeName)?.levels ?? [];
  return whyNotFenceable(levels, turn.snapshot.nodes.get(nodeName)?.fencing ?? []);
}

/** Writes the status of each topology whose meaning has changed. */
export function decideTopologyStatuses(turn: Turn): void {
  const covered = new Map<FencingTopologyFact, NodeFact[]>();
  for (const [name, chosen] of turn.topologies) {
    const node = turn.snapshot.nodes.get(name);
    if (node === undefined) continue;
    const nodes = covered.get(chosen);
    if (nodes === undefined) covered.set(chosen, [node]);
    else nodes.push(node);
  }
  for (const topology of turn.snapshot.topologies.values()) {
    const nodes = covered.get(topology) ?? [];
    const coveredNodes = nodes.length;
    const readiness = judgeTopologyReadiness(turn, topology, nodes);
    const status = {
      observedGeneration: topology.generation,
      coveredNodes,
      ...(readiness?.readyNodes === undefined ? {} : { readyNodes: readiness.readyNodes }),
      conditions: conditionsOf(
        [
          coveredNodes > 0
            ? { type: "Accepted", status: "True", reason: "Covered", message: "" }
            : {
                type: "Accepted",
                status: "False",
                reason: "CoversNoNode",
                message:
                  "spec.nodeSelector selects no node that another topology of higher precedence does not cover already",
              },
          ...(readiness === undefined ? [] : [readiness.judgement]),
        ],
        topology.status.conditions,
        turn.now.wallMs,
        topology.generation,
      ),
    };
    if (sameData(status, topology.status)) continue;
    turn.plan.add({
      kind: "WriteSummary",
      resource: "fencingtopologies",
      name: topology.name,
      resourceVersion: topology.resourceVersion,
      status,
    });
  }
}
