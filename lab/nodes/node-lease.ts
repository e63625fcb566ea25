// The kubelet's Lease in kube-node-lease, renewed by the rules of client-go's lease controller.
import { labTime } from "../lab-time.ts";
import type { NodeDelays } from "./delays.ts";
import type { Lifeline } from "./lifeline.ts";
import type { ApiDoor } from "./node-link.ts";
import { type KubernetesObject, microTimestamp, type OwnerReference } from "./objects.ts";

interface Lease extends KubernetesObject {
  spec: { holderIdentity: string; leaseDurationSeconds: number; renewTime: string };
}

const NAMESPACE = "kube-node-lease";
const PATH = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases`;
const LEASE_DURATION_SECONDS = 40;
/** Immediate attempts at one renewal, before the Lease is read anew. */
const MAX_UPDATES = 5;
const MIN_BACKOFF_MS = 200;
const MAX_BACKOFF_MS = 7_000;

export interface NodeLeaseOptions {
  readonly nodeName: string;
  readonly door: ApiDoor;
  readonly life: Lifeline;
  readonly delays: NodeDelays;
  /** The Node as owner, once it is known. */
  readonly owner: () => OwnerReference | undefined;
}

/** Renews until its life ends; a Lease is never given back, because a dying kubelet gives nothing back. */
export async function keepNodeLease(options: NodeLeaseOptions): Promise<never> {
  const { life, delays } = options;
  let latest: Lease | undefined;
  for (;;) {
    latest = (latest && (await update(options, latest))) ?? (await ensure(options));
    await life.sleep(delays.leaseRenewMs * (1 + labTime.random() * delays.leaseJitter));
  }
}

async function update(options: NodeLeaseOptions, base: Lease): Promise<Lease | undefined> {
  for (let attempt = 1; attempt <= MAX_UPDATES; attempt += 1) {
    const outcome = await options.door.request<Lease>({
      method: "PUT",
      path: `${PATH}/${options.nodeName}`,
      body: renewed(options, base),
    });
    if (outcome.ok) return outcome.value;
    if (outcome.kind === "conflict" || outcome.kind === "notFound") return undefined;
  }
  return undefined;
}

/** Creates the Lease or renews the one found, with growing pauses, for as long as it takes. */
async function ensure(options: NodeLeaseOptions): Promise<Lease> {
  for (let backoffMs = MIN_BACKOFF_MS; ; backoffMs = Math.min(2 * backoffMs, MAX_BACKOFF_MS)) {
    const found = await options.door.request<Lease>({
      method: "GET",
      path: `${PATH}/${options.nodeName}`,
    });
    if (found.ok) {
      const lease = await update(options, found.value);
      if (lease) return lease;
    } else if (found.kind === "notFound") {
      const created = await options.door.request<Lease>({
        method: "POST",
        path: PATH,
        body: renewed(options, undefined),
      });
      if (created.ok) return created.value;
    }
    await options.life.sleep(backoffMs);
  }
}

function renewed({ nodeName, owner }: NodeLeaseOptions, base: Lease | undefined): object {
  const reference = owner();
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: {
      ...(base?.metadata ?? { name: nodeName, namespace: NAMESPACE }),
      ...(reference ? { ownerReferences: [reference] } : {}),
    },
    spec: {
      ...base?.spec,
      holderIdentity: nodeName,
      leaseDurationSeconds: LEASE_DURATION_SECONDS,
      renewTime: microTimestamp(),
    },
  };
}
