// What the readiness of its nodes comes to for a topology: one condition with counts, and the first nodes by name.
import type { FencingTopologyFact } from "../model/fencing.ts";
import { whyNotFenceable } from "../model/fencing-readiness.ts";
import type { NodeFact } from "../model/node.ts";
import type { Judgement } from "./condition.ts";
import type { Turn } from "./turn.ts";

/** Nodes named in the condition; the rest is counted. */
const NAMED_MAX = 10;

export interface TopologyReadiness {
  readonly judgement: Judgement;
  /** Nodes that every level could fence now; left out while that is still being found out. */
  readonly readyNodes: number | undefined;
}

/** Undefined where it covers no node, since there is nothing to be ready for. */
export function judgeTopologyReadiness(
  turn: Turn,
  topology: FencingTopologyFact,
  nodes: readonly NodeFact[],
): TopologyReadiness | undefined {
  if (nodes.length === 0) return undefined;
  const broken = nodes.filter((node) => levelsNotReady(topology, node).length > 0);
  const unchecked = nodes.some((node) => !isChecked(topology, node) && isAlive(turn, node));
  const say = (status: Judgement["status"], reason: Judgement["reason"], message: string): Judgement => ({
    type: "Ready",
    status,
    reason,
    message,
  });
  // While the first checks go on, no number is given: it would change with each of a thousand nodes.
  const readyNodes = unchecked
    ? undefined
    : nodes.filter((node) => isChecked(topology, node)).length - broken.length;
  if (broken.length > 0) {
    return { readyNodes, judgement: say("False", "FencingNotReady", brokenMessage(topology, broken)) };
  }
  if (unchecked) {
    const message = "not every node has been checked yet";
    return { readyNodes, judgement: say("Unknown", "FencingUnchecked", message) };
  }
  const message = "every level could fence every node, by the last checks";
  return { readyNodes, judgement: say("True", "FencingReady", message) };
}

function brokenMessage(topology: FencingTopologyFact, broken: readonly NodeFact[]): string {
  const helpless = broken.filter(
    (node) => whyNotFenceable(topology.levels, node.fencing ?? []) !== undefined,
  );
  const named = [...broken]
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .slice(0, NAMED_MAX)
    .map((node) => `${node.name} (${levelsNotReady(topology, node).join(", ")})`);
  const more = broken.length > NAMED_MAX ? `, and ${broken.length - NAMED_MAX} more` : "";
  return `${helpless.length} nodes could not be fenced now, ${broken.length - helpless.length} only by some of the levels: ${named.join(", ")}${more}; the Node's conditions say why`;
}

function levelsNotReady(topology: FencingTopologyFact, node: NodeFact): readonly string[] {
  return topology.levels.flatMap(({ name }) => {
    const found = node.fencing?.find(({ level }) => level === name);
    return found === undefined || found.ready ? [] : [`${name}: ${found.reason}`];
  });
}

function isChecked(topology: FencingTopologyFact, node: NodeFact): boolean {
  return topology.levels.every(({ name }) => node.fencing?.some(({ level }) => level === name));
}

function isAlive(turn: Turn, node: NodeFact): boolean {
  return turn.verdicts.get(node.name)?.kind === "healthy";
}
