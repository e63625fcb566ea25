// Writes the status of our own objects: server-side apply onto /status, guarded by the version it was computed from.
import { API_VERSION } from "../api/kind.ts";
import type { WriteProtectionStep, WriteSummaryStep } from "../model/plan.ts";
import type { ActContext, OwnWritable } from "./context.ts";
import { type Effect, send } from "./guarded-request.ts";
import { DONE, outcomeOf, type PerformedStep } from "./outcome.ts";
import { clusterPath, protectionPath } from "./resource-path.ts";

/** One status to be written over what stands at `resourceVersion`. */
export interface OwnStatus {
  readonly resource: OwnWritable;
  readonly kind: string;
  readonly path: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    /** Where known: a newer object of the same name is then never written to. */
    readonly uid?: string;
    readonly resourceVersion: string;
  };
  readonly status: unknown;
}

/**
 * Replaces the status as a compare-and-swap: the resourceVersion in an applied object is a precondition. `force`, since
 * nobody else has a say in our statuses. Our facts learn of it at once.
 */
export async function writeStatus(context: ActContext, write: OwnStatus): Promise<Effect<unknown>> {
  const written = await send<unknown>(context, {
    method: "PATCH",
    path: `${write.path}/status`,
    query: { fieldManager: context.fieldManager, force: true },
    contentType: "application/apply-patch+yaml",
    body: { apiVersion: API_VERSION, kind: write.kind, metadata: write.metadata, status: write.status },
  });
  if (written.ok) context.facts.applyOwnWrite(write.resource, written.value);
  return written;
}

/** Writes what an HAVirtualMachine's status says; decide has already left out what says nothing new. */
export async function performWriteProtection(
  step: WriteProtectionStep,
  context: ActContext,
): Promise<PerformedStep> {
  const { namespace, name, uid, resourceVersion } = step.protection;
  const written = await writeStatus(context, {
    resource: "protections",
    kind: "HAVirtualMachine",
    path: protectionPath(namespace, name),
    metadata: { name, namespace, uid, resourceVersion },
    status: step.status,
  });
  return written.ok ? DONE : outcomeOf(written);
}

const SUMMARIES = {
  fencingtopologies: { resource: "topologies", kind: "FencingTopology" },
  havirtualmachinepolicies: { resource: "policies", kind: "HAVirtualMachinePolicy" },
  fencingdisarms: { resource: "disarms", kind: "FencingDisarm" },
} as const;

/** Writes the status of a topology, a policy or a disarm. */
export async function performWriteSummary(
  step: WriteSummaryStep,
  context: ActContext,
): Promise<PerformedStep> {
  const written = await writeStatus(context, {
    ...SUMMARIES[step.resource],
    path: clusterPath(step.resource, step.name),
    metadata: { name: step.name, resourceVersion: step.resourceVersion },
    status: step.status,
  });
  return written.ok ? DONE : outcomeOf(written);
}
