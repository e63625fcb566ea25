// The parts of a VirtualMachineInstance that virt-handler reads and writes, as they travel.
import { LABEL } from "../kubevirt/names.ts";
import type { Condition, KubernetesObject } from "./objects.ts";

export const NODE_NAME_LABEL = LABEL.nodeName;
export const TARGET_NODE_LABEL = LABEL.migrationTargetNode;
export const EVICTION_SOURCE_ANNOTATION = "kubevirt.io/eviction-source";
export const OUTDATED_LAUNCHER_LABEL = "kubevirt.io/outdatedLauncherImage";

export type VmiPhase =
  | "Pending"
  | "Scheduling"
  | "Scheduled"
  | "Running"
  | "Succeeded"
  | "Failed"
  | "WaitingForSync"
  | "Unknown";

export interface MigrationState {
  migrationUid?: string;
  sourceNode?: string;
  sourcePod?: string;
  targetNode?: string;
  targetPod?: string;
  targetNodeAddress?: string;
  targetDirectMigrationNodePorts?: Record<string, number>;
  startTimestamp?: string;
  endTimestamp?: string;
  targetNodeDomainDetected?: boolean;
  targetNodeDomainReadyTimestamp?: string;
  completed?: boolean;
  failed?: boolean;
  failureReason?: string;
  abortRequested?: boolean;
  abortStatus?: string;
  mode?: string;
  targetState?: {
    nodeAddress?: string;
    directMigrationNodePorts?: Record<string, number>;
    domainDetected?: boolean;
    domainReadyTimestamp?: string;
  };
}

export interface VolumeStatus {
  name: string;
  persistentVolumeClaimInfo?: { claimName?: string; accessModes?: string[] };
}

export interface Volume {
  name: string;
  persistentVolumeClaim?: { claimName: string };
  dataVolume?: { name: string };
}

export interface Interface {
  name: string;
  masquerade?: object;
  bridge?: object;
  passt?: object;
  macAddress?: string;
}

export interface VmiStatus {
  phase?: VmiPhase;
  nodeName?: string;
  evacuationNodeName?: string;
  conditions?: Condition[];
  phaseTransitionTimestamps?: { phase: string; phaseTransitionTimestamp: string }[];
  migrationMethod?: "LiveMigration" | "BlockMigration";
  migrationTransport?: string;
  migrationState?: MigrationState;
  volumeStatus?: VolumeStatus[];
  interfaces?: { name: string; ipAddress?: string; ipAddresses?: string[]; mac?: string }[];
  launcherContainerImageVersion?: string;
  selinuxContext?: string;
  machine?: { type: string };
}

export interface Vmi extends KubernetesObject {
  spec: {
    terminationGracePeriodSeconds?: number;
    domain?: {
      devices?: {
        disks?: { name: string; cdrom?: { readonly?: boolean }; disk?: { readonly?: boolean } }[];
        interfaces?: Interface[];
      };
    };
    networks?: { name: string; pod?: object }[];
    volumes?: Volume[];
  };
  status?: VmiStatus;
}

const DEFAULT_GRACE_SECONDS = 30;

export function graceSecondsOf(vmi: Vmi): number {
  return vmi.spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS;
}

export function isFinal(vmi: Vmi): boolean {
  return vmi.status?.phase === "Succeeded" || vmi.status?.phase === "Failed";
}

/** KubeVirt's `isMigrationDone`: nothing is to be done for this state any more. */
export function isMigrationDone(state: MigrationState | undefined): boolean {
  return !state || (state.endTimestamp !== undefined && (state.completed === true || state.failed === true));
}

/** KubeVirt's `IsMigrating`: the copy runs; meanwhile the VMI's phase is nobody's business. */
export function isMigrating(vmi: Vmi): boolean {
  const state = vmi.status?.migrationState;
  return state?.startTimestamp !== undefined && state.endTimestamp === undefined;
}
