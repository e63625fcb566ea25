// A BMC for every simulated node, and what an administrator writes so that Holdfast can use them.
import type { Cluster } from "../cluster.ts";
import { type Bmc, startBmc } from "../bmc/redfish-bmc.ts";
import type { SimulatedNode } from "../nodes/simulated-node.ts";
import { expectOk } from "../kubevirt/calls.ts";
import { apply, HOLDFAST_NAMESPACE } from "./install.ts";

/** Annotation that tells host and port of a node's BMC. */
export const BMC_ADDRESS_ANNOTATION = "holdfast.dev/bmc-address";

const USERNAME = "holdfast";
/** The lab's BMCs guard nothing. */
const PASSWORD = "lab-password";

/** All BMCs of a lab, by node. */
export interface Bmcs {
  readonly byNode: ReadonlyMap<string, Bmc>;
  of(node: string): Bmc;
  stop(): Promise<void>;
}

/** Starts a BMC per node, notes their addresses on the nodes, and writes the Secret, the CA and one FencingTopology. */
export async function startBmcs(
  cluster: Cluster,
  topology: {
    readonly afterFencing?: "PowerOn" | "StayOff";
    readonly timeout?: string;
    readonly retries?: number;
  } = {},
): Promise<Bmcs> {
  const { admin } = cluster.controlPlane;
  const byNode = new Map<string, Bmc>();
  await Promise.all(
    cluster.fleet.nodes.map(async (node) => byNode.set(node.name, await startOne(cluster, node))),
  );
  await apply(admin, {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "bmc", namespace: HOLDFAST_NAMESPACE },
    stringData: { username: USERNAME, password: PASSWORD, "ca.crt": cluster.controlPlane.caPem },
  } as never);
  await apply(admin, {
    apiVersion: "holdfast.dev/v1alpha1",
    kind: "FencingTopology",
    metadata: { name: "bmc" },
    spec: {
      nodeSelector: {},
      afterFencing: topology.afterFencing ?? "PowerOn",
      levels: [
        {
          name: "bmc",
          method: "Redfish",
          timeout: topology.timeout ?? "30s",
          retries: topology.retries ?? 2,
          backoff: "1s",
          redfish: {
            address: `https://\${node.annotations['${BMC_ADDRESS_ANNOTATION}']}`,
            credentialsSecretRef: { name: "bmc" },
            tls: { caSecretRef: { name: "bmc" } },
          },
        },
      ],
    },
  } as never);
  return {
    byNode,
    of: (node) => {
      const bmc = byNode.get(node);
      if (bmc === undefined)
        throw new Error(`no BMC for ${node}: there are ${[...byNode.keys()].join(", ")}`);
      return bmc;
    },
    stop: async () => {
      await Promise.all([...byNode.values()].map((bmc) => bmc.stop()));
    },
  };
}

async function startOne(cluster: Cluster, node: SimulatedNode): Promise<Bmc> {
  const bmc = await startBmc({
    power: node.power,
    node: node.name,
    username: USERNAME,
    password: PASSWORD,
    certificate: cluster.controlPlane.certificateFor({
      commonName: `bmc-${node.name}`,
      hosts: ["127.0.0.1"],
    }),
  });
  const annotated = await cluster.controlPlane.admin.request({
    method: "PATCH",
    path: `/api/v1/nodes/${node.name}`,
    contentType: "application/merge-patch+json",
    body: { metadata: { annotations: { [BMC_ADDRESS_ANNOTATION]: new URL(bmc.address).host } } },
  });
  expectOk(annotated, `annotate ${node.name}`);
  return bmc;
}
