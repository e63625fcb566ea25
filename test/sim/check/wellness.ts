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
const PODS = resourceNamed("v1/pods");
const VMIS = resourceNamed("kubevirt.io/v1/virtualmachineinstances");
const FENCINGS = resourceNamed("holdfast.dev/v1alpha1/nodefencings");
const PROMISES = resourceNamed("holdfast.dev/v1alpha1/havirtualmachines");

const NONE: ReadonlySet<string> = new Set();

/** What is still amiss, one sentence each; empty when all is well. `broken`: nodes without which all is to be well. */
export function complaints(world: World, broken: ReadonlySet<string> = NONE): readonly string[] {
  return [
    ...leaderComplaints(world),
    ...nodeComplaints(world, broken),
    ...vmComplaints(world, broken),
    ...ledgerComplaints(world, broken),
    ...promiseComplaints(world, broken),
  ];
}

/** VMs that run where nobody looks yet: enough to begin a history. */
export function guestComplaints(world: World): readonly string[] {
  return [...leaderComplaints(world), ...vmComplaints(world, NONE), ...promiseComplaints(world, NONE)];
}

function leaderComplaints(world: World): string[] {
  return leaderOf(world) === undefined ? ["nobody leads"] : [];
}

function nodeComplaints(world: World, broken: ReadonlySet<string>): string[] {
  return world.server.store.list(NODES).flatMap((node) => {
    const { name } = node.metadata;
    if (broken.has(name)) return [];
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

function vmComplaints(world: World, broken: ReadonlySet<string>): string[] {
  return world.server.store.list(VMS).flatMap((vm) => {
    const key = keyOf(vm);
    if (isLeftBehind(world, vm, broken)) return [];
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

/** Nobody has promised to restart it, or it is being deleted, and it was on a node that is broken, or on its way up there. */
function isLeftBehind(world: World, { metadata }: StoredObject, broken: ReadonlySet<string>): boolean {
  if (broken.size === 0) return false;
  const namespace = textOf(metadata["namespace"]);
  const isPromised = world.server.store
    .list(PROMISES, namespace)
    .some((promise) => objectIn(promise, "spec")["virtualMachineName"] === metadata.name);
  const hasPodThere = world.server.store
    .list(PODS, namespace)
    .some(
      (pod) =>
        broken.has(textOf(objectIn(pod, "spec")["nodeName"])) &&
        objectIn(pod.metadata, "labels")["vm.kubevirt.io/name"] === metadata.name,
    );
  return (!isPromised || metadata["deletionTimestamp"] !== undefined) && hasPodThere;
}

function ledgerComplaints(world: World, broken: ReadonlySet<string>): string[] {
  return world.server.store.list(FENCINGS).flatMap((fencing) => {
    if (broken.has(textOf(objectIn(fencing, "spec")["nodeName"]))) return [];
    const { phase, message } = objectIn(fencing, "status");
    return phase === "Returned" || phase === "Aborted"
      ? []
      : [`${fencing.metadata.name} is ${textOf(phase)}: ${textOf(message)}`];
  });
}

function promiseComplaints(world: World, broken: ReadonlySet<string>): string[] {
  return world.server.store.list(PROMISES).flatMap((promise) => {
    const key = keyOf(promise);
    const namespace = textOf(promise.metadata["namespace"]);
    const { name } = promise.metadata;
    const vm = world.server.store.get(VMS, namespace, name)?.object;
    const vmi = world.server.store.get(VMIS, namespace, name)?.object;
    const status = objectIn(promise, "status");
    const conditions = listIn(status, "conditions") as readonly { type?: string; status?: string }[];
    const available = conditions.find(({ type }) => type === "Available")?.status;
    const node = objectIn(vmi, "status")["nodeName"];
    const isAway = broken.has(textOf(node));
    const isDeleted = vm?.metadata["deletionTimestamp"] !== undefined;
    const isMeantToRun = vm !== undefined && !isDeleted && objectIn(vm, "spec")["runStrategy"] === "Always";
    return [
      ...(status["node"] === node || isAway
        ? []
        : [`the status of ${key} names ${textOf(status["node"])}, it runs on ${textOf(node)}`]),
      ...(isMeantToRun && available !== "True" ? [`the status of ${key} says Available ${available}`] : []),
      ...(vmi === undefined && available === "True"
        ? [`the status of ${key} says Available, and there is no instance`]
        : []),
      ...(isMeantToRun && isObject(status["failover"])
        ? [`the status of ${key} tells of a failover: ${JSON.stringify(status["failover"])}`]
        : []),
    ];
  });
}

function keyOf({ metadata }: StoredObject): string {
  return `${textOf(metadata["namespace"])}/${metadata.name}`;
}
