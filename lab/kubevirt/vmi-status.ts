// What a VMI's status becomes, given its pods. Pure. Origin: KubeVirt pkg/virt-controller/watch/vmi/lifecycle.go updateStatus.
import { FINALIZER, LABEL } from "./names.ts";
import {
  conditionOf,
  isFinalVmi,
  isPodDownOrGoingDown,
  isPodReady,
  isTrue,
  withCondition,
  withoutCondition,
} from "./object-state.ts";
import { LAUNCHER_IMAGE } from "./launcher-pod.ts";
import {
  type Condition,
  type Pod,
  timestamp,
  type VirtualMachineInstance,
  type VmiPhase,
  type VolumeStatus,
} from "./objects.ts";
import { plainCopy } from "../plain-data.ts";

/** Why the controller could not do what it wanted; shown in condition Synchronized. */
export interface SyncFailure {
  readonly reason: "FailedCreate" | "FailedPvcNotFound" | "FailedDelete";
  readonly message: string;
}

export interface VmiSurroundings {
  /** The pod the VMI runs in. */
  readonly pod: Pod | undefined;
  /** Every pod it controls, a migration's target included. */
  readonly owned: readonly Pod[];
  /** Its VM is still there; without one nobody else would take the VM controller's finalizer off. */
  readonly hasVm: boolean;
  readonly volumeStatus: readonly VolumeStatus[];
  readonly syncFailure: SyncFailure | undefined;
}

/** The VMI as it should be; the argument is not changed. */
export function nextVmi(vmi: VirtualMachineInstance, around: VmiSurroundings): VirtualMachineInstance {
  const next = plainCopy(vmi);
  const { pod, owned } = around;
  delete next.status.activePods;
  if (owned.length > 0) {
    next.status.activePods = Object.fromEntries(
      owned.map((each) => [each.metadata.uid, each.spec.nodeName ?? ""]),
    );
  }
  next.status.conditions = withCondition(vmi.status.conditions, readyCondition(vmi, pod));
  if (pod) next.status.launcherContainerImageVersion = LAUNCHER_IMAGE;
  advance(vmi, next, around);
  markEviction(next);
  if (vmi.status.phase !== "Running" && vmi.status.phase !== "Scheduled") {
    showSyncFailure(next, around.syncFailure);
    stampPhase(vmi, next);
  }
  return next;
}

function advance(vmi: VirtualMachineInstance, next: VirtualMachineInstance, around: VmiSurroundings): void {
  switch (phaseOf(vmi)) {
    case "Pending":
      return advancePending(vmi, next, around);
    case "Scheduling":
      return advanceScheduling(vmi, next, around);
    case "Scheduled":
    case "Running":
      // The pod object alone decides: gone means Failed at once, in any other state it does not (facts 2.2).
      if (!around.pod) next.status.phase = "Failed";
      else setVolumeStatus(next, around);
      return;
    case "Succeeded":
    case "Failed":
      return advanceFinal(next, around);
    default:
      return;
  }
}

function phaseOf(vmi: VirtualMachineInstance): VmiPhase {
  return vmi.status.phase || "Pending";
}

function advancePending(
  vmi: VirtualMachineInstance,
  next: VirtualMachineInstance,
  around: VmiSurroundings,
): void {
  if (around.pod) next.status.phase = "Scheduling";
  else next.status.phase = vmi.metadata.deletionTimestamp === undefined ? "Pending" : "Failed";
  if (around.syncFailure?.reason === "FailedPvcNotFound") {
    next.status.conditions = withCondition(next.status.conditions, {
      type: "PodScheduled",
      status: "False",
      reason: "Unschedulable",
      message: around.syncFailure.message,
    });
  }
}

