// Method NetworkFence: has CSI-Addons cut the node off from its storage, by the addresses that were on record before it
// failed. Read after a failure they may be those of another node, which would then lose its disks.
import { createHash } from "node:crypto";
import { z } from "zod";
import type { FencingFact, NetworkFenceSettings } from "../../model/fencing.ts";
import { parseStorageClients, STORAGE_CLIENTS_ANNOTATION } from "../../model/storage-clients.ts";
import type { ActContext } from "../context.ts";
import type { FreshNode } from "../fresh-nodes.ts";
import { type EffectFailure, send } from "../guarded-request.ts";
import { outcomeOf } from "../outcome.ts";
import { type ExternalFence, type ExternalState, failed, waiting } from "./external-fence.ts";
import { FENCING_LABEL } from "./remediation-list.ts";

const API_VERSION = "csiaddons.openshift.io/v1alpha1";
export const NETWORK_FENCES = `/apis/${API_VERSION}/networkfences`;
/** The words in which CSI-Addons tells which of the two operations its result is of. */
export const UNFENCED_MESSAGE = "unfencing operation successful";
const MAX_NODE_CHARS = 200;
/** How long a failure must stand before it ends the attempt: CSI-Addons tries again by itself, at first at once. */
const FAILURE_STANDS_MS = 5_000;

export const networkFenceObject = z.object({
  metadata: z.object({
    name: z.string(),
    uid: z.string(),
    resourceVersion: z.string(),
    generation: z.number().default(0),
    deletionTimestamp: z.string().optional(),
    labels: z.record(z.string(), z.string()).default({}),
  }),
  spec: z.object({
    networkFenceClassName: z.string().optional(),
    fenceState: z.string().default("Fenced"),
    cidrs: z.array(z.string()).default([]),
  }),
  status: z.object({ result: z.string().optional(), message: z.string().optional() }).nullish(),
});
export type NetworkFenceObject = z.output<typeof networkFenceObject>;

interface NetworkFenceTarget {
  readonly fencing: FencingFact;
  readonly node: FreshNode;
  readonly settings: NetworkFenceSettings;
}

/** Nodes as far as their addresses are told: to find two that share one. */
const addressedNodes = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), annotations: z.record(z.string(), z.string()).default({}) }),
      status: z.object({ addresses: z.array(z.object({ address: z.string() })).nullish() }).nullish(),
    }),
  ),
});

/**
 * Guarantees: fences no address that was not on record for this very boot before the node was judged lost, nor one that
 * another node has as well. Proof is the result read back on an object that nobody has changed since it was made, and that
 * names exactly those addresses.
 */
export class NetworkFence implements ExternalFence {
  readonly label: string;
  readonly #target: NetworkFenceTarget;
  readonly #context: ActContext;
  readonly #path: string;
  readonly #name: string;
  #failingSinceMs: number | undefined;

  constructor(target: NetworkFenceTarget, context: ActContext) {
    const { fencing, settings } = target;
    this.#target = target;
    this.#context = context;
    const digest = createHash("sha256").update(`${fencing.uid}/${settings.className}`).digest("hex");
    this.#name = `holdfast-${fencing.nodeName.slice(0, MAX_NODE_CHARS)}-${digest.slice(0, 10)}`;
    this.#path = `${NETWORK_FENCES}/${this.#name}`;
    this.label = `NetworkFence ${this.#name} of class ${settings.className}`;
  }

  async look(): Promise<ExternalState> {
    const cidrs = this.#recorded();
    if (typeof cidrs === "string") return failed("Misconfigured", cidrs);
    const read = await this.#read();
    if (read === undefined) return waiting("no NetworkFence has been made");
    return "kind" in read ? read : this.#judge(read, cidrs);
  }

  async advance(spare: () => Promise<string | undefined>): Promise<ExternalState> {
    const cidrs = this.#recorded();
    if (typeof cidrs === "string") return failed("Misconfigured", cidrs);
    const read = await this.#read();
    if (read !== undefined) return "kind" in read ? read : this.#judge(read, cidrs);
    const shared = await this.#sharedWith(cidrs);
    if (shared !== undefined) return shared;
    const spared = await spare();
    if (spared !== undefined) return failed("Abandoned", spared);
    return this.#create(cidrs);
  }

  /** A fence that may yet close stays: it is lifted when the node is back. */
  async giveUp(): Promise<void> {}

