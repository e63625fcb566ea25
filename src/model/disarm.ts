// A FencingDisarm in domain values: for which nodes fencing is disarmed, why, and until when.
import type { LabelSelector } from "./label-selector.ts";
import { selectorMatches } from "./label-selector.ts";
import type { Condition } from "./protection.ts";

export interface DisarmStatus {
  readonly observedGeneration?: number;
  readonly selectedNodes?: number;
  /** Nodes that would have been fenced meanwhile, each announced once. */
  readonly heldNodes: readonly string[];
  readonly conditions: readonly Condition[];
}

export interface DisarmFact {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly reason: string;
  /** RFC 3339, as it was written. */
  readonly until: string;
  readonly requestedBy: string | undefined;
  readonly nodeSelector: LabelSelector;
  /**
   * Monotonic time at which `until` comes, reckoned once, by our wall clock of when we first saw this `until`: a wall
   * clock that jumps afterwards moves it neither way.
   */
  readonly untilMs: number;
  readonly status: DisarmStatus;
}

/** Held nodes named in one status; beyond that they are held all the same. */
export const MAX_HELD_NAMED = 500;

/**
 * Whether its end is on record for the spec as it now is. Until then it stands, whatever any clock says: so that every
 * leader arrives at the same answer, and fencing is armed again by a write that all can read.
 */
export function isOver({ status, generation }: DisarmFact): boolean {
  const active = status.conditions.find((condition) => condition.type === "Active");
  return active?.status === "False" && active.observedGeneration === generation;
}

/** Whether it covers a node with these labels. A node whose object is gone has none. */
export function covers(disarm: DisarmFact, labels: Readonly<Record<string, string>>): boolean {
  return selectorMatches(disarm.nodeSelector, labels);
}
