// A cluster of any size made from one real object of each kind: captured from a lab, multiplied on demand by replacing names
// and UIDs. Objects are as large as the API server's own, managed fields included, and none is kept unless it was written.
import type { ApiTransport } from "../src/kube/transport.ts";
import { LAUNCHER_POD_SELECTOR } from "../src/observe/facts/launcher-pod.ts";
import { expectOk } from "../lab/kubevirt/calls.ts";

/** As much of an object as a server changes. */
export interface StoredObject {
  readonly metadata: {
    readonly name: string;
    resourceVersion: string;
    annotations?: Record<string, string>;
  };
  spec?: Record<string, unknown>;
  status?: unknown;
}

/** Names in the captured objects, found nowhere else in them. */
export const TEMPLATE = { node: "tmpl-node", namespace: "tmpl-namespace", vm: "tmpl-vm" } as const;

export interface ClusterSize {
  readonly nodes: number;
  readonly vms: number;
  readonly namespaces: number;
}

/** What one object is called by its ordinal: of a node, a VM or a namespace. */
interface Names {
  readonly node: string;
  readonly namespace: string;
  readonly vm: string;
}

export interface Collection {
  readonly path: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly count: number;
  /** The object's JSON text as it was at the beginning. */
  text(ordinal: number): string;
}

/** Which collections grow with what; the rest is copied as it is. */
const COLLECTIONS = [
  { path: "/api/v1/nodes", per: "nodes" },
  { path: "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", per: "nodes" },
  { path: "/apis/kubevirt.io/v1/virtualmachines", per: "vms" },
  { path: "/apis/kubevirt.io/v1/virtualmachineinstances", per: "vms" },
  { path: "/api/v1/pods", per: "vms", labelSelector: LAUNCHER_POD_SELECTOR },
  { path: "/apis/holdfast.dev/v1alpha1/havirtualmachines", per: "vms" },
  { path: "/api/v1/namespaces", per: "namespaces" },
  { path: "/apis/holdfast.dev/v1alpha1/fencingtopologies", per: undefined },
  { path: "/apis/kubevirt.io/v1/kubevirts", per: undefined },
  { path: "/apis/kubevirt.io/v1/virtualmachineinstancemigrations", per: undefined },
  { path: "/apis/holdfast.dev/v1alpha1/havirtualmachinepolicies", per: undefined },
  { path: "/apis/holdfast.dev/v1alpha1/nodefencings", per: undefined },
  { path: "/apis/holdfast.dev/v1alpha1/fencingdisarms", per: undefined },
  { path: "/apis/holdfast.dev/v1alpha1/failoverdrills", per: undefined },
] as const;

interface ObjectList {
  readonly apiVersion: string;
  readonly kind: string;
  readonly items?: readonly { readonly metadata: { readonly name: string } }[];
}

/** How a node says that it lives: on which object, how often, and what changes. */
export const RENEWALS = {
  path: "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases",
  periodMs: 10_000,
  change: (lease: StoredObject): void => {
    lease.spec = { ...lease.spec, renewTime: new Date().toISOString().replace("Z", "000Z") };
  },
};
export const HEARTBEATS: typeof RENEWALS = {
  path: "/api/v1/nodes",
  periodMs: 90_000,
  change: ({ metadata }) => {
    metadata.annotations = { ...metadata.annotations, "kubevirt.io/heartbeat": new Date().toISOString() };
  },
};

/** Reads one object of each kind from a lab that has the template's node, namespace and VM. */
export async function captureCluster(admin: ApiTransport, size: ClusterSize): Promise<readonly Collection[]> {
  return Promise.all(
    COLLECTIONS.map(async ({ path, per, ...scope }) => {
      const query = "labelSelector" in scope ? { labelSelector: scope.labelSelector } : {};
      const outcome = await admin.request<ObjectList>({ method: "GET", path, query });
      const { apiVersion, kind, items = [] } = expectOk(outcome, `list ${path}`);
      const wanted = per === undefined ? items : items.filter((item) => isTemplate(item.metadata.name));
      if (per !== undefined && wanted.length !== 1)
        throw new Error(`${path}: ${wanted.length} objects of the template, wanted one`);
      const stamps = wanted.map((item) => stampOf(JSON.stringify(item)));
      const itemKind = kind.replace(/List$/, "");
      return {
        path,
        apiVersion,
        kind: itemKind,
        count: per === undefined ? wanted.length : size[per],
        text: (ordinal: number): string => {
          const stamp = stamps[per === undefined ? ordinal : 0];
          return stamp?.(ordinal, namesOf(ordinal, per, size)) ?? "";
        },
      };
    }),
  );
}

function isTemplate(name: string): boolean {
  return name === TEMPLATE.node || name === TEMPLATE.namespace || name.includes(TEMPLATE.vm);
}

function namesOf(ordinal: number, per: keyof ClusterSize | undefined, size: ClusterSize): Names {
  const node = per === "nodes" ? ordinal : ordinal % size.nodes;
  const namespace = per === "namespaces" ? ordinal : ordinal % size.namespaces;
  return { node: `node-${node}`, namespace: `tenant-${namespace}`, vm: `vm-${ordinal}` };
}

/** Which object of a collection has that name; undefined where none has. */
export function ordinalIn({ count }: Collection, name: string): number | undefined {
  // A launcher pod's name has its VM's in it.
  const digits = /(?:vm|node|tenant)-(\d+)/.exec(name)?.[1];
  const ordinal = Number(digits ?? 0);
  return ordinal < count ? ordinal : undefined;
}

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/;
const HOLES = new RegExp(
  `(${TEMPLATE.node}|${TEMPLATE.namespace}|${TEMPLATE.vm}|"resourceVersion":"\\d+"|${UUID.source})`,
);
const UUID_HEAD_CHARS = 24;

/** Cuts a text at what differs between copies, once, so that a copy is a mere join. Equal UIDs stay equal in each copy. */
function stampOf(text: string): (ordinal: number, names: Names) => string {
  const parts = text.split(HOLES);
  return (ordinal, names) => {
    const tail = ordinal.toString(16).padStart(12, "0");
    return parts
      .map((part) => {
        if (part === TEMPLATE.node) return names.node;
        if (part === TEMPLATE.namespace) return names.namespace;
        if (part === TEMPLATE.vm) return names.vm;
        if (part.startsWith('"resourceVersion":"')) return `"resourceVersion":"${1 + ordinal}"`;
        return UUID.test(part) && part.length === 36 ? part.slice(0, UUID_HEAD_CHARS) + tail : part;
      })
      .join("");
  };
}
