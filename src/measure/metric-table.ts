// Every metric of the operator, once: code, documentation and alert rules are held to this table.
import { REFUSAL_REASONS } from "../api/reasons.ts";
import { DRILL_METRICS } from "./drill-metric-table.ts";
import { AVAILABILITY_METRICS } from "./availability-metric-table.ts";
import type { MetricDefinition } from "./metric-definition.ts";
import type { FencingPhase } from "../model/fencing.ts";
import type { NodeVerdict } from "../model/node-verdict.ts";
import type { SourceName } from "../model/snapshot.ts";

const VERDICTS = [
  "healthy",
  "suspect",
  "lost",
  "isolated",
  "returning",
  "unknown",
] as const satisfies readonly NodeVerdict["kind"][];

const PHASES = [
  "Pending",
  "Fencing",
  "Fenced",
  "Releasing",
  "Released",
  "Returned",
  "Aborted",
] as const satisfies readonly FencingPhase[];

const SOURCES = [
  "nodes",
  "leases",
  "virtualMachines",
  "virtualMachineInstances",
  "migrations",
  "launcherPods",
  "protections",
  "policies",
  "topologies",
  "fencings",
  "disarms",
  "drills",
  "namespaces",
  "kubeVirt",
] as const satisfies readonly SourceName[];

/** `ok`, or the kind of failure. */
const API_OUTCOMES = [
  "ok",
  "conflict",
  "alreadyExists",
  "notFound",
  "gone",
  "invalid",
  "denied",
  "throttled",
  "timeout",
  "unreachable",
  "aborted",
  "serverError",
  "tooLarge",
  "unexpected",
] as const;

const API_VERBS = ["get", "list", "create", "update", "patch", "delete", "deletecollection"] as const;

/** From a turn that found nothing to do to one that has eaten its budget twenty times over. */
const TURN_SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4];
/** From a read in the same rack to the default deadline. */
const API_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10];
/** From one patch to a slow BMC with retries. */
const WORK_SECONDS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

const queue = "one per work queue, named in the composition root";
const resource = "path templates of our own requests, without names, at most 100";

export const METRICS = {
  buildInfo: {
    type: "gauge",
    name: "holdfast_build_info",
    help: "Always 1; which build this is.",
    labels: { version: "one per process", node_version: "one per process" },
  },
  leader: {
    type: "gauge",
    name: "holdfast_leader",
    help: "1 while this replica holds the Lease and acts, else 0. The sum over replicas is never more than 1.",
    labels: {},
  },
  leaderEpoch: {
    type: "gauge",
    name: "holdfast_leader_epoch",
    help: "Transitions of the Lease: ours while leading, else the highest seen.",
    labels: {},
  },
  leadershipsLost: {
    type: "counter",
    name: "holdfast_leaderships_lost_total",
    help: "Leaderships of this replica that ended, by why.",
    labels: { reason: ["released", "renewDeadlinePassed", "takenOver"] },
  },
  turnDuration: {
    type: "histogram",
    name: "holdfast_turn_duration_seconds",
    help: "Time from taking a snapshot to the finished plan.",
    labels: {},
    buckets: TURN_SECONDS,
  },
  queueDepth: {
    type: "gauge",
    name: "holdfast_queue_depth",
    help: "Steps that wait to be performed.",
    labels: { queue },
  },
  queueRunning: {
    type: "gauge",
    name: "holdfast_queue_running",
    help: "Steps that are being performed.",
    labels: { queue },
  },
  queueWait: {
    type: "histogram",
    name: "holdfast_queue_wait_seconds",
    help: "Time from the offer of a step to its start.",
    labels: { queue },
    buckets: WORK_SECONDS,
  },
  queueRun: {
    type: "histogram",
    name: "holdfast_queue_run_seconds",
    help: "Time from the start of a step to its end.",
    labels: { queue },
    buckets: WORK_SECONDS,
  },
  queueRefused: {
    type: "counter",
    name: "holdfast_queue_refused_total",
    help: "Steps that a full queue refused; the next turn offers them again.",
    labels: { queue },
  },
  apiRequests: {
    type: "counter",
    name: "holdfast_api_requests_total",
    help: "Requests to the API server, watches apart.",
    labels: { verb: API_VERBS, resource, outcome: API_OUTCOMES },
  },
  apiRequestDuration: {
    type: "histogram",
    name: "holdfast_api_request_duration_seconds",
    help: "Time of a request to the API server, watches apart.",
    labels: { verb: API_VERBS },
    buckets: API_SECONDS,
  },
  sourceSynced: {
    type: "gauge",
    name: "holdfast_source_synced",
    help: "1 once a source has been listed in full; nothing is judged before.",
    labels: { source: SOURCES },
  },
  sourceStaleness: {
    type: "gauge",
    name: "holdfast_source_staleness_seconds",
    help: "Time since the API server last said anything about a source.",
    labels: { source: SOURCES },
  },
  nodeVerdicts: {
    type: "gauge",
    name: "holdfast_node_verdicts",
    help: "Nodes by how they are judged.",
    labels: { verdict: VERDICTS },
  },
  disarmedNodes: {
    type: "gauge",
    name: "holdfast_disarmed_nodes",
    help: "Nodes that a FencingDisarm keeps from being fenced.",
    labels: {},
  },
  heldNodes: {
    type: "gauge",
    name: "holdfast_held_nodes",
    help: "Nodes about which something was refused in the last turn, by the reason.",
    labels: { reason: REFUSAL_REASONS },
  },
  fencings: {
    type: "gauge",
    name: "holdfast_fencings",
    help: "NodeFencings by phase.",
    labels: { phase: PHASES },
  },
  fencingReady: {
    type: "gauge",
    name: "holdfast_fencing_ready",
    help: "1 where a level could fence a node now, by its last harmless check, 0 where it could not. Told by the leader.",
    labels: {
      node: "names of covered nodes; together with level at most 4000 series, the rest is left out",
      level: "names of fencing levels, at most 8 for each node",
    },
  },
  fencingLastReady: {
    type: "gauge",
    name: "holdfast_fencing_last_ready_timestamp_seconds",
    help: "When this leader last found that a level could fence a node.",
    labels: {
      node: "names of covered nodes; together with level at most 4000 series, the rest is left out",
      level: "names of fencing levels, at most 8 for each node",
    },
  },
  fencingNodes: {
    type: "gauge",
    name: "holdfast_fencing_nodes",
    help: "Nodes by whether every level (ready), some (degraded) or none (notReady) could fence them now, or nobody knows yet.",
    labels: { state: ["ready", "degraded", "notReady", "unchecked"] },
  },
  migrations: {
    type: "counter",
    name: "holdfast_migrations_total",
    help: "Live migrations that Holdfast asked for and that have ended, by how.",
    labels: { outcome: ["succeeded", "failed", "aborted"] },
  },
  ...AVAILABILITY_METRICS,
  ...DRILL_METRICS,
} as const satisfies Readonly<Record<string, MetricDefinition>>;

export type MetricTable = typeof METRICS;
