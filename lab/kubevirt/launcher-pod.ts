// The virt-launcher pod of a VMI: what the scheduler, the kubelet and an operator read of it. Origin: KubeVirt
// pkg/virt-controller/services/template.go and nodeselectorrenderer.go; containers are reduced to the compute container.
import { ANNOTATION, LABEL, UNPAUSED_GATE } from "./names.ts";
import { type Node, type Pod, type VirtualMachineInstance, type VmiSpec, type Volume } from "./objects.ts";

/** VMI grace period where the spec says nothing, and what the launcher adds to it twice (facts 2.1). */
const DEFAULT_GRACE_SECONDS = 30;
const LAUNCHER_EXTRA_GRACE_SECONDS = 30;
/** Memory of the launcher and QEMU besides the guest's own, measured for small guests with one virtual CPU. */
const OVERHEAD_BYTES = 288 * 1024 * 1024;
/** Ten virtual CPUs share one (cpuAllocationRatio). */
const MILLI_CPU_PER_VCPU = 100;
const OBSOLETE_HOST_MODEL = "node-labeller.kubevirt.io/obsolete-host-model";

/** Node label prefixes that bind a migration to fitting processors (facts 3.3, 4). */
export const CPU_LABEL = {
  vendor: "cpu-vendor.node.kubevirt.io/",
  hostModel: "host-model-cpu.node.kubevirt.io/",
  hostModelFeature: "host-model-required-features.node.kubevirt.io/",
  migrationModel: "cpu-model-migration.node.kubevirt.io/",
  feature: "cpu-feature.node.kubevirt.io/",
  model: "cpu-model.node.kubevirt.io/",
} as const;

/** Image name the launcher containers carry; nothing pulls it. */
export const LAUNCHER_IMAGE = "virt-launcher";

/** A pod as it is posted, before the server gives it a name and a UID. */
export interface PodManifest {
  metadata: {
    generateName: string;
    namespace: string;
    labels: Record<string, string>;
    annotations: Record<string, string>;
    ownerReferences: object[];
  };
  spec: {
    nodeSelector: Record<string, string>;
    affinity: Record<string, unknown>;
    [member: string]: unknown;
  };
}

