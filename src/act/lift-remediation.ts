// Withdraws every remediation that was made under a ledger, and the Lease of its node: the remediators then take their
// taints away. Nothing of anybody else's is touched.
import type { FencingAttempt, FencingFact } from "../model/fencing.ts";
import type { LiftRemediationStep } from "../model/plan.ts";
import type { ActContext } from "./context.ts";
import { discoverKind, kindPath, type ServedKind } from "./external/api-kinds.ts";
import { releaseNodeLease } from "./external/remediation-lease.ts";
import { FENCING_LABEL, listRemediations } from "./external/remediation-list.ts";
import { type Remediation, signalOf, TIMED_OUT_ANNOTATION } from "./external/remediation-signal.ts";
import { ledgerOf, olderThan, writeLedger } from "./fencing-ledger.ts";
import { type EffectFailure, send } from "./guarded-request.ts";
import { DONE, ended, outcomeOf, type PerformedStep } from "./outcome.ts";
import { secondsOf, timestampOf } from "./wall-time.ts";

type Made = NonNullable<FencingAttempt["remediation"]>;

/** `done` once all are being deleted and the ledger says so; a remediator's finalizer may take its time after that. */
export async function performLiftRemediation(
  step: LiftRemediationStep,
  context: ActContext,
): Promise<PerformedStep> {
  const before = ledgerOf(step.fencing);
  const refusal = olderThan(before, context) ?? (await obstacle(step.fencing, context));
  if (refusal !== undefined) return refusal;
  for (const made of madeUnder(step.fencing)) {
    const failure = await liftAll(made, step.fencing.uid, context);
    if (failure !== undefined) return outcomeOf(failure);
  }
  const released = await releaseNodeLease(context, step.fencing.nodeName);
  if (!released.ok) return outcomeOf(released);
  const remediationsLiftedAt = timestampOf(context.clock.now().wallMs);
  const written = await writeLedger(context, before, { ...before.status, remediationsLiftedAt });
  return written.ok ? DONE : outcomeOf(written);
}

/**
 * A remediator that is sent home lifts its taints, and pods of the fenced incarnation may start again: not while the node
 * still shows the boot ID on whose proof VMs were released. A Node object that is gone, or another, is no such node.
 */
async function obstacle(fencing: FencingFact, context: ActContext): Promise<PerformedStep | undefined> {
  if (fencing.status.proof === undefined) return undefined;
  const node = await context.nodes.read(fencing.nodeName);
  if (!node.ok) return node.kind === "notFound" ? undefined : outcomeOf(node);
  const { uid, bootID } = node.value;
  if (uid !== fencing.nodeUID || (bootID !== undefined && bootID !== fencing.bootID)) return undefined;
  return ended(
    "refused",
    `${fencing.nodeName} still shows boot ID ${fencing.bootID}, whose VMs were released: its remediations stay`,
  );
}

/** Each kind and namespace once. */
function madeUnder({ status }: FencingFact): readonly Made[] {
  const made = new Map<string, Made>();
  for (const { remediation } of status.attempts) {
    if (remediation === undefined) continue;
    const { apiVersion, kind, namespace } = remediation;
    made.set(`${apiVersion}/${kind}/${namespace ?? ""}`, remediation);
  }
  return [...made.values()];
}

async function liftAll(
  made: Made,
  fencingUID: string,
  context: ActContext,
): Promise<EffectFailure | undefined> {
  const served = await discoverKind(context, made.apiVersion, made.kind);
  // Its operator was removed, and its objects with it.
  if (!served.ok) return served.kind === "notFound" ? undefined : served;
  const listed = await listRemediations(
    context,
    served.value,
    made.namespace,
    `${FENCING_LABEL}=${fencingUID}`,
  );
  if (!listed.ok) return listed.kind === "notFound" ? undefined : listed;
  for (const remediation of listed.value) {
    const failure = await lift(remediation, served.value, context);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

/** One that is still at work is told to stop before it is deleted: the contract's way to call it off. */
async function lift(
  remediation: Remediation,
  served: ServedKind,
  context: ActContext,
): Promise<EffectFailure | undefined> {
  const { name, namespace, uid, deletionTimestamp } = remediation.metadata;
  if (deletionTimestamp !== undefined) return undefined;
  const path = kindPath(served, namespace, name);
  const nowWallMs = context.clock.now().wallMs;
  if (signalOf(served.kind, remediation, nowWallMs).kind === "working") {
    const annotations = { [TIMED_OUT_ANNOTATION]: secondsOf(nowWallMs) };
    const told = await send(context, {
      method: "PATCH",
      path,
      contentType: "application/merge-patch+json",
      body: { metadata: { uid, annotations } },
    });
    if (!told.ok && told.kind !== "notFound") return told;
  }
  const deleted = await send(context, { method: "DELETE", path, body: { preconditions: { uid } } });
  return deleted.ok || deleted.kind === "notFound" ? undefined : deleted;
}
