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
    /** Of every BMC and in the Secret. */
    readonly password?: string;
  } = {},
): Promise<Bmcs> {
  const { admin } = cluster.controlPlane;
  const { password = PASSWORD } = topology;
  const byNode = new Map<string, Bmc>();
  await Promise.all(
    cluster.fleet.nodes.map(async (node) =>
      byNode.set(node.name, await startOne(cluster, node, { password })),
    ),
  );
  await apply(admin, {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "bmc", namespace: HOLDFAST_NAMESPACE },
    stringData: { username: USERNAME, password, "ca.crt": cluster.controlPlane.caPem },
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

/** Annotation that tells host and port of a node's second device. */
const OUTLET_ADDRESS_ANNOTATION = "holdfast.dev/outlet-address";

/** Starts a second device for one node, and a topology of its own with two levels: its BMC, then that device. */
export async function startOutlet(cluster: Cluster, nodeName: string): Promise<Bmc> {
  const outlet = await startOne(cluster, cluster.fleet.node(nodeName), {
    annotation: OUTLET_ADDRESS_ANNOTATION,
  });
  const level = (name: string, annotation: string) => ({
    name,
    method: "Redfish",
    timeout: "15s",
    retries: 0,
    backoff: "1s",
    redfish: {
      address: `https://\${node.annotations['${annotation}']}`,
      credentialsSecretRef: { name: "bmc" },
      tls: { caSecretRef: { name: "bmc" } },
    },
  });
  await apply(cluster.controlPlane.admin, {
    apiVersion: "holdfast.dev/v1alpha1",
    kind: "FencingTopology",
    metadata: { name: "two-levels" },
    spec: {
      precedence: 10,
      nodeSelector: { matchLabels: { "kubernetes.io/hostname": nodeName } },
      levels: [level("mainboard", BMC_ADDRESS_ANNOTATION), level("outlet", OUTLET_ADDRESS_ANNOTATION)],
    },
  } as never);
  return outlet;
}

async function startOne(
  cluster: Cluster,
  node: SimulatedNode,
  options: { readonly annotation?: string; readonly password?: string },
): Promise<Bmc> {
  const { annotation = BMC_ADDRESS_ANNOTATION, password = PASSWORD } = options;
  const bmc = await startBmc({
    power: node.power,
    node: node.name,
    username: USERNAME,
    password,
    certificate: cluster.controlPlane.certificateFor({
      commonName: `bmc-${node.name}`,
      hosts: ["127.0.0.1"],
    }),
  });
  const annotated = await cluster.controlPlane.admin.request({
    method: "PATCH",
    path: `/api/v1/nodes/${node.name}`,
    contentType: "application/merge-patch+json",
    body: { metadata: { annotations: { [annotation]: new URL(bmc.address).host } } },
  });
  expectOk(annotated, `annotate ${node.name}`);
  return bmc;
}
