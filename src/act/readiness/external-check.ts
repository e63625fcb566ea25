// The harmless half of the methods that leave the act to somebody else's controller: are its kinds served, is the template
// or the class there, and is known beforehand what would be needed. Makes nothing.
import type { ExternalLevel, NetworkFenceSettings, RemediationTemplateRef } from "../../model/fencing.ts";
import { parseStorageClients, STORAGE_CLIENTS_ANNOTATION } from "../../model/storage-clients.ts";
import type { AccessSource } from "../device-access.ts";
import { discoverKind } from "../external/api-kinds.ts";
import { needsMachine, readOwnerMachine } from "../external/owner-machine.ts";
import { remediationKindOf, whyExcluded } from "../external/remediation.ts";
import { readTemplate } from "../external/remediation-manifest.ts";
import { whyUnaccepted } from "../external/weak-level.ts";
import type { FreshNode } from "../fresh-nodes.ts";
import { type EffectFailure, send } from "../guarded-request.ts";
import { outcomeOf } from "../outcome.ts";
import type { CheckResult } from "./check-result.ts";

const CLASSES = "/apis/csiaddons.openshift.io/v1alpha1/networkfenceclasses";

/** Checks one such level on one node; undefined where the API server did not answer, which says nothing of the level. */
export async function checkExternal(
  source: AccessSource,
  level: ExternalLevel,
  nodeName: string,
): Promise<CheckResult | undefined> {
  const unaccepted = whyUnaccepted(level);
  if (unaccepted !== undefined) return broken(unaccepted);
  const node = await source.nodes.read(nodeName);
  if (!node.ok) return undefined;
  switch (level.method) {
    case "Remediation":
      return checkTemplate(source, level.remediation.template, node.value);
    case "NetworkFence":
      return checkStorage(source, level.networkFence, node.value);
  }
}

async function checkTemplate(
  source: AccessSource,
  ref: RemediationTemplateRef,
  node: FreshNode,
): Promise<CheckResult | undefined> {
  const kind = remediationKindOf(ref.kind);
  const why = whyExcluded(node);
  if (why !== undefined) return broken(why);
  const [served, made] = await Promise.all([
    discoverKind(source, ref.apiVersion, ref.kind),
    discoverKind(source, ref.apiVersion, kind),
  ]);
  if (!served.ok) return brokenBy(served);
  if (!made.ok) return brokenBy(made);
  const template = await readTemplate(source, served.value, ref);
  if (!template.ok) return brokenBy(template);
  if (template.value.spec.template === undefined)
    return broken(`${ref.kind} ${ref.name} has no spec.template to make a ${kind} from`);
  if (needsMachine(kind)) {
    const machine = await readOwnerMachine(source, node, ref.namespace);
    if (!machine.ok) return brokenBy(machine);
  }
  return ready(`${ref.kind} ${ref.name} is there`);
}

async function checkStorage(
  source: AccessSource,
  { className }: NetworkFenceSettings,
  node: FreshNode,
): Promise<CheckResult | undefined> {
  const found = await send<unknown>(source, { method: "GET", path: `${CLASSES}/${className}` });
  if (!found.ok) return brokenBy(found);
  const record = parseStorageClients(node.annotations[STORAGE_CLIENTS_ANNOTATION]);
  if (record === undefined || record.bootID !== node.bootID || !Object.hasOwn(record.classes, className))
    return broken(`no storage addresses of ${node.name} for ${className} are on record for this boot`);
  return ready(`NetworkFenceClass ${className} is there, and the addresses of ${node.name} are on record`);
}

/** What only a person can change; an API server that does not answer is not the level's fault. */
function brokenBy(failure: EffectFailure): CheckResult | undefined {
  const { outcome } = outcomeOf(failure);
  return outcome === "retry" || outcome === "stale" ? undefined : broken(failure.message);
}

function broken(message: string): CheckResult {
  return { kind: "broken", reason: "Misconfigured", message, device: undefined };
}

function ready(message: string): CheckResult {
  return { kind: "ready", reason: "DeviceReady", message, device: undefined };
}
