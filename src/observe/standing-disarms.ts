// The FencingDisarms as they stand on the server now, and not as we last heard: the last look before a shot.
import { fencingDisarm } from "../api/fencing-disarm.ts";
import { collectionPath } from "../api/kind.ts";
import type { ApiOutcome, ApiTransport } from "../kube/transport.ts";
import type { Clock } from "../model/clock.ts";
import { covers, isOver } from "../model/disarm.ts";
import { readDisarm } from "./facts/disarm.ts";

/** A shot waits for this reading, so it must not hang; it is one small list. */
const DEADLINE_MS = 5_000;

/**
 * Why a node with these labels must not be shot, or undefined. Reads from the quorum, so that a disarm counts from the
 * moment its writer was told of success. One that cannot be read counts as standing: it may be about any node.
 */
export async function disarmedBy(
  { transport, clock }: { readonly transport: ApiTransport; readonly clock: Clock },
  labels: Readonly<Record<string, string>>,
): Promise<ApiOutcome<string | undefined>> {
  const listed = await transport.request<{ readonly items?: readonly unknown[] }>({
    method: "GET",
    path: collectionPath(fencingDisarm),
    deadlineMs: DEADLINE_MS,
  });
  if (!listed.ok) return listed;
  const at = clock.now();
  const context = { previous: undefined, seenAtMs: at.monotonicMs, seenAtWallMs: at.wallMs };
  for (const item of listed.value.items ?? []) {
    // Items of a list come without their kind.
    const reading = readDisarm(
      { apiVersion: "holdfast.dev/v1alpha1", kind: "FencingDisarm", ...asObject(item) },
      context,
    );
    if (!reading.ok)
      return { ok: true, status: 200, value: `a FencingDisarm cannot be read: ${reading.reason}` };
    const { fact } = reading;
    if (!isOver(fact) && covers(fact, labels))
      return { ok: true, status: 200, value: `FencingDisarm ${fact.name} stands: ${fact.reason}` };
  }
  return { ok: true, status: 200, value: undefined };
}

function asObject(value: unknown): object {
  return typeof value === "object" && value !== null ? value : {};
}
