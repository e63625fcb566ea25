// The metrics of availability, fencing attempts and failovers; part of the one table in metric-table.ts.
import { OUTAGE_CAUSES } from "../model/availability.ts";
import { OUTAGE_PHASES } from "../model/outage-phases.ts";
import type { AttemptOutcome } from "../model/fencing.ts";
import type { MetricDefinition } from "./metric-definition.ts";

/** VMs that have series of their own at most; of the rest only sums are told. */
export const MAX_VMS_WITH_SERIES = 10_000;
/** Namespaces that are told apart at most; further ones are summed as `other`. */
export const MAX_NAMESPACES = 500;

const ATTEMPT_OUTCOMES = [
  "PoweredOff",
  "AlreadyOff",
  "Remediated",
  "StorageFenced",
  "Refused",
  "TimedOut",
  "Unreachable",
  "Denied",
  "StillOn",
  "Abandoned",
  "Misconfigured",
] as const satisfies readonly Exclude<AttemptOutcome, "Started">[];

/** The steps of a failover, in order; `total` is from the last moment known good to ready. */
export const FAILOVER_PHASES = [...OUTAGE_PHASES, "total"] as const;

/** Rolling windows that fleet and namespaces are summed up over, with their days. */
export const WINDOW_DAYS = { "1d": 1, "7d": 7, "30d": 30 } as const;

const OUTAGE_CLASSES = ["Unplanned", "Planned", "Unobserved"] as const;

/** From a device that answers at once to all retries of a slow one. */
const ATTEMPT_SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160];
/** From a single step to a failover that somebody had to help. */
const PHASE_SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 45, 60, 90, 120, 300, 900, 3600];

const namespace = `namespaces of protected VMs, at most ${MAX_NAMESPACES}, the rest as other`;
const vm = {
  namespace: "the VM's",
  name: `the HAVirtualMachine's; at most ${MAX_VMS_WITH_SERIES} VMs have series`,
};
const method = "methods of fencing levels, seven of them";

