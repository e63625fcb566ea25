// What a simulated node looks like to the API server: names, addresses, size, labels. Pure.
import { systemUUID } from "../bmc/bmc-resources.ts";
import type { Condition, Node, NodeStatus } from "./objects.ts";
import { timestamp } from "./objects.ts";

/** Hardware and place of one node. */
export interface NodeProfile {
  readonly name: string;
  /** Distinguishes addresses; unique within the fleet, 1 to 65,000. */
  readonly index: number;
  readonly internalIP: string;
  readonly cpus: number;
  readonly memoryGi: number;
  readonly maxPods: number;
  /** Host CPU model in KubeVirt's terms; live migration of host-model guests needs a match. */
  readonly cpuModel: string;
  readonly cpuVendor: string;
  /** Labels beyond those every node has, for instance a zone. */
  readonly labels: Readonly<Record<string, string>>;
  readonly kubeletVersion: string;
}

/** A node of ordinary size. Its address is from the benchmarking range (RFC 2544): nothing answers there, dead or alive. */
export function defaultProfile(index: number, kubeletVersion: string): NodeProfile {
  return {
    name: `node-${index}`,
    index,
    internalIP: `198.18.${index >> 8}.${index & 255}`,
    cpus: 64,
    memoryGi: 512,
    maxPods: 500,
    cpuModel: "Skylake-Server",
    cpuVendor: "Intel",
    labels: {},
    kubeletVersion,
  };
}

/** Address of a pod: unique in the fleet for the first 65,000 pods of each of the first 200 nodes. */
export function podAddress(profile: NodeProfile, ordinal: number): string {
  return `10.${1 + (profile.index % 250)}.${(ordinal >> 8) & 255}.${ordinal & 255}`;
}

/** The devices KubeVirt's device plugins offer. */
const DEVICES = {
  "devices.kubevirt.io/kvm": "1k",
  "devices.kubevirt.io/tun": "1k",
  "devices.kubevirt.io/vhost-net": "1k",
};

/** The Node as the kubelet registers it. */
export function nodeObject(profile: NodeProfile): Node & { apiVersion: string; kind: string } {
  return { apiVersion: "v1", kind: "Node", metadata: nodeMetadata(profile) };
}

/** Labels and annotations of the kubelet. virt-handler adds KubeVirt's own. */
export function nodeMetadata(profile: NodeProfile): Node["metadata"] {
  return {
    name: profile.name,
    labels: {
      "kubernetes.io/hostname": profile.name,
      "kubernetes.io/arch": "amd64",
      "kubernetes.io/os": "linux",
      ...profile.labels,
    },
    annotations: { "volumes.kubernetes.io/controller-managed-attach-detach": "true" },
  };
}

/** Labels of virt-handler's node labeller, which virt-controller's scheduling rules read. */
export function virtHandlerLabels(profile: NodeProfile): Record<string, string> {
  const { cpuModel, cpuVendor } = profile;
  return {
    [`cpu-model.node.kubevirt.io/${cpuModel}`]: "true",
    [`cpu-model-migration.node.kubevirt.io/${cpuModel}`]: "true",
    [`host-model-cpu.node.kubevirt.io/${cpuModel}`]: "true",
    [`cpu-vendor.node.kubevirt.io/${cpuVendor}`]: "true",
    "machine-type.node.kubevirt.io/q35": "true",
  };
}

/** Annotation of a Node by which its kubelet is made to report itself not Ready while it goes on renewing its Lease. */
export const UNREADY_ANNOTATION = "lab.holdfast.dev/unready";

export interface NodeReport {
  /** Supplies transition times, and conditions that are not the kubelet's. */
  readonly known: readonly Condition[];
  /** Why the kubelet says that it is not Ready. */
  readonly unready?: string | undefined;
}

/** Node status. */
export function nodeStatus(profile: NodeProfile, bootID: string, { known, unready }: NodeReport): NodeStatus {
  const resources = {
    cpu: String(profile.cpus),
    memory: `${profile.memoryGi}Gi`,
    pods: String(profile.maxPods),
    "ephemeral-storage": "1Ti",
    ...DEVICES,
  };
  return {
    capacity: resources,
    allocatable: resources,
    addresses: [
      { type: "InternalIP", address: profile.internalIP },
      { type: "Hostname", address: profile.name },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: 10_250 } },
    nodeInfo: {
      bootID,
      machineID: profile.name,
      systemUUID: systemUUID(profile.name),
      kernelVersion: "6.12.0-lab",
      osImage: "Holdfast lab",
      containerRuntimeVersion: "lab://1.0",
      kubeletVersion: profile.kubeletVersion,
      kubeProxyVersion: "",
      operatingSystem: "linux",
      architecture: "amd64",
    },
    conditions: conditions(known, unready),
  };
}

function conditions(known: readonly Condition[], unready: string | undefined): Condition[] {
  const now = timestamp();
  const make = (type: string, status: "True" | "False", reason: string): Condition => {
    const before = known.find((condition) => condition.type === type);
    return {
      type,
      status,
      reason,
      message: type === "Ready" ? (unready ?? "kubelet is posting ready status") : "",
      lastHeartbeatTime: now,
      lastTransitionTime:
        before?.status === status && before.lastTransitionTime ? before.lastTransitionTime : now,
    };
  };
  const own = [
    make("MemoryPressure", "False", "KubeletHasSufficientMemory"),
    make("DiskPressure", "False", "KubeletHasNoDiskPressure"),
    make("PIDPressure", "False", "KubeletHasSufficientPID"),
    unready === undefined ? make("Ready", "True", "KubeletReady") : make("Ready", "False", "KubeletNotReady"),
  ];
  const ownTypes = new Set(own.map(({ type }) => type));
  return [...known.filter(({ type }) => !ownTypes.has(type)), ...own];
}

/** Whether a status write would tell the API server something new. */
export function statusDiffers(known: NodeStatus | undefined, wanted: NodeStatus): boolean {
  const essence = (status: NodeStatus | undefined) =>
    JSON.stringify([
      status?.nodeInfo?.["bootID"],
      status?.addresses,
      Object.entries(status?.allocatable ?? {})
        .map(([name, amount]) => `${name}=${amount}`)
        .sort(),
      (status?.conditions ?? []).map(({ type, status: value }) => `${type}=${value}`).sort(),
    ]);
  return essence(known) !== essence(wanted);
}
