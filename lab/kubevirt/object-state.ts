// Questions that several of KubeVirt's controllers ask about pods, VMIs and migrations; each answers as KubeVirt does.
import type {
  Condition,
  Migration,
  Pod,
  RunStrategy,
  VirtualMachine,
  VirtualMachineInstance,
} from "./objects.ts";

/** Phase Failed or Succeeded: this incarnation will not run again. */
export function isFinalVmi(vmi: VirtualMachineInstance): boolean {
  return vmi.status.phase === "Failed" || vmi.status.phase === "Succeeded";
}

export function conditionOf(
  conditions: readonly Condition[] | undefined,
  type: string,
): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

export function isTrue(conditions: readonly Condition[] | undefined, type: string): boolean {
  return conditionOf(conditions, type)?.status === "True";
}

/** The list with `condition` in the place of its type; an unchanged one keeps its times (KubeVirt pkg/controller/conditions.go). */
export function withCondition(
  conditions: readonly Condition[] | undefined,
  condition: Condition,
): Condition[] {
  const list = [...(conditions ?? [])];
  const index = list.findIndex((other) => other.type === condition.type);
  const old = list[index];
  if (!old) return [...list, condition];
  const same =
    old.status === condition.status &&
    (old.reason ?? "") === (condition.reason ?? "") &&
    (old.message ?? "") === (condition.message ?? "");
  if (!same) list[index] = condition;
  return list;
}

export function withoutCondition(conditions: readonly Condition[] | undefined, type: string): Condition[] {
  return (conditions ?? []).filter((condition) => condition.type !== type);
}

/** The guest is moving right now: started and not ended (KubeVirt pkg/util/migrations IsMigrating). */
export function isMigrating(vmi: VirtualMachineInstance): boolean {
  const state = vmi.status.migrationState;
  return state?.startTimestamp !== undefined && state.endTimestamp === undefined;
}

export function isMigratable(vmi: VirtualMachineInstance): boolean {
  return isTrue(vmi.status.conditions, "LiveMigratable");
}

/** Pod phase Succeeded or Failed. */
export function isPodDown(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

export function isPodDownOrGoingDown(pod: Pod): boolean {
  const compute = pod.status?.containerStatuses?.find((status) => status.name === "compute");
  return (
    isPodDown(pod) || compute?.state?.terminated !== undefined || pod.metadata.deletionTimestamp !== undefined
  );
}

/** Ready for the hand-over to virt-handler: the compute container need only run (KubeVirt controller.go IsPodReady). */
export function isPodReady(pod: Pod): boolean {
  if (isPodDownOrGoingDown(pod) || pod.status?.phase !== "Running") return false;
  return (pod.status.containerStatuses ?? []).every((status) =>
    status.name === "compute" ? status.state?.running !== undefined : status.ready,
  );
}

export function isFinalMigration(migration: Migration): boolean {
  return migration.status.phase === "Failed" || migration.status.phase === "Succeeded";
}

/** Counts against the slots: the target is being made or used (KubeVirt types.go IsRunning). */
export function isRunningMigration(migration: Migration): boolean {
  const phase = migration.status.phase ?? "";
  return phase !== "" && phase !== "Pending" && !isFinalMigration(migration);
}

/** `spec.runStrategy`, or what the deprecated `spec.running` means. */
export function runStrategyOf(vm: VirtualMachine): RunStrategy {
  return vm.spec.runStrategy ?? (vm.spec.running === true ? "Always" : "Halted");
}

/** The pod a VMI runs in: the newest one it controls on its node, or on any node while it has none. */
export function currentPodOf(vmi: VirtualMachineInstance, owned: readonly Pod[]): Pod | undefined {
  const { nodeName } = vmi.status;
  const here = owned.filter((pod) => !nodeName || (pod.spec.nodeName ?? "") === nodeName);
  return here.reduce<Pod | undefined>(
    (newest, pod) =>
      newest && newest.metadata.creationTimestamp >= pod.metadata.creationTimestamp ? newest : pod,
    undefined,
  );
}

/** Pods of the VMI that have not ended, Terminating ones included (KubeVirt controller.go VMIActivePodsCount). */
export function activePodCount(owned: readonly Pod[]): number {
  return owned.filter((pod) => !isPodDown(pod)).length;
}
