// The parts of Kubernetes and KubeVirt objects that a node reads and writes, as they travel; unread members stay untouched.
import { labTime } from "../lab-time.ts";

export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
}

export interface KubernetesObject {
  metadata: ObjectMeta;
}

export interface Condition {
  type: string;
  status: "True" | "False" | "Unknown";
  reason?: string;
  message?: string;
  lastProbeTime?: string | null;
  lastTransitionTime?: string | null;
  lastHeartbeatTime?: string | null;
}

export interface Container {
  name: string;
  image?: string;
}

export interface Pod extends KubernetesObject {
  spec: {
    nodeName?: string;
    restartPolicy?: "Always" | "OnFailure" | "Never";
    terminationGracePeriodSeconds?: number;
    hostNetwork?: boolean;
    containers: Container[];
    initContainers?: Container[];
    readinessGates?: { conditionType: string }[];
    volumes?: { name: string; persistentVolumeClaim?: { claimName: string } }[];
  };
  status?: PodStatus;
}

export interface PodStatus {
  phase?: "Pending" | "Running" | "Succeeded" | "Failed";
  reason?: string;
  message?: string;
  hostIP?: string;
  hostIPs?: { ip: string }[];
  podIP?: string;
  podIPs?: { ip: string }[];
  startTime?: string;
  conditions?: Condition[];
  containerStatuses?: ContainerStatus[];
  initContainerStatuses?: ContainerStatus[];
}

export interface ContainerStatus {
  name: string;
  image: string;
  imageID: string;
  containerID?: string;
  ready: boolean;
  started?: boolean;
  restartCount: number;
  state: {
    running?: { startedAt: string };
    terminated?: {
      exitCode: number;
      reason: string;
      startedAt?: string;
      finishedAt: string;
    };
    waiting?: { reason: string };
  };
}

export interface Node extends KubernetesObject {
  spec?: { unschedulable?: boolean; taints?: { key: string; value?: string; effect: string }[] };
  status?: NodeStatus;
}

export interface NodeStatus {
  capacity?: Record<string, string>;
  allocatable?: Record<string, string>;
  conditions?: Condition[];
  addresses?: { type: string; address: string }[];
  daemonEndpoints?: { kubeletEndpoint: { Port: number } };
  nodeInfo?: Record<string, string>;
  volumesInUse?: string[];
  volumesAttached?: { name: string; devicePath: string }[];
}

export interface PersistentVolumeClaim extends KubernetesObject {
  spec: { volumeName?: string; accessModes?: string[] };
  status?: { phase?: string };
}

export interface PersistentVolume extends KubernetesObject {
  spec: { csi?: { driver: string; volumeHandle: string } };
}

/** `namespace/name`, or the bare name of a cluster-scoped object. */
export function keyOf(object: KubernetesObject): string {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** `metav1.Time`: whole seconds. */
export function timestamp(wallMs: number = labTime.wallMs()): string {
  return `${new Date(wallMs).toISOString().slice(0, 19)}Z`;
}

/** `metav1.MicroTime`: exactly six digits after the point. */
export function microTimestamp(wallMs: number = labTime.wallMs()): string {
  return new Date(wallMs).toISOString().replace("Z", "000Z");
}
