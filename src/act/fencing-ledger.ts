// The ledger of a fencing (a NodeFencing) on the API server: created once, then written by compare-and-swap only.
import { API_VERSION } from "../api/kind.ts";
import { type NodeFencing, nodeFencing } from "../api/node-fencing.ts";
import { DRILL_ANNOTATION } from "../model/drill.ts";
import type { FencingFact, FencingStatus } from "../model/fencing.ts";
import type { OpenFencingStep, WriteFencingStep } from "../model/plan.ts";
import type { ActContext } from "./context.ts";
import { type Effect, type EffectFailure, send } from "./guarded-request.ts";
import { DONE, ended, outcomeOf, type PerformedStep } from "./outcome.ts";
import { writeStatus } from "./own-status.ts";
import { clusterPath, NODE_FENCINGS } from "./resource-path.ts";

/** A ledger as it stood at one version: what the next write is computed from, and guarded by. */
export interface Ledger {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly status: FencingStatus;
}

/** The ledger as the facts have it. */
export function ledgerOf(fencing: FencingFact): Ledger {
  const { name, uid, resourceVersion, status } = fencing;
  return { name, uid, resourceVersion, status };
}

/** Writes the intent down. One that exists already has the same name, hence is about the same incarnation. */
export async function performOpenFencing(step: OpenFencingStep, context: ActContext): Promise<PerformedStep> {
  const created = await send<unknown>(context, {
    method: "POST",
    path: NODE_FENCINGS,
    query: { fieldManager: context.fieldManager },
    body: {
      apiVersion: API_VERSION,
      kind: "NodeFencing",
      metadata: {
        name: step.name,
        labels: { "app.kubernetes.io/managed-by": "holdfast" },
        ...(step.drill === undefined ? {} : { annotations: { [DRILL_ANNOTATION]: step.drill } }),
      },
      spec: {
        nodeName: step.node,
        nodeUID: step.nodeUID,
        bootID: step.bootID,
        topology: step.topology,
        reason: step.drill === undefined ? "NodeLost" : "Requested",
        message: step.message,
        detectedAt: step.detectedAt,
        lastSeenAt: step.lastSeenAt,
      },
    },
  });
  // There already: an earlier request of ours arrived although its answer did not.
  if (!created.ok) return created.kind === "alreadyExists" ? DONE : outcomeOf(created);
  context.facts.applyOwnWrite("fencings", created.value);
  return DONE;
}

/** Writes a status that decide has computed. */
export async function performWriteFencing(
  step: WriteFencingStep,
  context: ActContext,
): Promise<PerformedStep> {
  const refusal = olderThan(ledgerOf(step.fencing), context);
  if (refusal !== undefined) return refusal;
  const written = await writeLedger(context, ledgerOf(step.fencing), step.status);
  return written.ok ? DONE : outcomeOf(written);
}

/** A leader with a higher epoch has written here, so we were replaced and have not heard of it yet. */
export function olderThan(ledger: Ledger, context: ActContext): PerformedStep | undefined {
  const { epoch } = context.leadership;
  if (ledger.status.epoch <= epoch) return undefined;
  return ended("stale", `epoch ${ledger.status.epoch} has written ${ledger.name}; ours is ${epoch}`);
}

/** Replaces the status of exactly this version of the ledger and stamps our epoch; answers the ledger that then stands. */
export async function writeLedger(
  context: ActContext,
  ledger: Ledger,
  status: FencingStatus,
): Promise<Effect<Ledger>> {
  const { name, uid, resourceVersion } = ledger;
  const written = await writeStatus(context, {
    resource: "fencings",
    kind: "NodeFencing",
    path: clusterPath("nodefencings", name),
    metadata: { name, uid, resourceVersion },
    status: { ...status, epoch: context.leadership.epoch },
  });
  return written.ok ? parsedLedger(written.value) : written;
}

/** The ledger as a quorum read returns it now. */
export async function readLedger(context: ActContext, name: string): Promise<Effect<Ledger>> {
  const read = await send<unknown>(context, { method: "GET", path: clusterPath("nodefencings", name) });
  return read.ok ? parsedLedger(read.value) : read;
}

function parsedLedger(raw: unknown): Effect<Ledger> {
  const parsed = nodeFencing.stored.safeParse(raw);
  if (!parsed.success) return unreadable(parsed.error.issues[0]?.message);
  const { metadata, status } = parsed.data;
  const { name, uid, resourceVersion } = metadata;
  return { ok: true, value: { name, uid, resourceVersion, status: statusOf(status) } };
}

function statusOf(status: NodeFencing["status"]): FencingStatus {
  if (status === undefined) {
    return { phase: "Pending", epoch: 0, attempts: [], releasedVMs: [], conditions: [] };
  }
  const { attempts = [], releasedVMs = [], conditions = [] } = status;
  return { ...status, attempts, releasedVMs, conditions };
}

function unreadable(why: string | undefined): EffectFailure {
  return {
    ok: false,
    kind: "unexpected",
    status: 200,
    message: `the NodeFencing cannot be read: ${why ?? ""}`,
  };
}
