// A FailoverDrill in domain values: what is to be disturbed, how often, what was promised, and what came of it.
import type { DrillPromise, MeasuredRun } from "./drill-statistics.ts";
import type { Condition } from "./protection.ts";
import type { ProbeFacts, ServiceProbe } from "./service-probe.ts";

/** What is done to the VMs. */
export const DRILL_TYPES = ["LiveMigration", "NodeEvacuation", "NodeLoss"] as const;
export type DrillType = (typeof DRILL_TYPES)[number];

export const DRILL_PHASES = [
  "Pending",
  "Running",
  "Passed",
  "Failed",
  "Inconclusive",
  "Refused",
  "Interrupted",
] as const;
export type DrillPhase = (typeof DRILL_PHASES)[number];

/** How a run, and so a series, ended. */
export type DrillOutcome = Exclude<DrillPhase, "Pending" | "Running">;

/** When series begin by themselves: every week, on these days, at that minute of the local day. */
export interface DrillSchedule {
  /** 0 (Sunday) to 6. */
  readonly days: readonly number[];
  readonly minute: number;
  readonly timeZone: string;
}

/** A probe with the name under which its results stand. */
export interface NamedProbe {
  readonly name: string;
  readonly probe: ServiceProbe;
}

/** A VM that a run disturbs, as it was when the run began. */
export interface DrilledVM {
  readonly namespace: string;
  readonly name: string;
  readonly vmiUID: string;
}

/**
 * `Starting`: intended, nothing is disturbed yet. `Acting`: the disturbance may have begun at any moment since `actedAt`.
 * `Settling`: it is over, and what follows is still watched.
 */
export type DrillStep = "Starting" | "Acting" | "Settling";

/** The run under way. Written before each of its effects, so that a new leader knows what may have been done. */
export interface DrillRun {
  /** Counted from 1 within its series. */
  readonly number: number;
  readonly step: DrillStep;
  readonly startedAt: string;
  readonly actedAt?: string;
  readonly settledAt?: string;
  /** The node that the VMs are to leave. */
  readonly node: string;
  readonly nodeUID: string;
  readonly bootID: string;
  /** Name of the migration (LiveMigration) or NodeFencing (NodeLoss) that does it. */
  readonly effect?: string;
  readonly virtualMachines: readonly DrilledVM[];
}

/** Where the figures of one measure come from: this one is the VM's own account, others are probes by name. */
export const ACCOUNT_MEASURE = "virtual-machine";

export interface NamedMeasure extends Omit<MeasuredRun, "convergenceMs"> {
  readonly name: string;
  readonly convergenceMs?: number;
}

export interface DrillRunResult {
  readonly number: number;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly outcome: DrillOutcome;
  readonly reason: string;
  readonly message: string;
  readonly node?: string;
  readonly virtualMachines: number;
  /** Of several VMs, the worst of each figure. Empty where the run was not carried through. */
  readonly measures: readonly NamedMeasure[];
}

/** A mean in whole milliseconds with its 95 % confidence interval. */
export interface DrillMean {
  readonly meanMs: number;
  readonly standardDeviationMs?: number;
  readonly lowMs?: number;
  readonly highMs?: number;
}

/** One measure over all runs of a series. */
export interface DrillStatistics {
  readonly name: string;
  readonly runs: number;
  readonly sent: number;
  readonly lost: number;
  readonly outage: DrillMean;
  readonly longestOutageMs: number;
  /** Of the runs after which the state was seen to be stable. */
  readonly convergence?: DrillMean;
  readonly converged: number;
}

export interface DrillStatus {
  readonly observedGeneration?: number;
  /** Epoch of the leader that wrote this. */
  readonly epoch: number;
  readonly phase: DrillPhase;
  readonly message: string;
  /** When the run that is waited for is due. */
  readonly nextRunAt?: string;
  readonly run?: DrillRun;
  /** Runs of the last series, ascending. */
  readonly runs: readonly DrillRunResult[];
  readonly statistics: readonly DrillStatistics[];
  /** When a series last ended. */
  readonly lastEndedAt?: string;
  /** When one last passed. */
  readonly lastPassedAt?: string;
  readonly conditions: readonly Condition[];
}

export interface DrillFact {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly deleting: boolean;
  readonly type: DrillType;
  /** `namespace/name`; with type LiveMigration only. */
  readonly vmKey: string | undefined;
  /** With the other types only. */
  readonly nodeName: string | undefined;
  readonly runs: number;
  /** From the beginning of one run to that of the next, at least. */
  readonly intervalMs: number;
  readonly schedule: DrillSchedule | undefined;
  readonly suspended: boolean;
  /** How long a run that is due may wait for what stands in its way. */
  readonly startTimeoutMs: number;
  /** How long a run may take. */
  readonly runTimeoutMs: number;
  readonly promise: DrillPromise;
  readonly probes: readonly NamedProbe[];
  readonly status: DrillStatus;
}

/** Runs of one series, and so results kept in a status. */
export const MAX_DRILL_RUNS = 50;
/** VMs that one run follows; a node with more is not drilled. */
export const MAX_DRILLED_VMS = 300;
/** VMs that are probed in one run, the most important; each has every probe. */
export const MAX_PROBED_VMS = 10;
export const MAX_DRILL_PROBES = 8;

/** What probes every VM of a run with every probe comes to; held in memory by the leader that started them. */
export interface DrillProbing {
  /** Monotonic time at which they began. */
  readonly startedAtMs: number;
  /** Monotonic time since which every one of them has been answered; undefined while one is not. */
  readonly answeredSinceMs?: number;
  /** Set once they have been stopped. */
  readonly results?: readonly ProbedVM[];
}

export interface ProbedVM {
  readonly vmKey: string;
  /** The probe's name. */
  readonly name: string;
  readonly facts: ProbeFacts;
}

/** Names one run of one drill among all, in memory and in names of what it makes. */
export function runKeyOf(drill: Pick<DrillFact, "uid">, run: Pick<DrillRun, "number" | "startedAt">): string {
  return `${drill.uid}/${run.number}/${run.startedAt}`;
}

/** Namespaces and HAVirtualMachines with this label and value allow their VMs to be lost with a node in a drill. */
export const NODE_LOSS_OPT_IN_LABEL = "holdfast.dev/node-loss-drills";
export const NODE_LOSS_OPT_IN_VALUE = "allowed";

/** On a Node that a drill has cordoned, and on a NodeFencing that one asked for: `name/uid` of the drill. */
export const DRILL_ANNOTATION = "holdfast.dev/drill";

/** The drill as `DRILL_ANNOTATION` names it. */
export function drillMark({ name, uid }: Pick<DrillFact, "name" | "uid">): string {
  return `${name}/${uid}`;
}
