// Which migration goes first, and how long one that finds no slot waits. Origin: KubeVirt pkg/util/migrations and
// migration.go getRequeueDelayForPriority (facts 3.2).
import type { Migration } from "./objects.ts";

const QUEUE_PRIORITY = {
  default: 0,
  "system-maintenance": 20,
  "user-triggered": 50,
  "system-critical": 100,
} as const;

/** Of migrations under way, which keep their slots until they are done. */
export const RUNNING_PRIORITY = 1000;

/** Priority in the controller's queue; ordinary clients cannot set one and get 0. */
export function queuePriorityOf(migration: Migration): number {
  return QUEUE_PRIORITY[migration.spec.priority ?? "default"];
}

/** Pause before a migration without a slot looks again. */
export function slotRetryMs(priority: number): number {
  if (priority >= QUEUE_PRIORITY["system-critical"]) return 1_000;
  return priority >= QUEUE_PRIORITY["user-triggered"] ? 3_000 : 5_000;
}
