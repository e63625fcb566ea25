// Starts and stops a VM's VMI as its run strategy says, and reports in the VM's status. Origin: KubeVirt
// pkg/virt-controller/watch/vm/vm.go. Instance types, data volumes and live updates are left out.
import { samePlain } from "../plain-data.ts";
import type { ControllerView } from "./controller-view.ts";
import { ANNOTATION, FINALIZER } from "./names.ts";
import { isFinalVmi } from "./object-state.ts";
import { controllerUidOf, keyOf, type VirtualMachine, type VirtualMachineInstance } from "./objects.ts";
import { type Demand, demandOf, obeysStartBackoff } from "./run-strategy.ts";
import { startBackoffLeftMs } from "./start-backoff.ts";
import { nextVmStatus, type VmPass } from "./vm-status.ts";
import { WorkQueue } from "./work-queue.ts";
import type { Writes } from "./writes.ts";

/** Default of `--vm-controller-threads`: why a hundred VMs come back slowly (measured, table g). */
const WORKERS = 3;

export class VmController {
  readonly #view: ControllerView;
  readonly #writes: Writes;
  readonly #queue: WorkQueue;

  constructor(view: ControllerView, writes: Writes, onFailure: (key: string, error: unknown) => void) {
    this.#view = view;
    this.#writes = writes;
    this.#queue = new WorkQueue({ workers: WORKERS, process: (key) => this.#process(key), onFailure });
    view.vms.onChange((after, before) => {
      const vm = after ?? before;
      if (vm) this.#queue.add(keyOf(vm));
    });
    view.vmis.onChange((after, before) => {
      const vmi = after ?? before;
      // A VMI carries the name of its VM.
      if (vmi) this.#queue.add(keyOf(vmi));
    });
  }

  stop(): Promise<void> {
    return this.#queue.stop();
  }

