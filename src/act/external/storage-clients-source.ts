// Reads what the CSI drivers say of their clients' addresses: one list serves all nodes that are recorded at that time.
import { z } from "zod";
import type { Clock } from "../../model/clock.ts";
import type { Caller, Effect } from "../guarded-request.ts";
import { listObjects } from "./object-list.ts";

const CSI_ADDONS_NODES = "/apis/csiaddons.openshift.io/v1alpha1/csiaddonsnodes";
/** How old a list may be: addresses change with a boot, and a boot takes longer. */
const MAX_AGE_MS = 5_000;

const addonsNode = z.object({
  spec: z.object({ driver: z.object({ nodeID: z.string() }) }),
  status: z
    .object({
      state: z.string().optional(),
      networkFenceClientStatus: z
        .array(
          z.object({
            networkFenceClassName: z.string(),
            // Spelled so by CSI-Addons.
            ClientDetails: z.array(z.object({ cidrs: z.array(z.string()).nullish() })).nullish(),
          }),
        )
        .nullish(),
    })
    .nullish(),
});
type AddonsNode = z.output<typeof addonsNode>;

export class StorageClientsSource {
  readonly #caller: Caller & { readonly clock: Clock };
  #reading:
    | { readonly askedAtMs: number; readonly nodes: Promise<Effect<readonly AddonsNode[]>> }
    | undefined;

  constructor(caller: Caller & { readonly clock: Clock }) {
    this.#caller = caller;
  }

  /** What connected drivers say are the node's addresses for that class; empty where none says any. */
  async cidrsOf(node: string, className: string): Promise<Effect<readonly string[]>> {
    const listed = await this.#list();
    if (!listed.ok) return listed;
    const cidrs = listed.value
      .filter(({ spec, status }) => spec.driver.nodeID === node && status?.state === "Connected")
      .flatMap(({ status }) => status?.networkFenceClientStatus ?? [])
      .filter(({ networkFenceClassName }) => networkFenceClassName === className)
      .flatMap(({ ClientDetails }) => ClientDetails ?? [])
      .flatMap((client) => client.cidrs ?? []);
    return { ok: true, value: cidrs };
  }

  #list(): Promise<Effect<readonly AddonsNode[]>> {
    const nowMs = this.#caller.clock.now().monotonicMs;
    if (this.#reading === undefined || nowMs - this.#reading.askedAtMs > MAX_AGE_MS) {
      this.#reading = {
        askedAtMs: nowMs,
        nodes: listObjects(this.#caller, { path: CSI_ADDONS_NODES, object: addonsNode }),
      };
    }
    return this.#reading.nodes;
  }
}
