// Disks for VMs: pairs of PersistentVolume and claim, bound to each other before anybody asks.
import type { ApiTransport } from "../../src/kube/transport.ts";
import { expectOk, until } from "../kubevirt/calls.ts";
import type { PersistentVolumeClaim } from "../nodes/objects.ts";
import { CSI_DRIVER } from "./csi-driver.ts";

/** `rwx`: raw block, shared by nodes, what live migration needs. `rwo`: raw block on one node at a time. */
export type DiskKind = "rwx" | "rwo";

export interface DiskRequest {
  readonly namespace: string;
  /** Name of the claim; the volume is called `NAMESPACE-NAME`. */
  readonly name: string;
  readonly kind: DiskKind;
}

const BOUND_TIMEOUT_MS = 60_000;
const SIZE = "10Gi";

/** Creates volume and claim, and waits until they are bound: a pod scheduled earlier would be put back for a while. */
export async function createDisk(admin: ApiTransport, request: DiskRequest): Promise<void> {
  const { namespace, name, kind } = request;
  const volumeName = `${namespace}-${name}`;
  const accessModes = [kind === "rwx" ? "ReadWriteMany" : "ReadWriteOnce"];
  const claims = `/api/v1/namespaces/${namespace}/persistentvolumeclaims`;
  const volume = await admin.request({
    method: "POST",
    path: "/api/v1/persistentvolumes",
    body: {
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name: volumeName },
      spec: {
        capacity: { storage: SIZE },
        accessModes,
        volumeMode: "Block",
        storageClassName: "",
        persistentVolumeReclaimPolicy: "Retain",
        claimRef: { apiVersion: "v1", kind: "PersistentVolumeClaim", namespace, name },
        csi: { driver: CSI_DRIVER, volumeHandle: volumeName },
      },
    },
  });
  expectOk(volume, `create the volume ${volumeName}`);
  const claim = await admin.request({
    method: "POST",
    path: claims,
    body: {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name, namespace },
      spec: {
        accessModes,
        volumeMode: "Block",
        storageClassName: "",
        volumeName,
        resources: { requests: { storage: SIZE } },
      },
    },
  });
  expectOk(claim, `create the claim ${namespace}/${name}`);
  await until(`the claim ${namespace}/${name} is bound`, BOUND_TIMEOUT_MS, async () => {
    const outcome = await admin.request<PersistentVolumeClaim>({
      method: "GET",
      path: `${claims}/${name}`,
    });
    return outcome.ok && outcome.value.status?.phase === "Bound" ? true : undefined;
  });
}
