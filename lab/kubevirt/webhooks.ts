// What virt-api's webhooks decide about VMs, VMIs and migrations. Evictions have a file of their own. Origin: KubeVirt
// pkg/virt-api/webhooks (facts 2.6, 3.2; measured tables b, n).
import { isDeepStrictEqual } from "node:util";
import type { ApiTransport } from "../../src/kube/transport.ts";
import { labTime } from "../lab-time.ts";
import {
  type AdmissionAnswer,
  type AdmissionRequest,
  ALLOWED,
  invalid,
  isKubeVirtUser,
  isVirtController,
  mutated,
  refused,
} from "./admission.ts";
import type { Settings } from "./controller-view.ts";
import { expectOk } from "./calls.ts";
import { FINALIZER, KUBEVIRT_API, LABEL } from "./names.ts";
import { conditionOf, isFinalMigration, isFinalVmi } from "./object-state.ts";
import {
  type Migration,
  timestamp,
  type VirtualMachine,
  type VirtualMachineInstance,
  type VmiSpec,
} from "./objects.ts";

/** User id of the launcher's processes. */
const NON_ROOT_UID = 107;
const RUN_STRATEGIES: ReadonlySet<string> = new Set([
  "Always",
  "RerunOnFailure",
  "Manual",
  "Halted",
  "Once",
  "WaitAsReceiver",
]);
const ONE_HOST_CPU = { cores: 1, sockets: 1, threads: 1, model: "host-model" };
/** VMI labels that foreign writers may not touch (vmi-update-admitter.go restrictedVmiLabels). */
const RESTRICTED_LABELS: readonly string[] = [
  LABEL.createdBy,
  LABEL.migrationJobUid,
  LABEL.nodeName,
  LABEL.migrationTargetNode,
  LABEL.schedulable,
];

/** What the webhooks look up while they decide. */
export interface WebhookContext {
  readonly api: ApiTransport;
  readonly settings: () => Settings;
}

export type Webhook = (
  request: AdmissionRequest,
  context: WebhookContext,
) => AdmissionAnswer | Promise<AdmissionAnswer>;

/** Gives a new VM its machine and a firmware identity that outlives its VMIs. */
export function mutateVm(request: AdmissionRequest): AdmissionAnswer {
  const vm = request.object as VirtualMachine;
  if (request.operation !== "CREATE" || !vm.spec?.template?.spec?.domain) return ALLOWED;
  const { template } = vm.spec;
  const domain = {
    firmware: { uuid: labTime.uuid(), serial: labTime.uuid() },
    ...template.spec.domain,
    machine: { type: "q35", ...template.spec.domain.machine },
  };
  const spec = { ...template.spec, architecture: template.spec.architecture ?? "amd64", domain };
  return mutated(vm, { spec: { ...vm.spec, template: { ...template, spec } } });
}

export function validateVm(request: AdmissionRequest): AdmissionAnswer {
  const vm = request.object as VirtualMachine;
  if (vm.metadata.deletionTimestamp !== undefined) return ALLOWED;
  if (!vm.spec.template) return invalid("missing virtual machine template.", "spec.template");
  const { runStrategy, running } = vm.spec;
  if (runStrategy !== undefined && running !== undefined) {
    return invalid("Running and RunStrategy are mutually exclusive", "spec.running");
  }
  if (runStrategy === undefined && running === undefined) {
    return invalid("One of Running or RunStrategy must be specified", "spec.running");
  }
  if (runStrategy !== undefined && !RUN_STRATEGIES.has(runStrategy)) {
    return invalid(`Invalid RunStrategy (${runStrategy})`, "spec.runStrategy");
  }
  return ALLOWED;
}

/** A new VMI gets defaults, its finalizer and a phase; a foreign writer's change of status is silently undone. */
export function mutateVmi(request: AdmissionRequest, context: WebhookContext): AdmissionAnswer {
  const vmi = request.object as VirtualMachineInstance;
  if (request.operation === "CREATE") {
    const { metadata } = vmi;
    return mutated(vmi, {
      spec: withDefaults(vmi.spec, context.settings()),
      metadata: { ...metadata, finalizers: [...(metadata.finalizers ?? []), FINALIZER.vmi] },
      status: {
        ...vmi.status,
        phase: "Pending",
        phaseTransitionTimestamps: [{ phase: "Pending", phaseTransitionTimestamp: timestamp() }],
        runtimeUser: NON_ROOT_UID,
      },
    });
  }
  if (request.operation !== "UPDATE" || isKubeVirtUser(request)) return ALLOWED;
  const old = request.oldObject as VirtualMachineInstance;
  return isDeepStrictEqual(vmi.status, old.status) ? ALLOWED : mutated(vmi, { status: old.status });
}

