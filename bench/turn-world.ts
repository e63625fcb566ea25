// A large cluster in facts, as the operator would hold it: every VM with its promise, instance and pod, half of them made by
// a policy, and as many different demands on nodes as a large cluster has.
import type { PlacementConstraints } from "../src/model/virtual-machine.ts";
import { Cluster, optInPolicy } from "../test/decide/builder.ts";

export const TURN_WORLD = { nodes: 1_000, vms: 50_000, constraints: 20, racks: 40 } as const;
const VMS_PER_NODE = TURN_WORLD.vms / TURN_WORLD.nodes;

export function nodeName(number: number): string {
  return `node-${number}`;
}

/** The `number`th VM of a node, by its key. */
export function vmKeyOn(node: number, number: number): string {
  return `ns/vm-${node * VMS_PER_NODE + number}`;
}

/** Nodes in racks, each VM on its node, all at peace. */
export function largeCluster(): Cluster {
  const cluster = new Cluster().topology();
  for (let i = 0; i < TURN_WORLD.nodes; i++)
    cluster.node(nodeName(i), {
      labels: { rack: `rack-${i % TURN_WORLD.racks}`, disk: i % 3 === 0 ? "ssd" : "hdd" },
    });
  const demands = Array.from({ length: TURN_WORLD.constraints }, (_, i) => demand(i));
  cluster.policies.set("half", optInPolicy("half"));
  for (let i = 0; i < TURN_WORLD.vms; i++) {
    const constraints = demands[i % demands.length];
    if (constraints === undefined) throw new Error("no demand");
    const byPolicy = i % 2 === 0;
    cluster.vm(`vm-${i}`, {
      on: nodeName(Math.floor(i / VMS_PER_NODE)),
      constraints,
      labels: byPolicy ? { ha: "yes" } : {},
      protection: {
        priority: (i * 37) % 1_000,
        ...(byPolicy ? { madeByPolicy: "half", policyGeneration: 1 } : {}),
      },
    });
  }
  return cluster;
}

/** Every second demand is for a disk, every fourth not for some racks, every fifth for no more than anybody has. */
function demand(number: number): PlacementConstraints {
  const values = [`rack-${number}`, `rack-${number + 1}`];
  return {
    key: `demand-${number}`,
    nodeSelector: number % 2 === 0 ? { disk: number % 4 === 0 ? "ssd" : "hdd" } : {},
    affinityTerms: number % 4 === 1 ? [[{ key: "rack", operator: "NotIn", values }]] : [],
    tolerations:
      number % 5 === 0 ? [{ key: "dedicated", operator: "Exists", value: undefined, effect: undefined }] : [],
  };
}
