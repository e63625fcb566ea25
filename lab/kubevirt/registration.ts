// Tells the API server about virt-api: admission webhooks by URL and the aggregated subresource API. Real and stand-in
// virt-api answer on the same paths. Origin: KubeVirt components/webhooks.go and apiservices.go.
import type { ApiTransport } from "../../src/kube/transport.ts";
import { apply, deleteIfPresent, until } from "./calls.ts";
import { KUBEVIRT_NAMESPACE, SUBRESOURCES_GROUP } from "./names.ts";

const ADMISSION = "/apis/admissionregistration.k8s.io/v1";
const API_SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices";
const WEBHOOK_TIMEOUT_SECONDS = 10;
const AVAILABLE_TIMEOUT_MS = 60_000;
/** KubeVirt's own names, so that a test can look for them. */
const MUTATOR = "virt-api-mutator";
const VALIDATOR = "virt-api-validator";
const API_SERVICE = `v1.${SUBRESOURCES_GROUP}`;
const SERVICE = "virt-api";

/** Host names virt-api's certificate must carry: webhooks go by address, the aggregator by Service name. */
export const VIRT_API_HOSTS: readonly string[] = [
  "127.0.0.1",
  "localhost",
  `${SERVICE}.${KUBEVIRT_NAMESPACE}.svc`,
];

/** One admission webhook in short form. */
export interface Webhook {
  readonly name: string;
  readonly kind: "mutating" | "validating";
  readonly path: string;
  readonly group: string;
  readonly versions: readonly string[];
  readonly resources: readonly string[];
  readonly operations: readonly ("CREATE" | "UPDATE" | "*")[];
  /** Only objects whose name starts so. */
  readonly namePrefix?: string;
}

/** Where virt-api listens, and who vouches for it. */
export interface VirtApiEndpoint {
  readonly port: number;
  readonly caPem: string;
}

const CREATE = ["CREATE"] as const;
const UPDATE = ["UPDATE"] as const;
const WRITE = ["CREATE", "UPDATE"] as const;
const CORE = { group: "kubevirt.io", versions: ["v1alpha3", "v1"] };

/** The webhooks that the controllers' behaviour depends on; the stand-in answers exactly these. */
export const CORE_WEBHOOKS: readonly Webhook[] = [
  mutating("virtualmachines-mutator", "/virtualmachines-mutate", "virtualmachines", WRITE),
  mutating(
    "virtualmachineinstances-mutator",
    "/virtualmachineinstances-mutate",
    "virtualmachineinstances",
    WRITE,
  ),
  mutating("migrations-mutator", "/migration-mutate-create", "virtualmachineinstancemigrations", CREATE),
  eviction("virt-launcher-eviction-interceptor", "virt-launcher"),
  eviction("hotplug-pod-eviction-interceptor", "hp-volume-"),
  validating("virtualmachine-validator", "/virtualmachines-validate", "virtualmachines", WRITE),
  validating(
    "virtualmachineinstances-create-validator",
    "/virtualmachineinstances-validate-create",
    "virtualmachineinstances",
    CREATE,
  ),
  validating(
    "virtualmachineinstances-update-validator",
    "/virtualmachineinstances-validate-update",
    "virtualmachineinstances",
    UPDATE,
  ),
  validating(
    "migration-create-validator",
    "/migration-validate-create",
    "virtualmachineinstancemigrations",
    CREATE,
  ),
  validating(
    "migration-update-validator",
    "/migration-validate-update",
    "virtualmachineinstancemigrations",
    UPDATE,
  ),
  {
    ...validating("kubevirt-crd-status-validator", "/status-validate", "virtualmachines/status", WRITE),
    resources: [
      "virtualmachines/status",
      "virtualmachineinstancereplicasets/status",
      "virtualmachineinstancemigrations/status",
    ],
  },
];

/** What the real virt-api answers in addition, for resources the stand-in does not have. */
export const OTHER_WEBHOOKS: readonly Webhook[] = [
  validating(
    "virtualmachinereplicaset-validator",
    "/virtualmachinereplicaset-validate",
    "virtualmachineinstancereplicasets",
    WRITE,
  ),
  validating("virtualmachinepreset-validator", "/vmipreset-validate", "virtualmachineinstancepresets", WRITE),
  {
    ...validating(
      "migration-policy-validator",
      "/migration-policy-validate-create",
      "migrationpolicies",
      WRITE,
    ),
    group: "migrations.kubevirt.io",
    versions: ["v1alpha1"],
  },
];

