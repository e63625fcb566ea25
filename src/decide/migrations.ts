// Our live migrations of one VM: which is under way, when the next may be tried, under which name, and how one is called off.
import type { CreateMigrationStep } from "../model/plan.ts";
import type { MigrationFact, MigrationPurpose, VMIFact } from "../model/virtual-machine.ts";
import { vmEvents } from "./event.ts";
import { derivedName } from "./text.ts";
import type { Turn } from "./turn.ts";

/** A failed migration is tried again no later than this after it failed. */
const MAX_BACKOFF_MS = 600_000;

/** The unfinished migration of a VM, ours or another's; ours first. */
export function unfinishedMigrationOf(turn: Turn, vmKey: string): MigrationFact | undefined {
  let found: MigrationFact | undefined;
  for (const key of turn.snapshot.index.migrationsByVM.get(vmKey) ?? []) {
    const migration = turn.snapshot.migrations.get(key);
    if (migration === undefined || migration.finished) continue;
    if (found === undefined || migration.purpose !== undefined) found = migration;
  }
  return found;
}

/** Our finished migrations of this VMI for that purpose, the newest last. */
function finishedOurs(turn: Turn, vmi: VMIFact, purpose?: MigrationPurpose): readonly MigrationFact[] {
  const found: MigrationFact[] = [];
  for (const key of turn.snapshot.index.migrationsByVM.get(vmi.key) ?? []) {
    const migration = turn.snapshot.migrations.get(key);
    if (migration === undefined || !migration.finished || migration.purpose === undefined) continue;
    if (migration.forVMI === vmi.uid && (purpose === undefined || migration.purpose === purpose))
      found.push(migration);
  }
  return found.sort((a, b) => a.createdAtWallMs - b.createdAtWallMs || (a.name < b.name ? -1 : 1));
}

/** Monotonic time before which the VM is not migrated again: back-off after failures, none after a success. */
export function nextAttemptAtMs(turn: Turn, vmi: VMIFact, purpose: MigrationPurpose): number {
  const finished = finishedOurs(turn, vmi, purpose);
  let failures = 0;
  for (let i = finished.length - 1; i >= 0 && finished[i]?.succeeded === false; i--) failures += 1;
  const last = finished.at(-1);
  if (failures === 0 || last?.finishedAtMs === undefined) return 0;
  return last.finishedAtMs + Math.min(MAX_BACKOFF_MS, turn.policy.migrationBackoffMs * 2 ** (failures - 1));
}

/**
 * A migration whose name follows from the VMI and from our last ended migration of it. While one is under way every
 * replica, however stale, arrives at the same name, so KubeVirt's 400 or 409 stops a second (measured: three with
 * different names were all accepted and moved the VM three times).
 */
export function migrationStep(
  turn: Turn,
  vmi: VMIFact,
  purpose: MigrationPurpose,
  targetSelector: Readonly<Record<string, string>>,
): CreateMigrationStep {
  const previous = finishedOurs(turn, vmi).at(-1)?.uid ?? "first";
  const name = derivedName("holdfast", vmi.name, `${vmi.uid}/${previous}`);
  const why = {
    Evacuation: `its node ${vmi.nodeName ?? ""} is cordoned`,
    Failback: "it goes back to where it belongs",
    Drill: "a FailoverDrill asks for it",
  }[purpose];
  return {
    kind: "CreateMigration",
    vmKey: vmi.key,
    vmiUID: vmi.uid,
    name,
    purpose,
    targetSelector,
    unschedulableTimeoutSeconds: turn.policy.migrationUnschedulableTimeoutSeconds,
    events: vmEvents(turn, vmi.key, {
      type: "Normal",
      reason: "MigrationStarted",
      message: `live migration ${name}: ${why}`,
    }),
  };
}

/** The node a migration leaves; undefined once the guest has switched, when there is nothing left to call off. */
export function sourceOf(vmi: VMIFact | undefined, migration: MigrationFact): string | undefined {
  if (vmi?.migration?.uid !== migration.uid) return vmi?.nodeName;
  return vmi.migration.targetReady || vmi.migration.ended ? undefined : vmi.migration.sourceNode;
}

/** Calls a migration off, once. */
export function abort(turn: Turn, migration: MigrationFact, why: string): void {
  if (migration.deleting) return;
  turn.plan.add({
    kind: "AbortMigration",
    namespace: migration.namespace,
    name: migration.name,
    uid: migration.uid,
    why,
    events: vmEvents(turn, migration.vmiKey, {
      type: "Normal",
      reason: "MigrationAborted",
      message: `live migration ${migration.name} is called off: ${why}`,
    }),
  });
}
