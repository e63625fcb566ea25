// Installs Holdfast into a lab cluster as an administrator would: CRDs and rights from the repository's own files.
import { readdir, readFile } from "node:fs/promises";
import { parseAllDocuments } from "yaml";
import type { ApiTransport } from "../../src/kube/transport.ts";
import { waitFor } from "../cluster/wait-for.ts";
import { expectOk } from "../kubevirt/calls.ts";

const ROOT = new URL("../../", import.meta.url);
const FIELD_MANAGER = "lab";

/** Where the operator's rights bind it; what a replica in the lab runs as. */
export const HOLDFAST_NAMESPACE = "holdfast-system";
export const HOLDFAST_IDENTITY = {
  user: "system:serviceaccount:holdfast-system:holdfast",
  groups: ["system:serviceaccounts", "system:serviceaccounts:holdfast-system", "system:authenticated"],
} as const;

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** Applies `crds/` and `deploy/rbac.yaml` and waits until the API server serves the kinds. */
export async function installHoldfast(admin: ApiTransport): Promise<void> {
  const crds = (await readdir(new URL("crds/", ROOT))).filter((file) => file.endsWith(".yaml"));
  for (const file of crds)
    for (const manifest of await manifestsIn(`crds/${file}`)) await apply(admin, manifest);
  await applyManifests(admin, "deploy/rbac.yaml");
  await waitFor("the API server serves Holdfast's kinds", async () => {
    for (const plural of [
      "havirtualmachines",
      "havirtualmachinepolicies",
      "fencingtopologies",
      "nodefencings",
      "fencingdisarms",
      "failoverdrills",
    ]) {
      const listed = await admin.request({ method: "GET", path: `/apis/holdfast.dev/v1alpha1/${plural}` });
      if (!listed.ok) return undefined;
    }
    return true;
  });
}

/** Applies every manifest of one of the repository's own files. */
export async function applyManifests(admin: ApiTransport, file: string): Promise<void> {
  for (const manifest of await manifestsIn(file)) await apply(admin, manifest);
}

async function manifestsIn(file: string): Promise<readonly Manifest[]> {
  const text = await readFile(new URL(file, ROOT), "utf8");
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest): manifest is Manifest => manifest !== null);
}

const PLURALS: Readonly<Record<string, string>> = {
  Lease: "leases",
  Namespace: "namespaces",
  ServiceAccount: "serviceaccounts",
  Secret: "secrets",
  ClusterRole: "clusterroles",
  ClusterRoleBinding: "clusterrolebindings",
  Role: "roles",
  RoleBinding: "rolebindings",
  CustomResourceDefinition: "customresourcedefinitions",
  HAVirtualMachine: "havirtualmachines",
  HAVirtualMachinePolicy: "havirtualmachinepolicies",
  FencingTopology: "fencingtopologies",
  NodeFencing: "nodefencings",
  FencingDisarm: "fencingdisarms",
  FailoverDrill: "failoverdrills",
};

/** Server-side apply of one manifest. Errors: throws with the server's words. */
export async function apply(admin: ApiTransport, manifest: Manifest): Promise<void> {
  const { apiVersion, kind, metadata } = manifest;
  const plural = PLURALS[kind];
  if (plural === undefined) throw new Error(`the lab does not know the kind ${kind}: add it to PLURALS`);
  const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const within = metadata.namespace === undefined ? "" : `/namespaces/${metadata.namespace}`;
  const applied = await admin.request({
    method: "PATCH",
    path: `${root}${within}/${plural}/${metadata.name}`,
    query: { fieldManager: FIELD_MANAGER, force: true },
    contentType: "application/apply-patch+yaml",
    body: manifest,
  });
  expectOk(applied, `apply ${kind} ${metadata.name}`);
}
