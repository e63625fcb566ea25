// What happens when somebody evicts a launcher pod. Origin: KubeVirt pod-eviction-admitter.go (facts 3.1; measured table j).
import type { ApiTransport } from "../../src/kube/transport.ts";
import { type AdmissionAnswer, type AdmissionRequest, ALLOWED, refused } from "./admission.ts";
import { ANNOTATION, KUBEVIRT_API, LABEL } from "./names.ts";
import { isMigratable, isPodDown } from "./object-state.ts";
import type { Pod, VirtualMachineInstance } from "./objects.ts";
import type { WebhookContext } from "./webhooks.ts";

const TOO_MANY_REQUESTS = 429;
const DESCHEDULER = "sigs.k8s.io/descheduler";

interface Eviction {
  readonly metadata?: { readonly annotations?: Record<string, string> };
  readonly deleteOptions?: { readonly dryRun?: readonly string[] };
}

/** Lets the pod go, refuses, or marks the VMI for evacuation and refuses; a dry run answers the same and marks nothing. */
export async function admitEviction(
  request: AdmissionRequest,
  context: WebhookContext,
): Promise<AdmissionAnswer> {
  const { api } = context;
  const { namespace = "", name = "" } = request;
  const found = await api.request<Pod>({
    method: "GET",
    path: `/api/v1/namespaces/${namespace}/pods/${name}`,
  });
  if (!found.ok) return ALLOWED;
  const pod = found.value;
  const app = pod.metadata.labels?.[LABEL.app];
  if (app === "hotplug-disk") return denied(`cannot evict hotplug pod: ${name} associated with running vmi`);
  const vmiName = pod.metadata.annotations?.[ANNOTATION.domain];
  if (app !== "virt-launcher" || isPodDown(pod) || vmiName === undefined) return ALLOWED;
  const path = `${KUBEVIRT_API}/namespaces/${namespace}/virtualmachineinstances/${vmiName}`;
  const looked = await api.request<VirtualMachineInstance>({ method: "GET", path });
  if (!looked.ok) return denied(`kubevirt failed getting the vmi: ${looked.message}`);
  const vmi = looked.value;
  const strategy = vmi.spec.evictionStrategy ?? context.settings().evictionStrategy;
  switch (strategy) {
    case "None":
      return ALLOWED;
    case "LiveMigrateIfPossible":
      return isMigratable(vmi) ? evacuate(request, { api, path, vmi, pod }) : ALLOWED;
    case "LiveMigrate":
      if (!isMigratable(vmi)) {
        return denied(`VMI ${vmiName} is configured with an eviction strategy but is not live-migratable`);
      }
      return evacuate(request, { api, path, vmi, pod });
    case "External":
      return evacuate(request, { api, path, vmi, pod });
  }
}

async function evacuate(
  request: AdmissionRequest,
  { api, path, vmi, pod }: { api: ApiTransport; path: string; vmi: VirtualMachineInstance; pod: Pod },
): Promise<AdmissionAnswer> {
  const { namespace, name } = vmi.metadata;
  const triggered = `Eviction triggered evacuation of VMI "${namespace}/${name}"`;
  if (vmi.status.evacuationNodeName) return denied(`Evacuation in progress: ${triggered}`);
  const nodeName = pod.spec.nodeName ?? "";
  if (vmi.status.nodeName !== nodeName) return denied("Eviction request for target Pod");
  const eviction = (request.object ?? {}) as Eviction;
  const dryRun = request.dryRun === true || eviction.deleteOptions?.dryRun?.[0] === "All";
  const marked = await api.request({
    method: "PATCH",
    path,
    query: dryRun ? { dryRun: "All" } : {},
    contentType: "application/merge-patch+json",
    body: {
      status: { evacuationNodeName: nodeName },
      ...(eviction.metadata?.annotations?.["requested-by"] === DESCHEDULER
        ? { metadata: { annotations: { "kubevirt.io/eviction-source": "descheduler" } } }
        : {}),
    },
  });
  return denied(marked.ok ? triggered : `kubevirt failed marking the vmi for eviction: ${marked.message}`);
}

function denied(message: string): AdmissionAnswer {
  return refused(message, TOO_MANY_REQUESTS);
}
