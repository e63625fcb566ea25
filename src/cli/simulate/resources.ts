// What nodes have to give and what VMs ask for, in Kubernetes' quantities. Every resource counts, devices too.
import { z } from "zod";
import type { ApiTransport } from "../../kube/transport.ts";
import type { Outcome } from "../cli-world.ts";
import { failureText, listAll } from "../objects.ts";
import { type DiskPlaces, diskPlaces, type PodTraits, traitsOf } from "./pod-traits.ts";

/** Amounts by resource name, in base units (bytes, cores, pieces). */
export type Amounts = Readonly<Record<string, number>>;

const SUFFIXES: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
};

/** virt-launcher's own share of memory, roughly, where no pod shows it. */
const LAUNCHER_OVERHEAD_BYTES = 256 * 2 ** 20;

const amounts = z.record(z.string(), z.union([z.string(), z.number()])).nullish();
const nodeObject = z.object({
  metadata: z.object({ name: z.string() }),
  status: z.object({ allocatable: amounts }).nullish(),
});
const podObject = z.object({
  metadata: z.object({ name: z.string(), namespace: z.string().default("") }),
  spec: z
    .object({
      nodeName: z.string().nullish(),
      containers: z.array(z.object({ resources: z.object({ requests: amounts }).nullish() })).default([]),
    })
    .nullish(),
  status: z.object({ phase: z.string().optional() }).nullish(),
});
const vmObject = z.object({
  metadata: z.object({ name: z.string(), namespace: z.string().default("") }),
  spec: z.object({
    template: z
      .object({
        spec: z
          .object({
            domain: z
              .object({
                resources: z.object({ requests: amounts }).nullish(),
                memory: z.object({ guest: z.union([z.string(), z.number()]).nullish() }).nullish(),
              })
              .nullish(),
          })
          .nullish(),
      })
      .nullish(),
  }),
});

/** Capacity as the cluster showed it. */
export interface ClusterResources {
  /** By node; a node that says nothing has no bound. */
  readonly allocatable: ReadonlyMap<string, Amounts>;
  /** Requests of each pod that is bound to a node, by `namespace/name`. */
  readonly pods: ReadonlyMap<string, { readonly node: string; readonly asks: Amounts }>;
  /** What each VM's template asks for, by `namespace/name`. */
  readonly vms: ReadonlyMap<string, Amounts>;
  /** What each pod asks of its place beside room, by `namespace/name`. */
  readonly traits: ReadonlyMap<string, PodTraits>;
  readonly disks: DiskPlaces;
  /** What could not be read, for people. */
  readonly notes: readonly string[];
}

/** A quantity such as `64Gi`, `500m` or `1e3`; 0 where it is none. */
export function quantity(text: string | number): number {
  if (typeof text === "number") return text;
  const [, number = "", suffix = ""] =
    /^([0-9.]+(?:[eE][-+]?[0-9]+)?)([A-Za-z]{0,2})$/.exec(text.trim()) ?? [];
  const factor = suffix === "" ? 1 : (SUFFIXES[suffix] ?? 0);
  return Number(number) * factor;
}

/** Reads nodes, pods and VMs once more, this time for what they have and ask. */
export async function readResources(transport: ApiTransport): Promise<Outcome<ClusterResources>> {
  const notes: string[] = [];
  const nodes = await listAll<unknown>(transport, "/api/v1/nodes");
  if (!nodes.ok) return { ok: false, message: failureText("list nodes", nodes) };
  let pods = await listAll<unknown>(transport, "/api/v1/pods");
  if (!pods.ok && pods.kind === "denied") {
    notes.push("other pods may not be read: only those of VMs take up room here");
    const query = { labelSelector: "kubevirt.io=virt-launcher" };
    pods = await listAll<unknown>(transport, "/api/v1/pods", query);
  }
  if (!pods.ok) return { ok: false, message: failureText("list pods", pods) };
  const vms = await listAll<unknown>(transport, "/apis/kubevirt.io/v1/virtualmachines");
  if (!vms.ok) return { ok: false, message: failureText("list VirtualMachines", vms) };
  const allocatable = new Map<string, Amounts>();
  for (const raw of nodes.value) {
    const node = nodeObject.safeParse(raw).data;
    if (node?.status?.allocatable) allocatable.set(node.metadata.name, read(node.status.allocatable));
  }
  if (allocatable.size < nodes.value.length)
    notes.push("some nodes do not say what they have to give: they count as boundless");
  const traits = podTraits(pods.value);
  const disks = await readDisks(transport, traits, notes);
  return {
    ok: true,
    value: { allocatable, pods: podRequests(pods.value), vms: vmRequests(vms.value), traits, disks, notes },
  };
}