  /** The addresses on record, or why there are none to go by. */
  #recorded(): readonly string[] | string {
    const { fencing, node, settings } = this.#target;
    const record = parseStorageClients(node.annotations[STORAGE_CLIENTS_ANNOTATION]);
    const none = `no storage addresses of ${node.name} for ${settings.className} were recorded before it failed`;
    if (record === undefined) return none;
    if (record.bootID !== fencing.bootID) return `${none}: the record is of boot ID ${record.bootID}`;
    // When it was made is not asked here: records are made of nodes that are just heard, and wall clocks cannot be compared.
    return (Object.hasOwn(record.classes, settings.className) && record.classes[settings.className]) || none;
  }

  async #read(): Promise<NetworkFenceObject | ExternalState | undefined> {
    const read = await send<unknown>(this.#context, { method: "GET", path: this.#path });
    if (!read.ok) return read.kind === "notFound" ? undefined : stateOf(read);
    const parsed = networkFenceObject.safeParse(read.value);
    return parsed.success ? parsed.data : failed("Refused", `${this.label} cannot be read`);
  }

  #judge({ metadata, spec, status }: NetworkFenceObject, cidrs: readonly string[]): ExternalState {
    if (metadata.deletionTimestamp !== undefined) return waiting(`${this.label} is on its way out`);
    const ours = metadata.labels[FENCING_LABEL] === this.#target.fencing.uid;
    const same = spec.cidrs.length === cidrs.length && cidrs.every((cidr) => spec.cidrs.includes(cidr));
    // The result carries no generation: of an object that was changed nobody can say what it is of.
    if (!ours || !same || spec.fenceState !== "Fenced" || metadata.generation > 1) {
      return failed("Refused", `${this.label} was changed by somebody else, so its result says nothing`);
    }
    const said = [status?.result, status?.message].filter(Boolean).join(": ");
    if (this.#failureStands(status?.result === "Failed")) return failed("Refused", `${this.label}: ${said}`);
    if (status?.result !== "Succeeded" || status.message === UNFENCED_MESSAGE) {
      return waiting(`${this.label}: ${said === "" ? "no result yet" : said}`);
    }
    const detail = `${this.label}: ${said}; read back for ${cidrs.join(", ")}`;
    return { kind: "signalled", answer: detail, proof: { type: "StorageFenced", detail, cidrs } };
  }

  /** The object stays as it is: what succeeds later is found by the next attempt, and lifted when the node is back. */
  #failureStands(fails: boolean): boolean {
    const nowMs = this.#context.clock.now().monotonicMs;
    this.#failingSinceMs = fails ? (this.#failingSinceMs ?? nowMs) : undefined;
    return this.#failingSinceMs !== undefined && nowMs - this.#failingSinceMs >= FAILURE_STANDS_MS;
  }

  /** Another node that has one of the addresses: it would lose its disks. */
  async #sharedWith(cidrs: readonly string[]): Promise<ExternalState | undefined> {
    const read = await send<unknown>(this.#context, { method: "GET", path: "/api/v1/nodes" });
    if (!read.ok) return stateOf(read);
    const parsed = addressedNodes.safeParse(read.value);
    if (!parsed.success) return waiting("the nodes cannot be read");
    for (const { metadata, status } of parsed.data.items) {
      if (metadata.name === this.#target.node.name) continue;
      const record = parseStorageClients(metadata.annotations[STORAGE_CLIENTS_ANNOTATION]);
      const recorded = Object.values(record?.classes ?? {}).flat();
      const own = (status?.addresses ?? []).map(
        ({ address }) => `${address}/${address.includes(":") ? 128 : 32}`,
      );
      const shared = [...recorded, ...own].find((cidr) => cidrs.includes(cidr));
      if (shared !== undefined) {
        const why = `${metadata.name} has the address ${shared} as well: fencing it would cut that node off`;
        return failed("Misconfigured", why);
      }
    }
    return undefined;
  }

  async #create(cidrs: readonly string[]): Promise<ExternalState> {
    const { fencing, node, settings } = this.#target;
    const created = await send<unknown>(this.#context, {
      method: "POST",
      path: NETWORK_FENCES,
      query: { fieldManager: this.#context.fieldManager },
      body: {
        apiVersion: API_VERSION,
        kind: "NetworkFence",
        metadata: {
          name: this.#name,
          labels: { "app.kubernetes.io/managed-by": "holdfast", [FENCING_LABEL]: fencing.uid },
          annotations: { "holdfast.dev/node": node.name },
          // No owner: should the ledger be deleted, the node must not get its disks back with it.
        },
        spec: { networkFenceClassName: settings.className, fenceState: "Fenced", cidrs },
      },
    });
    if (created.ok || created.kind === "alreadyExists") return waiting(`${this.label} is made`);
    return created.kind === "notFound"
      ? failed("Misconfigured", `${API_VERSION} is not served: is CSI-Addons installed?`)
      : stateOf(created);
  }
}

function stateOf(failure: EffectFailure): ExternalState {
  const { outcome } = outcomeOf(failure);
  if (outcome === "stale") return { kind: "stale", message: failure.message };
  return outcome === "retry" ? waiting(failure.message) : failed("Misconfigured", failure.message);
}
