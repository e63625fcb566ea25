// What a VM's run strategy asks for, given its VMI. Pure. Origin: KubeVirt pkg/virt-controller/watch/vm/vm.go
// syncRunStrategy (facts 2.3).
import { isFinalVmi, runStrategyOf } from "./object-state.ts";
import type { VirtualMachine, VirtualMachineInstance } from "./objects.ts";

/**
 * `stop` deletes the VMI; `stopAndStartAgain` also leaves a start request behind, without which RerunOnFailure would not
 * start once the VMI is gone; `setAlways` answers a start request on a halted VM.
 */
export type Demand = "nothing" | "start" | "stop" | "stopAndStartAgain" | "setAlways";

/** The next step for a VM that is not being deleted. `vmi` is the one it controls. */
export function demandOf(vm: VirtualMachine, vmi: VirtualMachineInstance | undefined): Demand {
  const strategy = runStrategyOf(vm);
  const stopAsked = vmi !== undefined && hasStopRequestFor(vm, vmi);
  switch (strategy) {
    case "Always":
      if (!vmi) return "start";
      return stopAsked || isFinalVmi(vmi) ? "stop" : "nothing";
    case "RerunOnFailure":
      if (!vmi) return hasStartRequest(vm) || vm.status.runStrategy !== strategy ? "start" : "nothing";
      // Deleted by somebody else: the failure is not counted and the VM stays stopped (facts 2.3).
      if (vmi.metadata.deletionTimestamp !== undefined) return "nothing";
      if (vmi.status.phase === "Failed") return "stopAndStartAgain";
      return stopAsked || vmi.status.phase === "Succeeded" ? "stop" : "nothing";
    case "Manual":
      if (!vmi) return hasStartRequest(vm) ? "start" : "nothing";
      return stopAsked ? "stop" : "nothing";
    case "Halted":
      if (!vmi) return hasStartRequest(vm) ? "setAlways" : "nothing";
      return "stop";
    case "Once":
      return vmi ? "nothing" : "start";
    case "WaitAsReceiver":
      // Decentralized migration is not part of the stand-in.
      return "nothing";
  }
}

/** A failed start delays the next one under these strategies only; Once starts at once. */
export function obeysStartBackoff(vm: VirtualMachine): boolean {
  const strategy = runStrategyOf(vm);
  return strategy === "Always" || strategy === "RerunOnFailure";
}

/** The oldest request is acted on; later ones wait their turn. */
export function hasStartRequest(vm: VirtualMachine): boolean {
  return vm.status.stateChangeRequests?.[0]?.action === "Start";
}

function hasStopRequestFor(vm: VirtualMachine, vmi: VirtualMachineInstance): boolean {
  const request = vm.status.stateChangeRequests?.[0];
  return request?.action === "Stop" && request.uid === vmi.metadata.uid;
}

/** The oldest request has been met and can go (vm.go isTrimFirstChangeRequestNeeded). */
export function isFirstRequestMet(vm: VirtualMachine, vmi: VirtualMachineInstance | undefined): boolean {
  const request = vm.status.stateChangeRequests?.[0];
  switch (request?.action) {
    case "Stop":
      return !vmi || request.uid !== vmi.metadata.uid;
    case "Start":
      return vmi !== undefined && vmi.metadata.deletionTimestamp === undefined && !isFinalVmi(vmi);
    case undefined:
      return false;
  }
}
