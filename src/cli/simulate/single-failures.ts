// N+1: plays the loss of each node alone, and names the losses that some VM in care would not come back from.
import { compareNames } from "../cluster-status.ts";
import { isBroken, type Scenario, type VMFate } from "./scenario.ts";
import { type Ground, simulate } from "./simulation.ts";

/** Nodes tried at most: each is a simulation of its own. Those with the most VMs come first. */
const MAX_TRIED = 64;

export interface SingleFailures {
  /** Nodes whose loss alone was tried. */
  readonly tried: readonly string[];
  /** Nodes with VMs that were not tried, for there are too many. */
  readonly untried: number;
  readonly unbearable: readonly { readonly node: string; readonly down: readonly VMFate[] }[];
}

/** Tries every living node that has VMs, as things stand now. */
export function singleFailures(ground: Ground, scenario: Scenario): SingleFailures {
  const { snapshot, now } = ground.sighting;
  const silent = (name: string): boolean => {
    const lease = snapshot.leases.get(name);
    return (
      lease !== undefined && now.monotonicMs - lease.renewal.changedAtMs > ground.policy.nodeSuspectAfterMs
    );
  };
  const hosting = [...snapshot.nodes.keys()].filter(
    (name) => snapshot.index.vmisByNode.has(name) && !silent(name),
  );
  const size = (name: string): number => snapshot.index.vmisByNode.get(name)?.size ?? 0;
  const tried = hosting
    .sort((a, b) => size(b) - size(a) || compareNames(a, b))
    .slice(0, MAX_TRIED)
    .sort(compareNames);
  const unbearable = tried.flatMap((node) => {
    const { vms } = simulate(ground, { ...scenario, lose: [node], cordon: [] });
    const down = vms.filter(isBroken);
    return down.length === 0 ? [] : [{ node, down }];
  });
  return { tried, untried: hosting.length - tried.length, unbearable };
}