/** Where disks are, so far as that may be read: a VM on a local disk has nowhere to go. */
async function readDisks(
  transport: ApiTransport,
  traits: ReadonlyMap<string, PodTraits>,
  notes: string[],
): Promise<DiskPlaces> {
  const claims = await listAll<unknown>(transport, "/api/v1/persistentvolumeclaims");
  const volumes = await listAll<unknown>(transport, "/api/v1/persistentvolumes");
  if (!claims.ok || !volumes.ok) {
    notes.push(
      "PersistentVolumes and their claims may not be read: disks count as within reach of every node",
    );
    return new Map();
  }
  const disks = diskPlaces(claims.value, volumes.value);
  const asked = [...traits.values()].flatMap(({ claims: own }) => own);
  const unknown = new Set(asked.filter((claim) => !disks.has(claim)));
  if (unknown.size > 0) {
    const [example] = unknown;
    notes.push(
      `no PersistentVolume is known of ${unknown.size === 1 ? "the claim" : `${unknown.size} claims, for instance`} ${example ?? ""}: such disks count as within reach of every node`,
    );
  }
  return disks;
}

/** Of launcher pods and of all others: who must stay away from whom is not for VMs alone. */
function podTraits(raws: readonly unknown[]): Map<string, PodTraits> {
  const traits = new Map<string, PodTraits>();
  for (const raw of raws) {
    const name = podObject.safeParse(raw).data?.metadata;
    const read = traitsOf(raw);
    if (name !== undefined && read !== undefined) traits.set(`${name.namespace}/${name.name}`, read);
  }
  return traits;
}

function podRequests(raws: readonly unknown[]): Map<string, { node: string; asks: Amounts }> {
  const pods = new Map<string, { node: string; asks: Amounts }>();
  for (const raw of raws) {
    const pod = podObject.safeParse(raw).data;
    const node = pod?.spec?.nodeName;
    if (!pod || !node || pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed") continue;
    const asks = sum([
      { pods: 1 },
      ...(pod.spec?.containers ?? []).map(({ resources }) => read(resources?.requests ?? {})),
    ]);
    pods.set(`${pod.metadata.namespace}/${pod.metadata.name}`, { node, asks });
  }
  return pods;
}

function vmRequests(raws: readonly unknown[]): Map<string, Amounts> {
  const vms = new Map<string, Amounts>();
  for (const raw of raws) {
    const vm = vmObject.safeParse(raw).data;
    if (!vm) continue;
    const domain = vm.spec.template?.spec?.domain;
    const requests = read(domain?.resources?.requests ?? {});
    const memory = requests["memory"] ?? quantity(domain?.memory?.guest ?? 0);
    vms.set(`${vm.metadata.namespace}/${vm.metadata.name}`, {
      ...requests,
      pods: 1,
      memory: memory + LAUNCHER_OVERHEAD_BYTES,
    });
  }
  return vms;
}

function read(raw: Readonly<Record<string, string | number>>): Amounts {
  return Object.fromEntries(Object.entries(raw).map(([name, value]) => [name, quantity(value)]));
}

/** All of them together. */
export function sum(all: readonly Amounts[]): Amounts {
  const total: Record<string, number> = {};
  for (const one of all)
    for (const [name, value] of Object.entries(one)) total[name] = (total[name] ?? 0) + value;
  return total;
}

/** `4.0 GiB` for bytes, the bare number for the rest. */
export function amountText(name: string, value: number): string {
  return name === "memory" || name.endsWith("storage")
    ? `${(value / 2 ** 30).toFixed(1)} GiB of ${name}`
    : `${Math.round(value * 1000) / 1000} ${name}`;
}
