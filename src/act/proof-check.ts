// Whether a proof still speaks of the node as it is now: the last look before anything is done on its strength.
import type { FenceProof } from "../model/fencing.ts";
import type { FreshNode } from "./fresh-nodes.ts";

/** Says how the node contradicts the proof; undefined where it does not. */
export function contradictionOf(proof: FenceProof, node: FreshNode): string | undefined {
  if (node.uid !== proof.nodeUID) {
    return `the Node object of ${node.name} has UID ${node.uid}; the proof is about ${proof.nodeUID}`;
  }
  if (node.bootID !== proof.bootID) {
    return `${node.name} reports boot ID ${node.bootID ?? "none"}; the proof is about ${proof.bootID}`;
  }
  return undefined;
}
