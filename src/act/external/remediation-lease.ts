// The Lease by which operators of the medik8s family keep out of each other's way on one node: `node-<node>`, held by one
// at a time, told from a dead holder's by its renewal. Wall clocks are compared, as all its users do.
import { z } from "zod";
import type { ActContext } from "../context.ts";
import { type Effect, send } from "../guarded-request.ts";
import { timestampOf } from "../wall-time.ts";

const NAMESPACE = "medik8s-leases";
const COLLECTION = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases`;
/** Ours, whichever replica leads: a new leader goes on with what the old one held. */
const HOLDER = "holdfast";
/** Beyond the time that the work may take, as NodeHealthCheck has it. */
const SLACK_SECONDS = 60;
/** Part of its duration after which it is renewed. */
const RENEW_AFTER = 3;

const leaseObject = z.object({
  metadata: z.object({ uid: z.string(), resourceVersion: z.string() }),
  spec: z
    .object({
      holderIdentity: z.string().nullish(),
      leaseDurationSeconds: z.number().nullish(),
      renewTime: z.string().nullish(),
      leaseTransitions: z.number().nullish(),
    })
    .prefault({}),
});
type Lease = z.output<typeof leaseObject>;

/** Whose the node is. `failed`: the Lease could not be read or written. */
export type LeaseHold =
  | { readonly kind: "ours" }
  | { readonly kind: "held"; readonly by: string }
  | { readonly kind: "failed"; readonly failure: Extract<Effect<unknown>, { ok: false }> };

/** Takes the Lease of the node, or renews ours when a third of its time has passed. */
export async function holdNodeLease(
  context: ActContext,
  node: { readonly name: string; readonly uid: string },
  workMs: number,
): Promise<LeaseHold> {
  const path = pathOf(node.name);
  const read = await send<unknown>(context, { method: "GET", path });
  const nowMs = context.clock.now().wallMs;
  const leaseDurationSeconds = Math.ceil(workMs / 1000) + SLACK_SECONDS;
  const spec = { holderIdentity: HOLDER, leaseDurationSeconds, renewTime: microTime(nowMs) };
  if (!read.ok) {
    if (read.kind !== "notFound") return { kind: "failed", failure: read };
    const created = await send<unknown>(context, {
      method: "POST",
      path: COLLECTION,
      body: {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: {
          name: nameOf(node.name),
          ownerReferences: [{ apiVersion: "v1", kind: "Node", name: node.name, uid: node.uid }],
        },
        spec: { ...spec, acquireTime: microTime(nowMs), leaseTransitions: 0 },
      },
    });
    if (created.ok) return { kind: "ours" };
    if (created.kind === "alreadyExists") return { kind: "held", by: "somebody who was faster" };
    const message = `Lease ${NAMESPACE}/${nameOf(node.name)}: ${created.message}`;
    return { kind: "failed", failure: { ...created, message } };
  }
  const lease = leaseObject.safeParse(read.value);
  if (!lease.success) return { kind: "held", by: "somebody whose Lease cannot be read" };
  return takeOver(context, { path, lease: lease.data, spec, nowMs });
}

/** Deletes the Lease where it is ours; nobody then waits for it to run out. */
export async function releaseNodeLease(context: ActContext, nodeName: string): Promise<Effect<unknown>> {
  const path = pathOf(nodeName);
  const read = await send<unknown>(context, { method: "GET", path });
  if (!read.ok) return read.kind === "notFound" ? { ok: true, value: undefined } : read;
  const lease = leaseObject.safeParse(read.value);
  if (!lease.success || lease.data.spec.holderIdentity !== HOLDER) return { ok: true, value: undefined };
  const { uid, resourceVersion } = lease.data.metadata;
  const deleted = await send<unknown>(context, {
    method: "DELETE",
    path,
    body: { preconditions: { uid, resourceVersion } },
  });
  return deleted.ok || deleted.kind === "notFound" ? { ok: true, value: undefined } : deleted;
}

async function takeOver(
  context: ActContext,
  parts: { path: string; lease: Lease; spec: Readonly<Record<string, unknown>>; nowMs: number },
): Promise<LeaseHold> {
  const { path, lease, spec, nowMs } = parts;
  const { holderIdentity, leaseDurationSeconds, renewTime, leaseTransitions } = lease.spec;
  const durationMs = (leaseDurationSeconds ?? 0) * 1000;
  const ageMs = nowMs - Date.parse(renewTime ?? "");
  const ours = holderIdentity === HOLDER;
  if (ours && ageMs >= 0 && ageMs < durationMs / RENEW_AFTER) return { kind: "ours" };
  // A renewal in our future is one by a clock that is ahead of ours: it counts as valid.
  if (!ours && holderIdentity && ageMs < durationMs) return { kind: "held", by: holderIdentity };
  const change = ours ? {} : { acquireTime: microTime(nowMs), leaseTransitions: (leaseTransitions ?? 0) + 1 };
  const written = await send<unknown>(context, {
    method: "PATCH",
    path,
    contentType: "application/merge-patch+json",
    body: { metadata: { resourceVersion: lease.metadata.resourceVersion }, spec: { ...spec, ...change } },
  });
  if (written.ok) return { kind: "ours" };
  if (written.kind === "conflict") return { kind: "held", by: "somebody who was faster" };
  return { kind: "failed", failure: written };
}

function nameOf(nodeName: string): string {
  return `node-${nodeName}`;
}

function pathOf(nodeName: string): string {
  return `${COLLECTION}/${encodeURIComponent(nameOf(nodeName))}`;
}

/** `metav1.MicroTime` takes microseconds and nothing else. */
function microTime(wallMs: number): string {
  return timestampOf(wallMs).replace("Z", "000Z");
}