  async #process(key: string): Promise<void> {
    const vm = this.#view.vms.get(key);
    if (!vm) return;
    const found = this.#view.vmis.get(key);
    // Somebody else's VMI of the same name is not seen: starting then fails until it is gone.
    const vmi = found && controllerUidOf(found) === vm.metadata.uid ? found : undefined;
    const pass = await this.#sync(vm, vmi);
    // The sync may have added a finalizer or a request of our own.
    const current = this.#view.vms.get(key);
    if (!current || current.metadata.uid !== vm.metadata.uid) return;
    const status = nextVmStatus(current, vmi, pass);
    if (!samePlain(status, current.status)) await this.#writes.updateVmStatus({ ...current, status });
    if (vmi && isFinalVmi(vmi)) await this.#removeVmiFinalizer(vmi);
    if (pass.failure) throw new Error(pass.failure.message);
  }

  async #sync(vm: VirtualMachine, vmi: VirtualMachineInstance | undefined): Promise<VmPass> {
    if (vm.metadata.deletionTimestamp !== undefined) {
      if (vmi) return this.#obey("stop", vm, vmi);
      await this.#changeFinalizers(vm, (list) => list.filter((each) => each !== FINALIZER.vmController));
      return NOTHING_DONE;
    }
    if (!vm.metadata.finalizers?.includes(FINALIZER.vmController)) {
      await this.#changeFinalizers(vm, (list) => [...list, FINALIZER.vmController]);
    }
    return this.#obey(demandOf(vm, vmi), vm, vmi);
  }

  async #obey(demand: Demand, vm: VirtualMachine, vmi: VirtualMachineInstance | undefined): Promise<VmPass> {
    try {
      switch (demand) {
        case "nothing":
          return NOTHING_DONE;
        case "start":
          return await this.#start(vm);
        case "stop":
        case "stopAndStartAgain": {
          const stopped = vmi !== undefined && (await this.#stop(vm, vmi));
          if (demand === "stopAndStartAgain") await this.#requestStart(vm);
          return { ...NOTHING_DONE, stopExpected: stopped };
        }
        case "setAlways":
          await this.#setAlways(vm);
          return NOTHING_DONE;
      }
    } catch (error) {
      const reason = demand === "start" ? "FailedCreate" : "FailedDelete";
      return { ...NOTHING_DONE, failure: { reason, message: String(error) } };
    }
  }

  async #start(vm: VirtualMachine): Promise<VmPass> {
    const waitMs = obeysStartBackoff(vm) ? startBackoffLeftMs(vm) : 0;
    if (waitMs > 0) {
      this.#queue.addAfter(keyOf(vm), waitMs);
      return NOTHING_DONE;
    }
    const vmi = await this.#writes.createVmi(vmiOf(vm), vm.metadata.namespace ?? "");
    this.#writes.event(vm, {
      type: "Normal",
      reason: "SuccessfulCreate",
      message: `Started the virtual machine by creating the new virtual machine instance ${vmi.metadata.name}`,
    });
    return { ...NOTHING_DONE, startExpected: true };
  }

  /** False where the VMI is being deleted already. */
  async #stop(vm: VirtualMachine, vmi: VirtualMachineInstance): Promise<boolean> {
    if (vmi.metadata.deletionTimestamp !== undefined) return false;
    await this.#writes.deleteVmi(vmi);
    this.#writes.event(vm, {
      type: "Normal",
      reason: "SuccessfulDelete",
      message: `Stopped the virtual machine by deleting the virtual machine instance ${vmi.metadata.uid}`,
    });
    return true;
  }

  async #requestStart(vm: VirtualMachine): Promise<void> {
    const value = [...(vm.status.stateChangeRequests ?? []), { action: "Start" as const }];
    await this.#writes.patchVm(vm, [{ op: "add", path: "/status/stateChangeRequests", value }], "/status");
  }

  async #setAlways(vm: VirtualMachine): Promise<void> {
    const change =
      vm.spec.runStrategy === undefined
        ? ({ op: "replace", path: "/spec/running", value: true } as const)
        : ({ op: "replace", path: "/spec/runStrategy", value: "Always" } as const);
    await this.#writes.patchVm(vm, [change]);
  }

  async #changeFinalizers(vm: VirtualMachine, change: (list: string[]) => string[]): Promise<void> {
    const old = vm.metadata.finalizers;
    const value = change(old ?? []);
    if (samePlain(old ?? [], value)) return;
    const path = "/metadata/finalizers";
    await this.#writes.patchVm(
      vm,
      old
        ? [
            { op: "test", path, value: old },
            { op: "replace", path, value },
          ]
        : [{ op: "add", path, value }],
    );
  }

  /** Last, so that the VM's status has seen the VMI's end before it may vanish. */
  async #removeVmiFinalizer(vmi: VirtualMachineInstance): Promise<void> {
    const old = vmi.metadata.finalizers ?? [];
    if (!old.includes(FINALIZER.vmController)) return;
    const path = "/metadata/finalizers";
    await this.#writes.patchVmi(vmi, [
      { op: "test", path, value: old },
      { op: "replace", path, value: old.filter((each) => each !== FINALIZER.vmController) },
    ]);
  }
}

const NOTHING_DONE: VmPass = { startExpected: false, stopExpected: false, failure: undefined };

/** The VMI a VM starts; virt-api fills in the defaults. */
function vmiOf(vm: VirtualMachine): object {
  const { name, namespace, uid, generation } = vm.metadata;
  const { template } = vm.spec;
  return {
    apiVersion: vm.apiVersion,
    kind: "VirtualMachineInstance",
    metadata: {
      name,
      namespace,
      labels: template.metadata?.labels ?? {},
      annotations: {
        ...template.metadata?.annotations,
        [ANNOTATION.vmGeneration]: String(generation ?? 1),
      },
      finalizers: [FINALIZER.vmController],
      ownerReferences: [
        { apiVersion: vm.apiVersion, kind: vm.kind, name, uid, controller: true, blockOwnerDeletion: true },
      ],
    },
    spec: template.spec,
  };
}