function withDefaults(spec: VmiSpec, settings: Settings): VmiSpec {
  const { domain } = spec;
  return {
    ...spec,
    architecture: spec.architecture ?? "amd64",
    // "None" is written out, so that a change of the cluster's default does not reach running guests.
    evictionStrategy: spec.evictionStrategy ?? settings.evictionStrategy,
    networks: spec.networks ?? [{ name: "default", pod: {} }],
    domain: {
      ...domain,
      machine: { type: "q35", ...domain.machine },
      cpu: domain.cpu ? { model: "host-model", ...domain.cpu } : ONE_HOST_CPU,
      devices: {
        ...domain.devices,
        interfaces: domain.devices?.interfaces ?? [{ name: "default", bridge: {} }],
      },
    },
  };
}

export function validateVmiUpdate(request: AdmissionRequest): AdmissionAnswer {
  if (isKubeVirtUser(request)) return ALLOWED;
  const vmi = request.object as VirtualMachineInstance;
  const old = request.oldObject as VirtualMachineInstance;
  if (!isDeepStrictEqual(vmi.spec, old.spec)) return invalid("update of VMI object is restricted");
  const changed = RESTRICTED_LABELS.some(
    (label) => vmi.metadata.labels?.[label] !== old.metadata.labels?.[label],
  );
  return changed
    ? invalid("modification of the following reserved kubevirt.io/ labels on a VMI object is prohibited")
    : ALLOWED;
}

/** The label is what the next check lists by; the finalizer lets the controller end it properly. */
export function mutateMigration(request: AdmissionRequest): AdmissionAnswer {
  const migration = request.object as Migration;
  const { metadata } = migration;
  return mutated(migration, {
    metadata: {
      ...metadata,
      labels: { ...metadata.labels, [LABEL.migrationVmi]: migration.spec.vmiName },
      finalizers: [...(metadata.finalizers ?? []), FINALIZER.migration],
    },
  });
}

/** Refuses a second migration of one VMI by a LIST, which two requests at the same moment both pass (measured, table b). */
export async function validateMigrationCreate(
  request: AdmissionRequest,
  { api }: WebhookContext,
): Promise<AdmissionAnswer> {
  const migration = request.object as Migration;
  const { vmiName, priority } = migration.spec;
  if (!vmiName) return invalid("vmiName is missing", "spec.vmiName");
  if (priority !== undefined && !isVirtController(request)) {
    const message = "Migration priority queue, only virt-controller is allowed to set priority field";
    return invalid(message, "spec.migrationPriority");
  }
  const namespace = request.namespace ?? "";
  const base = `${KUBEVIRT_API}/namespaces/${namespace}`;
  const found = await api.request<VirtualMachineInstance>({
    method: "GET",
    path: `${base}/virtualmachineinstances/${vmiName}`,
  });
  if (!found.ok) return refused(`the VMI "${namespace}/${vmiName}" does not exist`);
  const vmi = found.value;
  if (isFinalVmi(vmi)) return refused("Cannot migrate VMI in finalized state.");
  const migratable = conditionOf(vmi.status.conditions, "LiveMigratable");
  if (migratable?.status === "False") {
    const { reason = "", message = "" } = migratable;
    return refused(`Cannot migrate VMI, Reason: ${reason}, Message: ${message}`);
  }
  return (await refusalByInFlight(api, base, vmiName)) ?? ALLOWED;
}

async function refusalByInFlight(
  api: ApiTransport,
  base: string,
  vmiName: string,
): Promise<AdmissionAnswer | undefined> {
  const outcome = await api.request<{ items?: Migration[] }>({
    method: "GET",
    path: `${base}/virtualmachineinstancemigrations`,
    query: { labelSelector: `${LABEL.migrationVmi} in (${vmiName})` },
  });
  const list = expectOk(outcome, "list migrations").items ?? [];
  const active = list.find((each) => !isFinalMigration({ ...each, status: each.status ?? {} }));
  if (!active) return undefined;
  return refused(
    `in-flight migration detected. Active migration job (${active.metadata.uid}) is currently already in progress for VMI ${vmiName}.`,
  );
}

export function validateMigrationUpdate(request: AdmissionRequest): AdmissionAnswer {
  const migration = request.object as Migration;
  const old = request.oldObject as Migration;
  if (!isDeepStrictEqual(migration.spec, old.spec)) {
    return invalid("update of Migration object's spec is restricted");
  }
  const label = LABEL.migrationVmi;
  const before = old.metadata.labels?.[label];
  const inFlight = !isFinalMigration({ ...migration, status: migration.status ?? {} });
  if (inFlight && before !== undefined && migration.metadata.labels?.[label] !== before) {
    return invalid("selector label can't be modified on an in-flight migration");
  }
  return ALLOWED;
}
