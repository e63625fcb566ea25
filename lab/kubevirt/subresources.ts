// The verbs of subresources.kubevirt.io/v1 on VMs: start, stop, restart, migrate, evacuate/cancel. Who may call is for the
// API server to say. Origin: KubeVirt pkg/virt-api/rest/lifecycle.go and evacuate_cancel.go (facts 2.3, 3.1; measured table n).
import type { ApiFailure, ApiOutcome, ApiTransport } from "../../src/kube/transport.ts";
import type { Settings } from "./controller-view.ts";
import { KUBEVIRT_API } from "./names.ts";
import { isFinalVmi, runStrategyOf } from "./object-state.ts";
import type { Node, StateChangeRequest, VirtualMachine, VirtualMachineInstance } from "./objects.ts";
import type { PatchOperation } from "./writes.ts";

/** Names in a call's path, its body, and how to reach the cluster. */
export interface SubresourceCall {
  readonly api: ApiTransport;
  readonly settings: () => Settings;
  readonly namespace: string;
  readonly name: string;
  readonly body: SubresourceBody;
}

interface SubresourceBody {
  readonly dryRun?: readonly string[];
  readonly addedNodeSelector?: Readonly<Record<string, string>>;
  readonly evacuationNodeName?: string;
}

/** Status and, for a failure, its text. */
export interface SubresourceAnswer {
  readonly status: number;
  readonly reason?: string;
  readonly message?: string;
}

const ACCEPTED: SubresourceAnswer = { status: 202 };

/** Starts a halted, manual or rerun-on-failure VM; a Manual VM with a finished VMI is stopped first. */
export async function startVm(call: SubresourceCall): Promise<SubresourceAnswer> {
  const vm = await getVm(call);
  if (!vm.ok) return notFound(call, vm);
  const vmi = await getVmi(call);
  const phase = vmi?.status.phase ?? "";
  if (vmi && !isFinalVmi(vmi) && phase !== "Unknown" && phase !== "") {
    return conflict(call, "VM is already running");
  }
  const strategy = runStrategyOf(vm.value);
  const final = vmi !== undefined && isFinalVmi(vmi);
  switch (strategy) {
    case "Halted":
      return setRunning(call, vm.value, true);
    case "Manual":
      return requestChange(call, vm.value, final ? stopAndStart(vmi) : [{ action: "Start" }]);
    case "RerunOnFailure":
      if (phase === "Failed")
        return conflict(call, `${strategy} does not support starting VM from failed state`);
      return requestChange(call, vm.value, final ? stopAndStart(vmi) : [{ action: "Start" }]);
    case "Always":
    case "Once":
    case "WaitAsReceiver":
      return conflict(call, `${strategy} does not support manual start requests`);
  }
}

export async function stopVm(call: SubresourceCall): Promise<SubresourceAnswer> {
  const vm = await getVm(call);
  if (!vm.ok) return notFound(call, vm);
  const vmi = await getVmi(call);
  const strategy = runStrategyOf(vm.value);
  if (strategy === "Always" || strategy === "Once") return setRunning(call, vm.value, false);
  if (!vmi || isFinalVmi(vmi)) return conflict(call, "VM is not running");
  if (strategy === "Halted") {
    return conflict(call, "Halted only supports manual stop requests with a shorter graceperiod");
  }
  return requestChange(call, vm.value, [{ action: "Stop", uid: vmi.metadata.uid }]);
}

export async function restartVm(call: SubresourceCall): Promise<SubresourceAnswer> {
  const vm = await getVm(call);
  if (!vm.ok) return notFound(call, vm);
  const strategy = runStrategyOf(vm.value);
  if (strategy === "Halted" || strategy === "Once") {
    return conflict(call, `RunStategy ${strategy} does not support manual restart requests`);
  }
  const vmi = await getVmi(call);
  if (!vmi) return conflict(call, "VM is not running: Halted");
  return requestChange(call, vm.value, stopAndStart(vmi));
}

/** Creates a migration; its name is not told (facts 3.2). */
export async function migrateVm(call: SubresourceCall): Promise<SubresourceAnswer> {
  const vm = await getVm(call);
  if (!vm.ok) return notFound(call, vm);
  const vmi = await getVmi(call);
  if (!vmi) return { status: 404, reason: "NotFound", message: notFoundText("virtualmachineinstance", call) };
  if (vmi.status.phase !== "Running") return conflict(call, "VM is not running");
  const { addedNodeSelector } = call.body;
  const created = await call.api.request({
    method: "POST",
    path: `${KUBEVIRT_API}/namespaces/${call.namespace}/virtualmachineinstancemigrations`,
    query: dryRunOf(call),
    body: {
      apiVersion: "kubevirt.io/v1",
      kind: "VirtualMachineInstanceMigration",
      metadata: { generateName: "kubevirt-migrate-vm-" },
      spec: { vmiName: call.name, ...(addedNodeSelector ? { addedNodeSelector } : {}) },
    },
  });
  return created.ok ? ACCEPTED : internalError(created);
}

