// FencingDisarm as the plugin reads it: who has stayed the operator's hand, why, and until when.
import { z } from "zod";
import type { ApiOutcome, ApiTransport } from "../kube/transport.ts";
import { listAll, ownPath } from "./objects.ts";

const disarmObject = z.object({
  metadata: z.object({ name: z.string() }),
  spec: z.object({
    reason: z.string().default(""),
    until: z.string(),
    requestedBy: z.string().optional(),
    nodeSelector: z.record(z.string(), z.unknown()).optional(),
  }),
});

/** A disarm that is in force. */
export interface Disarm {
  readonly name: string;
  readonly reason: string;
  readonly until: string;
  readonly requestedBy: string | undefined;
  /** Undefined: every node. */
  readonly nodeSelector: Readonly<Record<string, unknown>> | undefined;
}

export const DISARMS = "fencingdisarms";

/** The disarms that have not run out; none where the cluster does not know the kind. */
export async function readDisarms(
  transport: ApiTransport,
  nowWallMs: number,
): Promise<ApiOutcome<readonly Disarm[]>> {
  const listed = await listAll<unknown>(transport, ownPath(DISARMS));
  if (!listed.ok) return listed.kind === "notFound" ? { ok: true, status: 200, value: [] } : listed;
  const disarms = listed.value.flatMap((raw) => {
    const parsed = disarmObject.safeParse(raw);
    if (!parsed.success) return [];
    const { metadata, spec } = parsed.data;
    const { reason, until, requestedBy, nodeSelector } = spec;
    return Date.parse(until) > nowWallMs
      ? [{ name: metadata.name, reason, until, requestedBy, nodeSelector }]
      : [];
  });
  return { ok: true, status: 200, value: disarms };
}
