// The Lease as the leader election reads and writes it. Knows the object's fields; knows no time and no rules.
import { z } from "zod";

/** Says which epoch let the Lease go by itself; without it an empty holder is just somebody's edit and proves nothing. */
export const RELEASED_EPOCH_ANNOTATION = "holdfast.dev/released-epoch";

/** Times in which no leader watched; rides on the Lease, which is written anyway. */
export const UNOBSERVED_ANNOTATION = "holdfast.dev/unobserved";

/** What one version of the Lease says. */
export interface LeaseRecord {
  readonly resourceVersion: string;
  /** Empty where nobody holds it. */
  readonly holder: string;
  /** `leaseTransitions`: rises with every new leadership. */
  readonly epoch: number;
  readonly acquireTime: string | undefined;
  readonly renewTime: string | undefined;
  /** The last leaders' gaps, as they wrote them. */
  readonly unobserved: string | undefined;
  /** How long its holder asks others to wait; 0 where it does not say. */
  readonly durationMs: number;
  /** The last holder had stopped leading before it wrote this. */
  readonly released: boolean;
}

/** What a holder writes: who, since when, in which epoch. */
export interface LeaseClaim {
  readonly holder: string;
  readonly epoch: number;
  readonly acquireTime: string;
  readonly renewTime: string;
  readonly durationMs: number;
  /** Left as it is where undefined. */
  readonly unobserved?: string | undefined;
}

const leaseSchema = z.object({
  metadata: z.object({
    resourceVersion: z.string().min(1),
    annotations: z.record(z.string(), z.string()).optional(),
  }),
  spec: z
    .object({
      holderIdentity: z.string().nullish(),
      leaseTransitions: z.number().nullish(),
      leaseDurationSeconds: z.number().nullish(),
      acquireTime: z.string().nullish(),
      renewTime: z.string().nullish(),
    })
    .nullish(),
});

/** Reads a Lease; undefined where it is not one. */
export function parseLease(value: unknown): LeaseRecord | undefined {
  const parsed = leaseSchema.safeParse(value);
  if (!parsed.success) return undefined;
  const { metadata, spec } = parsed.data;
  const holder = spec?.holderIdentity ?? "";
  const epoch = spec?.leaseTransitions ?? 0;
  return {
    resourceVersion: metadata.resourceVersion,
    holder,
    epoch,
    acquireTime: spec?.acquireTime ?? undefined,
    renewTime: spec?.renewTime ?? undefined,
    unobserved: metadata.annotations?.[UNOBSERVED_ANNOTATION],
    durationMs: (spec?.leaseDurationSeconds ?? 0) * 1000,
    released: holder === "" && metadata.annotations?.[RELEASED_EPOCH_ANNOTATION] === String(epoch),
  };
}

/** Kubernetes' MicroTime: exactly six decimals. */
export function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace("Z", "000Z");
}

function claimSpec(claim: LeaseClaim): Record<string, unknown> {
  return {
    holderIdentity: claim.holder,
    leaseDurationSeconds: Math.ceil(claim.durationMs / 1000),
    acquireTime: claim.acquireTime,
    renewTime: claim.renewTime,
    leaseTransitions: claim.epoch,
  };
}

/** A new Lease: held by the claim, or by nobody yet, so that everybody can start to wait on its resourceVersion. */
export function leaseToCreate(
  name: string,
  namespace: string,
  content: LeaseClaim | { readonly unheldAfterEpoch: number },
): Record<string, unknown> {
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name, namespace },
    spec: "holder" in content ? claimSpec(content) : { leaseTransitions: content.unheldAfterEpoch },
  };
}

/**
 * A Lease as an orderly release leaves it, so that the first leader of a new installation need not wait a lease duration.
 * Only for a moment at which no replica can be running: it says that the last leader has ended.
 */
export function releasedLease(name: string, namespace: string): Record<string, unknown> {
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name, namespace, annotations: { [RELEASED_EPOCH_ANNOTATION]: "0" } },
    spec: { leaseTransitions: 0 },
  };
}

/**
 * A merge patch rather than a PUT: the Lease's registry creates on PUT, so that a late renewal could bring a deleted
 * Lease back, and foreign labels and annotations stay as they are.
 */
export function claimPatch(resourceVersion: string, claim: LeaseClaim): Record<string, unknown> {
  return {
    metadata: {
      resourceVersion,
      annotations: {
        [RELEASED_EPOCH_ANNOTATION]: null,
        ...(claim.unobserved === undefined ? {} : { [UNOBSERVED_ANNOTATION]: claim.unobserved }),
      },
    },
    spec: claimSpec(claim),
  };
}

/** Lets the Lease go. The epoch stays, so that the next leadership's is higher. */
export function releasePatch(
  resourceVersion: string,
  epoch: number,
  renewTime: string,
): Record<string, unknown> {
  return {
    metadata: { resourceVersion, annotations: { [RELEASED_EPOCH_ANNOTATION]: String(epoch) } },
    spec: { holderIdentity: null, leaseDurationSeconds: 1, renewTime, leaseTransitions: epoch },
  };
}
