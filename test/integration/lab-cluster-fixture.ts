// One whole lab for the tests of one file, and the moves an administrator makes on it.
import { afterAll, beforeAll } from "vitest";
import { type Cluster, type ClusterOptions, startCluster } from "../../lab/cluster.ts";
import { expectOk } from "../../lab/kubevirt/calls.ts";
import type { Node } from "../../lab/nodes/objects.ts";

/** Starts a lab before the file's tests and stops it after them; KUBEVIRT_ASSETS decides which KubeVirt it has. */
export function useCluster(options: ClusterOptions): () => Cluster {
  let cluster: Cluster | undefined;
  beforeAll(async () => {
    cluster = await startCluster(options);
  });
  afterAll(() => cluster?.stop());
  return () => {
    if (!cluster) throw new Error("the lab exists only inside tests and hooks");
    return cluster;
  };
}

/** Sets the out-of-service taint, keeping the others. */
export async function taintOutOfService(cluster: Cluster, node: string): Promise<void> {
  const { admin } = cluster.controlPlane;
  const path = `/api/v1/nodes/${node}`;
  const found = expectOk(await admin.request<Node>({ method: "GET", path }), `read ${node}`);
  const taint = { key: "node.kubernetes.io/out-of-service", value: "nodeshutdown", effect: "NoExecute" };
  const outcome = await admin.request({
    method: "PATCH",
    path,
    contentType: "application/merge-patch+json",
    body: {
      metadata: { resourceVersion: found.metadata.resourceVersion },
      spec: { taints: [...(found.spec?.taints ?? []), taint] },
    },
  });
  expectOk(outcome, `taint ${node}`);
}

export async function removeOutOfServiceTaint(cluster: Cluster, node: string): Promise<void> {
  const { admin } = cluster.controlPlane;
  const path = `/api/v1/nodes/${node}`;
  const found = expectOk(await admin.request<Node>({ method: "GET", path }), `read ${node}`);
  const outcome = await admin.request({
    method: "PATCH",
    path,
    contentType: "application/merge-patch+json",
    body: {
      metadata: { resourceVersion: found.metadata.resourceVersion },
      spec: { taints: (found.spec?.taints ?? []).filter(({ key }) => !key.endsWith("/out-of-service")) },
    },
  });
  expectOk(outcome, `untaint ${node}`);
}

/** Force-deletes every launcher pod of a node, by UID. */
export async function forceDeleteLaunchers(cluster: Cluster, node: string): Promise<number> {
  const pods = [...cluster.view.pods.values()].filter(
    ({ metadata, spec }) => spec.nodeName === node && metadata.labels?.["kubevirt.io"] === "virt-launcher",
  );
  await Promise.all(
    pods.map(async ({ metadata: { namespace, name, uid } }) => {
      const outcome = await cluster.controlPlane.admin.request({
        method: "DELETE",
        path: `/api/v1/namespaces/${namespace}/pods/${name}`,
        body: { gracePeriodSeconds: 0, preconditions: { uid } },
      });
      expectOk(outcome, `force-delete ${name}`);
    }),
  );
  return pods.length;
}

/** Power cut, taint, force-delete: what recovers the VMs of a node that is proven dead. Milliseconds of the oracle's clock when it began. */
export async function recoverDeadNode(cluster: Cluster, node: string): Promise<void> {
  await cluster.fleet.node(node).power.off();
  await taintOutOfService(cluster, node);
  await forceDeleteLaunchers(cluster, node);
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