/** Takes the eviction mark off again; refused while the node carries the drain taint. */
export async function cancelEvacuation(call: SubresourceCall): Promise<SubresourceAnswer> {
  const vmi = await getVmi(call);
  if (!vmi) return { status: 404, reason: "NotFound", message: notFoundText("virtualmachineinstance", call) };
  const marked = vmi.status.evacuationNodeName;
  const key = call.settings().nodeDrainTaintKey;
  const nodeName = marked || (vmi.status.nodeName ?? "");
  const node = await call.api.request<Node>({ method: "GET", path: `/api/v1/nodes/${nodeName}` });
  if (!node.ok) return internalError(node);
  if ((node.value.spec?.taints ?? []).some((taint) => taint.key === key && taint.effect === "NoSchedule")) {
    const message = `Node "${nodeName}" has NodeDrainTaintKey "${key}:NoSchedule"`;
    return { status: 400, reason: "BadRequest", message };
  }
  if (!marked) return { status: 200 };
  const path = "/status/evacuationNodeName";
  const outcome = await patch(call, vmiPath(call), [
    { op: "test", path, value: call.body.evacuationNodeName ?? "" },
    { op: "remove", path },
  ]);
  return outcome.ok ? { status: 200 } : internalError(outcome);
}

function stopAndStart(vmi: VirtualMachineInstance): StateChangeRequest[] {
  return [{ action: "Stop", uid: vmi.metadata.uid }, { action: "Start" }];
}

async function requestChange(
  call: SubresourceCall,
  vm: VirtualMachine,
  changes: StateChangeRequest[],
): Promise<SubresourceAnswer> {
  const path = "/status/stateChangeRequests";
  const old = vm.status?.stateChangeRequests ?? [];
  const onlyStop = changes.length === 1 && changes[0]?.action === "Stop";
  if (old.length > 0 && !onlyStop) {
    return {
      status: 500,
      reason: "InternalError",
      message: "Internal error occurred: unable to complete request: stop/start already underway",
    };
  }
  const operations: PatchOperation[] = vm.status
    ? [
        { op: "test", path, value: old.length > 0 ? old : null },
        { op: old.length > 0 ? "replace" : "add", path, value: changes },
        ...(vm.status.startFailure ? [{ op: "remove", path: "/status/startFailure" } as const] : []),
      ]
    : [{ op: "add", path: "/status", value: { stateChangeRequests: changes } }];
  return answerOfPatch(call, await patch(call, `${vmPath(call)}/status`, operations));
}

async function setRunning(
  call: SubresourceCall,
  vm: VirtualMachine,
  on: boolean,
): Promise<SubresourceAnswer> {
  const operations: PatchOperation[] =
    vm.spec.runStrategy === undefined
      ? [
          { op: "test", path: "/spec/running", value: vm.spec.running },
          { op: "replace", path: "/spec/running", value: on },
        ]
      : [
          { op: "test", path: "/spec/runStrategy", value: vm.spec.runStrategy },
          { op: "replace", path: "/spec/runStrategy", value: on ? "Always" : "Halted" },
        ];
  return answerOfPatch(call, await patch(call, vmPath(call), operations));
}

function answerOfPatch(call: SubresourceCall, outcome: ApiOutcome<unknown>): SubresourceAnswer {
  if (outcome.ok) return ACCEPTED;
  return outcome.kind === "invalid" ? conflict(call, outcome.message) : internalError(outcome);
}

function patch(call: SubresourceCall, path: string, body: PatchOperation[]): Promise<ApiOutcome<unknown>> {
  const contentType = "application/json-patch+json";
  return call.api.request({ method: "PATCH", path, query: dryRunOf(call), contentType, body });
}

function dryRunOf(call: SubresourceCall): Record<string, string | undefined> {
  return { dryRun: call.body.dryRun?.[0] };
}

function vmPath(call: SubresourceCall): string {
  return `${KUBEVIRT_API}/namespaces/${call.namespace}/virtualmachines/${call.name}`;
}

function vmiPath(call: SubresourceCall): string {
  return `${KUBEVIRT_API}/namespaces/${call.namespace}/virtualmachineinstances/${call.name}`;
}

function getVm(call: SubresourceCall): Promise<ApiOutcome<VirtualMachine>> {
  return call.api.request<VirtualMachine>({ method: "GET", path: vmPath(call) });
}

async function getVmi(call: SubresourceCall): Promise<VirtualMachineInstance | undefined> {
  const outcome = await call.api.request<VirtualMachineInstance>({ method: "GET", path: vmiPath(call) });
  return outcome.ok ? outcome.value : undefined;
}

function notFound(call: SubresourceCall, failure: ApiFailure): SubresourceAnswer {
  if (failure.kind !== "notFound") return internalError(failure);
  return { status: 404, reason: "NotFound", message: notFoundText("virtualmachine", call) };
}

function notFoundText(resource: string, call: SubresourceCall): string {
  return `${resource}.kubevirt.io "${call.name}" not found`;
}

function conflict(call: SubresourceCall, why: string): SubresourceAnswer {
  const message = `Operation cannot be fulfilled on virtualmachine.kubevirt.io "${call.name}": ${why}`;
  return { status: 409, reason: "Conflict", message };
}

function internalError(failure: ApiFailure): SubresourceAnswer {
  return { status: 500, reason: "InternalError", message: `Internal error occurred: ${failure.message}` };
}
