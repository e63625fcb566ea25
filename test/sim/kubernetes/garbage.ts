// What Kubernetes clears away: orphaned and stuck pods (PodGC), and objects whose owners are gone.
import { type Change } from "../api/store.ts";
import { listIn, textOf } from "../api/json.ts";
import { type StoredObject } from "../api/stored.ts";
import { resourceNamed } from "../api/resources.ts";
import {
  type ControllerPorts,
  isOver,
  isReady,
  nodesOf,
  podPath,
  podsOf,
  repeatedly,
  write,
} from "./controller-ports.ts";

const POD_GC_MS = 20_000;
const GC_DELAY_MS = 300;
const OUT_OF_SERVICE = "node.kubernetes.io/out-of-service";
/** Kinds that have owners, each with where it lives. */
const OWNED = [
  "v1/pods",
  "kubevirt.io/v1/virtualmachineinstances",
  "holdfast.dev/v1alpha1/havirtualmachines",
  "fence-agents-remediation.medik8s.io/v1alpha1/fenceagentsremediations",
].map(resourceNamed);

/** Deletes by force what nobody else will ever finish. */
export function startPodGC(ports: ControllerPorts): void {
  repeatedly(ports, POD_GC_MS, async () => {
    const nodes = new Map(nodesOf(ports).map((node) => [node.metadata.name, node]));
    for (const pod of podsOf(ports)) {
      const { nodeName } = pod.spec;
      const isTerminating = pod.metadata.deletionTimestamp !== undefined;
      const node = nodeName === undefined ? undefined : nodes.get(nodeName);
      const isOrphan = nodeName !== undefined && node === undefined;
      const isOut =
        node !== undefined &&
        !isReady(node) &&
        node.spec?.taints?.some(({ key }) => key === OUT_OF_SERVICE) === true;
      if (
        isOrphan ||
        (isTerminating && (nodeName === undefined || (isOut && !isOver(pod)) || (isOut && isTerminating)))
      )
        await write(ports, "pod-garbage-collector", {
          method: "DELETE",
          path: podPath(pod),
          body: { gracePeriodSeconds: 0, preconditions: { uid: pod.metadata.uid } },
        });
    }
  });
}

/** Background deletion of dependents. */
export function startOwnerGC(ports: ControllerPorts): void {
  const look = async (gone: string) => {
    for (const resource of OWNED) {
      for (const object of ports.server.store.list(resource)) {
        const owners = listIn(object.metadata, "ownerReferences") as readonly { uid?: string }[];
        if (object.metadata["deletionTimestamp"] !== undefined || !owners.some(({ uid }) => uid === gone))
          continue;
        await write(ports, "generic-garbage-collector", {
          method: "DELETE",
          path: pathOf(object, resource.plural),
          body: { preconditions: { uid: object.metadata.uid } },
        });
      }
    }
  };
  ports.server.store.onEveryChange(({ type, object }: Change) => {
    if (type !== "DELETED" || object.kind === "Event" || object.kind === "Pod") return;
    ports.time.schedule(GC_DELAY_MS, () => void look(object.metadata.uid));
  });
}

function pathOf({ apiVersion, metadata }: StoredObject, plural: string): string {
  const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return `${root}/namespaces/${textOf(metadata["namespace"])}/${plural}/${metadata.name}`;
}
