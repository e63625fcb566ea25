// Who leads, read from the operator's Lease. Its age is compared with the kubelets' Leases, never with this machine's clock.
import { z } from "zod";
import type { ApiTransport } from "../kube/transport.ts";
import type { Span } from "../model/availability.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { parseGaps } from "../observe/observation-gaps.ts";

const LEASE_NAME = "holdfast";
/** Kubelets renew every 10 s and the leader every 2 s: a leader this far behind the newest of them is silent. */
const SILENT_AFTER_MS = 30_000;

/** Times in which no replica watched, as the leader remembers them. */
const UNOBSERVED_ANNOTATION = "holdfast.dev/unobserved";

const leaseObject = z.object({
  metadata: z.object({ annotations: z.record(z.string(), z.string()).optional() }).optional(),
  spec: z
    .object({
      holderIdentity: z.string().nullish(),
      leaseTransitions: z.number().nullish(),
      renewTime: z.string().nullish(),
    })
    .nullish(),
});

/** `none`: no Lease, or nobody holds it. `silent`: its holder no longer renews it. `unknown`: it cannot be read. */
export interface OperatorLease {
  readonly state: "leading" | "silent" | "none" | "unknown";
  readonly leader: string | undefined;
  readonly epoch: number | undefined;
  readonly message: string;
  /** RFC 3339, as the Lease has it. */
  readonly lastRenewedAt?: string;
  /** Times in which no replica watched. */
  readonly gaps?: readonly Span[];
}

/** Reads it; a Lease that cannot be read is an answer, too. */
export async function readOperatorLease(
  transport: ApiTransport,
  namespace: string,
  snapshot: Snapshot,
): Promise<OperatorLease> {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases/${LEASE_NAME}`;
  const read = await transport.request<unknown>({ method: "GET", path });
  const nobody = { leader: undefined, epoch: undefined };
  if (!read.ok) {
    return read.kind === "notFound"
      ? {
          state: "none",
          ...nobody,
          message: `no Lease ${LEASE_NAME} in ${namespace}: the operator has never run there`,
        }
      : { state: "unknown", ...nobody, message: `its Lease in ${namespace} cannot be read: ${read.message}` };
  }
  const lease = leaseObject.safeParse(read.value).data;
  const spec = lease?.spec;
  const gaps = parseGaps(lease?.metadata?.annotations?.[UNOBSERVED_ANNOTATION]);
  const leader = spec?.holderIdentity ?? "";
  const epoch = spec?.leaseTransitions ?? 0;
  if (leader === "")
    return { state: "none", leader: undefined, epoch, message: "nobody leads at the moment" };
  const renewTime = spec?.renewTime ?? "";
  const behindMs = newestSignMs(snapshot) - Date.parse(renewTime);
  if (behindMs > SILENT_AFTER_MS) {
    const message = `${leader} led last, and has not renewed its Lease for ${Math.round(behindMs / 1000)} s`;
    return { state: "silent", leader, epoch, message, lastRenewedAt: renewTime, gaps };
  }
  return {
    state: "leading",
    leader,
    epoch,
    message: `${leader} leads (epoch ${epoch})`,
    lastRenewedAt: renewTime,
  };
}

function newestSignMs(snapshot: Snapshot): number {
  let newest = 0;
  for (const name of snapshot.nodes.keys()) {
    const ms = Date.parse(snapshot.leases.get(name)?.renewal.value ?? "");
    if (ms > newest) newest = ms;
  }
  return newest;
}
