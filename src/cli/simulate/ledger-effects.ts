// NodeFencings as a virtual cluster keeps them: opened, written, and proven by a device that is taken to answer.
import type { FencingFact, FencingStatus } from "../../model/fencing.ts";
import type { FenceStep, OpenFencingStep } from "../../model/plan.ts";
import type { VirtualCluster } from "./virtual-cluster.ts";

/** The ledger as the step opens it. */
export function openLedger(cluster: VirtualCluster, step: OpenFencingStep): void {
  const { name, node, nodeUID, bootID, topology, detectedAt, lastSeenAt } = step;
  cluster.setFencing({
    name,
    uid: `simulated-${name}`,
    resourceVersion: "1",
    nodeName: node,
    nodeUID,
    bootID,
    topology,
    detectedAt,
    lastSeenAt,
    status: { phase: "Pending", epoch: 1, attempts: [], releasedVMs: [], conditions: [] },
    changedAtMs: cluster.nowMs,
    provenAtMs: undefined,
  });
}

/** The ledger with another status. */
export function writeLedger(cluster: VirtualCluster, fencing: FencingFact, status: FencingStatus): void {
  const { nowMs } = cluster;
  const provenAtMs = status.proof === undefined ? undefined : (fencing.provenAtMs ?? nowMs);
  const resourceVersion = String(Number(fencing.resourceVersion) + 1);
  cluster.setFencing({ ...fencing, status, changedAtMs: nowMs, provenAtMs, resourceVersion });
}

/** Ends an attempt with a proof; false where one stands already. `off`: the node had no power anyway. */
export function proveOff(cluster: VirtualCluster, { fencing, level }: FenceStep, off: boolean): boolean {
  const standing = cluster.fencings.get(fencing.name);
  if (standing === undefined || standing.status.proof !== undefined) return false;
  const at = new Date(cluster.wallMs).toISOString();
  const number = standing.status.attempts.length + 1;
  const outcome = off ? ("AlreadyOff" as const) : ("PoweredOff" as const);
  const times = { startedAt: at, endedAt: at };
  const attempt = { number, level: level.name, method: level.method, epoch: 1, ...times, outcome };
  writeLedger(cluster, standing, {
    ...standing.status,
    phase: "Fenced",
    attempts: [...standing.status.attempts, attempt],
    proof: { type: "PowerOff", bootID: fencing.bootID, observedAt: at, detail: "assumed", attempt: number },
  });
  return true;
}
