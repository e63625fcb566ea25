// Every write the stand-in's controllers make: typed, absorbed into the view, a failure thrown so that the queue tries again.
import type { ApiOutcome, ApiTransport } from "../../src/kube/transport.ts";
import type { ControllerView } from "./controller-view.ts";
import { eventOf, type EventSubject, type EventText } from "./event.ts";
import { KUBEVIRT_API } from "./names.ts";
import {
  type KubeObject,
  type Migration,
  type Pod,
  type VirtualMachine,
  type VirtualMachineInstance,
} from "./objects.ts";
import { Pace } from "./pace.ts";

/** One operation of RFC 6902. A `test` that fails makes the whole patch fail, as KubeVirt relies on. */
export interface PatchOperation {
  readonly op: "add" | "replace" | "remove" | "test";
  readonly path: string;
  readonly value?: unknown;
}

/** A write that the API server refused; the key is processed again later. */
export class WriteRefused extends Error {
  readonly status: number | undefined;

  constructor(message: string, status: number | undefined) {
    super(message);
    this.status = status;
  }
}

export interface WritesOptions {
  /** How long each write of a VMI keeps the others waiting, in milliseconds. */
  readonly vmiWriteCostMs: number;
}

export class Writes {
  readonly #api: ApiTransport;
  readonly #view: ControllerView;
  readonly #vmiPace: Pace;

  constructor(api: ApiTransport, view: ControllerView, options: WritesOptions) {
    this.#api = api;
    this.#view = view;
    this.#vmiPace = new Pace(options.vmiWriteCostMs);
  }

  async createVmi(vmi: object, namespace: string): Promise<VirtualMachineInstance> {
    await this.#vmiPace.turn();
    const path = collection("virtualmachineinstances", namespace);
    const created = accepted(
      await this.#api.request<VirtualMachineInstance>({ method: "POST", path, body: vmi }),
      "create VMI",
    );
    this.#view.vmis.absorb(created);
    return created;
  }

