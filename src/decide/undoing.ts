// Before a ledger is closed: what it had other operators do to the node has to be undone, and when it may be.
import type { FencingFact } from "../model/fencing.ts";
import type { Turn } from "./turn.ts";

/**
 * Why the ledger is about to be closed. `Rebooted`: the node runs with another boot ID. `Spared`: the incarnation meant is
 * heard again, and none of its VMs was released. `Unknown`: the Node object is gone or another, and what became of the
 * machine nobody knows.
 */
export type Closing = "Rebooted" | "Spared" | "Unknown";

/**
 * Plans the next thing to be undone; true where there is one. Storage is given back only where no guest of the fenced
 * incarnation can be left that was started elsewhere meanwhile: KubeVirt resumes guests that were paused by I/O errors as
 * soon as their disks answer.
 */
export function decideUndoing(turn: Turn, fencing: FencingFact, closing: Closing): boolean {
  if (decideLifting(turn, fencing)) return true;
  if (closing === "Unknown" || !hasFencedStorage(fencing)) return false;
  turn.plan.add({ kind: "UnfenceStorage", fencing });
  return true;
}

/**
 * Plans the withdrawal of remediations; true where there is one left. Due as soon as another boot ID is seen, and not only
 * once the node is trusted: fence-agents-remediation keeps the out-of-service taint with effect NoExecute until then, and
 * under it the virt-handler never starts that we wait to hear of.
 */
export function decideLifting(turn: Turn, fencing: FencingFact): boolean {
  const { attempts, remediationsLiftedAt } = fencing.status;
  if (remediationsLiftedAt !== undefined || !attempts.some((one) => one.remediation !== undefined))
    return false;
  turn.plan.add({ kind: "LiftRemediation", fencing });
  return true;
}

/** Whether storage may refuse the node because of this ledger. */
export function hasFencedStorage({ status }: FencingFact): boolean {
  return (
    status.storageUnfencedAt === undefined && status.attempts.some(({ method }) => method === "NetworkFence")
  );
}
