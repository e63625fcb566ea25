// How long a migration's target pod may stay Pending. Pure. Origin: KubeVirt migration.go handlePendingPodTimeout (facts 3.3).
import { ANNOTATION } from "./names.ts";
import { conditionOf } from "./object-state.ts";
import type { Migration, Pod } from "./objects.ts";

/** A target pod no node takes is given up after this; an annotation of the migration overrides it. */
const UNSCHEDULABLE_TIMEOUT_MS = 300_000;
/** The same for a target pod that is Pending for any other reason. */
const PENDING_TIMEOUT_MS = 900_000;

/** Milliseconds the pod has left; 0 or less when it is to be deleted. */
export function pendingLeftMs(migration: Migration, pod: Pod, nowMs: number): number {
  const pendingMs = nowMs - Date.parse(pod.metadata.creationTimestamp);
  const limitMs = timeoutMs(migration, ANNOTATION.pendingTimeoutSeconds, PENDING_TIMEOUT_MS);
  if (!isUnschedulable(pod)) return limitMs - pendingMs;
  const tighterMs = timeoutMs(migration, ANNOTATION.unschedulableTimeoutSeconds, UNSCHEDULABLE_TIMEOUT_MS);
  return Math.min(limitMs, tighterMs) - pendingMs;
}

export function isUnschedulable(pod: Pod): boolean {
  const scheduled = conditionOf(pod.status?.conditions, "PodScheduled");
  return scheduled?.status === "False" && scheduled.reason === "Unschedulable";
}

function timeoutMs(migration: Migration, annotation: string, defaultMs: number): number {
  const seconds = Number.parseInt(migration.metadata.annotations?.[annotation] ?? "", 10);
  return Number.isNaN(seconds) ? defaultMs : seconds * 1000;
}
