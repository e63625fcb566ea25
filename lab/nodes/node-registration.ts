// The kubelet's Node object: registers it, and reports its status. Knows nothing of pods.
import { labTime } from "../lab-time.ts";
import type { NodeDelays } from "./delays.ts";
import type { Lifeline } from "./lifeline.ts";
import { Mirror } from "./mirror.ts";
import type { ApiDoor } from "./node-link.ts";
import {
  type NodeProfile,
  nodeMetadata,
  nodeObject,
  nodeStatus,
  statusDiffers,
  UNREADY_ANNOTATION,
} from "./node-profile.ts";
import type { Node, OwnerReference } from "./objects.ts";

export interface NodeRegistrationOptions {
  readonly profile: NodeProfile;
  readonly bootID: string;
  readonly door: ApiDoor;
  readonly life: Lifeline;
  readonly delays: NodeDelays;
  /** Names of the CSI drivers the kubelet has registered. */
  readonly csiDrivers: readonly string[];
  /** What is mounted when the kubelet starts. */
  readonly volumesInUse: () => readonly string[];
  /** The Node changed in the API server: attached volumes, for one. */
  readonly onChange: (node: Node) => void;
}

/** One kubelet process's care for its Node. */
export class NodeRegistration {
  readonly #options: NodeRegistrationOptions;
  #mirror: Mirror<Node> | undefined;
  #reportedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: NodeRegistrationOptions) {
    this.#options = options;
  }

  /** The Node as last seen; undefined before it was registered. */
  get node(): Node | undefined {
    return this.#mirror?.get(this.#options.profile.name);
  }

  get owner(): OwnerReference | undefined {
    const uid = this.node?.metadata.uid;
    return uid === undefined
      ? undefined
      : { apiVersion: "v1", kind: "Node", name: this.#options.profile.name, uid };
  }

  /** Registers the Node, however long that takes, and then keeps reporting until the process ends. */
  async run(): Promise<never> {
    const { life, delays, profile, door, onChange } = this.#options;
    while (!(await this.#register())) await life.sleep(delays.retryMs);
    this.#mirror = new Mirror<Node>(door, {
      path: "/api/v1/nodes",
      query: { fieldSelector: `metadata.name=${profile.name}` },
      pause: () => life.sleep(delays.retryMs),
      listener: { changed: onChange, deleted: () => undefined },
    });
    for (;;) {
      await life.sleep(delays.nodeStatusCheckMs);
      await this.#report();
    }
  }

  /** Says which attachable volumes this node uses; false where the API server did not take it. */
  async reportVolumesInUse(volumes: readonly string[]): Promise<boolean> {
    const outcome = await this.#patchStatus({ volumesInUse: volumes });
    return outcome.ok;
  }

  async #register(): Promise<boolean> {
    const { door, profile, bootID } = this.#options;
    const path = `/api/v1/nodes/${profile.name}`;
    const found = await door.request<Node>({ method: "GET", path });
    if (!found.ok && found.kind !== "notFound") return false;
    if (!found.ok) {
      const created = await door.request<Node>({
        method: "POST",
        path: "/api/v1/nodes",
        body: { ...nodeObject(profile), status: nodeStatus(profile, bootID, { known: [] }) },
      });
      return created.ok && this.#registerDrivers();
    }
    const { labels, annotations } = nodeMetadata(profile);
    const patched = await door.request<Node>({
      method: "PATCH",
      path,
      contentType: "application/merge-patch+json",
      body: { metadata: { labels, annotations } },
    });
    if (!patched.ok) return false;
    const status = nodeStatus(profile, bootID, {
      known: patched.value.status?.conditions ?? [],
      unready: patched.value.metadata.annotations?.[UNREADY_ANNOTATION],
    });
    const reported = await this.#patchStatus({ ...status, volumesInUse: this.#options.volumesInUse() });
    this.#reportedAtMs = labTime.nowMs();
    return reported.ok && this.#registerDrivers();
  }

  async #registerDrivers(): Promise<boolean> {
    const { door, profile, csiDrivers } = this.#options;
    const created = await door.request({
      method: "POST",
      path: "/apis/storage.k8s.io/v1/csinodes",
      body: {
        apiVersion: "storage.k8s.io/v1",
        kind: "CSINode",
        metadata: { name: profile.name },
        spec: {
          drivers: csiDrivers.map((name) => ({ name, nodeID: profile.name, topologyKeys: [] })),
        },
      },
    });
    return created.ok || created.kind === "alreadyExists";
  }

  async #report(): Promise<void> {
    const { profile, bootID, delays } = this.#options;
    const { node } = this;
    if (!node) return;
    const wanted = nodeStatus(profile, bootID, {
      known: node.status?.conditions ?? [],
      unready: node.metadata.annotations?.[UNREADY_ANNOTATION],
    });
    const due = labTime.nowMs() - this.#reportedAtMs >= delays.nodeStatusReportMs;
    if (!due && !statusDiffers(node.status, wanted)) return;
    const outcome = await this.#patchStatus(wanted);
    if (outcome.ok) this.#reportedAtMs = labTime.nowMs();
  }

  #patchStatus(status: object) {
    return this.#options.door.request<Node>({
      method: "PATCH",
      path: `/api/v1/nodes/${this.#options.profile.name}/status`,
      contentType: "application/merge-patch+json",
      body: { status },
    });
  }
}
