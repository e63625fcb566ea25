// What a script does to a VM: by hand, by KubeVirt's own verbs, and to its guest from within.
import { KUBEVIRT_API, SERVICE_ACCOUNTS, serviceAccountUser } from "../../../lab/kubevirt/names.ts";
import { PROBE_FAILS_ANNOTATION } from "../../../lab/nodes/pod-status.ts";
import { listIn, objectIn } from "../api/json.ts";
import { resourceNamed } from "../api/resources.ts";
import { ask, askUntilHeard } from "./admin.ts";
import type { KubectlAct } from "./kubectl.ts";
import type { Act } from "./world-plan.ts";
import type { World } from "./world.ts";

type Undo = () => void;
const NOTHING: Undo = () => undefined;
const PODS = resourceNamed("v1/pods");
const VMIS = resourceNamed("kubevirt.io/v1/virtualmachineinstances");

export type VMAct = Exclude<Extract<Act, { readonly vm: string }>, KubectlAct>;

/** Does it now. */
export function touchVM(world: World, act: VMAct): Undo {
  const [namespace = "", name = ""] = act.vm.split("/");
  const verbs = `/apis/subresources.kubevirt.io/v1/namespaces/${namespace}/virtualmachines/${name}`;
  switch (act.kind) {
    case "deleteVM":
      ask(world, "DELETE", `${KUBEVIRT_API}/namespaces/${namespace}/virtualmachines/${name}`);
      return NOTHING;
    case "migrateVM":
      ask(world, "PUT", `${verbs}/migrate`);
      return NOTHING;
    case "restartVM":
      ask(world, "PUT", `${verbs}/restart`);
      return NOTHING;
    case "startVM":
      ask(world, "PUT", `${verbs}/start`);
      return NOTHING;
    case "stopVM":
      ask(world, "PUT", `${verbs}/stop`);
      return () => ask(world, "PUT", `${verbs}/start`);
    case "failProbe":
      return failProbe(world, act.vm);
    case "pauseVM":
      return pause(world, act.vm);
    case "deletePod":
    case "forceDeletePod":
      for (const path of podPathsOf(world, act.vm))
        ask(world, "DELETE", path, act.kind === "forceDeletePod" ? { gracePeriodSeconds: 0 } : {});
      return NOTHING;
  }
}

/** Sets an annotation as the administrator; undone by taking it away. */
export function annotate(world: World, path: string, [name, value]: readonly [string, string]): Undo {
  ask(world, "PATCH", path, { metadata: { annotations: { [name]: value } } });
  return () => askUntilHeard(world, "PATCH", path, { metadata: { annotations: { [name]: null } } });
}

function failProbe(world: World, vm: string): Undo {
  const undoes = podPathsOf(world, vm).map((path) => annotate(world, path, [PROBE_FAILS_ANNOTATION, "true"]));
  return () => {
    for (const undo of undoes) undo();
  };
}

/** As virt-handler reports a guest that was paused; nobody else may write that. */
function pause(world: World, vm: string): Undo {
  const [namespace = "", name = ""] = vm.split("/");
  const write = (status: "True" | "False") => {
    const vmi = world.server.store.get(VMIS, namespace, name)?.object;
    if (vmi === undefined) return;
    const others = listIn(objectIn(vmi, "status"), "conditions").filter(
      (one) => objectIn({ one }, "one")["type"] !== "Paused",
    );
    const paused = { type: "Paused", status, reason: "PausedByUser", message: "VMI was paused by user" };
    void world.server.handle(
      {
        method: "PATCH",
        path: `${KUBEVIRT_API}/namespaces/${namespace}/virtualmachineinstances/${name}`,
        body: { status: { conditions: status === "True" ? [...others, paused] : others } },
        contentType: "application/merge-patch+json",
      },
      serviceAccountUser(SERVICE_ACCOUNTS.handler),
    );
  };
  write("True");
  return () => write("False");
}

function podPathsOf(world: World, vm: string): readonly string[] {
  const [namespace = "", name = ""] = vm.split("/");
  return world.server.store
    .list(PODS, namespace)
    .filter(({ metadata }) =>
      listIn(metadata, "ownerReferences").some((one) => objectIn({ one }, "one")["name"] === name),
    )
    .map(({ metadata }) => `/api/v1/namespaces/${namespace}/pods/${metadata.name}`);
}
