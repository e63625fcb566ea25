// What phase a migration enters next, given its VMI and target pod. Pure. Origin: KubeVirt
// pkg/virt-controller/watch/migration/migration.go updateStatus, processMigrationPhase (facts 3.3).
import { isFinalMigration, isFinalVmi, isPodDown, isPodReady, isTrue, conditionOf } from "./object-state.ts";
import {
  type Migration,
  type MigrationPhase,
  type MigrationState,
  type Pod,
  timestamp,
  type VirtualMachineInstance,
} from "./objects.ts";
import { plainCopy } from "../plain-data.ts";

export interface MigrationSurroundings {
  readonly vmi: VirtualMachineInstance;
  readonly targetPod: Pod | undefined;
  /** Name of the pod the guest runs in, while it is known. */
  readonly sourcePodName: string | undefined;
  /** Another migration of this VMI is written in its status and not finished. */
  readonly blocked: boolean;
  /** The VMI's status names this migration, or did so a moment ago. */
  readonly handedOff: boolean;
}

export interface MigrationVerdict {
  readonly phase: MigrationPhase;
  /** Text of the FailedMigration event. */
  readonly failure?: string;
  /** A cancellation is shown as condition migrationAbortRequested. */
  readonly abortRequested?: boolean;
}

/** The next phase; the same one where nothing is to happen. Final phases stay. */
export function judgeMigration(migration: Migration, around: MigrationSurroundings): MigrationVerdict {
  const phase = migration.status.phase ?? "";
  if (isFinalMigration(migration)) return { phase };
  return judgeEnd(migration, around) ?? { phase: advance(migration, around), ...judgeAbort(migration) };
}

/** The order of these checks is KubeVirt's: the first that holds names the failure. */
function judgeEnd(migration: Migration, around: MigrationSurroundings): MigrationVerdict | undefined {
  const { vmi, targetPod } = around;
  const phase = migration.status.phase ?? "";
  const state = vmi.status.migrationState;
  const cancelled = migration.metadata.deletionTimestamp !== undefined;
  const fail = (failure: string): MigrationVerdict => ({ phase: "Failed", failure });
  if (isFinalVmi(vmi)) return fail("Migration failed vmi shutdown during migration.");
  if (cancelled && !around.handedOff) {
    return { ...fail("Migration failed due to being canceled"), abortRequested: true };
  }
  if (targetPod && isPodDown(targetPod)) {
    return fail("Migration failed because target pod shutdown during migration");
  }
  const targetCreated = phase !== "" && phase !== "Pending";
  if (targetCreated && !targetPod) return fail("Migration target pod was removed during active migration.");
  if (isHandedOffPhase(phase)) {
    if (!state) return fail("VMI's migration state was cleared during the active migration.");
    if (state.migrationUid !== migration.metadata.uid) {
      return fail("VMI's migration state was taken over by another migration job during active migration.");
    }
  }
  if (state?.migrationUid === migration.metadata.uid && state.failed === true) {
    return fail("source node reported migration failed");
  }
  if (phase === "" && around.blocked) {
    return fail("VMI is not eligible for migration because another migration job is in progress.");
  }
  return undefined;
}

function judgeAbort(migration: Migration): { abortRequested?: true } {
  const cancelled = migration.metadata.deletionTimestamp !== undefined;
  const shown = isTrue(migration.status.conditions, "migrationAbortRequested");
  return cancelled && !shown ? { abortRequested: true } : {};
}

function isHandedOffPhase(phase: MigrationPhase): boolean {
  return phase === "PreparingTarget" || phase === "TargetReady" || phase === "Running";
}

function advance(migration: Migration, around: MigrationSurroundings): MigrationPhase {
  const phase = migration.status.phase ?? "";
  const { vmi, targetPod } = around;
  const state = vmi.status.migrationState;
  switch (phase) {
    case "":
      return "Pending";
    case "Pending":
      return targetPod ? "Scheduling" : phase;
    case "Scheduling":
      return targetPod && isPodReady(targetPod) ? "Scheduled" : phase;
    case "Scheduled":
      return state?.migrationUid === migration.metadata.uid && state.targetNode ? "PreparingTarget" : phase;
    case "PreparingTarget":
      return state?.targetNode && state.targetNodeAddress ? "TargetReady" : phase;
    case "TargetReady":
      return state?.startTimestamp ? "Running" : phase;
    case "Running":
      return state?.completed === true && !hasPendingChange(vmi) ? "Succeeded" : phase;
    case "Succeeded":
    case "Failed":
      return phase;
  }
}

/** The move was to carry a change of CPU, memory or network, which is not visible yet. */
function hasPendingChange(vmi: VirtualMachineInstance): boolean {
  const { conditions } = vmi.status;
  return (
    conditionOf(conditions, "HotVCPUChange") !== undefined ||
    isTrue(conditions, "HotMemoryChange") ||
    isTrue(conditions, "MigrationRequired")
  );
}

/** The migration's status after the verdict. */
export function nextMigrationStatus(
  migration: Migration,
  around: MigrationSurroundings,
  verdict: MigrationVerdict,
): Migration["status"] {
  const status = plainCopy(migration.status);
  const state: MigrationState | undefined = around.vmi.status.migrationState;
  if (isFinalMigration(migration)) {
    // The VMI forgets at its next migration: the history is kept here.
    if (state?.migrationUid === migration.metadata.uid) status.migrationState = state;
    return status;
  }
  if (verdict.abortRequested === true && !isTrue(status.conditions, "migrationAbortRequested")) {
    status.conditions = [
      ...(status.conditions ?? []),
      {
        type: "migrationAbortRequested",
        status: "True",
        lastProbeTime: timestamp(),
        lastTransitionTime: null,
      },
    ];
  }
  if (verdict.phase !== (status.phase ?? "")) {
    status.phase = verdict.phase;
    status.phaseTransitionTimestamps = [
      ...(status.phaseTransitionTimestamps ?? []),
      { phase: verdict.phase, phaseTransitionTimestamp: timestamp() },
    ];
  }
  if (status.phase === "Pending" && around.sourcePodName !== undefined) {
    status.migrationState = { ...status.migrationState, sourcePod: around.sourcePodName };
  }
  return status;
}
