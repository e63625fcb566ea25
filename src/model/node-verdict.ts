// How a node is judged. Numbers stay with the judgement, so that every rendering of it can say why.

/** Every way we have of hearing of a node, and how long it has been silent as far as we could witness. */
export interface PathSilence {
  readonly leaseMs: number | undefined;
  readonly heartbeatMs: number | undefined;
}

export type NodeVerdict =
  /** Some path is alive and nothing is under way. */
  | { readonly kind: "healthy" }
  /** The Lease is late, not yet late enough; it is being read anew. */
  | { readonly kind: "suspect"; readonly silence: PathSilence }
  /** All paths that could speak are silent for as long as the policy asks. */
  | { readonly kind: "lost"; readonly silence: PathSilence }
  /** The kubelet is silent while virt-handler is heard: guests may well be running. Not fenced. */
  | { readonly kind: "isolated"; readonly silence: PathSilence }
  /** Fenced, and heard again; not yet trusted with VMs. */
  | { readonly kind: "returning"; readonly missing: string }
  /** Cannot be judged, for instance a node that never had a kubelet. */
  | { readonly kind: "unknown"; readonly why: string };
