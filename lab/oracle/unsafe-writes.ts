// Watches the API server as an administrator, for writes that take the protection from guests that still run.
import type { ApiTransport } from "../../src/kube/transport.ts";
import { sleep } from "../lab-time.ts";
import { Mirror } from "../nodes/mirror.ts";
import type { Node, Pod } from "../nodes/objects.ts";
import type { Oracle } from "./oracle.ts";

const OUT_OF_SERVICE = "node.kubernetes.io/out-of-service";
const RETRY_MS = 500;

/** Reports to `oracle` until the returned function is called. An API server outage delays a report and loses none. */
export function watchUnsafeWrites(oracle: Oracle, admin: ApiTransport): () => void {
  const pause = () => sleep(RETRY_MS);
  const pods = new Mirror<Pod>(admin, {
    path: "/api/v1/pods",
    query: { labelSelector: "kubevirt.io=virt-launcher" },
    pause,
    listener: {
      changed: () => undefined,
      deleted: ({ metadata, spec }) => {
        const guests = oracle.running().filter(({ podUid }) => podUid === metadata.uid);
        if (guests.length === 0) return;
        oracle.noteUnsafe({
          kind: "launcherPodRemoved",
          node: spec.nodeName ?? "",
          vms: guests.map(({ vm }) => vm),
        });
      },
    },
  });
  const nodes = new Mirror<Node>(admin, {
    path: "/api/v1/nodes",
    pause,
    listener: {
      changed: (node, before) => {
        if (!isOutOfService(node) || isOutOfService(before)) return;
        const guests = oracle.running().filter((guest) => guest.node === node.metadata.name);
        if (guests.length === 0) return;
        oracle.noteUnsafe({
          kind: "outOfServiceTaint",
          node: node.metadata.name,
          vms: guests.map(({ vm }) => vm),
        });
      },
      deleted: () => undefined,
    },
  });
  return () => {
    pods.stop();
    nodes.stop();
  };
}

function isOutOfService(node: Node | undefined): boolean {
  return node?.spec?.taints?.some(({ key }) => key === OUT_OF_SERVICE) ?? false;
}
