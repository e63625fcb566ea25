// The promise made for one VM (an HAVirtualMachine), and what its status remembers, in domain values.
import type { Account, AvailabilityRule } from "./availability.ts";
import type { OutageMarks, OutagePhase } from "./outage-phases.ts";
import type { LabelSelector } from "./label-selector.ts";

export interface Condition {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
  /** RFC 3339; when `status` last changed. */
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number;
}

export type EvacuationStrategy = "LiveMigrate" | "LiveMigrateOrRestart" | "None";

export interface Dependency {
  /** Name of another HAVirtualMachine in the same namespace. */
  readonly name: string;
  readonly condition: "Running" | "Ready";
  readonly timeoutMs: number;
}

export interface EvacuationRule {
  readonly strategy: EvacuationStrategy;
  readonly targetSelector: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

export interface FailoverRule {
  readonly enabled: boolean;
  readonly restartOnce: boolean;
  readonly startManual: boolean;
  readonly maxRestarts: number;
  readonly restartWindowMs: number;
}

export interface FailbackRule {
  readonly policy: "Never" | "Automatic";
  readonly delayMs: number;
  readonly nodeSelector: Readonly<Record<string, string>>;
}

/** What may be promised for a VM without naming it: the part a policy can give to many. */
export interface ProtectionRules {
  readonly priority: number;
  readonly evacuation: EvacuationRule;
  readonly failover: FailoverRule;
  readonly failback: FailbackRule;
  readonly availability: AvailabilityRule;
}

/** `Blocked`: something must change before the VM can come back; the message says what. */
export type FailoverPhase = "Recovering" | "Blocked";

/** A failover under way, as written in the status: all times RFC 3339 wall time. */
export interface FailoverRecord {
  /** Name of the NodeFencing; undefined while none could be opened. */
  readonly fencing?: string;
  readonly fromNode: string;
  /** The VMI that was lost. */
  readonly vmiUID: string;
  readonly lastGoodAt: string;
  readonly lostAt: string;
  readonly phase: FailoverPhase;
  readonly message: string;
}

export interface DisplacedFrom {
  readonly node: string;
  readonly cause: "Evacuation" | "Failover";
  readonly since: string;
}

export interface OutageRecord extends OutageMarks {
  readonly cause: "NodeLost" | "Evacuation" | "Other";
  readonly fencing?: string;
  readonly fromNode: string;
  readonly toNode?: string;
  readonly vmiUID: string;
  readonly newVMIUID?: string;
}

export interface EvacuationRecord {
  readonly fromNode: string;
  readonly migration?: string;
  readonly startedAt: string;
  readonly phase: "Waiting" | "Migrating" | "Restarting" | "Refused" | "Done";
  readonly message: string;
}

export interface Candidates {
  /** How many other nodes could host the VM, counted no further than `MAX_CANDIDATES_COUNTED`. */
  readonly count: number;
  readonly nodes: readonly string[];
}

/** Figures as a status shows them: rounded, in words for people. */
export interface ShownFigures {
  readonly asOf: string;
  readonly windowFrom: string;
  readonly windowTo: string;
  readonly availability?: string;
  readonly nines?: string;
  readonly downtimePerYear?: string;
  readonly outages: number;
  readonly plannedOutages: number;
  readonly unplannedMs: number;
  readonly plannedMs: number;
  readonly unobservedMs: number;
  readonly mtbfMs?: number;
  readonly mttrMs?: number;
  readonly mttrPhases?: readonly {
    readonly phase: OutagePhase;
    readonly meanMs: number;
    readonly failovers: number;
  }[];
  readonly errorBudgetMs?: number;
  readonly errorBudgetLeftMs?: number;
  readonly errorBudgetLeft?: string;
}

export interface AvailabilityStatus extends Account {
  readonly figures?: ShownFigures;
}

/** Beyond this many candidate nodes we say "at least": so that losing one node of many changes no status. */
export const MAX_CANDIDATES_COUNTED = 3;

/** Outages kept in a status; the oldest goes first. */
export const MAX_OUTAGES_KEPT = 10;

export interface ProtectionStatus {
  readonly observedGeneration?: number;
  readonly conditions: readonly Condition[];
  readonly node?: string;
  readonly vmiUID?: string;
  readonly failover?: FailoverRecord;
  readonly evacuation?: EvacuationRecord;
  readonly displacedFrom?: DisplacedFrom;
  readonly outages: readonly OutageRecord[];
  readonly availability?: AvailabilityStatus;
  readonly candidates?: Candidates;
}

export interface ProtectionFact extends ProtectionRules {
  /** `namespace/name` of the HAVirtualMachine. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly createdAtWallMs: number;
  /** `namespace/name` of the VirtualMachine. */
  readonly vmKey: string;
  readonly vmName: string;
  readonly dependsOn: readonly Dependency[];
  /** The HAVirtualMachinePolicy that had it made; undefined where a person wrote it. */
  readonly madeByPolicy: string | undefined;
  /** Generation of that policy it was made from (annotation `holdfast.dev/policy-generation`). */
  readonly policyGeneration: number | undefined;
  /** It carries the label by which a drill may fence its node. */
  readonly mayBeLostInDrill?: true;
  readonly deleting: boolean;
  readonly status: ProtectionStatus;
}

/** An HAVirtualMachinePolicy: protection for all VMs that labels select. */
export interface OptInPolicyFact {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly precedence: number;
  readonly namespaceSelector: LabelSelector;
  readonly selector: LabelSelector;
  readonly rules: ProtectionRules;
  /** The template exactly as written, to be copied into HAVirtualMachines. */
  readonly template: Readonly<Record<string, unknown>>;
  readonly deleting: boolean;
  readonly status: {
    readonly observedGeneration?: number;
    readonly selected?: number;
    readonly protectedVMs?: number;
    readonly conditions: readonly Condition[];
  };
}
