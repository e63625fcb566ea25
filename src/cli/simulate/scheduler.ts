// Where a VM would be placed: the operator's own rules for candidates, and room for what it asks, the emptiest node first.
// A prediction: inter-pod affinity and topology spread are not looked at, and the real scheduler has the last word.
import { canHost, satisfies } from "../../decide/placement.ts";
import type { NodeVerdict } from "../../model/node-verdict.ts";
import type { PlacementConstraints } from "../../model/virtual-machine.ts";
import { type Amounts, amountText, type ClusterResources, sum } from "./resources.ts";
import type { VirtualCluster } from "./virtual-cluster.ts";

export type Placement =
  | { readonly ok: true; readonly node: string }
  /** Why no node will do, with the numbers. */
  | { readonly ok: false; readonly why: string };

interface Asked {
  readonly vmKey: string;
  readonly constraints: PlacementConstraints;
  /** Labels a node must have beside those. */
  readonly targetSelector?: Readonly<Record<string, string>>;
  /** A node that will not do: where it is now. */
  readonly except?: string | undefined;
}

/** Keeps account of what is taken on each node. */
export class Scheduler {
  readonly #resources: ClusterResources;
  readonly #used = new Map<string, Amounts>();
  readonly #asks = new Map<string, Amounts>();
  /** What each launcher pod takes, and where, by the pod's key. */
  readonly #held = new Map<string, { readonly node: string; readonly asks: Amounts }>();

  constructor(resources: ClusterResources, cluster: VirtualCluster) {
    this.#resources = resources;
    for (const [key, pod] of resources.pods) this.hold(key, pod.node, pod.asks);
    for (const [key, asks] of resources.vms) this.#asks.set(key, asks);
    for (const pod of cluster.pods.values()) {
      const shown = resources.pods.get(pod.key);
      if (pod.vmKey !== undefined && pod.kind === "launcher" && shown !== undefined)
        this.#asks.set(pod.vmKey, shown.asks);
    }
  }

  /** What a VM's launcher pod asks for. */
  asks(vmKey: string): Amounts {
    return this.#asks.get(vmKey) ?? { pods: 1 };
  }

  hold(pod: string, node: string, asks: Amounts): void {
    this.#held.set(pod, { node, asks });
    this.#used.set(node, sum([this.#used.get(node) ?? {}, asks]));
  }

  free(pod: string): void {
    const held = this.#held.get(pod);
    if (held === undefined) return;
    this.#held.delete(pod);
    const negative = Object.fromEntries(Object.entries(held.asks).map(([name, value]) => [name, -value]));
    this.#used.set(held.node, sum([this.#used.get(held.node) ?? {}, negative]));
  }

  /** The best node for a VM now. */
  place(cluster: VirtualCluster, verdicts: ReadonlyMap<string, NodeVerdict>, asked: Asked): Placement {
    const fitting = [...cluster.nodes.values()].filter(
      (node) =>
        node.name !== asked.except &&
        !cluster.silent.has(node.name) &&
        canHost(node, verdicts.get(node.name) ?? { kind: "unknown", why: "" }) &&
        satisfies(node.placement, asked.constraints) &&
        Object.entries(asked.targetSelector ?? {}).every(
          ([key, value]) => node.placement.labels[key] === value,
        ),
    );
    if (fitting.length === 0)
      return { ok: false, why: "no living node satisfies its node selector, affinity and tolerations" };
    const asks = this.asks(asked.vmKey);
    const shortages = fitting.map(({ name }) => ({ name, short: this.#shortage(name, asks) }));
    const roomy = shortages.filter(({ short }) => short === undefined).map(({ name }) => name);
    const [best] = roomy.sort((a, b) => this.#load(a) - this.#load(b) || (a < b ? -1 : 1));
    if (best !== undefined) return { ok: true, node: best };
    const [example] = shortages;
    const tried =
      fitting.length === 1
        ? "the only node that could host it"
        : `none of the ${fitting.length} nodes that could host it`;
    return {
      ok: false,
      why:
        fitting.length === 1
          ? `${tried}, ${example?.name ?? ""}, has no room: ${example?.short ?? ""}`
          : `${tried} has room, for instance ${example?.name ?? ""}: ${example?.short ?? ""}`,
    };
  }

  /** What is missing on the node, in words; undefined where it fits. */
  #shortage(node: string, asks: Amounts): string | undefined {
    const allocatable = this.#resources.allocatable.get(node);
    if (allocatable === undefined) return undefined;
    const used = this.#used.get(node) ?? {};
    for (const [name, value] of Object.entries(asks)) {
      // A node that does not name pods has no bound on them; any other resource it does not name it does not have.
      const has = allocatable[name] ?? (name === "pods" ? Number.POSITIVE_INFINITY : 0);
      const left = has - (used[name] ?? 0);
      if (value > left)
        return `it asks for ${amountText(name, value)}, ${amountText(name, Math.max(0, left))} is free`;
    }
    return undefined;
  }

  /** Share of memory and CPU that is taken: the fuller of the two. */
  #load(node: string): number {
    const allocatable = this.#resources.allocatable.get(node);
    const used = this.#used.get(node) ?? {};
    if (allocatable === undefined) return used["pods"] ?? 0;
    return Math.max(
      ...["memory", "cpu"].map((name) => (used[name] ?? 0) / Math.max(1e-9, allocatable[name] ?? 0)),
    );
  }
}
