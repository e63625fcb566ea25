// Asks KubeVirt to start or restart a VM, or removes a VMI that has ended. Never writes a VM's spec.
import type { DeleteVMIStep, RestartVMStep, StartVMStep } from "../model/plan.ts";
import type { ActContext } from "./context.ts";
import { deleteByUID } from "./delete-by-uid.ts";
import { type EffectFailure, send } from "./guarded-request.ts";
import { DONE, ended, outcomeOf, type PerformedStep } from "./outcome.ts";
import { kubeVirtPath, splitKey, vmActionPath } from "./resource-path.ts";

/** What virt-api says, with 409 or 500, where what we ask for has happened or is under way (`rest/lifecycle.go`). */
const ALREADY = /already running|already pending|already underway|already in progress/i;

interface RawVM {
  readonly spec?: { readonly runStrategy?: string };
}

interface RawVMI {
  readonly metadata?: { readonly uid?: string };
}

/**
 * Starts a VM of run strategy Manual. The strategy is read anew first: on a VM that somebody has halted meanwhile,
 * KubeVirt's `start` would turn it into one that always runs.
 */
export async function performStartVM(step: StartVMStep, context: ActContext): Promise<PerformedStep> {
  const { namespace, name } = splitKey(step.vmKey);
  const read = await send<RawVM>(context, {
    method: "GET",
    path: kubeVirtPath(namespace, "virtualmachines", name),
  });
  if (!read.ok) return read.kind === "notFound" ? ended("unchanged", "the VM is gone") : outcomeOf(read);
  const strategy = read.value?.spec?.runStrategy;
  if (strategy !== "Manual") {
    return ended("refused", `its run strategy is ${strategy ?? "not set"}, not Manual`);
  }
  return ask(step.vmKey, "start", context);
}

/** Restarts the VM while it still runs as the VMI meant; a newer VMI has been restarted already. */
export async function performRestartVM(step: RestartVMStep, context: ActContext): Promise<PerformedStep> {
  const { namespace, name } = splitKey(step.vmKey);
  const read = await send<RawVMI>(context, {
    method: "GET",
    path: kubeVirtPath(namespace, "virtualmachineinstances", name),
  });
  if (!read.ok) return read.kind === "notFound" ? ended("unchanged", "it does not run") : outcomeOf(read);
  if (read.value?.metadata?.uid !== step.vmiUID) {
    return ended("unchanged", "it has been restarted since: its VMI is another one");
  }
  return ask(step.vmKey, "restart", context);
}

/** Deletes the VMI meant; KubeVirt then starts a VM of run strategy Once again. */
export function performDeleteVMI(step: DeleteVMIStep, context: ActContext): Promise<PerformedStep> {
  const { namespace, name } = splitKey(step.vmKey);
  return deleteByUID(context, {
    path: kubeVirtPath(namespace, "virtualmachineinstances", name),
    uid: step.vmiUID,
  });
}

async function ask(vmKey: string, action: "start" | "restart", context: ActContext): Promise<PerformedStep> {
  const { namespace, name } = splitKey(vmKey);
  const asked = await send(context, { method: "PUT", path: vmActionPath(namespace, name, action), body: {} });
  if (asked.ok) return DONE;
  return isAlready(asked) ? ended("unchanged", asked.message) : outcomeOf(asked);
}

function isAlready(failure: EffectFailure): boolean {
  return failure.status !== undefined && ALREADY.test(failure.message);
}
