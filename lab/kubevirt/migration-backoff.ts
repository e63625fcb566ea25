// The pause between evacuation migrations of a VMI that keep failing. Pure. Origin: KubeVirt migration.go
// handleMigrationBackoff (facts 3.1). Migrations of ordinary clients get none.
import { ANNOTATION } from "./names.ts";
import type { Migration } from "./objects.ts";

const FIRST_MS = 20_000;

/** Milliseconds the newest evacuation migration has to wait; 20 s, doubled for each earlier failure in a row. */
export function migrationBackoffLeftMs(
  migration: Migration,
  all: readonly Migration[],
  nowMs: number,
): number {
  const isEvacuation = (each: Migration) =>
    each.metadata.annotations?.[ANNOTATION.evacuationMigration] !== undefined;
  if (!isEvacuation(migration)) return 0;
  const [newest, ...earlier] = all
    .filter(isEvacuation)
    .sort((one, other) => (one.metadata.creationTimestamp < other.metadata.creationTimestamp ? 1 : -1));
  if (newest?.metadata.uid !== migration.metadata.uid) return 0;
  let backoffMs = 0;
  for (const each of earlier) {
    if (each.status.phase === "Succeeded") break;
    if (each.metadata.deletionTimestamp !== undefined || each.status.phase !== "Failed") continue;
    backoffMs = backoffMs === 0 ? FIRST_MS : backoffMs * 2;
  }
  if (backoffMs === 0) return 0;
  const stamps = earlier[0]?.status.phaseTransitionTimestamps ?? [];
  const failedAt = stamps.find((stamp) => stamp.phase === "Failed")?.phaseTransitionTimestamp;
  return failedAt === undefined ? 0 : Date.parse(failedAt) + backoffMs - nowMs;
}
