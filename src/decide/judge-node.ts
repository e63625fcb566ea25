// Judges each node from what we hear of it. Silence is counted only while it was witnessed: on our monotonic clock,
// from the moment we saw the signal change, up to the last word from the server, and never across a gap in our contact.
import type { Instant } from "../model/clock.ts";
import type { DecisionPolicy } from "../model/decision-policy.ts";
import type { FencingFact } from "../model/fencing.ts";
import type { NodeFact, Signal } from "../model/node.ts";
import type { NodeVerdict, PathSilence } from "../model/node-verdict.ts";
import { isStillAsked, type PathProbe, probeStateOf, SILENT_AFTER_FAILURES } from "../model/probe.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { tellOfGap } from "./contact-gap.ts";
import { type LeaseState, type Paths, rowFor } from "./isolation-matrix.ts";
import { wallMsOf } from "./text.ts";
import type { PlanDraft } from "./turn.ts";

/**
 * A heartbeat proves virt-handler alive only where it came so much later than the Lease's last renewal that a living
 * kubelet would have renewed in between: one renewal period (10 s) and some slack.
 */
const HEARTBEAT_AFTER_LEASE_MS = 13_000;

/** How often a node that looks lost is read anew while the reading does not come through. */
const REFRESH_PERIOD_MS = 1_000;

interface Judging {
  readonly snapshot: Snapshot;
  readonly policy: DecisionPolicy;
  readonly nowMs: number;
  readonly plan: PlanDraft;
}

/** Verdicts for all nodes; adds the fresh readings they still need to the plan. */
export function judgeNodes(
  judging: Judging,
  openFencings: ReadonlyMap<string, FencingFact>,
): Map<string, NodeVerdict> {
  const verdicts = new Map<string, NodeVerdict>();
  for (const node of judging.snapshot.nodes.values()) {
    const fencing = openFencings.get(node.name);
    verdicts.set(node.name, judgeNode(judging, node, fencing));
  }
  tellOfGap(judging);
  return verdicts;
}

/** One node's verdict. A node under a proven fencing is lost until its kubelet reports a new boot ID, then returning. */
export function judgeNode(judging: Judging, node: NodeFact, fencing: FencingFact | undefined): NodeVerdict {
  if (fencing?.status.proof !== undefined) return judgeFenced(judging, node, fencing);
  const lease = judging.snapshot.leases.get(node.name);
  return judgeByPaths(judging, node, lease?.renewal);
}

/** An answer to a probe counts for this long: a node that is not healthy is probed every 2 s. */
const PROBE_TRUST_MS = 10_000;

function judgeByPaths(judging: Judging, node: NodeFact, renewal: Signal | undefined): NodeVerdict {
  const { snapshot, policy, nowMs, plan } = judging;
  const probes = snapshot.probes.get(node.name);
  const lease = leaseOnceAsked(judging, node, { renewal, probes });
  const quiet = lease !== "renewed" && !(lease === "none" && node.ready === "True");
  const paths: Paths = {
    lease,
    ready: node.ready ?? "never",
    heartbeat:
      lease === "silent" && renewal !== undefined && heartbeatIsAlive(node.heartbeat, renewal, judging)
        ? "heard"
        : "silent",
    probe: probes === undefined ? "unknown" : probeStateOf(probes, nowMs, quiet ? PROBE_TRUST_MS : undefined),
  };
  const { means, because } = rowFor(paths);
  if (means === "healthy") return { kind: "healthy" };
  if (means === "degraded") return { kind: "healthy", degraded: silentNetworks(probes) };
  if (means === "unknown") return { kind: "unknown", why: because };
  const silence = silenceOf(judging, node, renewal);
  if (means !== "isolated") return { kind: means, silence };
  if (paths.heartbeat === "heard") plan.lookAgain(node.heartbeat.changedAtMs + policy.heartbeatTrustMs);
  if (silence.probeMs !== undefined)
    plan.lookAgain(nowMs + Math.max(1_000, PROBE_TRUST_MS - silence.probeMs));
  if (policy.onIsolated === "fence" && silence.leaseMs !== undefined) {
    if (silence.leaseMs >= policy.isolatedGraceMs) return { kind: "lost", silence };
    plan.lookAgain(nowMs + policy.isolatedGraceMs - silence.leaseMs);
  }
  return { kind: "isolated", silence };
}

