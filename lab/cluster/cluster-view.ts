// What the API server says at this instant, for tests and demos: local copies kept by watches, so that looking costs no request.
import { setTimeout as sleep } from "node:timers/promises";
import type { ApiTransport } from "../../src/kube/transport.ts";
import { Mirror } from "../nodes/mirror.ts";
import type { Condition, KubernetesObject, Node, Pod } from "../nodes/objects.ts";
import type { Vmi } from "../nodes/vmi.ts";

export interface Vm extends KubernetesObject {
  readonly spec: { readonly runStrategy?: string };
  readonly status?: {
    readonly printableStatus?: string;
    readonly ready?: boolean;
    readonly conditions?: Condition[];
  };
}

export interface Migration extends KubernetesObject {
  readonly spec: { readonly vmiName: string };
  readonly status?: {
    readonly phase?: string;
    readonly phaseTransitionTimestamps?: readonly {
      readonly phase: string;
      readonly phaseTransitionTimestamp: string;
    }[];
  };
}

/** Told of every change of any object the view follows. */
export type ViewListener = (kind: ViewKind, object: KubernetesObject, change: "changed" | "deleted") => void;
export type ViewKind = "Node" | "Pod" | "VirtualMachine" | "VirtualMachineInstance" | "Migration";

const KUBEVIRT = "/apis/kubevirt.io/v1";
const RETRY_MS = 500;

/** Keys are `namespace/name`; nodes go by name. Lags the API server by the time of one watch event. */
export class ClusterView {
  readonly nodes: Mirror<Node>;
  readonly pods: Mirror<Pod>;
  readonly vms: Mirror<Vm>;
  readonly vmis: Mirror<Vmi>;
  readonly migrations: Mirror<Migration>;
  readonly #admin: ApiTransport;
  readonly #listeners = new Set<ViewListener>();

  constructor(admin: ApiTransport) {
    this.#admin = admin;
    this.nodes = this.#follow("Node", "/api/v1/nodes");
    this.pods = this.#follow("Pod", "/api/v1/pods");
    this.vms = this.#follow("VirtualMachine", `${KUBEVIRT}/virtualmachines`);
    this.vmis = this.#follow("VirtualMachineInstance", `${KUBEVIRT}/virtualmachineinstances`);
    this.migrations = this.#follow("Migration", `${KUBEVIRT}/virtualmachineinstancemigrations`);
  }

  /** Launcher pods of one VMI, by name: those not finished, the newest last. */
  launcherPods(vmKey: string): readonly Pod[] {
    const [namespace, name] = vmKey.split("/");
    return [...this.pods.values()].filter(
      ({ metadata, status }) =>
        metadata.namespace === namespace &&
        metadata.labels?.["kubevirt.io"] === "virt-launcher" &&
        metadata.ownerReferences?.some((owner) => owner.name === name) === true &&
        status?.phase !== "Succeeded" &&
        status?.phase !== "Failed",
    );
  }

  /** Calls `listener` for every change, until the returned function is called. */
  listen(listener: ViewListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stop(): void {
    for (const mirror of [this.nodes, this.pods, this.vms, this.vmis, this.migrations]) mirror.stop();
  }

  #follow<T extends KubernetesObject>(kind: ViewKind, path: string): Mirror<T> {
    const tell = (object: T, change: "changed" | "deleted") => {
      for (const listener of this.#listeners) listener(kind, object, change);
    };
    return new Mirror<T>(this.#admin, {
      path,
      pause: () => sleep(RETRY_MS),
      listener: {
        changed: (object) => tell(object, "changed"),
        deleted: (object) => tell(object, "deleted"),
      },
    });
  }
}
