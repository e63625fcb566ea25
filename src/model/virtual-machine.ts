// What we know of KubeVirt's objects: VirtualMachine, VirtualMachineInstance, migrations and their pods, as far as we act on them.

export type RunStrategy = "Always" | "RerunOnFailure" | "Manual" | "Once" | "Halted" | "WaitAsReceiver";

export interface NodeSelectorRequirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";
  readonly values: readonly string[];
}

export interface Toleration {
  readonly key: string | undefined;
  readonly operator: "Exists" | "Equal";
  readonly value: string | undefined;
  readonly effect: string | undefined;
}

/** What a VM asks of a node. Interned: VMs that ask the same share one object, and so one judgement. */
export interface PlacementConstraints {
  /** Canonical text of the rest; equal constraints have equal keys. */
  readonly key: string;
  readonly nodeSelector: Readonly<Record<string, string>>;
  /** Terms of required node affinity: any term may match, within a term all requirements must. */
  readonly affinityTerms: readonly (readonly NodeSelectorRequirement[])[];
  readonly tolerations: readonly Toleration[];
}

export interface VMFact {
  /** `namespace/name`. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly runStrategy: RunStrategy;
  readonly labels: Readonly<Record<string, string>>;
  readonly constraints: PlacementConstraints;
  /** KubeVirt's own summary. Stays `Running` when the node is lost: never trusted for that, only where it says `Stopped`. */
  readonly printableStatus: string | undefined;
  readonly deleting: boolean;
}

export type VMIPhase =
  | "Pending"
  | "Scheduling"
  | "Scheduled"
  | "Running"
  | "Succeeded"
  | "Failed"
  | "WaitingForSync"
  | "Unknown";

export interface LiveMigratable {
  readonly status: boolean;
  readonly reason: string;
  readonly message: string;
}

/** A live migration as the VMI's status tells it. */
export interface VMIMigrationState {
  /** UID of the VirtualMachineInstanceMigration it is about. */
  readonly uid: string | undefined;
  readonly sourceNode: string | undefined;
  readonly targetNode: string | undefined;
  /** The guest was seen running on the target: the switch has happened, only the acknowledgement is missing. */
  readonly targetReady: boolean;
  readonly ended: boolean;
}

export interface VMIFact {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly phase: VMIPhase;
  readonly nodeName: string | undefined;
  readonly ready: boolean;
  /** Reason of a true `Paused` condition. */
  readonly paused: string | undefined;
  /** Absent until virt-handler has judged it. */
  readonly liveMigratable: LiveMigratable | undefined;
  readonly evictionStrategy: string | undefined;
  readonly evacuationNodeName: string | undefined;
  readonly migration: VMIMigrationState | undefined;
  readonly deleting: boolean;
  /** Wall times at which each stage was first reached: what we saw, or KubeVirt's own time stamps (whole seconds) where we came later. */
  readonly scheduledAtWallMs: number | undefined;
  readonly runningAtWallMs: number | undefined;
  readonly readyAtWallMs: number | undefined;
  /** When it was made, by the API server. */
  readonly createdAtWallMs: number | undefined;
  /** When its Ready condition last changed: what we saw, or KubeVirt's own time stamp where we came later. */
  readonly readyChangedAtWallMs: number | undefined;
  readonly agentConnected: boolean;
  /** The same of its AgentConnected condition, which KubeVirt takes away when the agent falls silent. */
  readonly agentChangedAtWallMs: number | undefined;
  /** Of its first interface that has one: where a drill asks for its service. It changes with a restart, and may with a migration. */
  readonly address: string | undefined;
  /** Monotonic time at which we first saw this VMI (this UID). */
  readonly firstSeenMs: number;
}

/** Whether the VMI has ended for good, by KubeVirt's own word. */
export function isFinal(vmi: VMIFact): boolean {
  return vmi.phase === "Succeeded" || vmi.phase === "Failed";
}

export interface MigrationFact {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly vmiKey: string;
  readonly phase: string;
  readonly finished: boolean;
  readonly succeeded: boolean;
  /** Why we made it; undefined where somebody else did. */
  readonly purpose: MigrationPurpose | undefined;
  /** VMI UID we made it for. */
  readonly forVMI: string | undefined;
  readonly deleting: boolean;
  readonly createdAtWallMs: number;
  /** Monotonic time at which we first saw it. */
  readonly firstSeenMs: number;
  /** Monotonic time at which we first saw it finished. */
  readonly finishedAtMs: number | undefined;
  readonly failureReason: string | undefined;
}

export type MigrationPurpose = "Evacuation" | "Failback" | "Drill";

/** A virt-launcher pod, or a pod that holds hot-plugged volumes for one. */
export interface LauncherPodFact {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly kind: "launcher" | "hotplug";
  readonly nodeName: string | undefined;
  /** `namespace/name` of the VM it runs, where the pod says so. */
  readonly vmKey: string | undefined;
  readonly vmiUID: string | undefined;
  readonly finished: boolean;
  readonly deleting: boolean;
  /** The scheduler's words while it finds no node. */
  readonly unschedulable: string | undefined;
}

/** The parts of the KubeVirt object's configuration that bind us. */
export interface KubeVirtConfig {
  readonly parallelMigrationsPerCluster: number;
  readonly parallelOutboundMigrationsPerNode: number;
  readonly nodeDrainTaintKey: string;
  readonly evictionStrategy: string | undefined;
}

/** KubeVirt's defaults (virt-config), used where the KubeVirt object says nothing. */
export const DEFAULT_KUBEVIRT_CONFIG: KubeVirtConfig = {
  parallelMigrationsPerCluster: 5,
  parallelOutboundMigrationsPerNode: 2,
  nodeDrainTaintKey: "kubevirt.io/drain",
  evictionStrategy: undefined,
};
