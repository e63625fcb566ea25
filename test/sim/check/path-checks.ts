// What must hold on the paths beside the API server: nobody opens a fencing of a node whose host has just answered a probe,
// and storage is not given back to a guest whose successor runs. Knows only what replicas were told and what truly happened.
import type { ApiRequest } from "../../../src/kube/transport.ts";
import type { ProbeAnswer } from "../../../src/observe/probe-connection.ts";
import { objectIn, textOf } from "../api/json.ts";
import { resourceNamed } from "../api/resources.ts";
import { VM_NETWORK_ANNOTATION, vmNetworkAddress } from "../world/probes.ts";
import type { World } from "../world/world.ts";

/** An answer this young, with no failure since, was there to be weighed. */
const ANSWER_SEEN_MS = 5_000;
/** One lost packet is no silence. */
const ASKED_TIMES = 2;
const NODES = resourceNamed("v1/nodes");
const FENCINGS_PATH = "/apis/holdfast.dev/v1alpha1/nodefencings";

interface Heard {
  readonly atMs: number;
  readonly hasFailedSince: boolean;
}

export class PathChecks {
  readonly #world: World;
  readonly #report: (check: string, message: string) => void;
  /** By replica's life and address. */
  readonly #heard = new Map<string, Heard>();
  /** Probes that came to an end, likewise. */
  readonly #asked = new Map<string, number>();
  /** VMs of which two guests were there at once, one of them cut off from its disks by the storage. */
  readonly #cutOffTwins = new Set<string>();

  constructor(world: World, report: (check: string, message: string) => void) {
    this.#world = world;
    this.#report = report;
    world.onStorageChange.add(() => this.#storageChanged());
  }

  probed(life: string, address: string, answer: ProbeAnswer): void {
    const key = `${life} ${address}`;
    this.#asked.set(key, (this.#asked.get(key) ?? 0) + 1);
    const known = this.#heard.get(key);
    const isAnswer = answer === "answered" || (answer === "refused" && known !== undefined);
    if (isAnswer) this.#heard.set(key, { atMs: this.#world.time.nowMs, hasFailedSince: false });
    else if (known !== undefined) this.#heard.set(key, { ...known, hasFailedSince: true });
  }

  /** A write leaves a replica. */
  wrote(life: string, { method, path, body }: ApiRequest): void {
    if (method !== "POST" || path !== FENCINGS_PATH) return;
    if (this.#world.plan.policy.onIsolated === "fence") return;
    const name = textOf(objectIn(body, "spec")["nodeName"]);
    const node = this.#world.fleet.nodes.find((one) => one.name === name);
    if (node === undefined) return;
    const { nowMs } = this.#world.time;
    for (const address of this.#probedAddresses(node)) {
      const key = `${life} ${address}`;
      const heard = this.#heard.get(key);
      if (heard === undefined && (this.#asked.get(key) ?? 0) < ASKED_TIMES)
        this.#report("do no harm", `${life} opens a fencing of ${name}, and has not asked ${address} yet`);
      if (heard === undefined || heard.hasFailedSince || nowMs - heard.atMs > ANSWER_SEEN_MS) continue;
      const agoMs = Math.round(nowMs - heard.atMs);
      this.#report("do no harm", `${life} opens a fencing of ${name}, whose host answered ${agoMs} ms ago`);
    }
  }

  #probedAddresses({ name, profile }: World["fleet"]["nodes"][number]): readonly string[] {
    const stored = this.#world.server.store.get(NODES, undefined, name)?.object;
    const onVmNetwork = objectIn(stored?.metadata ?? {}, "annotations")[VM_NETWORK_ANNOTATION];
    return (this.#world.plan.probes ?? []).flatMap((network) => {
      if (network === "InternalIP") return [profile.internalIP];
      return onVmNetwork === undefined ? [] : [vmNetworkAddress(profile.index)];
    });
  }

  /** Whether the storage refuses the node, by our doing: its guests stand still and can write nothing. */
  isStorageFenced(node: string): boolean {
    const { internalIP } = this.#world.fleet.node(node).profile;
    return this.#world.others.storage?.refuses(internalIP) === true;
  }

  /** Whether an overlap is one that the topology has accepted: one of the two cannot reach its disks, and stays so. */
  isAccepted({ vm, nodes }: { readonly vm: string; readonly nodes: readonly string[] }): boolean {
    if (!nodes.some((node) => this.isStorageFenced(node))) return false;
    this.#cutOffTwins.add(vm);
    return true;
  }

  #storageChanged(): void {
    for (const vm of this.#cutOffTwins) {
      const nodes = this.#world.oracle.running(vm).map(({ node }) => node);
      if (nodes.length < 2) this.#cutOffTwins.delete(vm);
      else if (!nodes.some((node) => this.isStorageFenced(node)))
        this.#report("never two", `the storage serves ${vm} on ${nodes.join(" and ")} again`);
    }
  }
}
