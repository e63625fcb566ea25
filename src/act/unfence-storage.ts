// Lets a node reach its storage again: every NetworkFence of the ledger is set to Unfenced, that is read back, and only then
// it is deleted, since a deleted one that was Fenced stays in force at the storage and nobody remembers it.
import { z } from "zod";
import type { FencingFact } from "../model/fencing.ts";
import type { UnfenceStorageStep } from "../model/plan.ts";
import type { ActContext } from "./context.ts";
import {
  NETWORK_FENCES,
  type NetworkFenceObject,
  networkFenceObject,
  UNFENCED_MESSAGE,
} from "./external/network-fence.ts";
import { FENCING_LABEL } from "./external/remediation-list.ts";
import { pause } from "./fence/call-deadline.ts";
import { ledgerOf, olderThan, writeLedger } from "./fencing-ledger.ts";
import { type Effect, send } from "./guarded-request.ts";
import { DONE, ended, outcomeOf, type PerformedStep } from "./outcome.ts";
import { timestampOf } from "./wall-time.ts";

/** How long one step waits for the storage; the next turn goes on. */
const PATIENCE_MS = 30_000;
const POLL_MS = 500;

const list = z.object({ items: z.array(z.unknown()) });

/**
 * Guarantees: nothing is unfenced while the node, read anew, still shows the boot ID on whose proof VMs were released:
 * KubeVirt resumes a guest that was paused by I/O errors as soon as its disk answers, and it would be a second copy.
 */
export async function performUnfenceStorage(
  step: UnfenceStorageStep,
  context: ActContext,
): Promise<PerformedStep> {
  const before = ledgerOf(step.fencing);
  const refusal = olderThan(before, context) ?? (await obstacle(step.fencing, context));
  if (refusal !== undefined) return refusal;
  const startedAtMs = context.clock.now().monotonicMs;
  for (;;) {
    const fences = await fencesOf(step.fencing, context);
    if (!fences.ok) return outcomeOf(fences);
    if (fences.value.length === 0) break;
    const ends = await Promise.all(fences.value.map((fence) => unfence(fence, context)));
    const bad = ends.find((end) => end.outcome !== "done" && end.outcome !== "conflict");
    if (bad !== undefined) return bad;
    if (context.clock.now().monotonicMs - startedAtMs > PATIENCE_MS) {
      const said = fences.value.map(
        ({ metadata, status }) => `${metadata.name}: ${status?.message ?? "no result"}`,
      );
      return ended("refused", `the storage is not unfenced yet: ${said.join("; ")}`);
    }
    await pause(context.clock, POLL_MS, context.leadership.signal);
  }
  const storageUnfencedAt = timestampOf(context.clock.now().wallMs);
  const written = await writeLedger(context, before, { ...before.status, storageUnfencedAt });
  return written.ok ? DONE : outcomeOf(written);
}

async function obstacle(fencing: FencingFact, context: ActContext): Promise<PerformedStep | undefined> {
  if (fencing.status.proof === undefined) return undefined;
  const node = await context.nodes.read(fencing.nodeName);
  if (!node.ok) return outcomeOf(node);
  if (node.value.bootID !== undefined && node.value.bootID !== fencing.bootID) return undefined;
  return ended(
    "refused",
    `${fencing.nodeName} still shows boot ID ${fencing.bootID}, whose VMs were released: its guests could resume`,
  );
}

async function fencesOf(
  fencing: FencingFact,
  context: ActContext,
): Promise<Effect<readonly NetworkFenceObject[]>> {
  const read = await send<unknown>(context, {
    method: "GET",
    path: NETWORK_FENCES,
    query: { labelSelector: `${FENCING_LABEL}=${fencing.uid}` },
  });
  // CSI-Addons is not installed: nothing was ever fenced through it.
  if (!read.ok) return read.kind === "notFound" ? { ok: true, value: [] } : read;
  const parsed = list.safeParse(read.value);
  const fences = (parsed.success ? parsed.data.items : []).flatMap((item) => {
    const one = networkFenceObject.safeParse(item);
    return one.success && one.data.metadata.deletionTimestamp === undefined ? [one.data] : [];
  });
  return { ok: true, value: fences };
}

async function unfence(fence: NetworkFenceObject, context: ActContext): Promise<PerformedStep> {
  const { name, uid, resourceVersion } = fence.metadata;
  const path = `${NETWORK_FENCES}/${name}`;
  if (fence.spec.fenceState !== "Unfenced") {
    const told = await send<unknown>(context, {
      method: "PATCH",
      path,
      contentType: "application/merge-patch+json",
      body: { metadata: { resourceVersion }, spec: { fenceState: "Unfenced" } },
    });
    return told.ok ? DONE : outcomeOf(told);
  }
  // The result of the fencing still stands there until that of the unfencing replaces it.
  if (fence.status?.result !== "Succeeded" || fence.status.message !== UNFENCED_MESSAGE) return DONE;
  const gone = await send<unknown>(context, { method: "DELETE", path, body: { preconditions: { uid } } });
  return gone.ok || gone.kind === "notFound" ? DONE : outcomeOf(gone);
}