/**
 * How the Lease stands; too early to tell while the node's networks are still to be asked: a replica that has just come to
 * lead has witnessed the silence of the Lease for long, and has not probed anybody yet.
 */
function leaseOnceAsked(
  judging: Judging,
  node: NodeFact,
  {
    renewal,
    probes,
  }: { readonly renewal: Signal | undefined; readonly probes: readonly PathProbe[] | undefined },
): LeaseState {
  const lease = leaseState(judging, node, renewal);
  const isGone = lease === "silent" || (lease === "none" && node.ready === "Unknown");
  if (!isGone || !isStillAsked(probes)) return lease;
  judging.plan.lookAgain(judging.nowMs + REFRESH_PERIOD_MS);
  return "late";
}

/** How the Lease stands, by silence that was witnessed; asks for what has to be read anew or looked at again. */
function leaseState(judging: Judging, node: NodeFact, renewal: Signal | undefined): LeaseState {
  if (renewal === undefined) return "none";
  const { snapshot, policy, nowMs, plan } = judging;
  const sinceMs = Math.max(renewal.changedAtMs, snapshot.contact.unbrokenSinceMs);
  const apparentMs = nowMs - sinceMs;
  if (apparentMs < policy.nodeSuspectAfterMs) {
    plan.lookAgain(sinceMs + policy.nodeSuspectAfterMs);
    return "renewed";
  }
  if (apparentMs < policy.nodeLostAfterMs) {
    plan.lookAgain(sinceMs + policy.nodeLostAfterMs);
    return "late";
  }
  if (snapshot.leaseAsOfMs(node.name) - sinceMs >= policy.nodeLostAfterMs) return "silent";
  // Nobody has told us of this silence yet: the stream may be stale. Ask etcd before believing it.
  plan.add({ kind: "RefreshNode", node: node.name });
  plan.lookAgain(nowMs + REFRESH_PERIOD_MS);
  return "late";
}

function silenceOf({ snapshot, nowMs }: Judging, node: NodeFact, renewal: Signal | undefined): PathSilence {
  if (renewal === undefined) return { leaseMs: undefined, heartbeatMs: undefined };
  const sinceMs = Math.max(renewal.changedAtMs, snapshot.contact.unbrokenSinceMs);
  const answeredAtMs = Math.max(
    ...(snapshot.probes.get(node.name) ?? []).map((path) => path.answeredAtMs ?? Number.NEGATIVE_INFINITY),
  );
  return {
    leaseMs: Math.max(0, snapshot.leaseAsOfMs(node.name) - sinceMs),
    heartbeatMs: nowMs - node.heartbeat.changedAtMs,
    ...(Number.isFinite(answeredAtMs) ? { probeMs: nowMs - answeredAtMs } : {}),
  };
}

function silentNetworks(probes: readonly PathProbe[] = []): string {
  const silent = probes.filter(
    (path) => path.answeredAtMs !== undefined && path.failures >= SILENT_AFTER_FAILURES,
  );
  return `no answer to probes on ${silent.map(({ network }) => network).join(", ")} (${silent.length} of ${probes.length} networks)`;
}

function heartbeatIsAlive(heartbeat: Signal, renewal: Signal, judging: Judging): boolean {
  return (
    laterThanRenewalMs(heartbeat, renewal) > HEARTBEAT_AFTER_LEASE_MS &&
    judging.nowMs - heartbeat.changedAtMs < judging.policy.heartbeatTrustMs
  );
}