export const AVAILABILITY_METRICS = {
  vmUp: {
    type: "gauge",
    name: "holdfast_vm_up",
    help: "1 while a protected VM is up, 0 while it is down, planned or not; absent while nobody can tell. Told by the leader.",
    labels: vm,
  },
  vmUnplannedOutage: {
    type: "gauge",
    name: "holdfast_vm_unplanned_outage_seconds",
    help: "How long the unplanned outage under way has lasted; absent where there is none.",
    labels: vm,
  },
  vmProtected: {
    type: "gauge",
    name: "holdfast_vm_protected",
    help: "1 where a VM would come back by itself if its node were lost now, else 0; absent where failover is switched off.",
    labels: vm,
  },
  vmAvailability: {
    type: "gauge",
    name: "holdfast_vm_availability_ratio",
    help: "Share of the observed service time in the SLO's window in which a VM was up.",
    labels: vm,
  },
  vmObjective: {
    type: "gauge",
    name: "holdfast_vm_slo_objective_ratio",
    help: "The promised availability; absent where nothing is promised.",
    labels: vm,
  },
  vmBudget: {
    type: "gauge",
    name: "holdfast_vm_error_budget_seconds",
    help: "Downtime that the objective allows in the SLO's window; with the objective it tells how much service time the window has.",
    labels: vm,
  },
  vmBudgetRemaining: {
    type: "gauge",
    name: "holdfast_vm_error_budget_remaining_ratio",
    help: "Share of the window's error budget that is left; negative where more was lost.",
    labels: vm,
  },
  vmBudgetBurnt: {
    type: "gauge",
    name: "holdfast_vm_error_budget_burnt_seconds",
    help: "Downtime that ever counted against the objective, an outage under way included. Falls where an outage turns out not to have been one.",
    labels: vm,
  },
  vms: {
    type: "gauge",
    name: "holdfast_vms",
    help: "Protected VMs by whether they are up.",
    labels: { state: ["up", "down", "unobserved"] },
  },
  vmsNotRestartable: {
    type: "gauge",
    name: "holdfast_vms_not_restartable",
    help: "VMs for which no other node could take over now, or whose run strategy forbids it.",
    labels: {},
  },
  slos: {
    type: "gauge",
    name: "holdfast_slos",
    help: "Promised SLOs by how they stand.",
    labels: { state: ["Met", "AtRisk", "Violated"] },
  },
  availability: {
    type: "gauge",
    name: "holdfast_availability_ratio",
    help: "Share of the observed service time in which the VMs of a namespace were up, over whole days.",
    labels: { namespace, window: Object.keys(WINDOW_DAYS) },
  },
  fleetAvailability: {
    type: "gauge",
    name: "holdfast_fleet_availability_ratio",
    help: "Share of the observed service time in which all protected VMs were up, over whole days.",
    labels: { window: Object.keys(WINDOW_DAYS) },
  },
  errorBudget: {
    type: "gauge",
    name: "holdfast_error_budget_remaining_ratio",
    help: "Share that is left of the error budgets of a namespace's VMs together, each in its SLO's own window; negative where more was lost.",
    labels: { namespace },
  },
  fleetErrorBudget: {
    type: "gauge",
    name: "holdfast_fleet_error_budget_remaining_ratio",
    help: "The same of all protected VMs together.",
    labels: {},
  },
  mtbf: {
    type: "gauge",
    name: "holdfast_mtbf_seconds",
    help: "Mean up time between two outages that counted, of a namespace's VMs together, over whole days; absent without an outage.",
    labels: { namespace, window: Object.keys(WINDOW_DAYS) },
  },
  fleetMTBF: {
    type: "gauge",
    name: "holdfast_fleet_mtbf_seconds",
    help: "The same of all protected VMs together.",
    labels: { window: Object.keys(WINDOW_DAYS) },
  },
  mttr: {
    type: "gauge",
    name: "holdfast_mttr_seconds",
    help: "Mean length of an outage that counted, of a namespace's VMs together, over whole days; absent without an outage.",
    labels: { namespace, window: Object.keys(WINDOW_DAYS) },
  },
  fleetMTTR: {
    type: "gauge",
    name: "holdfast_fleet_mttr_seconds",
    help: "The same of all protected VMs together.",
    labels: { window: Object.keys(WINDOW_DAYS) },
  },
  mttrPhase: {
    type: "gauge",
    name: "holdfast_mttr_phase_seconds",
    help: "Mean time of each phase of the failovers in a namespace that the statuses remember of the last 30 days; absent without one.",
    labels: { namespace, phase: OUTAGE_PHASES },
  },
  fleetMTTRPhase: {
    type: "gauge",
    name: "holdfast_fleet_mttr_phase_seconds",
    help: "The same of all protected VMs together.",
    labels: { phase: OUTAGE_PHASES },
  },
  outages: {
    type: "counter",
    name: "holdfast_outages_total",
    help: "Outages that have ended, from the accounts in the statuses: they survive restarts.",
    labels: { namespace, cause: OUTAGE_CAUSES, class: OUTAGE_CLASSES },
  },
  downtime: {
    type: "counter",
    name: "holdfast_downtime_seconds_total",
    help: "How long ended outages lasted, from the accounts in the statuses.",
    labels: { namespace, cause: OUTAGE_CAUSES, class: OUTAGE_CLASSES },
  },
  unobserved: {
    type: "gauge",
    name: "holdfast_unobserved_seconds",
    help: "Time in which no replica watched, as far as it is remembered.",
    labels: {},
  },
  failovers: {
    type: "gauge",
    name: "holdfast_failovers",
    help: "Failovers of VMs under way.",
    labels: { phase: ["Recovering", "Blocked"] },
  },
  failoverOldest: {
    type: "gauge",
    name: "holdfast_failover_oldest_seconds",
    help: "Age of the oldest failover under way, 0 where there is none.",
    labels: { phase: ["Recovering", "Blocked"] },
  },
  fencingOldest: {
    type: "gauge",
    name: "holdfast_fencing_oldest_seconds",
    help: "Time since the loss was noticed, of the oldest fencing that is in that phase, 0 where there is none.",
    labels: { phase: ["Pending", "Fencing", "Fenced", "Releasing"] },
  },
  failoverPhase: {
    type: "histogram",
    name: "holdfast_failover_phase_seconds",
    help: "How long each phase of a VM's failover took, by the replica that saw it end.",
    labels: { phase: FAILOVER_PHASES },
    buckets: PHASE_SECONDS,
  },
  lastFailover: {
    type: "gauge",
    name: "holdfast_last_failover_timestamp_seconds",
    help: "When a VM last came back after the loss of its node, in a drill or in earnest; 0 where none is remembered.",
    labels: {},
  },
  failoverCapacity: {
    type: "gauge",
    name: "holdfast_failover_capacity_nodes",
    help: "Nodes that VMs could be started on now.",
    labels: {},
  },
  fencingAttempts: {
    type: "counter",
    name: "holdfast_fencing_attempts_total",
    help: "Attempts to fence a node that have ended, by method and outcome.",
    labels: { method, outcome: ATTEMPT_OUTCOMES },
  },
  fencingAttemptDuration: {
    type: "histogram",
    name: "holdfast_fencing_attempt_duration_seconds",
    help: "Time from the start of an attempt to its outcome.",
    labels: { method },
    buckets: ATTEMPT_SECONDS,
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;
