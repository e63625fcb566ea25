// The pause between starts of a VM whose VMI keeps failing before it ever ran. Pure but for the random share and the clock.
// Origin: KubeVirt pkg/virt-controller/watch/vm/vm.go calculateStartBackoffTime, syncStartFailureStatus (facts 2.3).
import { labTime } from "../lab-time.ts";
import { isFinalVmi, runStrategyOf } from "./object-state.ts";
import { timestamp, type VirtualMachine, type VirtualMachineInstance, type VmStatus } from "./objects.ts";

const BASE_SECONDS = 10;
const MAX_SECONDS = 300;

/** Seconds to wait after `failures` failed starts in a row: 10·n² plus up to half of it, at most 300. */
export function startBackoffSeconds(failures: number, random: () => number): number {
  const base = BASE_SECONDS * Math.max(1, failures) ** 2;
  const extra = Math.floor(random() * (Math.floor(base / 2) + 1));
  return Math.min(MAX_SECONDS, base + extra);
}

/** Milliseconds until the VM may be started again; 0 where it may now. Whole seconds, as KubeVirt counts them. */
export function startBackoffLeftMs(vm: VirtualMachine): number {
  const { startFailure } = vm.status;
  if (!startFailure) return 0;
  const leftSeconds =
    Math.floor(Date.parse(startFailure.retryAfterTimestamp) / 1000) - Math.floor(labTime.wallMs() / 1000);
  return Math.max(0, leftSeconds * 1000);
}

/**
 * The failure count after looking at this VMI. A VMI that ever ran clears it, so a node loss costs no back-off; one VMI
 * counts once.
 */
export function nextStartFailure(
  vm: VirtualMachine,
  vmi: VirtualMachineInstance | undefined,
): VmStatus["startFailure"] {
  const old = vm.status.startFailure;
  const strategy = runStrategyOf(vm);
  const restarts = strategy === "Always" || strategy === "RerunOnFailure" || strategy === "Once";
  if ((vmi && everRan(vmi)) || !restarts) return undefined;
  if (!vmi || !isFinalVmi(vmi) || old?.lastFailedVMIUID === vmi.metadata.uid) return old;
  const consecutiveFailCount = (old?.consecutiveFailCount ?? 0) + 1;
  const delayMs = startBackoffSeconds(consecutiveFailCount, () => labTime.random()) * 1000;
  return {
    consecutiveFailCount,
    lastFailedVMIUID: vmi.metadata.uid,
    retryAfterTimestamp: timestamp(labTime.wallMs() + delayMs),
  };
}

function everRan(vmi: VirtualMachineInstance): boolean {
  return (vmi.status.phaseTransitionTimestamps ?? []).some((stamp) => stamp.phase === "Running");
}
