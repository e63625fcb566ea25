// What each combination of living and dead paths to a node means: one table, which judges, documents and is tested.
import type { ProbeState } from "../model/probe.ts";

/** `renewed`: in time. `late`: overdue, or not witnessed long enough. `silent`: for as long as the policy asks, and witnessed. `none`: the node has no Lease. */
export type LeaseState = "renewed" | "late" | "silent" | "none";
/** `heard`: changed so much later than the Lease that it proves virt-handler alive without the kubelet. */
export type HeartbeatState = "heard" | "silent";
export type ReadyState = "True" | "False" | "Unknown" | "never";

export interface Paths {
  readonly lease: LeaseState;
  readonly ready: ReadyState;
  readonly heartbeat: HeartbeatState;
  readonly probe: ProbeState;
}

/** How the paths together are read. `degraded` is a healthy node with a network that does not answer. */
export type Meaning = "healthy" | "degraded" | "suspect" | "isolated" | "lost" | "unknown";

export interface MatrixRow {
  /** Undefined: whatever it says. */
  readonly when: { readonly [P in keyof Paths]?: readonly Paths[P][] };
  readonly means: Meaning;
  readonly because: string;
}

/** The first row that fits counts; the last one fits everything, so that every combination has a meaning. */
export const ISOLATION_MATRIX: readonly MatrixRow[] = [
  {
    when: { lease: ["renewed"], probe: ["answers", "unknown"] },
    means: "healthy",
    because: "the kubelet is at work",
  },
  {
    when: { lease: ["renewed"], probe: ["some", "silent"] },
    means: "degraded",
    because:
      "the kubelet is at work, but a network that answered before does not: reported, nothing is fenced",
  },
  {
    when: { lease: ["late"] },
    means: "suspect",
    because: "too early to tell: node and Lease are read anew, its networks are probed every 2 s",
  },
  {
    when: { lease: ["silent"], heartbeat: ["heard"] },
    means: "isolated",
    because: "virt-handler reports without the kubelet, so guests may be running",
  },
  {
    when: { lease: ["silent"], probe: ["answers", "some"] },
    means: "isolated",
    because: "the host answers us on some network, so guests may be running",
  },
  {
    when: { lease: ["silent"] },
    means: "lost",
    because: "every path that could speak is silent; a network that never answered says nothing either way",
  },
  {
    when: { lease: ["none"], ready: ["Unknown"], probe: ["answers", "some"] },
    means: "isolated",
    because: "Kubernetes has lost the node, yet its host answers us",
  },
  {
    when: { lease: ["none"], ready: ["Unknown"] },
    means: "lost",
    because: "without a Lease Kubernetes' own word is all there is",
  },
  {
    when: { lease: ["none"], ready: ["never"] },
    means: "unknown",
    because: "no kubelet has ever reported it",
  },
  { when: {}, means: "healthy", because: "without a Lease Kubernetes' own word is all there is" },
];

/** The row that counts for these paths. */
export function rowFor(paths: Paths): MatrixRow {
  for (const row of ISOLATION_MATRIX) if (fits(row.when, paths)) return row;
  throw new Error("the last row of the isolation matrix fits everything");
}

function fits(when: MatrixRow["when"], paths: Paths): boolean {
  return (
    (when.lease?.includes(paths.lease) ?? true) &&
    (when.ready?.includes(paths.ready) ?? true) &&
    (when.heartbeat?.includes(paths.heartbeat) ?? true) &&
    (when.probe?.includes(paths.probe) ?? true)
  );
}

/** What follows from a verdict, with what the fence device says of the power. */
export interface ResponseRow {
  readonly verdict: Meaning;
  readonly power: "not asked" | "Off, read back twice" | "On" | "not readable";
  readonly storm: boolean;
  readonly response: string;
}

export const RESPONSES: readonly ResponseRow[] = [
  {
    verdict: "healthy",
    power: "not asked",
    storm: false,
    response: "nothing; fenced only if somebody asks for it",
  },
  { verdict: "degraded", power: "not asked", storm: false, response: "reported (NodeDegraded)" },
  {
    verdict: "suspect",
    power: "not asked",
    storm: false,
    response: "looked at more closely; counts towards a storm",
  },
  {
    verdict: "isolated",
    power: "not asked",
    storm: false,
    response:
      "`--on-isolated=hold`: nothing, reported (NodeIsolated); `fence`: after `--isolated-grace` as if lost",
  },
  {
    verdict: "lost",
    power: "Off, read back twice",
    storm: false,
    response: "proven: its VMs are released, the most important first",
  },
  {
    verdict: "lost",
    power: "Off, read back twice",
    storm: true,
    response: "the same: a node that is provably off needs no shot",
  },
  {
    verdict: "lost",
    power: "On",
    storm: false,
    response: "powered off, level by level, until that is read back",
  },
  { verdict: "lost", power: "On", storm: true, response: "held (StormHold), and read again" },
  {
    verdict: "lost",
    power: "not readable",
    storm: false,
    response: "the next level, then from the start with growing pauses",
  },
  { verdict: "lost", power: "not readable", storm: true, response: "held (StormHold), and read again" },
];
