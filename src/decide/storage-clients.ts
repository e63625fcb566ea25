// Which nodes' storage addresses are still to be recorded: once for each boot of a node whose topology may fence storage,
// while the node is healthy. A record made after the failure would be of somebody else's addresses.
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
    const record = parseStorageClients(node.annotations[STORAGE_CLIENTS_ANNOTATION]);
    const known = record?.bootID === node.bootID ? record.classes : {};
    if (wanted.every(({ className }) => Object.hasOwn(known, className))) continue;
    turn.plan.add({ kind: "RecordStorageClients", node: name, bootID: node.bootID, wanted });
  }
}
