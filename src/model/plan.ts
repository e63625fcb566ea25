// What one turn concludes: steps to take, what was refused and why, how each node is judged, and when to look again.
import type { Confirmation } from "./confirmation.ts";
import type {
  FenceProof,
  FencingFact,
  FencingLevel,
  FencingStatus,
  NetworkFenceSettings,
  PowerLevel,
} from "./fencing.ts";
import type { DrillFact, DrillStatus, NamedProbe } from "./drill.ts";
import type { NodeVerdict } from "./node-verdict.ts";
import type { OptInPolicyFact, ProtectionFact, ProtectionStatus } from "./protection.ts";
import type { Conclusions } from "./snapshot.ts";
import type { MigrationPurpose } from "./virtual-machine.ts";

/** The object an Event is about. */
export interface ObjectRef {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly uid: string;
}

/** A Kubernetes Event to be recorded once the step it belongs to has taken effect. */
export interface EventNote {
  readonly about: ObjectRef;
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

interface StepBase {
  readonly events?: readonly EventNote[];
}

/** Read a node and its Lease anew from etcd's quorum before anything is concluded from silence. */
export interface RefreshNodeStep extends StepBase {
  readonly kind: "RefreshNode";
  readonly node: string;
}

/** Write the intent to fence one incarnation of one node. */
export interface OpenFencingStep extends StepBase {
  readonly kind: "OpenFencing";
  readonly name: string;
  readonly node: string;
  readonly nodeUID: string;
  readonly bootID: string;
  readonly topology: string;
  readonly message: string;
  readonly detectedAt: string;
  readonly lastSeenAt: string;
  /** The drill that asks for it, as `DRILL_ANNOTATION` names it: the node is alive, and is fenced all the same. */
  readonly drill?: string;
}

/** Make one attempt with one level's device. `mayPowerOff: false` only reads the state (harmless; enough where it is off). */
export interface FenceStep extends StepBase {
  readonly kind: "Fence";
  readonly fencing: FencingFact;
  readonly level: FencingLevel;
  readonly mayPowerOff: boolean;
}

/** Take a person's word that the node is off as the proof. */
export interface ConfirmOffStep extends StepBase {
  readonly kind: "ConfirmOff";
  readonly fencing: FencingFact;
  readonly confirmation: Confirmation;
}

/** Write the ledger: `status` replaces what stands, guarded by the resourceVersion it was computed from. */
export interface WriteFencingStep extends StepBase {
  readonly kind: "WriteFencing";
  readonly fencing: FencingFact;
  readonly status: FencingStatus;
}

/** Keep new pods off the dead node and let its volumes go. */
export interface TaintStep extends StepBase {
  readonly kind: "Taint";
  readonly node: string;
  readonly proof: FenceProof;
}

export interface PodRef {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** Delete the pods that hold one VM to the dead node. */
export interface ReleaseStep extends StepBase {
  readonly kind: "Release";
  readonly vmKey: string;
  readonly pods: readonly PodRef[];
  readonly proof: FenceProof;
  readonly priority: number;
}

/** Ask KubeVirt to start a VM (run strategy Manual) whose VMI has ended. */
export interface StartVMStep extends StepBase {
  readonly kind: "StartVM";
  readonly vmKey: string;
}

/** Delete a VMI that has ended, so that KubeVirt starts a VM of run strategy Once again. */
export interface DeleteVMIStep extends StepBase {
  readonly kind: "DeleteVMI";
  readonly vmKey: string;
  readonly vmiUID: string;
}

/** Ask KubeVirt to restart a running VM, which moves it off a cordoned node at the price of an outage. */
export interface RestartVMStep extends StepBase {
  readonly kind: "RestartVM";
  readonly vmKey: string;
  readonly vmiUID: string;
}

export interface PowerOnStep extends StepBase {
  readonly kind: "PowerOn";
  readonly fencing: FencingFact;
  readonly level: PowerLevel;
}

/** Have other operators undo what they did to the node for us: their remediations of it are withdrawn. */
export interface LiftRemediationStep extends StepBase {
  readonly kind: "LiftRemediation";
  readonly fencing: FencingFact;
}

/** Let the node reach its storage again. Only where no guest of the fenced incarnation can be left to resume. */
export interface UnfenceStorageStep extends StepBase {
  readonly kind: "UnfenceStorage";
  readonly fencing: FencingFact;
}

/** Record by which addresses the storage knows a healthy node, for the day on which it has to be fenced there. */
export interface RecordStorageClientsStep extends StepBase {
  readonly kind: "RecordStorageClients";
  readonly node: string;
  readonly bootID: string;
  readonly wanted: readonly NetworkFenceSettings[];
  /** Until when, on our monotonic clock, nobody can have judged the node lost: later than that nothing is recorded. */
  readonly validUntilMs: number;
}

/** Lift our out-of-service taint, and nobody else's. */
export interface UntaintStep extends StepBase {
  readonly kind: "Untaint";
  readonly node: string;
}

/** Keep new VMs off a node that flaps, or let them come again. */
export interface QuarantineStep extends StepBase {
  readonly kind: "Quarantine";
  readonly node: string;
  /** Its end in seconds since 1970; undefined lifts it. */
  readonly untilSeconds: number | undefined;
}

export interface CreateMigrationStep extends StepBase {
  readonly kind: "CreateMigration";
  readonly vmKey: string;
  readonly vmiUID: string;
  readonly name: string;
  readonly purpose: MigrationPurpose;
  readonly targetSelector: Readonly<Record<string, string>>;
  readonly unschedulableTimeoutSeconds: number;
}

export interface AbortMigrationStep extends StepBase {
  readonly kind: "AbortMigration";
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly why: string;
}

export interface WriteProtectionStep extends StepBase {
  readonly kind: "WriteProtection";
  readonly protection: ProtectionFact;
  readonly status: ProtectionStatus;
}

/** Have an HAVirtualMachine for a VM that a policy selects. */
export interface ApplyProtectionStep extends StepBase {
  readonly kind: "ApplyProtection";
  readonly policy: OptInPolicyFact;
  readonly namespace: string;
  readonly name: string;
  readonly vmName: string;
  readonly vmUID: string;
}

/** Remove an HAVirtualMachine that a policy had made and no policy wants any more. */
export interface DeleteProtectionStep extends StepBase {
  readonly kind: "DeleteProtection";
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** Status of a cluster-scoped object of ours whose status is small: topologies, policies and disarms. */
export interface WriteSummaryStep extends StepBase {
  readonly kind: "WriteSummary";
  readonly resource: "fencingtopologies" | "havirtualmachinepolicies" | "fencingdisarms";
  readonly name: string;
  readonly resourceVersion: string;
  readonly status: Readonly<Record<string, unknown>>;
}

/** Status of a FailoverDrill, guarded by the version it was computed from and by the leader's epoch. */
export interface WriteDrillStep extends StepBase {
  readonly kind: "WriteDrill";
  readonly drill: DrillFact;
  readonly status: DrillStatus;
}

/** Cordon a node for a drill, in the drill's name; refused where anybody has cordoned it already. */
export interface CordonStep extends StepBase {
  readonly kind: "Cordon";
  readonly node: string;
  readonly drill: string;
}

/** Uncordon a node that a drill has cordoned, and no other. */
export interface UncordonStep extends StepBase {
  readonly kind: "Uncordon";
  readonly node: string;
  readonly drill: string;
}

/** Begin to ask the VMs of a run whether they are there. */
export interface StartDrillProbesStep extends StepBase {
  readonly kind: "StartDrillProbes";
  readonly run: string;
  readonly vmKeys: readonly string[];
  readonly probes: readonly NamedProbe[];
}

/** Stop asking; what was found is then among the snapshot's facts. */
export interface StopDrillProbesStep extends StepBase {
  readonly kind: "StopDrillProbes";
  readonly run: string;
}

export type Step =
  | RefreshNodeStep
  | OpenFencingStep
  | FenceStep
  | ConfirmOffStep
  | WriteFencingStep
  | TaintStep
  | ReleaseStep
  | StartVMStep
  | DeleteVMIStep
  | RestartVMStep
  | PowerOnStep
  | LiftRemediationStep
  | UnfenceStorageStep
  | RecordStorageClientsStep
  | UntaintStep
  | QuarantineStep
  | CreateMigrationStep
  | AbortMigrationStep
  | WriteProtectionStep
  | ApplyProtectionStep
  | DeleteProtectionStep
  | WriteSummaryStep
  | WriteDrillStep
  | CordonStep
  | UncordonStep
  | StartDrillProbesStep
  | StopDrillProbesStep;

/** Something we would have done and do not, with the numbers that made it so. A result, not a log line. */
export interface Refusal {
  /** `node/<name>`, `vm/<namespace>/<name>`, `drill/<name>`, or `cluster`. */
  readonly about: string;
  readonly reason: string;
  readonly message: string;
}

export interface Plan {
  readonly steps: readonly Step[];
  readonly refusals: readonly Refusal[];
  readonly verdicts: ReadonlyMap<string, NodeVerdict>;
  /** Why nothing at all was judged, where that is so. */
  readonly notJudged: string | undefined;
  /** Monotonic time at which time alone may change the outcome; undefined where only an event can. */
  readonly lookAgainAtMs: number | undefined;
  /** How many nodes a FencingDisarm keeps from being fenced. */
  readonly disarmedNodes: number;
  readonly conclusions: Conclusions | undefined;
}