function mutating(name: string, path: string, resource: string, operations: Webhook["operations"]): Webhook {
  return { ...CORE, name: `${name}.kubevirt.io`, kind: "mutating", path, resources: [resource], operations };
}

function validating(
  name: string,
  path: string,
  resource: string,
  operations: Webhook["operations"],
): Webhook {
  return {
    ...CORE,
    name: `${name}.kubevirt.io`,
    kind: "validating",
    path,
    resources: [resource],
    operations,
  };
}

function eviction(name: string, namePrefix: string): Webhook {
  return {
    name: `${name}.kubevirt.io`,
    kind: "validating",
    path: "/pod-eviction-validate",
    group: "",
    versions: ["v1"],
    resources: ["pods/eviction"],
    operations: ["*"],
    namePrefix,
  };
}

/** Registers webhooks and the aggregated API, and waits until the API server calls the latter available. */
export async function registerVirtApi(
  api: ApiTransport,
  endpoint: VirtApiEndpoint,
  webhooks: readonly Webhook[],
): Promise<void> {
  await apply(api, `/api/v1/namespaces/${KUBEVIRT_NAMESPACE}/services`, {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: SERVICE, namespace: KUBEVIRT_NAMESPACE },
    // Manual Endpoints refuse loopback addresses (measured), an external name does not.
    spec: { type: "ExternalName", externalName: "localhost", ports: [{ port: endpoint.port }] },
  } as Parameters<typeof apply>[2]);
  await apply(api, API_SERVICES, {
    apiVersion: "apiregistration.k8s.io/v1",
    kind: "APIService",
    metadata: { name: API_SERVICE },
    spec: {
      service: { namespace: KUBEVIRT_NAMESPACE, name: SERVICE, port: endpoint.port },
      group: SUBRESOURCES_GROUP,
      version: "v1",
      caBundle: base64(endpoint.caPem),
      groupPriorityMinimum: 1000,
      versionPriority: 15,
    },
  } as Parameters<typeof apply>[2]);
  await applyWebhooks(api, endpoint, webhooks);
  await until(`${API_SERVICE} is available`, AVAILABLE_TIMEOUT_MS, async () => {
    const outcome = await api.request({ method: "GET", path: `/apis/${SUBRESOURCES_GROUP}/v1` });
    return outcome.ok ? true : undefined;
  });
}

/** Takes everything back that `registerVirtApi` wrote, so that nothing waits for a server that is gone. */
export async function unregisterVirtApi(api: ApiTransport): Promise<void> {
  await deleteIfPresent(api, `${ADMISSION}/mutatingwebhookconfigurations/${MUTATOR}`);
  await deleteIfPresent(api, `${ADMISSION}/validatingwebhookconfigurations/${VALIDATOR}`);
  await deleteIfPresent(api, `${API_SERVICES}/${API_SERVICE}`);
}

async function applyWebhooks(
  api: ApiTransport,
  endpoint: VirtApiEndpoint,
  webhooks: readonly Webhook[],
): Promise<void> {
  const entries = (kind: Webhook["kind"]) =>
    webhooks.filter((webhook) => webhook.kind === kind).map((webhook) => webhookEntry(endpoint, webhook));
  await apply(api, `${ADMISSION}/mutatingwebhookconfigurations`, {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingWebhookConfiguration",
    metadata: { name: MUTATOR },
    webhooks: entries("mutating"),
  } as Parameters<typeof apply>[2]);
  await apply(api, `${ADMISSION}/validatingwebhookconfigurations`, {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingWebhookConfiguration",
    metadata: { name: VALIDATOR },
    webhooks: entries("validating"),
  } as Parameters<typeof apply>[2]);
}

function webhookEntry(endpoint: VirtApiEndpoint, webhook: Webhook) {
  return {
    name: webhook.name,
    admissionReviewVersions: ["v1"],
    // An eviction writes a mark on the VMI unless it is a dry run.
    sideEffects: webhook.namePrefix === undefined ? "None" : "NoneOnDryRun",
    failurePolicy: "Fail",
    timeoutSeconds: WEBHOOK_TIMEOUT_SECONDS,
    clientConfig: {
      url: `https://127.0.0.1:${endpoint.port}${webhook.path}`,
      caBundle: base64(endpoint.caPem),
    },
    rules: [
      {
        apiGroups: [webhook.group],
        apiVersions: webhook.versions,
        resources: webhook.resources,
        operations: webhook.operations,
      },
    ],
    ...(webhook.namePrefix === undefined
      ? {}
      : {
          matchConditions: [
            { name: "only-vms", expression: `object.metadata.name.startsWith("${webhook.namePrefix}")` },
          ],
        }),
  };
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
