// The Cluster API Machine of a node, for the kinds of remediation whose controller finds its host by that owner alone.
import { z } from "zod";
import type { FreshNode } from "../fresh-nodes.ts";
import { type Caller, type Effect, send } from "../guarded-request.ts";

const GROUP = "cluster.x-k8s.io";
/** What Cluster API writes on each node of its machines. */
export const MACHINE_ANNOTATION = "cluster.x-k8s.io/machine";
export const MACHINE_NAMESPACE_ANNOTATION = "cluster.x-k8s.io/cluster-namespace";
const NEEDS_MACHINE: readonly string[] = ["Metal3Remediation"];

const groupObject = z.object({ preferredVersion: z.object({ groupVersion: z.string() }) });
const machineObject = z.object({
  metadata: z.object({ uid: z.string().min(1), deletionTimestamp: z.string().optional() }),
  status: z
    .object({ nodeRef: z.object({ name: z.string(), uid: z.string().optional() }).nullish() })
    .nullish(),
});

/** As an owner reference names it. */
export interface OwnerMachine {
  readonly apiVersion: string;
  readonly kind: "Machine";
  readonly name: string;
  readonly uid: string;
}

/** Whether remediations of that kind do nothing without a Machine that owns them. */
export function needsMachine(kind: string): boolean {
  return NEEDS_MACHINE.includes(kind);
}

/**
 * Reads the Machine that the node's annotations name. Annotations a kubelet may change: so the Machine counts only if it
 * names this node in turn, or a node could have another one's power cut. `namespace` is where the remediation would be
 * made; its controller looks for the owner nowhere else. What only a person can change fails as `invalid`.
 */
export async function readOwnerMachine(
  caller: Caller,
  node: Pick<FreshNode, "name" | "uid" | "annotations">,
  namespace: string | undefined,
): Promise<Effect<OwnerMachine>> {
  const name = node.annotations[MACHINE_ANNOTATION];
  const home = node.annotations[MACHINE_NAMESPACE_ANNOTATION];
  if (!name || !home) {
    const lacking = name ? MACHINE_NAMESPACE_ANNOTATION : MACHINE_ANNOTATION;
    return refused(`${node.name} has no annotation ${lacking}, by which its Cluster API Machine is found`);
  }
  const called = `Machine ${home}/${name}`;
  if (home !== namespace) {
    return refused(
      `${called} of ${node.name} can own only remediations in its own namespace, and the template is in ${namespace ?? "none"}`,
    );
  }
  const group = await send<unknown>(caller, { method: "GET", path: `/apis/${GROUP}` });
  if (!group.ok) return { ...group, message: `${GROUP} is not served here: ${group.message}` };
  const version = groupObject.safeParse(group.value);
  if (!version.success) return refused(`${GROUP} names no version in which it is served`);
  const apiVersion = version.data.preferredVersion.groupVersion;
  const path = `/apis/${apiVersion}/namespaces/${encodeURIComponent(home)}/machines/${encodeURIComponent(name)}`;
  const read = await send<unknown>(caller, { method: "GET", path });
  if (!read.ok) return { ...read, message: `${called} of ${node.name}: ${read.message}` };
  const machine = machineObject.safeParse(read.value);
  if (!machine.success) return refused(`${called} of ${node.name} cannot be read as a Machine`);
  const { metadata, status } = machine.data;
  const { nodeRef } = status ?? {};
  if (nodeRef?.name !== node.name || (nodeRef.uid ?? node.uid) !== node.uid) {
    return refused(
      `${node.name} names ${called}, but that one names ${nodeRef?.name ?? "no node"} as its node`,
    );
  }
  if (metadata.deletionTimestamp !== undefined) return refused(`${called} of ${node.name} is being deleted`);
  return { ok: true, value: { apiVersion, kind: "Machine", name, uid: metadata.uid } };
}

function refused(message: string): Effect<never> {
  return { ok: false, kind: "invalid", status: 200, message };
}
