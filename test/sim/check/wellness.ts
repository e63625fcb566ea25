// What must hold once nothing goes wrong any more: every VM that should run does, every ledger is closed, and what the
// statuses say agrees with the truth.
import { QUARANTINE_TAINT } from "../../../src/model/node.ts";
import { isObject, listIn, objectIn, textOf } from "../api/json.ts";
import { resourceNamed } from "../api/resources.ts";
import type { StoredObject } from "../api/stored.ts";
import type { World } from "../world/world.ts";
import { leaderOf } from "../world/acts.ts";

const NODES = resourceNamed("v1/nodes");
const VMS = resourceNamed("kubevirt.io/v1/virtualmachines");
const VMIS = resourceNamed("kubevirt.io/v1/virtualmachineinstances");
const FENCINGS = resourceNamed("holdfast.dev/v1alpha1/nodefencings");
const PROMISES = resourceNamed("holdfast.dev/v1alpha1/havirtualmachines");

/** What is still amiss, one sentence each; empty when all is well. */
export function complaints(world: World): readonly string[] {
  return [
    ...leaderComplaints(world),
    ...nodeComplaints(world),
    ...vmComplaints(world),
    ...ledgerComplaints(world),
    ...promiseComplaints(world),
  ];
}

/** VMs that run where nobody looks yet: enough to begin a history. */
export function guestComplaints(world: World): readonly string[] {
  return [...leaderComplaints(world), ...vmComplaints(world), ...promiseComplaints(world)];
}

function leaderComplaints(world: World): string[] {
  return leaderOf(world) === undefined ? ["nobody leads"] : [];
}

function nodeComplaints(world: World): string[] {
  return world.server.store.list(NODES).flatMap((node) => {
    const { name } = node.metadata;
    const conditions = listIn(objectIn(node, "status"), "conditions") as readonly {
      type?: string;
      status?: string;
    }[];
    const ready = conditions.find(({ type }) => type === "Ready")?.status;
    const taints = (listIn(objectIn(node, "spec"), "taints") as readonly { key?: string }[]).map(
      ({ key }) => key ?? "",
    );
    // A quarantine is meant to outlast what it was for.
    const foreign = taints.filter((key) => key !== QUARANTINE_TAINT);
    return [
      ...(ready === "True" ? [] : [`${name} is not Ready: ${ready}`]),
      ...(foreign.length === 0 ? [] : [`${name} bears ${foreign.join(", ")}`]),
    ];
  });
}

function vmComplaints(world: World): string[] {
  return world.server.store.list(VMS).flatMap((vm) => {
    const key = keyOf(vm);
    const running = world.oracle.running(key);
    if (vm.metadata["deletionTimestamp"] !== undefined) return [`${key} is still being deleted`];
    if (objectIn(vm, "spec")["runStrategy"] !== "Always") return [];
    const vmi = world.server.store.get(VMIS, textOf(vm.metadata["namespace"]), vm.metadata.name)?.object;
    const phase = objectIn(vmi, "status")["phase"];
    if (running.length === 1 && running[0]?.upAtMs !== undefined && phase === "Running") return [];
    const status = objectIn(vm, "status");
    const told = {
      printable: status["printableStatus"] ?? null,
      startFailure: status["startFailure"] ?? null,
    };
    return [`${key} has ${running.length} guests, its VMI is ${textOf(phase)}; ${JSON.stringify(told)}`];
  });
}

function ledgerComplaints(world: World): string[] {
  return world.server.store.list(FENCINGS).flatMap((fencing) => {
    const { phase, message } = objectIn(fencing, "status");
    return phase === "Returned" || phase === "Aborted"
      ? []
      : [`${fencing.metadata.name} is ${textOf(phase)}: ${textOf(message)}`];
  });
}

function promiseComplaints(world: World): string[] {
  return world.server.store.list(PROMISES).flatMap((promise) => {
    const key = keyOf(promise);
    const vm = world.server.store.get(
      VMS,
      textOf(promise.metadata["namespace"]),
      promise.metadata.name,
    )?.object;
    if (vm === undefined || objectIn(vm, "spec")["runStrategy"] !== "Always") return [];
    const status = objectIn(promise, "status");
    const vmi = world.server.store.get(
      VMIS,
      textOf(promise.metadata["namespace"]),
      promise.metadata.name,
    )?.object;
    const node = objectIn(vmi, "status")["nodeName"];
    const conditions = listIn(status, "conditions") as readonly {
      type?: string;
      status?: string;
      reason?: string;
    }[];
    const available = conditions.find(({ type }) => type === "Available")?.status;
    return [
      ...(status["node"] === node
        ? []
        : [`the status of ${key} names ${textOf(status["node"])}, it runs on ${textOf(node)}`]),
      ...(available === "True" ? [] : [`the status of ${key} says Available ${available}`]),
      ...(isObject(status["failover"])
        ? [`the status of ${key} tells of a failover: ${JSON.stringify(status["failover"])}`]
        : []),
    ];
  });
}

function keyOf({ metadata }: StoredObject): string {
  return `${textOf(metadata["namespace"])}/${metadata.name}`;
}
