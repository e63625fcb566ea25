// Which resources the simulated API server serves, and how a path names them. Facts only.
import { KINDS } from "../../../src/api/generate.ts";
import { GROUP, VERSION } from "../../../src/api/kind.ts";
import type { Json } from "./json.ts";

export interface Resource {
  /** `GROUP/VERSION` or `v1`. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  /** The status is written through /status alone, and only it. */
  readonly statusSubresource: boolean;
  /** Custom resources want a resourceVersion on PUT; some built-in ones are created by it. */
  readonly custom: boolean;
}

const STATUS = { statusSubresource: true } as const;
const CLUSTER = { namespaced: false } as const;

function builtIn(apiVersion: string, kind: string, plural: string, rest: Partial<Resource> = {}): Resource {
  return { apiVersion, kind, plural, namespaced: true, statusSubresource: false, custom: false, ...rest };
}

const KUBEVIRT = "kubevirt.io/v1";
const FAR = "fence-agents-remediation.medik8s.io/v1alpha1";
const CSI_ADDONS = "csiaddons.openshift.io/v1alpha1";
const CUSTOM = { ...STATUS, custom: true } as const;

const RESOURCES: readonly Resource[] = [
  builtIn("v1", "Node", "nodes", { ...CLUSTER, ...STATUS }),
  builtIn("v1", "Namespace", "namespaces", { ...CLUSTER, ...STATUS }),
  builtIn("v1", "Pod", "pods", STATUS),
  builtIn("v1", "Secret", "secrets"),
  builtIn("v1", "ConfigMap", "configmaps"),
  builtIn("v1", "Event", "events"),
  builtIn("v1", "ServiceAccount", "serviceaccounts"),
  builtIn("v1", "PersistentVolume", "persistentvolumes", { ...CLUSTER, ...STATUS }),
  builtIn("v1", "PersistentVolumeClaim", "persistentvolumeclaims", STATUS),
  builtIn("coordination.k8s.io/v1", "Lease", "leases"),
  builtIn("apps/v1", "DaemonSet", "daemonsets", STATUS),
  builtIn("storage.k8s.io/v1", "CSINode", "csinodes", CLUSTER),
  builtIn("storage.k8s.io/v1", "CSIDriver", "csidrivers", CLUSTER),
  builtIn("storage.k8s.io/v1", "StorageClass", "storageclasses", CLUSTER),
  builtIn("storage.k8s.io/v1", "VolumeAttachment", "volumeattachments", { ...CLUSTER, ...STATUS }),
  builtIn("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", CLUSTER),
  builtIn("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", CLUSTER),
  builtIn(KUBEVIRT, "VirtualMachine", "virtualmachines", { ...STATUS, custom: true }),
  builtIn(KUBEVIRT, "VirtualMachineInstance", "virtualmachineinstances", { custom: true }),
  builtIn(KUBEVIRT, "VirtualMachineInstanceMigration", "virtualmachineinstancemigrations", {
    ...STATUS,
    custom: true,
  }),
  builtIn(KUBEVIRT, "KubeVirt", "kubevirts", { ...STATUS, custom: true }),
  builtIn(FAR, "FenceAgentsRemediation", "fenceagentsremediations", CUSTOM),
  builtIn(FAR, "FenceAgentsRemediationTemplate", "fenceagentsremediationtemplates", CUSTOM),
  builtIn(CSI_ADDONS, "NetworkFence", "networkfences", { ...CLUSTER, ...CUSTOM }),
  builtIn(CSI_ADDONS, "CSIAddonsNode", "csiaddonsnodes", CUSTOM),
  ...KINDS.map(({ kind, plural, scope }) =>
    builtIn(`${GROUP}/${VERSION}`, kind, plural, {
      namespaced: scope === "Namespaced",
      ...STATUS,
      custom: true,
    }),
  ),
];

const BY_NAME = new Map(RESOURCES.map((resource) => [`${resource.apiVersion}/${resource.plural}`, resource]));

/** The resource of this name, which must be one of ours. */
export function resourceNamed(name: string): Resource {
  const resource = BY_NAME.get(name);
  if (resource === undefined) throw new Error(`the simulated API server has no ${name}: add it to RESOURCES`);
  return resource;
}

/** What a server tells of one version of one group; undefined for paths that ask for something else. */
export function discovered(path: string): Json | undefined {
  const groupVersion = /^\/apis\/([^/]+\/[^/]+)$/.exec(path)?.[1];
  if (groupVersion === undefined) return undefined;
  const resources = RESOURCES.filter(({ apiVersion }) => apiVersion === groupVersion).map(
    ({ plural, kind, namespaced }) => ({ name: plural, kind, namespaced }),
  );
  return resources.length === 0 ? undefined : { kind: "APIResourceList", groupVersion, resources };
}

/** What a path means; `name` is undefined for a collection. */
export interface Target {
  readonly resource: Resource;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

const targets = new Map<string, Target | undefined>();
/** Paths seen are remembered; a history has a few thousand at most. */
const MAX_REMEMBERED = 20_000;

/** Reads a path below the server's root; undefined where it serves nothing there. */
export function targetOf(path: string): Target | undefined {
  if (targets.has(path)) return targets.get(path);
  if (targets.size > MAX_REMEMBERED) targets.clear();
  const target = parsed(path);
  targets.set(path, target);
  return target;
}

function parsed(path: string): Target | undefined {
  const [, root, ...parts] = path.split("/").map(decodeURIComponent);
  const apiVersion = root === "api" ? parts.shift() : `${parts.shift()}/${parts.shift()}`;
  let namespace: string | undefined;
  // `namespaces/NAME` alone is the Namespace itself; with more after it, it is a place.
  if (parts[0] === "namespaces" && parts.length > 2) {
    const isSubresource = parts.length === 3 && (parts[2] === "status" || parts[2] === "finalize");
    if (!isSubresource) {
      namespace = parts[1];
      parts.splice(0, 2);
    }
  }
  const [plural = "", name, ...subresource] = parts;
  const resource = BY_NAME.get(`${apiVersion}/${plural}`);
  if (resource === undefined) return undefined;
  return {
    resource,
    namespace,
    name,
    subresource: subresource.length === 0 ? undefined : subresource.join("/"),
  };
}
