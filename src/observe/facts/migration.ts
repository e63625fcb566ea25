// VirtualMachineInstanceMigration -> MigrationFact.
import { z } from "zod";
import type { MigrationFact, MigrationPurpose } from "../../model/virtual-machine.ts";
import { keyOf, metadata, type Reading, type ReadingContext, readWith, wallMsOfTime } from "./reading.ts";

/** Label on migrations that we make: why we made it. */
export const PURPOSE_LABEL = "holdfast.dev/purpose";
/** Label on migrations that we make: for which VMI. */
export const VMI_UID_LABEL = "holdfast.dev/vmi-uid";

const migrationObject = z.object({
  metadata,
  spec: z.object({ vmiName: z.string().min(1) }),
  status: z
    .object({
      phase: z.string().optional(),
      migrationState: z.object({ failureReason: z.string().nullish() }).nullish(),
    })
    .nullish(),
});

/** Reads a migration. */
export function readMigration(raw: unknown, context: ReadingContext<MigrationFact>): Reading<MigrationFact> {
  return readWith(migrationObject, raw, (migration) => {
    const before = context.previous?.uid === migration.metadata.uid ? context.previous : undefined;
    const phase = migration.status?.phase ?? "";
    const finished = phase === "Succeeded" || phase === "Failed";
    const namespace = migration.metadata.namespace ?? "";
    return {
      key: keyOf(migration.metadata),
      namespace,
      name: migration.metadata.name,
      uid: migration.metadata.uid,
      vmiKey: `${namespace}/${migration.spec.vmiName}`,
      phase,
      finished,
      succeeded: phase === "Succeeded",
      purpose: purposeOf(migration.metadata.labels?.[PURPOSE_LABEL]),
      forVMI: migration.metadata.labels?.[VMI_UID_LABEL],
      deleting: migration.metadata.deletionTimestamp !== undefined,
      createdAtWallMs: wallMsOfTime(migration.metadata.creationTimestamp) ?? context.seenAtWallMs,
      firstSeenMs: before?.firstSeenMs ?? context.seenAtMs,
      finishedAtMs: finished ? (before?.finishedAtMs ?? context.seenAtMs) : undefined,
      failureReason: migration.status?.migrationState?.failureReason ?? undefined,
    };
  });
}

function purposeOf(label: string | undefined): MigrationPurpose | undefined {
  return label === "Evacuation" || label === "Failback" || label === "Drill" ? label : undefined;
}
