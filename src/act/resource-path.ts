// Where the objects we write live on the API server. Knows paths only.
import { API_VERSION } from "../api/kind.ts";

const NODES = "/api/v1/nodes";
export const NODE_FENCINGS = `/apis/${API_VERSION}/nodefencings`;

/** Path of a node. */
export function nodePath(name: string): string {
  return `${NODES}/${encodeURIComponent(name)}`;
}

/** Path of a cluster-scoped object of ours. */
export function clusterPath(plural: string, name: string): string {
  return `/apis/${API_VERSION}/${plural}/${encodeURIComponent(name)}`;
}

/** Path of a namespaced core object. */
export function corePath(namespace: string, plural: string, name?: string): string {
  return within("/api/v1", namespace, plural, name);
}

/** Path of an HAVirtualMachine, or of all. */
export function protectionPath(namespace: string, name?: string): string {
  return within(`/apis/${API_VERSION}`, namespace, "havirtualmachines", name);
}

/** Path of an object of KubeVirt's. */
export function kubeVirtPath(namespace: string, plural: string, name?: string): string {
  return within("/apis/kubevirt.io/v1", namespace, plural, name);
}

/** Path of an action of KubeVirt's on a VirtualMachine. */
export function vmActionPath(namespace: string, name: string, action: "start" | "restart"): string {
  return `${within("/apis/subresources.kubevirt.io/v1", namespace, "virtualmachines", name)}/${action}`;
}

/** Namespace and name of a `namespace/name` key. */
export function splitKey(key: string): { readonly namespace: string; readonly name: string } {
  const slash = key.indexOf("/");
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

function within(group: string, namespace: string, plural: string, name: string | undefined): string {
  const collection = `${group}/namespaces/${encodeURIComponent(namespace)}/${plural}`;
  return name === undefined ? collection : `${collection}/${encodeURIComponent(name)}`;
}
