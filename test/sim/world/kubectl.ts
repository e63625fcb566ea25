// What people change with kubectl while other things happen: templates, instances, promises, topologies, taints, ledgers.
import { KUBEVIRT_API } from "../../../lab/kubevirt/names.ts";
import { listIn, objectIn, textOf } from "../api/json.ts";
import { resourceNamed } from "../api/resources.ts";
import { ask } from "./admin.ts";
import { TOPOLOGY_NAME } from "./install.ts";
import type { Act } from "./world-plan.ts";
import type { World } from "./world.ts";

const HOLDFAST_API = "/apis/holdfast.dev/v1alpha1";
const FENCINGS = resourceNamed("holdfast.dev/v1alpha1/nodefencings");
const TOPOLOGIES = resourceNamed("holdfast.dev/v1alpha1/fencingtopologies");

export type KubectlAct = Extract<
  Act,
  {
    readonly kind:
      | "editVM"
      | "deleteVMI"
      | "editPromise"
      | "deletePromise"
      | "untaint"
      | "deleteLedger"
      | "editTopology";
  }
>;

/** Types it. */
export function typeKubectl(world: World, act: KubectlAct): void {
  switch (act.kind) {
    case "untaint":
      return ask(world, "PATCH", `/api/v1/nodes/${act.node}`, { spec: { taints: null } });
    case "deleteLedger":
      for (const fencing of world.server.store.list(FENCINGS))
        if (objectIn(fencing, "spec")["nodeName"] === act.node)
          ask(world, "DELETE", `${HOLDFAST_API}/nodefencings/${fencing.metadata.name}`);
      return;
    case "editTopology":
      return editTopology(world);
    default:
      return editVM(world, act);
  }
}

/** One retry more for every level: whatever is under way was decided by the topology as it was. */
function editTopology(world: World): void {
  const topology = world.server.store.get(TOPOLOGIES, undefined, TOPOLOGY_NAME)?.object;
  const levels = listIn(objectIn(topology, "spec"), "levels").map((level) => ({
    ...(level as object),
    retries: Math.min(10, ((level as { readonly retries?: number }).retries ?? 0) + 1),
  }));
  ask(world, "PATCH", `${HOLDFAST_API}/fencingtopologies/${TOPOLOGY_NAME}`, { spec: { levels } });
}

function editVM(world: World, act: Extract<KubectlAct, { readonly vm: string }>): void {
  const [namespace = "", name = ""] = act.vm.split("/");
  const promise = `${HOLDFAST_API}/namespaces/${namespace}/havirtualmachines/${name}`;
  switch (act.kind) {
    case "editVM":
      return ask(world, "PATCH", `${KUBEVIRT_API}/namespaces/${namespace}/virtualmachines/${name}`, {
        spec: {
          template: { metadata: { labels: { edited: `at-${textOf(Math.round(world.time.nowMs))}` } } },
        },
      });
    case "deleteVMI":
      return ask(world, "DELETE", `${KUBEVIRT_API}/namespaces/${namespace}/virtualmachineinstances/${name}`);
    case "editPromise":
      return ask(world, "PATCH", promise, { spec: { priority: world.chance.whole(0, 1_000) } });
    case "deletePromise":
      return ask(world, "DELETE", promise);
  }
}
