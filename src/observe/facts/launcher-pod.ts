// virt-launcher and hot-plug Pods -> LauncherPodFact.
import { z } from "zod";
import type { LauncherPodFact } from "../../model/virtual-machine.ts";
import { objectKey, sharedName } from "../object-key.ts";
import { keyOf, type Metadata, metadata, nodeNameOf, type Reading, readWith } from "./reading.ts";

/** Selects the pods that hold a VM to a node: its launcher, and the pods that hold its hot-plugged volumes. */
export const LAUNCHER_POD_SELECTOR = "kubevirt.io in (virt-launcher,hotplug-disk)";

const podObject = z.object({
  metadata,
  spec: z.object({ nodeName: z.string().optional() }).nullish(),
  status: z
    .object({
      phase: z.string().optional(),
      conditions: z
        .array(
          z.object({
            type: z.string(),
            status: z.string(),
            reason: z.string().nullish(),
            message: z.string().nullish(),
          }),
        )
        .nullish(),
    })
    .nullish(),
});

/** Reads a launcher or hot-plug pod. */
export function readLauncherPod(raw: unknown): Reading<LauncherPodFact> {
  return readWith(podObject, raw, (pod) => {
    const meta = pod.metadata;
    const kind = meta.labels?.["kubevirt.io"] === "hotplug-disk" ? "hotplug" : "launcher";
    const vmName = kind === "launcher" ? vmOfLauncher(meta) : vmOfHotplug(meta);
    const namespace = meta.namespace ?? "";
    const scheduled = pod.status?.conditions?.find((condition) => condition.type === "PodScheduled");
    return {
      key: keyOf(meta),
      namespace: sharedName(namespace),
      name: meta.name,
      uid: meta.uid,
      kind,
      nodeName: nodeNameOf(pod.spec?.nodeName),
      vmKey: vmName === undefined ? undefined : objectKey(namespace, vmName),
      vmiUID: meta.labels?.["kubevirt.io/created-by"],
      finished: pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed",
      deleting: meta.deletionTimestamp !== undefined,
      unschedulable:
        scheduled?.status === "False" && scheduled.reason === "Unschedulable"
          ? (scheduled.message ?? "")
          : undefined,
    };
  });
}

/** The VMI that owns the pod; its name is the VM's. The label is cut at 63 characters, so the owner comes first. */
function vmOfLauncher(meta: Metadata): string | undefined {
  const owner = meta.ownerReferences?.find((reference) => reference.kind === "VirtualMachineInstance");
  return owner?.name ?? meta.annotations?.["kubevirt.io/domain"] ?? meta.labels?.["vm.kubevirt.io/name"];
}

/** A hot-plug pod belongs to the launcher pod that owns it, whose name KubeVirt makes from the VM's. */
function vmOfHotplug(meta: Metadata): string | undefined {
  const owner = meta.ownerReferences?.find((reference) => reference.kind === "Pod");
  return owner === undefined ? undefined : /^virt-launcher-(.+)-[a-z0-9]{5}$/.exec(owner.name)?.[1];
}