/**
 * How much later than the Lease's last renewal the heartbeat came. Where we saw both change, by our own clock. That tells
 * nothing where we have just begun to watch, or learned of both at once after a while without connection; but both stamps
 * were written by the clock of the same host, so they may be compared with each other, though never with ours. The longer
 * time counts: a host whose clock was set in between is taken for alive too long, and only while we trust its heartbeat.
 */
function laterThanRenewalMs(heartbeat: Signal, renewal: Signal): number {
  const beatAtMs = wallMsOf(heartbeat.value ?? "");
  const renewedAtMs = wallMsOf(renewal.value ?? "");
  const byStampsMs = beatAtMs === 0 || renewedAtMs === 0 ? 0 : beatAtMs - renewedAtMs;
  if (heartbeat.firstSight === true || renewal.firstSight === true) return byStampsMs;
  return Math.max(byStampsMs, heartbeat.changedAtMs - renewal.changedAtMs);
}

/**
 * Wall time at which the kubelet was last heard, for people to read. Where a replica has only had a first sight of the
 * Lease, its own stamp is the better guess, unless that lies in our future.
 */
export function lastHeardWallMs(snapshot: Snapshot, nodeName: string, now: Instant): number {
  const renewal = snapshot.leases.get(nodeName)?.renewal;
  if (renewal === undefined) return now.wallMs;
  const seenWallMs = now.wallMs - (now.monotonicMs - renewal.changedAtMs);
  const stampWallMs = renewal.firstSight === true ? wallMsOf(renewal.value ?? "") : 0;
  return stampWallMs > 0 && stampWallMs < seenWallMs ? stampWallMs : seenWallMs;
}

/** Whether we saw the value change after that monotonic time. A first sight is no change: it may be long old. */
export function sawChangeAfter(signal: Signal | undefined, atMs: number): boolean {
  return signal !== undefined && signal.firstSight !== true && signal.changedAtMs > atMs;
}

/** Whether the kubelet was heard just now, by a renewal that we saw come; without a Lease, by its Ready condition. */
export function isHeardNow(
  judging: { readonly snapshot: Snapshot; readonly policy: DecisionPolicy; readonly nowMs: number },
  nodeName: string,
): boolean {
  const lease = judging.snapshot.leases.get(nodeName);
  if (lease === undefined) return judging.snapshot.nodes.get(nodeName)?.ready === "True";
  return sawChangeAfter(lease.renewal, judging.nowMs - judging.policy.nodeSuspectAfterMs);
}

function judgeFenced(judging: Judging, node: NodeFact, fencing: FencingFact): NodeVerdict {
  const lease = judging.snapshot.leases.get(node.name);
  const silence: PathSilence = {
    leaseMs: lease === undefined ? undefined : judging.nowMs - lease.renewal.changedAtMs,
    heartbeatMs: judging.nowMs - node.heartbeat.changedAtMs,
  };
  if (node.bootID === fencing.bootID && node.uid === fencing.nodeUID) return { kind: "lost", silence };
  const missing = missingForReturn(judging, node, fencing);
  return { kind: "returning", missing: missing ?? "" };
}

/**
 * What a node that was fenced still owes before VMs may go there again: Ready, a renewed Lease, and a heartbeat of
 * virt-handler, all after the proof. Undefined when nothing is missing.
 */
export function missingForReturn(
  judging: { readonly snapshot: Snapshot; readonly policy: DecisionPolicy; readonly nowMs: number },
  node: NodeFact,
  fencing: FencingFact,
): string | undefined {
  const provenAtMs = fencing.provenAtMs ?? 0;
  const lease = judging.snapshot.leases.get(node.name);
  if (node.ready !== "True") return "the node to be Ready";
  if (lease === undefined || judging.nowMs - lease.renewal.changedAtMs > judging.policy.nodeSuspectAfterMs) {
    return "a fresh node Lease";
  }
  if (node.heartbeat.value !== undefined && !sawChangeAfter(node.heartbeat, provenAtMs)) {
    return "a heartbeat of virt-handler";
  }
  if (node.placement.labels["kubevirt.io/schedulable"] === "false")
    return "virt-handler to call the node schedulable";
  return undefined;
}
