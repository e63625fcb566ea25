// How a node is judged. Numbers stay with the judgement, so that every rendering of it can say why.

/** Every way we have of hearing of a node, and how long it has been silent as far as we could witness. */
export interface PathSilence {
  readonly leaseMs: number | undefined;
  readonly heartbeatMs: number | undefined;
  /** Of the networks that have answered a probe, the last answer of any; undefined where none ever did. */
  readonly probeMs?: number;
}

export type NodeVerdict =
  /** The kubelet is at work. `degraded`: what about it is not well all the same. */
  | { readonly kind: "healthy"; readonly degraded?: string }
  /** The Lease is late, not yet late enough; it is being read anew. */
  | { readonly kind: "suspect"; readonly silence: PathSilence }
  /** All paths that could speak are silent for as long as the policy asks. */
  | { readonly kind: "lost"; readonly silence: PathSilence }
  /** The kubelet is silent while virt-handler is heard or the host answers: guests may well be running. */
  | { readonly kind: "isolated"; readonly silence: PathSilence }
  /** Fenced, and heard again; not yet trusted with VMs. */
  | { readonly kind: "returning"; readonly missing: string }
  /** Cannot be judged, for instance a node that never had a kubelet. */
  | { readonly kind: "unknown"; readonly why: string };
