// Live migrations: made under a name that follows from the VMI, so that KubeVirt itself stops a second one; ended by deletion.
import type { AbortMigrationStep, CreateMigrationStep } from "../model/plan.ts";
import type { ActContext } from "./context.ts";
import { deleteByUID } from "./delete-by-uid.ts";
import { type EffectFailure, send } from "./guarded-request.ts";
import { DONE, ended, outcomeOf, type PerformedStep } from "./outcome.ts";
import { kubeVirtPath, splitKey } from "./resource-path.ts";

/** By these labels a migration is known to be ours, and for which VMI and purpose it was made. */
const MIGRATION_PURPOSE_LABEL = "holdfast.dev/purpose";
const MIGRATION_VMI_UID_LABEL = "holdfast.dev/vmi-uid";

/** virt-api's words where a migration of the VMI is under way; it answers 400 before storage could answer 409. */
const IN_FLIGHT = /in-flight migration detected/i;

/** Creates the migration. One that is there already, ours or another's, is as good. */
export async function performCreateMigration(
  step: CreateMigrationStep,
  context: ActContext,
): Promise<PerformedStep> {
  const { namespace, name } = splitKey(step.vmKey);
  const created = await send(context, {
    method: "POST",
    path: kubeVirtPath(namespace, "virtualmachineinstancemigrations"),
    query: { fieldManager: context.fieldManager },
    body: migrationOf(step, name, namespace),
  });
  if (created.ok) {
    context.facts.applyOwnWrite("migrations", created.value);
    return DONE;
  }
  return isUnderWay(created) ? ended("unchanged", created.message) : outcomeOf(created);
}

/** Calls a migration off; too late is no failure, it has then moved. */
export function performAbortMigration(step: AbortMigrationStep, context: ActContext): Promise<PerformedStep> {
  const path = kubeVirtPath(step.namespace, "virtualmachineinstancemigrations", step.name);
  return deleteByUID(context, { path, uid: step.uid });
}

function isUnderWay(failure: EffectFailure): boolean {
  if (failure.kind === "alreadyExists" || failure.kind === "conflict") return true;
  return failure.kind === "invalid" && IN_FLIGHT.test(failure.message);
}

/** No owner: KubeVirt keeps the last finished ones of each VMI and clears the rest by itself. */
function migrationOf(step: CreateMigrationStep, vmiName: string, namespace: string) {
  return {
    apiVersion: "kubevirt.io/v1",
    kind: "VirtualMachineInstanceMigration",
    metadata: {
      name: step.name,
      namespace,
      labels: {
        "app.kubernetes.io/managed-by": "holdfast",
        [MIGRATION_PURPOSE_LABEL]: step.purpose,
        [MIGRATION_VMI_UID_LABEL]: step.vmiUID,
      },
      annotations: {
        "kubevirt.io/migrationUnschedulablePodTimeoutSeconds": String(step.unschedulableTimeoutSeconds),
      },
    },
    spec: {
      vmiName,
      ...(Object.keys(step.targetSelector).length === 0 ? {} : { addedNodeSelector: step.targetSelector }),
    },
  };
}
