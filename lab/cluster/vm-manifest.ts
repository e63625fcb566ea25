// A small VM as a manifest. Pure.
import type { DiskKind } from "../storage/volumes.ts";

export type RunStrategy = "Always" | "RerunOnFailure" | "Manual" | "Halted" | "Once";

export interface VmRequest {
  readonly namespace: string;
  readonly name: string;
  readonly runStrategy?: RunStrategy;
  readonly nodeSelector?: Readonly<Record<string, string>>;
  /** `none`: the VM has no disk, so nothing hinders its migration. */
  readonly disk?: DiskKind | "none";
  readonly evictionStrategy?: "LiveMigrate" | "LiveMigrateIfPossible" | "None" | "External";
  /** Labels of the VM and of its VMI. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Annotations of the VMI; `lab.holdfast.dev/…-ms` set the guest's delays. */
  readonly annotations?: Readonly<Record<string, string>>;
  readonly terminationGracePeriodSeconds?: number;
  /** As in a pod's spec. */
  readonly affinity?: object;
}

/** The VirtualMachine to post. Its claim, where it has a disk, is called like the VM. */
export function vmManifest(request: VmRequest): object {
  const { namespace, name, labels = {}, disk = "none" } = request;
  const optional = {
    evictionStrategy: request.evictionStrategy,
    nodeSelector: request.nodeSelector,
    terminationGracePeriodSeconds: request.terminationGracePeriodSeconds,
    affinity: request.affinity,
  };
  return {
    apiVersion: "kubevirt.io/v1",
    kind: "VirtualMachine",
    metadata: { namespace, name, labels },
    spec: {
      runStrategy: request.runStrategy ?? "Always",
      template: {
        metadata: { labels, annotations: request.annotations },
        spec: {
          ...optional,
          domain: {
            cpu: { cores: 1 },
            memory: { guest: "128Mi" },
            devices: {
              interfaces: [{ name: "default", masquerade: {} }],
              ...(disk === "none" ? {} : { disks: [{ name: "root", disk: { bus: "virtio" } }] }),
            },
          },
          networks: [{ name: "default", pod: {} }],
          ...(disk === "none"
            ? {}
            : { volumes: [{ name: "root", persistentVolumeClaim: { claimName: name } }] }),
        },
      },
    },
  };
}