function advanceScheduling(
  vmi: VirtualMachineInstance,
  next: VirtualMachineInstance,
  around: VmiSurroundings,
): void {
  const { pod } = around;
  if (!pod) {
    next.status.phase = "Failed";
    return;
  }
  if (pod.status?.qosClass !== undefined) next.status.qosClass = pod.status.qosClass;
  const scheduled = conditionOf(pod.status?.conditions, "PodScheduled");
  next.status.conditions =
    scheduled?.status === "False"
      ? withCondition(next.status.conditions, withoutGeneration(scheduled))
      : withoutCondition(next.status.conditions, "PodScheduled");
  if (isPodReady(pod) && vmi.metadata.deletionTimestamp === undefined) {
    // The hand-over: from here on the VMI belongs to the virt-handler of this node.
    const nodeName = pod.spec.nodeName ?? "";
    next.status.phase = "Scheduled";
    next.status.nodeName = nodeName;
    next.status.migrationTransport = "Unix";
    setVolumeStatus(next, around);
    next.metadata.labels = { ...next.metadata.labels, [LABEL.nodeName]: nodeName };
  } else if (isPodDownOrGoingDown(pod)) {
    next.status.phase = "Failed";
  }
}

function setVolumeStatus(next: VirtualMachineInstance, { volumeStatus }: VmiSurroundings): void {
  if (volumeStatus.length > 0) next.status.volumeStatus = [...volumeStatus];
  else delete next.status.volumeStatus;
}

function advanceFinal(next: VirtualMachineInstance, around: VmiSurroundings): void {
  const finalizers = next.metadata.finalizers ?? [];
  const done = new Set<string>();
  if (around.owned.length === 0) {
    done.add(FINALIZER.vmi);
    delete next.status.launcherContainerImageVersion;
  }
  if (!around.hasVm) done.add(FINALIZER.vmController);
  next.metadata.finalizers = finalizers.filter((finalizer) => !done.has(finalizer));
}

function readyCondition(vmi: VirtualMachineInstance, pod: Pod | undefined): Condition {
  const now = timestamp();
  const no = (reason: string, message: string): Condition => ({
    type: "Ready",
    status: "False",
    reason,
    message,
    lastProbeTime: now,
    lastTransitionTime: now,
  });
  if (!pod) return no("PodNotExists", "virt-launcher pod has not yet been scheduled");
  if (isPodDownOrGoingDown(pod)) return no("PodTerminating", "virt-launcher pod is terminating");
  if (vmi.status.phase !== "Running") return no("GuestNotRunning", "Guest VM is not reported as running");
  const ready = conditionOf(pod.status?.conditions, "Ready");
  if (!ready) return no("PodConditionMissing", "virt-launcher pod is missing the Ready condition");
  return withoutGeneration(ready);
}

/** Pod conditions carry `observedGeneration`, VMI conditions do not. */
function withoutGeneration(condition: Condition & { observedGeneration?: number }): Condition {
  const { observedGeneration: _generation, ...rest } = condition;
  return rest;
}

function markEviction(next: VirtualMachineInstance): void {
  const now = timestamp();
  if (!next.status.evacuationNodeName) {
    next.status.conditions = withoutCondition(next.status.conditions, "EvictionRequested");
  } else if (!isTrue(next.status.conditions, "EvictionRequested")) {
    next.status.conditions = withCondition(next.status.conditions, {
      type: "EvictionRequested",
      status: "True",
      reason: "EvictionRequested",
      message: "VMI is marked for eviction",
      lastProbeTime: now,
      lastTransitionTime: now,
    });
  }
}

function showSyncFailure(next: VirtualMachineInstance, failure: SyncFailure | undefined): void {
  next.status.conditions = failure
    ? withCondition(next.status.conditions, {
        type: "Synchronized",
        status: "False",
        reason: failure.reason,
        message: failure.message,
        lastTransitionTime: timestamp(),
      })
    : withoutCondition(next.status.conditions, "Synchronized");
}

/** KubeVirt stamps phases on whole updates only: a Failed that was patched onto Running has no time stamp. */
function stampPhase(vmi: VirtualMachineInstance, next: VirtualMachineInstance): void {
  const phase = next.status.phase ?? "";
  const stamps = next.status.phaseTransitionTimestamps ?? [];
  if (phase === vmi.status.phase || stamps.some((stamp) => stamp.phase === phase)) return;
  next.status.phaseTransitionTimestamps = [...stamps, { phase, phaseTransitionTimestamp: timestamp() }];
}

/** Whether the pods have any say over this VMI's phase still. */
export function needsPod(vmi: VirtualMachineInstance): boolean {
  return !isFinalVmi(vmi) && phaseOf(vmi) === "Pending";
}