/** The pod that starts this VMI. */
export function launcherPod(vmi: VirtualMachineInstance): PodManifest {
  const { name, namespace = "", uid } = vmi.metadata;
  const { spec } = vmi;
  return {
    metadata: {
      generateName: `virt-launcher-${name}-`,
      namespace,
      labels: {
        ...vmi.metadata.labels,
        [LABEL.app]: "virt-launcher",
        [LABEL.createdBy]: uid,
        [LABEL.vmName]: name,
        "vmi.kubevirt.io/id": name,
      },
      annotations: {
        ...vmi.metadata.annotations,
        [ANNOTATION.domain]: name,
        [ANNOTATION.migrationTransportUnix]: "true",
        "kubectl.kubernetes.io/default-container": "compute",
      },
      ownerReferences: [
        {
          apiVersion: vmi.apiVersion,
          kind: vmi.kind,
          name,
          uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      restartPolicy: "Never",
      terminationGracePeriodSeconds:
        (spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS) + LAUNCHER_EXTRA_GRACE_SECONDS,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      hostname: name,
      readinessGates: [{ conditionType: UNPAUSED_GATE }],
      nodeSelector: nodeSelectorOf(spec),
      affinity: withoutObsoleteHostModels(spec.affinity),
      ...(spec.tolerations ? { tolerations: spec.tolerations } : {}),
      ...(spec.priorityClassName ? { priorityClassName: spec.priorityClassName } : {}),
      ...(spec.schedulerName ? { schedulerName: spec.schedulerName } : {}),
      containers: [
        {
          name: "compute",
          image: LAUNCHER_IMAGE,
          imagePullPolicy: "IfNotPresent",
          command: ["/usr/bin/virt-launcher-monitor"],
          resources: resourcesOf(spec),
        },
      ],
      volumes: (spec.volumes ?? []).flatMap(podVolumeOf),
    },
  };
}

/** What a migration adds to the target's pod (migration.go createTargetPod). */
export interface TargetOptions {
  readonly migrationUid: string;
  readonly migrationName: string;
  readonly addedNodeSelector: Readonly<Record<string, string>>;
  readonly sourcePod: Pod;
  /** The source's Node object; a migration cannot be rendered without it. */
  readonly sourceNode: Node;
}

/**
 * The pod that takes a migration's guest over: never on the source's host, only on fitting processors. The VM's own node
 * selector wins over the added one. Throws where a host-model guest's processor is not labelled on the source.
 */
export function targetPod(vmi: VirtualMachineInstance, options: TargetOptions): PodManifest {
  const pod = launcherPod(vmi);
  pod.metadata.labels[LABEL.migrationJobUid] = options.migrationUid;
  pod.metadata.annotations[ANNOTATION.migrationJobName] = options.migrationName;
  const selector = { ...options.addedNodeSelector, ...pod.spec.nodeSelector };
  if (vmi.spec.domain.cpu?.model === "host-model") Object.assign(selector, hostModelSelector(options));
  const nodeLabels = Object.keys(options.sourceNode.metadata.labels ?? {});
  const vendor = nodeLabels.find((label) => label.startsWith(CPU_LABEL.vendor));
  const hasVendor = Object.keys(selector).some((label) => label.startsWith(CPU_LABEL.vendor));
  if (vendor !== undefined && !hasVendor) selector[vendor] = "true";
  pod.spec.nodeSelector = selector;
  pod.spec.affinity = awayFromSource(pod.spec.affinity, vmi.metadata.uid);
  return pod;
}

function nodeSelectorOf(spec: VmiSpec): Record<string, string> {
  const model = spec.domain.cpu?.model;
  const named = model !== undefined && model !== "host-model" && model !== "host-passthrough";
  return {
    ...spec.nodeSelector,
    [LABEL.schedulable]: "true",
    "kubernetes.io/arch": spec.architecture ?? "amd64",
    [`${LABEL.machineType}/${spec.domain.machine?.type ?? "q35"}`]: "true",
    ...(named ? { [CPU_LABEL.model + model]: "true" } : {}),
  };
}

/** A model that has migrated before stays with the labels of its first source, so that it can go back there. */
function hostModelSelector({ sourcePod, sourceNode }: TargetOptions): Record<string, string> {
  const earlier = Object.entries(sourcePod.spec.nodeSelector ?? {}).filter(
    ([label]) => label.startsWith(CPU_LABEL.feature) || label.startsWith(CPU_LABEL.migrationModel),
  );
  if (earlier.length > 0) return Object.fromEntries(earlier);
  const labels = Object.entries(sourceNode.metadata.labels ?? {});
  const rename = (from: string, to: string) =>
    labels
      .filter(([label]) => label.startsWith(from))
      .map(([label, value]) => [to + label.slice(from.length), value] as const);
  const model = rename(CPU_LABEL.hostModel, CPU_LABEL.migrationModel);
  if (model.length === 0) {
    throw new Error(`unable to locate host cpu model, does not contain label "${CPU_LABEL.hostModel}"`);
  }
  return Object.fromEntries([...model, ...rename(CPU_LABEL.hostModelFeature, CPU_LABEL.feature)]);
}

interface NodeAffinity {
  requiredDuringSchedulingIgnoredDuringExecution?: { nodeSelectorTerms?: { matchExpressions?: object[] }[] };
}

function withoutObsoleteHostModels(affinity: Record<string, unknown> = {}): Record<string, unknown> {
  const nodeAffinity = (affinity["nodeAffinity"] ?? {}) as NodeAffinity;
  const terms = nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [{}];
  const obsolete = { key: OBSOLETE_HOST_MODEL, operator: "DoesNotExist" };
  const nodeSelectorTerms = terms.map((term) => ({
    ...term,
    matchExpressions: [...(term.matchExpressions ?? []), obsolete],
  }));
  return {
    ...affinity,
    nodeAffinity: { ...nodeAffinity, requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } },
  };
}

function awayFromSource(affinity: Record<string, unknown>, vmiUid: string): Record<string, unknown> {
  const old = (affinity["podAntiAffinity"] ?? {}) as {
    requiredDuringSchedulingIgnoredDuringExecution?: object[];
  };
  const term = {
    labelSelector: { matchLabels: { [LABEL.createdBy]: vmiUid } },
    topologyKey: "kubernetes.io/hostname",
  };
  const required = [...(old.requiredDuringSchedulingIgnoredDuringExecution ?? []), term];
  return {
    ...affinity,
    podAntiAffinity: { ...old, requiredDuringSchedulingIgnoredDuringExecution: required },
  };
}

function resourcesOf(spec: VmiSpec) {
  const { cpu } = spec.domain;
  const vcpus = (cpu?.cores ?? 1) * (cpu?.sockets ?? 1) * (cpu?.threads ?? 1);
  const asked = spec.domain.resources?.requests ?? {};
  const guestBytes = bytesOf(asked["memory"] ?? spec.domain.memory?.guest ?? "0");
  const memoryBytes = guestBytes + OVERHEAD_BYTES;
  const devices = {
    "devices.kubevirt.io/kvm": "1",
    "devices.kubevirt.io/tun": "1",
    "devices.kubevirt.io/vhost-net": "1",
  };
  return {
    requests: {
      cpu: asked["cpu"] ?? `${vcpus * MILLI_CPU_PER_VCPU}m`,
      memory: String(memoryBytes),
      "ephemeral-storage": "50M",
      ...devices,
    },
    limits: { ...spec.domain.resources?.limits, ...devices },
  };
}

const UNIT_BYTES: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

function bytesOf(quantity: string): number {
  const [, digits = "0", unit = ""] = /^([0-9.]+)([A-Za-z]*)$/.exec(quantity) ?? [];
  return Math.ceil(Number(digits) * (UNIT_BYTES[unit] ?? 1));
}

/** Hotplugged volumes belong to an attachment pod, which the stand-in does not make. */
function podVolumeOf(volume: Volume): object[] {
  const claimName = volume.persistentVolumeClaim?.claimName ?? volume.dataVolume?.name;
  const hotplugged =
    volume.persistentVolumeClaim?.hotpluggable === true || volume.dataVolume?.hotpluggable === true;
  return claimName === undefined || hotplugged
    ? []
    : [{ name: volume.name, persistentVolumeClaim: { claimName } }];
}
