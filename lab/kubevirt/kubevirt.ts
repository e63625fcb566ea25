// A running KubeVirt control plane, whichever it is.

/** Runs until it is stopped. */
export interface KubeVirt {
  readonly kind: "real" | "stand-in";
  /** Ends it and takes its webhooks and aggregated API back, so that the API server does not wait for them. */
  stop(): Promise<void>;
}
