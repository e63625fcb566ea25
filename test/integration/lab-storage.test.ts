import { describe, expect, it } from "vitest";
import { waitFor } from "../../lab/cluster/wait-for.ts";
import type { KubernetesObject } from "../../lab/nodes/objects.ts";
import { forceDeleteLaunchers, pause, taintOutOfService, useCluster } from "./lab-cluster-fixture.ts";

const NAMESPACE = "storage";
const KEY = `${NAMESPACE}/rwo`;
const VOLUME = "kubernetes.io/csi/csi.lab.holdfast.dev^storage-rwo";
/** Kubernetes waits six minutes; this is long enough to see that it waits. */
const STILL_WAITING_MS = 8_000;
const lab = useCluster({ nodes: 3 });

interface VolumeAttachment extends KubernetesObject {
  readonly spec: { readonly nodeName: string };
  readonly status?: { readonly attached: boolean };
}

async function attachments(): Promise<readonly VolumeAttachment[]> {
  const outcome = await lab().controlPlane.admin.request<{ items: VolumeAttachment[] }>({
    method: "GET",
    path: "/apis/storage.k8s.io/v1/volumeattachments",
  });
  return outcome.ok ? outcome.value.items : [];
}

describe("a ReadWriteOnce disk", () => {
  let node = "";

  it("is attached to the node of its VM, which reports it in use", async () => {
    await lab().createVM({ namespace: NAMESPACE, name: "rwo", disk: "rwo" });
    node = (await lab().waitForRunning(KEY)).status?.nodeName ?? "";
    expect(await attachments()).toMatchObject([{ spec: { nodeName: node }, status: { attached: true } }]);
    expect(lab().view.nodes.get(node)?.status?.volumesInUse).toEqual([VOLUME]);
  });

  it("holds the next VM up while a dead node still says it uses it", async () => {
    const uid = lab().view.vmis.get(KEY)?.metadata.uid ?? "";
    // Nothing else may land on the dead node again: it still counts as Ready.
    await lab().controlPlane.admin.request({
      method: "PATCH",
      path: `/api/v1/nodes/${node}`,
      contentType: "application/merge-patch+json",
      body: { spec: { unschedulable: true } },
    });
    await lab().fleet.node(node).power.off();
    await forceDeleteLaunchers(lab(), node);
    await waitFor("a new pod is bound elsewhere", (saw) => {
      const pods = lab().view.launcherPods(KEY);
      saw(pods.map(({ spec, metadata }) => [metadata.uid, spec.nodeName]));
      return pods.some(({ spec }) => spec.nodeName !== undefined && spec.nodeName !== node)
        ? true
        : undefined;
    });
    await pause(STILL_WAITING_MS);
    expect((await attachments()).map(({ spec }) => spec.nodeName)).toEqual([node]);
    expect(lab().view.vmis.get(KEY)?.status?.phase).not.toBe("Running");
    expect(lab().view.vmis.get(KEY)?.metadata.uid).not.toBe(uid);
  });

  it("is detached at once by the out-of-service taint, and the VM runs", async () => {
    const startedMs = performance.now();
    await taintOutOfService(lab(), node);
    const vmi = await lab().waitForRunning(KEY);
    console.log(`taint → volume moved and VM running: ${Math.round(performance.now() - startedMs)} ms`);
    expect(vmi.status?.nodeName).not.toBe(node);
    expect((await attachments()).map(({ spec }) => spec.nodeName)).toEqual([vmi.status?.nodeName]);
    expect(lab().oracle.overlaps).toEqual([]);
  });

  it("is no longer reported in use once the dead node has booted again", async () => {
    await lab().fleet.node(node).power.on();
    await waitFor("volumesInUse is empty", (saw) => {
      const volumes = lab().view.nodes.get(node)?.status?.volumesInUse ?? [];
      saw(volumes);
      return volumes.length === 0 ? true : undefined;
    });
  });
});
