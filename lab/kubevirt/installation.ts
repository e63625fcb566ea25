// What virt-operator would install besides the CRDs and the programs: namespace, service accounts, rights, the KubeVirt
// object, the virt-handler DaemonSet. Real and stand-in share it.
import type { ApiTransport } from "../../src/kube/transport.ts";
import { apply, createIfAbsent, expectOk, until } from "./calls.ts";
import { KUBEVIRT_API, KUBEVIRT_NAMESPACE, LABEL, SERVICE_ACCOUNTS } from "./names.ts";

/** How long a CRD may take until its resource is served. */
const SERVED_TIMEOUT_MS = 60_000;
/** The snapshot CRDs are close to a megabyte each. */
const CRD_CREATE_DEADLINE_MS = 60_000;
const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const RBAC = "/apis/rbac.authorization.k8s.io/v1";

/** A CustomResourceDefinition as far as the lab reads it. */
export interface Crd {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly group: string;
    readonly scope: string;
    readonly names: { readonly plural: string; readonly [member: string]: unknown };
    readonly versions: readonly { readonly name: string; readonly served: boolean }[];
  };
}

/** Spec of the KubeVirt object, for tests that change cluster-wide settings. */
export type KubeVirtConfiguration = Readonly<Record<string, unknown>>;

/** Creates the CRDs and waits until each one's first served version answers a LIST. */
export async function installCrds(api: ApiTransport, crds: readonly Crd[]): Promise<void> {
  for (const crd of crds) await createIfAbsent(api, CRDS, crd, CRD_CREATE_DEADLINE_MS);
  for (const crd of crds) {
    const version = crd.spec.versions.find((version) => version.served)?.name;
    const path = `/apis/${crd.spec.group}/${version}/${crd.spec.names.plural}`;
    await until(`${crd.metadata.name} is served`, SERVED_TIMEOUT_MS, async () => {
      const outcome = await api.request({ method: "GET", path, query: { limit: 1 } });
      return outcome.ok ? true : undefined;
    });
  }
}

/**
 * Installs everything but CRDs and programs. The KubeVirt object carries `status.phase` and `defaultArchitecture`,
 * without which virt-controller ignores its configuration (facts 9.1).
 */
export async function installKubeVirt(
  api: ApiTransport,
  configuration: KubeVirtConfiguration,
): Promise<void> {
  await apply(api, "/api/v1/namespaces", {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: KUBEVIRT_NAMESPACE },
  });
  for (const account of Object.values(SERVICE_ACCOUNTS)) await installServiceAccount(api, account);
  await installKubeVirtObject(api, configuration);
  await apply(api, `/apis/apps/v1/namespaces/${KUBEVIRT_NAMESPACE}/daemonsets`, virtHandlerDaemonSet());
}

async function installServiceAccount(api: ApiTransport, account: string): Promise<void> {
  const metadata = { name: account, namespace: KUBEVIRT_NAMESPACE };
  await apply(api, `/api/v1/namespaces/${KUBEVIRT_NAMESPACE}/serviceaccounts`, {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata,
  });
  const binding = {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: `holdfast-lab-${account}` },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
    subjects: [{ kind: "ServiceAccount", name: account, namespace: KUBEVIRT_NAMESPACE }],
  };
  await apply(api, `${RBAC}/clusterrolebindings`, binding);
}

async function installKubeVirtObject(api: ApiTransport, configuration: KubeVirtConfiguration): Promise<void> {
  const collection = `${KUBEVIRT_API}/namespaces/${KUBEVIRT_NAMESPACE}/kubevirts`;
  await apply(api, collection, {
    apiVersion: "kubevirt.io/v1",
    kind: "KubeVirt",
    metadata: { name: "kubevirt", namespace: KUBEVIRT_NAMESPACE },
    // ImageVolume needs a kubelet feature, NodeRestriction a token bound to a node: simulated nodes have neither.
    spec: {
      configuration: {
        developerConfiguration: { disabledFeatureGates: ["ImageVolume", "NodeRestriction"] },
        ...configuration,
      },
    },
  } as Parameters<typeof apply>[2]);
  const status = await api.request({
    method: "PATCH",
    path: `${collection}/kubevirt/status`,
    contentType: "application/merge-patch+json",
    body: { status: { phase: "Deployed", defaultArchitecture: "amd64" } },
  });
  expectOk(status, "set the KubeVirt object's status");
}

/** Exactly one DaemonSet must carry this label, or the node controller refuses to fail VMIs (facts 2.2). */
function virtHandlerDaemonSet() {
  const labels = { [LABEL.app]: "virt-handler" };
  return {
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: { name: "virt-handler", namespace: KUBEVIRT_NAMESPACE, labels },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName: SERVICE_ACCOUNTS.handler,
          tolerations: [{ key: "CriticalAddonsOnly", operator: "Exists" }],
          containers: [{ name: "virt-handler", image: "virt-handler" }],
        },
      },
    },
  };
}