  /** Replaces the whole VMI, status included: it has no status subresource (facts 1). */
  async updateVmi(vmi: VirtualMachineInstance): Promise<void> {
    await this.#vmiPace.turn();
    const path = pathOf("virtualmachineinstances", vmi);
    this.#view.vmis.absorb(
      accepted(
        await this.#api.request<VirtualMachineInstance>({ method: "PUT", path, body: vmi }),
        "update VMI",
      ),
    );
  }

  async patchVmi(vmi: VirtualMachineInstance, operations: readonly PatchOperation[]): Promise<void> {
    if (operations.length === 0) return;
    await this.#vmiPace.turn();
    const outcome = await this.#api.request<VirtualMachineInstance>({
      method: "PATCH",
      path: pathOf("virtualmachineinstances", vmi),
      contentType: "application/json-patch+json",
      body: operations,
    });
    this.#view.vmis.absorb(accepted(outcome, "patch VMI"));
  }

  async deleteVmi(vmi: VirtualMachineInstance): Promise<void> {
    await this.#vmiPace.turn();
    const outcome = await this.#api.request<VirtualMachineInstance>({
      method: "DELETE",
      path: pathOf("virtualmachineinstances", vmi),
    });
    if (!outcome.ok && outcome.kind === "notFound") return;
    absorbDeletion(this.#view.vmis, accepted(outcome, "delete VMI"));
  }

  async patchVm(vm: VirtualMachine, operations: readonly PatchOperation[], subresource = ""): Promise<void> {
    const outcome = await this.#api.request<VirtualMachine>({
      method: "PATCH",
      path: pathOf("virtualmachines", vm) + subresource,
      contentType: "application/json-patch+json",
      body: operations,
    });
    this.#view.vms.absorb(accepted(outcome, "patch VM"));
  }

  async updateVmStatus(vm: VirtualMachine): Promise<void> {
    const path = `${pathOf("virtualmachines", vm)}/status`;
    this.#view.vms.absorb(
      accepted(
        await this.#api.request<VirtualMachine>({ method: "PUT", path, body: vm }),
        "update VM status",
      ),
    );
  }

  async createMigration(migration: object, namespace: string): Promise<void> {
    const path = collection("virtualmachineinstancemigrations", namespace);
    this.#view.migrations.absorb(
      accepted(
        await this.#api.request<Migration>({ method: "POST", path, body: migration }),
        "create migration",
      ),
    );
  }

  /** Replaces the migration, or only its status with `subresource` "/status". */
  async updateMigration(migration: Migration, subresource: "" | "/status"): Promise<Migration> {
    const path = pathOf("virtualmachineinstancemigrations", migration) + subresource;
    const updated = accepted(
      await this.#api.request<Migration>({ method: "PUT", path, body: migration }),
      "update migration",
    );
    this.#view.migrations.absorb(updated);
    return updated;
  }

  async deleteMigration(migration: Migration): Promise<void> {
    const outcome = await this.#api.request<Migration>({
      method: "DELETE",
      path: pathOf("virtualmachineinstancemigrations", migration),
    });
    if (!outcome.ok && outcome.kind === "notFound") return;
    absorbDeletion(this.#view.migrations, accepted(outcome, "delete migration"));
  }

  async createPod(pod: object, namespace: string): Promise<Pod> {
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const created = accepted(await this.#api.request<Pod>({ method: "POST", path, body: pod }), "create pod");
    this.#view.pods.absorb(created);
    return created;
  }

  /** Graceful deletion; a pod that is gone already is fine. */
  async deletePod(pod: Pod): Promise<void> {
    const outcome = await this.#api.request<Pod>({ method: "DELETE", path: podPath(pod) });
    if (!outcome.ok && outcome.kind === "notFound") return;
    absorbDeletion(this.#view.pods, accepted(outcome, "delete pod"));
  }

  async mergePod(pod: Pod, change: object): Promise<void> {
    const outcome = await this.#api.request<Pod>({
      method: "PATCH",
      path: podPath(pod),
      contentType: "application/merge-patch+json",
      body: change,
    });
    if (!outcome.ok && outcome.kind === "notFound") return;
    this.#view.pods.absorb(accepted(outcome, "patch pod"));
  }

  /** Sets one condition of a pod and leaves the kubelet's alone, which a merge patch of the list could not. */
  async applyPodCondition(pod: Pod, condition: object): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    const outcome = await this.#api.request<Pod>({
      method: "PATCH",
      path: `${podPath(pod)}/status`,
      query: { fieldManager: "virt-controller", force: true },
      contentType: "application/apply-patch+yaml",
      body: {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name, namespace, uid },
        status: { conditions: [condition] },
      },
    });
    // A pod that is gone meanwhile is created anew by nobody: status has no create, the UID would not match either.
    if (!outcome.ok && (outcome.kind === "notFound" || outcome.kind === "conflict")) return;
    this.#view.pods.absorb(accepted(outcome, "set pod condition"));
  }

  async labelNode(name: string, labels: Record<string, string>): Promise<void> {
    const outcome = await this.#api.request({
      method: "PATCH",
      path: `/api/v1/nodes/${name}`,
      contentType: "application/merge-patch+json",
      body: { metadata: { labels } },
    });
    accepted(outcome, "label node");
  }

  /** Writes an event about an object, without waiting for it. One that cannot be written is lost, as in KubeVirt. */
  event(about: EventSubject, text: EventText): void {
    const { namespace = "default" } = about.metadata;
    const path = `/api/v1/namespaces/${namespace}/events`;
    void this.#api.request({ method: "POST", path, body: eventOf(about, text) });
  }
}

function accepted<T>(outcome: ApiOutcome<T>, what: string): T {
  if (outcome.ok) return outcome.value;
  throw new WriteRefused(`${what}: ${outcome.kind} ${outcome.message}`, outcome.status);
}

/** A deletion answers with the object while finalizers or a grace period hold it, otherwise with a Status or its last state. */
function absorbDeletion<T extends KubeObject>(informer: { absorb(object: T): void }, answer: T): void {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = answer.metadata;
  const held = finalizers.length > 0 || deletionGracePeriodSeconds > 0;
  if (deletionTimestamp !== undefined && held) informer.absorb(answer);
}

function collection(resource: string, namespace: string): string {
  return `${KUBEVIRT_API}/namespaces/${namespace}/${resource}`;
}

function pathOf(resource: string, object: KubeObject): string {
  return `${collection(resource, object.metadata.namespace ?? "")}/${object.metadata.name}`;
}

function podPath(pod: Pod): string {
  return `/api/v1/namespaces/${pod.metadata.namespace}/pods/${pod.metadata.name}`;
}
