// Which FencingTopology is in charge of which node, and what each topology's status says of it.
import type { FencingTopologyFact } from "../model/fencing.ts";
import { selectorMatches } from "../model/label-selector.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { conditionsOf } from "./condition.ts";
import { sameData } from "../model/equal.ts";
import type { Turn } from "./turn.ts";

/** The topology of each node: of those that select it the one with the highest precedence, then the first by name. */
export function topologiesByNode(snapshot: Snapshot): Map<string, FencingTopologyFact> {
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

/** Writes the status of each topology whose meaning has changed. */
export function decideTopologyStatuses(turn: Turn): void {
  const counts = new Map<FencingTopologyFact, number>();
  for (const chosen of turn.topologies.values()) counts.set(chosen, (counts.get(chosen) ?? 0) + 1);
  for (const topology of turn.snapshot.topologies.values()) {
    const coveredNodes = counts.get(topology) ?? 0;
    const status = {
      observedGeneration: topology.generation,
      coveredNodes,
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
