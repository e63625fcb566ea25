// Puts the addresses by which the storage knows a healthy node on record, on the node itself, for this boot.
import { renderTemplate } from "../api/node-template.ts";
import type { NetworkFenceSettings } from "../model/fencing.ts";
import type { RecordStorageClientsStep } from "../model/plan.ts";
import {
  MAX_CLIENT_CIDRS,
  singleAddress,
  STORAGE_CLIENTS_ANNOTATION,
  type StorageClients,
} from "../model/storage-clients.ts";
import type { ActContext } from "./context.ts";
import type { FreshNode } from "./fresh-nodes.ts";
import { type EffectFailure, send } from "./guarded-request.ts";
import { DONE, ended, outcomeOf, type PerformedStep } from "./outcome.ts";
import { nodePath } from "./resource-path.ts";
import { timestampOf } from "./wall-time.ts";

/**
 * Guarantees: what is written is of the boot that the node shows in the version that is written over, and leaves before the
 * step's time is over, in which nobody can have judged the node lost.
 */
export async function performRecordStorageClients(
  step: RecordStorageClientsStep,
  context: ActContext,
): Promise<PerformedStep> {
  const node = await context.nodes.read(step.node);
  if (!node.ok) return outcomeOf(node);
  const { bootID } = node.value;
  if (bootID !== step.bootID) return ended("conflict", `${step.node} reports boot ID ${bootID ?? "none"}`);
  const classes: Record<string, readonly string[]> = {};
  for (const settings of step.wanted) {
    const found = await addressesOf(settings, node.value, context);
    if (!("cidrs" in found)) return "ok" in found ? outcomeOf(found) : found;
    classes[settings.className] = found.cidrs;
  }
  if (context.clock.now().monotonicMs >= step.validUntilMs)
    return ended("conflict", `${step.node} was last heard too long ago to tell its addresses from another's`);
  const recordedAt = timestampOf(context.clock.now().wallMs);
  const record: StorageClients = { bootID, recordedAt, classes };
  const written = await send<unknown>(context, {
    method: "PATCH",
    path: nodePath(step.node),
    query: { fieldManager: context.fieldManager },
    contentType: "application/merge-patch+json",
    body: {
      metadata: {
        resourceVersion: node.value.resourceVersion,
        annotations: { [STORAGE_CLIENTS_ANNOTATION]: JSON.stringify(record) },
      },
    },
  });
  if (!written.ok) return outcomeOf(written);
  context.nodes.forget(step.node);
  context.facts.applyOwnWrite("nodes", written.value);
  return DONE;
}

async function addressesOf(
  settings: NetworkFenceSettings,
  node: FreshNode,
  context: ActContext,
): Promise<{ readonly cidrs: readonly string[] } | PerformedStep | EffectFailure> {
  const { className } = settings;
  const refused = (why: string) =>
    ended("refused", `storage addresses of ${node.name} for ${className}: ${why}`);
  let written: readonly string[];
  if (settings.cidrs.length > 0) {
    const rendered = settings.cidrs.map((template) => renderTemplate(template, node));
    const missing = rendered.flatMap((one) => (one.ok ? [] : one.missing));
    if (missing.length > 0) return refused(`the node has no ${missing.join(", ")}`);
    written = rendered.flatMap((one) => (one.ok ? one.value.split(",") : []));
  } else {
    const told = await context.storageClients.cidrsOf(node.name, className);
    if (!told.ok) return told;
    written = told.value;
  }
  const cidrs = [...new Set(written.map((one) => singleAddress(one) ?? ""))].sort();
  if (cidrs.length === 0) return refused("no connected CSIAddonsNode tells any");
  if (cidrs.includes("")) return refused(`not single addresses, as they must be: ${written.join(", ")}`);
  return cidrs.length > MAX_CLIENT_CIDRS ? refused(`more than ${MAX_CLIENT_CIDRS}`) : { cidrs };
}
