// Where a VM would be placed: the operator's own rules for candidates, and room for what it asks, the emptiest node first.
// A prediction: topology spread and preferences are not looked at, and the real scheduler has the last word.
import { canHost, satisfies } from "../../decide/placement.ts";
import type { NodeFact } from "../../model/node.ts";
import type { NodeVerdict } from "../../model/node-verdict.ts";
import type { PlacementConstraints } from "../../model/virtual-machine.ts";
import { obstacle, type PodTraits, type StandingPod } from "./pod-traits.ts";
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
  readonly #held = new Map<
    string,
    { readonly node: string; readonly asks: Amounts; readonly traits: PodTraits | undefined }
  >();
  /** Pods that keep others away: few, while all pods are many. */
  readonly #shy = new Set<string>();
  readonly #traits = new Map<string, PodTraits>();

  constructor(resources: ClusterResources, cluster: VirtualCluster) {
    this.#resources = resources;
    for (const [key, pod] of resources.pods) this.#hold(key, { ...pod, traits: resources.traits.get(key) });
    for (const [key, asks] of resources.vms) this.#asks.set(key, asks);
    for (const pod of cluster.pods.values()) {
      const traits = resources.traits.get(pod.key);
      if (pod.vmKey !== undefined && pod.kind === "launcher" && traits !== undefined)
        this.#traits.set(pod.vmKey, traits);
      const shown = resources.pods.get(pod.key);
      if (pod.vmKey !== undefined && pod.kind === "launcher" && shown !== undefined)
        this.#asks.set(pod.vmKey, shown.asks);
    }
  }

  /** What a VM's launcher pod asks for. */
  asks(vmKey: string): Amounts {
    return this.#asks.get(vmKey) ?? { pods: 1 };
  }

  /** A VM's next pod takes its place on the node. */
  hold(pod: string, node: string, vmKey: string): void {
    this.#hold(pod, { node, asks: this.asks(vmKey), traits: this.#traits.get(vmKey) });
  }

  #hold(
    pod: string,
    held: { readonly node: string; readonly asks: Amounts; readonly traits: PodTraits | undefined },
  ): void {
    this.#held.set(pod, held);
    if ((held.traits?.far.length ?? 0) > 0) this.#shy.add(pod);
    this.#used.set(held.node, sum([this.#used.get(held.node) ?? {}, held.asks]));
  }

  free(pod: string): void {
    const held = this.#held.get(pod);
    if (held === undefined) return;
    this.#held.delete(pod);
    this.#shy.delete(pod);
    const negative = Object.fromEntries(Object.entries(held.asks).map(([name, value]) => [name, -value]));
    this.#used.set(held.node, sum([this.#used.get(held.node) ?? {}, negative]));
  }

  /** The best node for a VM now. */
  place(cluster: VirtualCluster, verdicts: ReadonlyMap<string, NodeVerdict>, asked: Asked): Placement {
    const standing = this.#standing(cluster, this.#traits.get(asked.vmKey));
    const obstacles = new Map<string, string[]>();
    const fitting = [...cluster.nodes.values()].filter((node) => {
      if (node.name === asked.except) return false;
      const why =
        unfit(cluster, node, verdicts.get(node.name), asked) ?? this.#keptOff(cluster, node, asked, standing);
      if (why !== undefined) obstacles.set(why, [...(obstacles.get(why) ?? []), node.name]);
      return why === undefined;
    });
    if (fitting.length === 0) return { ok: false, why: nowhere(obstacles) };
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

  /** Pods that may matter to one with these traits. */
  #standing(cluster: VirtualCluster, traits: PodTraits | undefined): readonly StandingPod[] {
    const hasRules = (traits?.far.length ?? 0) + (traits?.near.length ?? 0) > 0;
    return [...(hasRules ? this.#held.keys() : this.#shy)].flatMap((key) => {
      const held = this.#held.get(key);
      const node = cluster.nodes.get(held?.node ?? "");
      return node === undefined || held?.traits === undefined ? [] : [{ traits: held.traits, node }];
    });
  }

  #keptOff(
    cluster: VirtualCluster,
    node: NodeFact,
    { vmKey }: Asked,
    standing: readonly StandingPod[],
  ): string | undefined {
    const traits = this.#traits.get(vmKey);
    if (traits === undefined) return undefined;
    const { namespaces } = cluster.base;
    return obstacle(node, traits, { disks: this.#resources.disks, standing, namespaces });
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

/** Why the node is no candidate by the operator's own rules; undefined where it is one. */
function unfit(
  cluster: VirtualCluster,
  node: NodeFact,
  verdict: NodeVerdict | undefined,
  { constraints, targetSelector }: Asked,
): string | undefined {
  if (cluster.silent.has(node.name)) return "gives no sign of life";
  if (node.placement.unschedulable) return "is cordoned";
  if (!canHost(node, verdict ?? { kind: "unknown", why: "" })) return "is not Ready, or cannot run VMs";
  const isTarget = Object.entries(targetSelector ?? {}).every(
    ([key, value]) => node.placement.labels[key] === value,
  );
  return isTarget && satisfies(node.placement, constraints)
    ? undefined
    : "does not satisfy its node selector, node affinity and tolerations";
}

const MAX_NAMED = 3;

function nowhere(obstacles: ReadonlyMap<string, readonly string[]>): string {
  if (obstacles.size === 0) return "there is no other node";
  const parts = [...obstacles].map(([why, names]) => {
    const more = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : "";
    return `${names.slice(0, MAX_NAMED).join(", ")}${more} (${why})`;
  });
  return `no node can host it: ${parts.join("; ")}`;
}
