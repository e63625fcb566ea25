// Small VMs, VMIs, pods and migrations to decide about.
import type {
  Migration,
  Pod,
  VirtualMachine,
  VirtualMachineInstance,
  VmiPhase,
} from "../../lab/kubevirt/objects.ts";

const META = { namespace: "n", resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" };

export function sampleVm(
  spec: Partial<VirtualMachine["spec"]>,
  status: VirtualMachine["status"] = {},
): VirtualMachine {
  return {
    apiVersion: "kubevirt.io/v1",
    kind: "VirtualMachine",
    metadata: { ...META, name: "a", uid: "vm", generation: 1 },
    spec: { template: { spec: { domain: {} } }, ...spec },
    status,
  };
}

export function sampleVmi(
  phase: VmiPhase,
  status: VirtualMachineInstance["status"] = {},
  metadata: Partial<VirtualMachineInstance["metadata"]> = {},
): VirtualMachineInstance {
  return {
    apiVersion: "kubevirt.io/v1",
    kind: "VirtualMachineInstance",
    metadata: { ...META, name: "a", uid: "vmi", ...metadata },
    spec: { domain: {} },
    status: { phase, ...status },
  };
}

export function samplePod(
  phase: string,
  options: {
    readonly name?: string;
    readonly node?: string;
    readonly metadata?: Partial<Pod["metadata"]>;
  } = {},
): Pod {
  const { name = "virt-launcher-a-1", node, metadata } = options;
  const owner = { apiVersion: "kubevirt.io/v1", kind: "VirtualMachineInstance", name: "a", uid: "vmi" };
  return {
    metadata: { ...META, name, uid: name, ownerReferences: [{ ...owner, controller: true }], ...metadata },
    spec: { containers: [{ name: "compute" }], ...(node ? { nodeName: node } : {}) },
    status: {
      phase,
      containerStatuses:
        phase === "Running" ? [{ name: "compute", ready: true, state: { running: {} } }] : [],
    },
  };
}

export function sampleMigration(
  phase: Migration["status"]["phase"] & string,
  metadata: Partial<Migration["metadata"]> = {},
): Migration {
  return {
    apiVersion: "kubevirt.io/v1",
    kind: "VirtualMachineInstanceMigration",
    metadata: { ...META, name: "m", uid: "migration", ...metadata },
    spec: { vmiName: "a" },
    status: { phase },
  };
}
