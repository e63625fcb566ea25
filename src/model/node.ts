// What we know of a Kubernetes node: small values read once from the Node and its Lease, with ages by our own clock.
import type { LevelReadiness } from "./fencing-readiness.ts";

/** A value somebody else keeps refreshing, and when we last saw it change: the only honest way to tell its age. */
export interface Signal {
  readonly value: string | undefined;
  /** Monotonic time at which we saw the value change; the first sight counts as a change. */
  readonly changedAtMs: number;
  /** Set while that first sight is all we have: the value may be hours old, so it proves nobody alive. */
  readonly firstSight?: true;
}

export type TaintEffect = "NoSchedule" | "PreferNoSchedule" | "NoExecute";

export interface Taint {
  readonly key: string;
  readonly value: string | undefined;
  readonly effect: TaintEffect;
  readonly timeAdded?: string;
}

/** What of a node decides whether a pod may go there. The same object is kept while none of it changes. */
export interface NodePlacement {
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  readonly unschedulable: boolean;
  readonly ready: boolean;
}

export interface NodeFact {
  readonly name: string;
  readonly uid: string;
  /** SMBIOS UUID as the kubelet reports it; undefined where it reports none. */
  readonly systemUUID?: string;
  /** Whether each level could fence it, as far as that was checked; left out where none ever was. */
  readonly fencing?: readonly LevelReadiness[];
  /** `status.nodeInfo.bootID`: names one incarnation of the node. Undefined until a kubelet has reported it. */
  readonly bootID: string | undefined;
  readonly ready: "True" | "False" | "Unknown" | undefined;
  readonly placement: NodePlacement;
  /** Monotonic time at which `placement` last changed. */
  readonly placementChangedAtMs: number;
  readonly annotations: Readonly<Record<string, string>>;
  /** The first address of type InternalIP. */
  readonly internalIP?: string;
  /** The annotation `kubevirt.io/heartbeat`, refreshed by virt-handler every 60 to 132 s. */
  readonly heartbeat: Signal;
}

/** The kubelet's Lease in `kube-node-lease`, renewed every 10 s. */
export interface NodeLeaseFact {
  readonly renewal: Signal;
  /** Monotonic time at which we saw the renewal before that; undefined where we saw none. */
  readonly renewedBeforeMs?: number;
  /**
   * Monotonic time at which the kubelet wrote the renewal, as well as we can tell: its stamps say how far apart renewals
   * were made, and the one that reached us fastest when that was. Undefined where its stamps cannot be read.
   */
  readonly writtenAtMs?: number;
  /** The same of the renewal before that. */
  readonly writtenBeforeMs?: number;
}

/** Key of the taint by which Kubernetes is told that a node is down for good until it is lifted (KEP-2268). */
export const OUT_OF_SERVICE_TAINT = "node.kubernetes.io/out-of-service";

/** The value by which we know the out-of-service taint to be ours; a taint with another value is somebody else's. */
export const OUR_TAINT_VALUE = "holdfast";

/** Key of the taint that keeps new VMs off a node that flaps. Its value is its end, in seconds since 1970. */
export const QUARANTINE_TAINT = "holdfast.dev/quarantine";

/** The node's quarantine, where it is in one; without an end where the taint's value is no time. */
export function quarantineOf(node: NodeFact): { readonly untilWallMs: number | undefined } | undefined {
  const taint = node.placement.taints.find(({ key }) => key === QUARANTINE_TAINT);
  if (taint === undefined) return undefined;
  return { untilWallMs: /^\d{1,12}$/.test(taint.value ?? "") ? Number(taint.value) * 1000 : undefined };
}

/** Whether the node carries the out-of-service taint, whoever set it. */
export function isOutOfService(node: NodeFact): boolean {
  return node.placement.taints.some((taint) => taint.key === OUT_OF_SERVICE_TAINT);
}

/** Whether the node carries the out-of-service taint that we set. */
export function hasOurTaint(node: NodeFact): boolean {
  return node.placement.taints.some(
    (taint) => taint.key === OUT_OF_SERVICE_TAINT && taint.value === OUR_TAINT_VALUE,
  );
}
