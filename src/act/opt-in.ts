// HAVirtualMachines that a policy wants: applied from its template, removed when no policy wants them any more. Never
// touches one that a person wrote.
import { API_VERSION } from "../api/kind.ts";
import type { ApplyProtectionStep, DeleteProtectionStep } from "../model/plan.ts";
import type { ActContext } from "./context.ts";
import { deleteByUID } from "./delete-by-uid.ts";
import { type Effect, send } from "./guarded-request.ts";
import { DONE, ended, outcomeOf, type PerformedStep } from "./outcome.ts";
import { protectionPath } from "./resource-path.ts";

/** Names the policy an HAVirtualMachine was made by; one without it was written by a person. */
const POLICY_LABEL = "holdfast.dev/policy";
/** The generation of that policy's template it was made from. */
const POLICY_GENERATION_ANNOTATION = "holdfast.dev/policy-generation";

/** Owner of the fields that come from a template, apart from the operator's statuses. */
const POLICY_FIELD_MANAGER = "holdfast-policy";

interface RawProtection {
  readonly metadata?: {
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
}

/**
 * Makes the HAVirtualMachine of a selected VM, or brings it up to the template: by server-side apply, so that a field
 * dropped from the template goes and a field added by others stays. `force`: where a template names a field, it counts.
 * It is created by itself first, since an apply that creates cannot be told from one that changes what a person has just
 * written under that name; that one is then a `conflict`, and stays as it is.
 */
export async function performApplyProtection(
  step: ApplyProtectionStep,
  context: ActContext,
): Promise<PerformedStep> {
  const path = protectionPath(step.namespace, step.name);
  const standing = await send<RawProtection>(context, { method: "GET", path });
  if (!standing.ok && standing.kind !== "notFound") return outcomeOf(standing);
  const before = standing.ok ? (standing.value.metadata ?? {}) : undefined;
  if (before?.deletionTimestamp !== undefined) return ended("conflict", "it is being deleted");
  const theirs = `HAVirtualMachine ${step.namespace}/${step.name} was written by somebody: it stays as it is`;
  if (before !== undefined && before.labels?.[POLICY_LABEL] === undefined) return ended("refused", theirs);
  const created = before === undefined ? await create(step, context) : undefined;
  if (created?.ok === false) {
    return created.kind === "alreadyExists" ? ended("conflict", theirs) : outcomeOf(created);
  }
  const metadata = before ?? created?.value.metadata ?? {};
  const applied = await apply(step, { path, metadata }, context);
  if (!applied.ok) return outcomeOf(applied);
  context.facts.applyOwnWrite("protections", applied.value);
  const same = before !== undefined && applied.value.metadata?.resourceVersion === before.resourceVersion;
  return same ? ended("unchanged", "it was so already") : DONE;
}

/** Deletes the HAVirtualMachine meant. */
export function performDeleteProtection(
  step: DeleteProtectionStep,
  context: ActContext,
): Promise<PerformedStep> {
  const { namespace, name, uid } = step;
  return deleteByUID(context, {
    path: protectionPath(namespace, name),
    uid,
    onGone: () => context.facts.applyOwnDelete("protections", `${namespace}/${name}`, uid),
  });
}

/** The least that is ours and surely new; without the template's generation, so that whoever leads next completes it. */
function create(step: ApplyProtectionStep, context: ActContext): Promise<Effect<RawProtection>> {
  const { annotations: _generation, ...metadata } = metadataOf(step);
  return send(context, {
    method: "POST",
    path: protectionPath(step.namespace),
    query: { fieldManager: POLICY_FIELD_MANAGER },
    body: {
      apiVersion: API_VERSION,
      kind: "HAVirtualMachine",
      metadata,
      spec: { virtualMachineName: step.vmName },
    },
  });
}

function apply(
  step: ApplyProtectionStep,
  standing: { readonly path: string; readonly metadata: NonNullable<RawProtection["metadata"]> },
  context: ActContext,
): Promise<Effect<RawProtection>> {
  const { uid, resourceVersion } = standing.metadata;
  return send(context, {
    method: "PATCH",
    path: standing.path,
    query: { fieldManager: POLICY_FIELD_MANAGER, force: true },
    contentType: "application/apply-patch+yaml",
    body: {
      apiVersion: API_VERSION,
      kind: "HAVirtualMachine",
      // What we have just looked at, and nothing newer.
      metadata: { ...metadataOf(step), uid, resourceVersion },
      spec: { ...step.policy.template, virtualMachineName: step.vmName },
    },
  });
}

function metadataOf(step: ApplyProtectionStep) {
  return {
    name: step.name,
    namespace: step.namespace,
    labels: { "app.kubernetes.io/managed-by": "holdfast", [POLICY_LABEL]: step.policy.name },
    annotations: { [POLICY_GENERATION_ANNOTATION]: String(step.policy.generation) },
    // It goes with its VM.
    ownerReferences: [
      { apiVersion: "kubevirt.io/v1", kind: "VirtualMachine", name: step.vmName, uid: step.vmUID },
    ],
  };
}
