// Which run strategies bring a VM back after its instance has failed: by KubeVirt itself, or by us where the policy says so.
import type { ProtectionFact } from "../model/protection.ts";
import type { VMFact } from "../model/virtual-machine.ts";
import type { Turn } from "./turn.ts";

/** Whether letting the VM go makes KubeVirt, or us, start it again. */
export function willRestart(turn: Turn, protection: ProtectionFact): boolean {
  const vm = turn.snapshot.vms.get(protection.vmKey);
  if (vm === undefined || vm.deleting) return false;
  switch (vm.runStrategy) {
    case "Always":
    case "RerunOnFailure":
      return true;
    case "Manual":
      return protection.failover.startManual;
    case "Once":
      return protection.failover.restartOnce;
    case "Halted":
    case "WaitAsReceiver":
      return false;
  }
}

/** Why the VM does not come back after a loss, and what would change that. */
export function strategyMessage(vm: VMFact): string {
  if (vm.deleting) return "cannot restart: its VirtualMachine is being deleted";
  const hint =
    vm.runStrategy === "Once"
      ? "; set spec.failover.restartOnce"
      : vm.runStrategy === "Manual"
        ? "; set spec.failover.startManual"
        : "";
  return `cannot restart: run strategy ${vm.runStrategy} does not start it again${hint}`;
}
