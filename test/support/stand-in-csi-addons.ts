// CSI-Addons in this process, as its controller behaves: it tells the nodes' client addresses, carries out what a
// NetworkFence asks for, and says so in the same words for both. Deleting one lifts nothing. What the storage refuses is
// kept here. Lives in the lab's time, so that a simulation runs it as well.
import { waitFor } from "../../lab/cluster/wait-for.ts";
import { apply } from "../../lab/holdfast/install.ts";
import { sleep } from "../../lab/lab-time.ts";
import type { ApiTransport } from "../../src/kube/transport.ts";
import { openCrd } from "./open-crd.ts";

const GROUP = "csiaddons.openshift.io";
const API_VERSION = `${GROUP}/v1alpha1`;
const FENCES = `/apis/${API_VERSION}/networkfences`;
const NODES = `/apis/${API_VERSION}/namespaces/default/csiaddonsnodes`;
const MERGE = "application/merge-patch+json";
const POLL_MS = 100;
const DRIVER = "rbd.csi.ceph.com";

export interface StandingFence {
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec: { readonly fenceState: "Fenced" | "Unfenced"; readonly cidrs: readonly string[] };
  readonly status?: { readonly result?: string; readonly message?: string };
}

export class StandInCsiAddons {
  /** Addresses that the storage refuses now. */
  readonly refused = new Set<string>();
  /** Told of each operation once it has taken effect. */
  onOperation: (state: "Fenced" | "Unfenced", cidrs: readonly string[]) => void = () => {};
  /** Settles once the storage has done it, or says why it could not: it is then asked again at the next look. */
  operate: () => Promise<string | undefined> = async () => undefined;
  /** While false its controller is down: nothing moves. */
  running = true;
  readonly #admin: ApiTransport;
  readonly #untilNext: () => Promise<void>;
  #stopped = false;
  #loop: Promise<void> = Promise.resolve();

  /** `untilNext`: settles when it is time to look again; every 100 ms unless said. */
  constructor(admin: ApiTransport, untilNext: () => Promise<void> = () => sleep(POLL_MS)) {
    this.#admin = admin;
    this.#untilNext = untilNext;
  }

  async start(): Promise<void> {
    await apply(
      this.#admin,
      openCrd({ group: GROUP, kind: "NetworkFence", plural: "networkfences", scope: "Cluster" }),
    );
    await apply(
      this.#admin,
      openCrd({ group: GROUP, kind: "CSIAddonsNode", plural: "csiaddonsnodes", scope: "Namespaced" }),
    );
    await waitFor("CSI-Addons' kinds are served", async () => {
      const fences = await this.#admin.request({ method: "GET", path: FENCES });
      const nodes = await this.#admin.request({ method: "GET", path: NODES });
      return (fences.ok && nodes.ok) || undefined;
    });
    this.run();
  }

  /** Runs its controller where its kinds are served already. */
  run(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#loop;
  }

  /** A class by which nodes can be fenced; storages that know none need no such kind. */
  async makeClass(name: string): Promise<void> {
    const kind = {
      group: GROUP,
      kind: "NetworkFenceClass",
      plural: "networkfenceclasses",
      scope: "Cluster",
    } as const;
    await apply(this.#admin, openCrd(kind));
    await waitFor(`NetworkFenceClass ${name} is made`, async (saw) => {
      const made = await this.#admin.request({
        method: "POST",
        path: `/apis/${API_VERSION}/networkfenceclasses`,
        body: { apiVersion: API_VERSION, kind: kind.kind, metadata: { name }, spec: { provisioner: DRIVER } },
      });
      saw(made);
      return made.ok || undefined;
    });
  }

  /** The driver on that node tells its client's address. */
  async tellClient(node: string, className: string, cidr: string): Promise<void> {
    const metadata = { name: `${node}-rbd` };
    const spec = { driver: { name: DRIVER, nodeID: node, endpoint: "unix:///tmp/none" } };
    await this.#admin.request({
      method: "POST",
      path: NODES,
      body: { apiVersion: API_VERSION, kind: "CSIAddonsNode", metadata, spec },
    });
    const client = { networkFenceClassName: className, ClientDetails: [{ id: "cluster", cidrs: [cidr] }] };
    await this.#patch(`${NODES}/${metadata.name}/status`, {
      status: { state: "Connected", networkFenceClientStatus: [client] },
    });
  }

  async fences(): Promise<readonly StandingFence[]> {
    const read = await this.#admin.request<{ readonly items: readonly StandingFence[] }>({
      method: "GET",
      path: FENCES,
    });
    return read.ok ? read.value.items : [];
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      if (this.running) for (const fence of await this.fences()) await this.#reconcile(fence);
      await this.#untilNext();
    }
  }

  async #reconcile({ metadata, spec, status }: StandingFence): Promise<void> {
    const { fenceState, cidrs } = spec;
    const message = `${fenceState === "Fenced" ? "" : "un"}fencing operation successful`;
    if (status?.message === message) return;
    const path = `${FENCES}/${metadata.name}/status`;
    const failure = await this.operate();
    if (failure !== undefined) {
      if (status?.message !== failure)
        await this.#patch(path, { status: { result: "Failed", message: failure } });
      return;
    }
    for (const cidr of cidrs) {
      if (fenceState === "Fenced") this.refused.add(cidr);
      else this.refused.delete(cidr);
    }
    this.onOperation(fenceState, cidrs);
    await this.#patch(path, { status: { result: "Succeeded", message } });
  }

  async #patch(path: string, body: object): Promise<void> {
    await this.#admin.request({ method: "PATCH", path, contentType: MERGE, body });
  }
}
