// The operator-wide settings that decisions depend on. Times in milliseconds; defaults live in config.ts.

/** A number of nodes, as a count or as a share of all. */
export type NodeLimit = { readonly count: number } | { readonly percent: number };

export interface DecisionPolicy {
  /** A Lease silent for this long makes a node suspect: it is read anew. */
  readonly nodeSuspectAfterMs: number;
  /** A Lease silent for this long, with no other path heard, makes a node lost. */
  readonly nodeLostAfterMs: number;
  /** virt-handler's heartbeat counts as alive for this long after a change that came later than the Lease's last. */
  readonly heartbeatTrustMs: number;
  /** What is done about an isolated node: nothing, or after a while what is done about a lost one. */
  readonly onIsolated: "hold" | "fence";
  readonly isolatedGraceMs: number;
  /** After so long a request to cut the power whose end nobody knows is taken for forgotten. */
  readonly latePowerOffGraceMs: number;
  /** More lost, unproven nodes than this at once: hold, and only read power states. */
  readonly stormMaxLost: NodeLimit;
  /** Label by whose values nodes share a rack, a switch or a power supply. */
  readonly failureDomainLabel: string;
  readonly maxConcurrentFencings: number;
  /** Nodes powered off within an hour, at most; reading power states goes on. */
  readonly maxFencingsPerHour: number;
  /** Returns within the window after which a node is quarantined; 0: never. */
  readonly quarantineAfterReturns: number;
  readonly quarantineWindowMs: number;
  readonly quarantineMs: number;
  /** VMs released and not yet scheduled elsewhere, at most: keeps KubeVirt's workers busy with the important ones first. */
  readonly maxRestartsInFlight: number;
  /** A released VM leaves that window after this long, so that one that cannot be placed does not hold up the rest. */
  readonly restartSlotMs: number;
  /** How long to wait, after the proof, for the target of a migration that had already switched to say so. */
  readonly migrationAckGraceMs: number;
  readonly maxConcurrentMigrations: number | undefined;
  /** Back-off after the n-th failed migration of a VM: this times 2^(n-1), at most ten minutes. */
  readonly migrationBackoffMs: number;
  /** How long a migration's target may stay unschedulable before KubeVirt gives up the attempt. */
  readonly migrationUnschedulableTimeoutSeconds: number;
}

/** How the harmless checks of fence devices are spread over time. */
export interface ReadinessPace {
  /** From one check of a node to the next; 0: never. */
  readonly intervalMs: number;
  /** Nodes whose devices are asked at the same time. */
  readonly maxConcurrent: number;
}
