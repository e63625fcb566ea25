// What a VM's status says about its VMI. Pure. Origin: KubeVirt pkg/virt-controller/watch/vm/vm.go updateStatus,
// setPrintableStatus, syncConditions.
import { ANNOTATION } from "./names.ts";
import { isFirstRequestMet } from "./run-strategy.ts";
import {
  conditionOf,
  isFinalVmi,
  isMigrating,
  isTrue,
  runStrategyOf,
  withCondition,
  withoutCondition,
} from "./object-state.ts";
import {
  type Condition,
  timestamp,
  type VirtualMachine,
  type VirtualMachineInstance,
  type VmStatus,
} from "./objects.ts";
import { nextStartFailure } from "./start-backoff.ts";
import { plainCopy } from "../plain-data.ts";

/** What the controller has just done, before its own view shows it. */
export interface VmPass {
  readonly startExpected: boolean;
  readonly stopExpected: boolean;
  /** Why it could not do what it wanted. */
  readonly failure: { readonly reason: string; readonly message: string } | undefined;
}

/** VM conditions that are not copies of the VMI's. */
const OWN_CONDITIONS: ReadonlySet<string> = new Set(["Ready", "Failure", "RestartRequired"]);

/** The status to be written; the arguments are not changed. */
export function nextVmStatus(
  vm: VirtualMachine,
  vmi: VirtualMachineInstance | undefined,
  pass: VmPass,
): VmStatus {
  const status: VmStatus = plainCopy(vm.status);
  // False is left out, as Go's omitempty does.
  assignOrOmit(status, "created", vmi ? true : undefined);
  assignOrOmit(status, "ready", vmi && isTrue(vmi.status.conditions, "Ready") ? true : undefined);
  if (status.runStrategy !== undefined || vmi) status.runStrategy = runStrategyOf(vm);
  if (vmi) {
    status.desiredGeneration = vm.metadata.generation ?? 1;
    status.observedGeneration = Number(vmi.metadata.annotations?.[ANNOTATION.vmGeneration] ?? 1);
  }
  if (isFirstRequestMet(vm, vmi)) {
    const left = (status.stateChangeRequests ?? []).slice(1);
    assignOrOmit(status, "stateChangeRequests", left.length > 0 ? left : undefined);
  }
  assignOrOmit(status, "startFailure", nextStartFailure(vm, vmi));
  status.conditions = nextConditions(vm, vmi, pass);
  status.printableStatus = printableStatus(vm, vmi, { ...pass, status });
  return status;
}

function assignOrOmit<K extends keyof VmStatus>(
  status: VmStatus,
  member: K,
  value: VmStatus[K] | undefined,
): void {
  if (value === undefined) delete status[member];
  else status[member] = value;
}

function nextConditions(
  vm: VirtualMachine,
  vmi: VirtualMachineInstance | undefined,
  pass: VmPass,
): Condition[] {
  let conditions = withCondition(vm.status.conditions, readyCondition(vmi));
  conditions = pass.failure
    ? withCondition(conditions, {
        type: "Failure",
        status: "True",
        ...pass.failure,
        lastTransitionTime: timestamp(),
      })
    : withoutCondition(conditions, "Failure");
  if (!vmi) return conditions;
  const copies = (vmi.status.conditions ?? []).filter((condition) => !OWN_CONDITIONS.has(condition.type));
  const kept = conditions.filter(
    (condition) => OWN_CONDITIONS.has(condition.type) || copies.some((copy) => copy.type === condition.type),
  );
  return copies.reduce<Condition[]>((list, copy) => withCondition(list, copy), kept);
}

function readyCondition(vmi: VirtualMachineInstance | undefined): Condition {
  const now = timestamp();
  const no = (reason: string, message: string): Condition => ({
    type: "Ready",
    status: "False",
    reason,
    message,
    lastProbeTime: now,
    lastTransitionTime: now,
  });
  if (!vmi) return no("VMINotExists", "VMI does not exist");
  return (
    conditionOf(vmi.status.conditions, "Ready") ??
    no("VMIConditionMissing", "VMI is missing the Ready condition")
  );
}

/** First match wins. Never leaves Running on a node loss, since the VMI's phase does not (facts 2.2). */
function printableStatus(
  vm: VirtualMachine,
  vmi: VirtualMachineInstance | undefined,
  pass: VmPass & { readonly status: VmStatus },
): string {
  if (vm.metadata.deletionTimestamp !== undefined) return "Terminating";
  const conditions = vmi?.status.conditions;
  const live = vmi !== undefined && !isFinalVmi(vmi);
  if (live && (vmi.metadata.deletionTimestamp !== undefined || pass.stopExpected)) return "Stopping";
  if (vmi && isMigrating(vmi)) return "Migrating";
  if (vmi?.status.phase === "Running") return isTrue(conditions, "Paused") ? "Paused" : "Running";
  const synchronized = conditionOf(conditions, "Synchronized");
  if (synchronized?.status === "False" && synchronized.reason === "FailedPvcNotFound")
    return "ErrorPvcNotFound";
  const scheduled = conditionOf(conditions, "PodScheduled");
  if (scheduled?.status === "False" && scheduled.reason === "Unschedulable") return "ErrorUnschedulable";
  if (live || (!vmi && pass.startExpected)) return "Starting";
  const strategy = runStrategyOf(vm);
  const restarts = strategy === "Always" || strategy === "RerunOnFailure" || strategy === "Once";
  if (restarts && !pass.startExpected && (pass.status.startFailure?.consecutiveFailCount ?? 0) > 0) {
    return "CrashLoopBackOff";
  }
  if (!vmi && strategy === "WaitAsReceiver") return "WaitingForReceiver";
  return "Stopped";
}
