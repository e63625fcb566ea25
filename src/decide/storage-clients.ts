// Which nodes' storage addresses are still to be recorded: once for each boot of a node whose topology may fence storage,
// while the node is healthy. A record made after the failure would be of somebody else's addresses. That it was not is by no
// clock but our own: a replica that has just begun to watch takes a dead node for healthy until its silence has been
// witnessed, so it has to have seen the node's Lease renewed itself.
import type { NetworkFenceSettings } from "../model/fencing.ts";
import { parseStorageClients, STORAGE_CLIENTS_ANNOTATION } from "../model/storage-clients.ts";
import type { Turn } from "./turn.ts";

/** Plans the records that are missing. */
export function decideStorageClients(turn: Turn): void {
  for (const [name, topology] of turn.topologies) {
    const wanted = topology.levels.flatMap((level): readonly NetworkFenceSettings[] =>
      level.method === "NetworkFence" ? [level.networkFence] : [],
    );
    const node = wanted.length === 0 ? undefined : turn.snapshot.nodes.get(name);
    if (node?.bootID === undefined || turn.verdicts.get(name)?.kind !== "healthy") continue;
    const renewal = turn.snapshot.leases.get(name)?.renewal;
    if (renewal === undefined || renewal.firstSight === true || turn.openFencings.has(name)) continue;
    const validUntilMs = renewal.changedAtMs + turn.policy.nodeLostAfterMs;
    if (turn.now.monotonicMs >= validUntilMs) continue;
    const record = parseStorageClients(node.annotations[STORAGE_CLIENTS_ANNOTATION]);
    const known = record?.bootID === node.bootID ? record.classes : {};
    if (wanted.every(({ className }) => Object.hasOwn(known, className))) continue;
    turn.plan.add({ kind: "RecordStorageClients", node: name, bootID: node.bootID, wanted, validUntilMs });
  }
}
