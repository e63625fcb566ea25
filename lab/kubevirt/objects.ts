// The parts of Kubernetes and KubeVirt objects that KubeVirt's controllers read and write; unread members stay untouched.
import { labTime } from "../lab-time.ts";

export interface ObjectMeta {
  name: string;
  generateName?: string;
  namespace?: string;
  uid: string;
  resourceVersion: string;
  generation?: number;
  creationTimestamp: string;
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
  blockOwnerDeletion?: boolean;
}

export interface KubeObject {
  metadata: ObjectMeta;
}

export interface Condition {
  type: string;
  status: "True" | "False" | "Unknown";
  reason?: string;
  message?: string;
  lastProbeTime?: string | null;
  lastTransitionTime?: string | null;
}

export interface ContainerStatus {
  name: string;
  ready: boolean;
  state?: {
    running?: object;
    terminated?: { exitCode: number };
    waiting?: { reason?: string; message?: string };
  };
}

export interface Pod extends KubeObject {
  spec: {
    nodeName?: string;
    nodeSelector?: Record<string, string>;
    containers: { name: string; image?: string }[];
  };
  status?: {
    phase?: string;
    qosClass?: string;
    conditions?: Condition[];
    containerStatuses?: ContainerStatus[];
    initContainerStatuses?: ContainerStatus[];
  };
}

export interface Taint {
  key: string;
  effect: string;
}

export interface Node extends KubeObject {
  spec?: { taints?: Taint[] };
}

export interface PersistentVolumeClaim extends KubeObject {
  spec: {
    accessModes?: string[];
    volumeMode?: string;
    resources?: { requests?: Record<string, string> };
  };
  status?: { capacity?: Record<string, string> };
}

export interface Volume {
  name: string;
  persistentVolumeClaim?: { claimName: string; hotpluggable?: boolean };
  dataVolume?: { name: string; hotpluggable?: boolean };
}

export type EvictionStrategy = "None" | "LiveMigrate" | "LiveMigrateIfPossible" | "External";

export interface VmiSpec {
  architecture?: string;
  evictionStrategy?: EvictionStrategy;
  terminationGracePeriodSeconds?: number;
  nodeSelector?: Record<string, string>;
  affinity?: Record<string, unknown>;
  tolerations?: object[];
  priorityClassName?: string;
  schedulerName?: string;
  domain: {
    cpu?: { cores?: number; sockets?: number; threads?: number; model?: string };
    memory?: { guest?: string };
    machine?: { type?: string };
    resources?: { requests?: Record<string, string>; limits?: Record<string, string> };
    devices?: { interfaces?: object[] };
  };
  networks?: object[];
  volumes?: Volume[];
}

export type VmiPhase =
  | ""
  | "Pending"
  | "Scheduling"
  | "Scheduled"
  | "Running"
  | "Succeeded"
  | "Failed"
  | "WaitingForSync"
  | "Unknown";

export interface PhaseTransition {
  phase: string;
  phaseTransitionTimestamp: string;
}

/** Written by the migration controller at hand-off, then by the two virt-handlers (facts 9.5). */
export interface MigrationState {
  migrationUid?: string;
  sourceNode?: string;
  sourcePod?: string;
  targetNode?: string;
  targetPod?: string;
  targetNodeAddress?: string;
  targetNodeDomainReadyTimestamp?: string;
  startTimestamp?: string;
  endTimestamp?: string;
  completed?: boolean;
  failed?: boolean;
  failureReason?: string;
  abortRequested?: boolean;
  migrationConfiguration?: object;
}

export interface VmiStatus {
  phase?: VmiPhase;
  phaseTransitionTimestamps?: PhaseTransition[];
  reason?: string;
  nodeName?: string;
  evacuationNodeName?: string;
  activePods?: Record<string, string>;
  conditions?: Condition[];
  migrationState?: MigrationState;
  migrationTransport?: string;
  launcherContainerImageVersion?: string;
  qosClass?: string;
  runtimeUser?: number;
  volumeStatus?: VolumeStatus[];
}

export interface VolumeStatus {
  name: string;
  target?: string;
  persistentVolumeClaimInfo?: object;
}

export interface VirtualMachineInstance extends KubeObject {
  apiVersion: string;
  kind: string;
  spec: VmiSpec;
  status: VmiStatus;
}

export type RunStrategy = "Always" | "RerunOnFailure" | "Manual" | "Halted" | "Once" | "WaitAsReceiver";

export interface StateChangeRequest {
  action: "Start" | "Stop";
  uid?: string;
  data?: Record<string, string>;
}

export interface VmStatus {
  created?: boolean;
  ready?: boolean;
  printableStatus?: string;
  runStrategy?: RunStrategy;
  stateChangeRequests?: StateChangeRequest[];
  startFailure?: { consecutiveFailCount: number; lastFailedVMIUID: string; retryAfterTimestamp: string };
  conditions?: Condition[];
  observedGeneration?: number;
  desiredGeneration?: number;
}

export interface VirtualMachine extends KubeObject {
  apiVersion: string;
  kind: string;
  spec: {
    runStrategy?: RunStrategy;
    running?: boolean;
    template: {
      metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
      spec: VmiSpec;
    };
  };
  status: VmStatus;
}

export type MigrationPhase =
  | ""
  | "Pending"
  | "Scheduling"
  | "Scheduled"
  | "PreparingTarget"
  | "TargetReady"
  | "Running"
  | "Succeeded"
  | "Failed";

export type MigrationPriority = "system-critical" | "user-triggered" | "system-maintenance";

export interface Migration extends KubeObject {
  apiVersion: string;
  kind: string;
  spec: { vmiName: string; addedNodeSelector?: Record<string, string>; priority?: MigrationPriority };
  status: {
    phase?: MigrationPhase;
    phaseTransitionTimestamps?: PhaseTransition[];
    conditions?: Condition[];
    migrationState?: MigrationState;
  };
}

/** `namespace/name`, or the bare name of a cluster-scoped object. */
export function keyOf(object: KubeObject): string {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** The UID of the owner that controls this object. */
export function controllerUidOf(object: KubeObject): string | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true)?.uid;
}

/** `metav1.Time`: whole seconds. */
export function timestamp(wallMs: number = labTime.wallMs()): string {
  return `${new Date(wallMs).toISOString().slice(0, 19)}Z`;
}
