// What a fencing method must do whose device is somebody else's controller: an object is written, and its status watched.
import type { RecordedProof } from "../../model/proof.ts";
import type { AttemptEnd } from "../fencing-attempt.ts";

/** Where the object stands. `failed` ends the attempt; `waiting` says what is waited for, should it never come. */
export type ExternalState =
  | { readonly kind: "waiting"; readonly message: string }
  | { readonly kind: "failed"; readonly outcome: AttemptEnd["outcome"]; readonly message: string }
  /** The signal is there. It becomes a proof only once a fresh look has found no sign of life. */
  | { readonly kind: "signalled"; readonly proof: ExternalProof; readonly answer: string }
  | { readonly kind: "stale"; readonly message: string };

/** A proof without what the attempt itself knows. */
export interface ExternalProof {
  readonly type: RecordedProof["type"] & ("Remediated" | "SelfFenced" | "StorageFenced");
  readonly detail: string;
  readonly remediation?: NonNullable<RecordedProof["remediation"]>;
  readonly horizon?: string;
  readonly cidrs?: readonly string[];
}

/**
 * One node behind one such controller.
 *
 * Guarantees: `look` writes nothing. `advance` may be repeated by whoever leads: it finds what an earlier leader wrote, and
 * makes at most one object at a time for one ledger; it asks `spare` right before it makes one. Expected failures are
 * values.
 */
export interface ExternalFence {
  /** For people: what is asked. */
  readonly label: string;
  look(): Promise<ExternalState>;
  /** `spare` says why nothing may be begun; undefined where it may. */
  advance(spare: () => Promise<string | undefined>): Promise<ExternalState>;
  /** The attempt has ended without a signal: whoever acts on the object is to stop. Best effort. */
  giveUp(): Promise<void>;
}

export const waiting = (message: string): ExternalState => ({ kind: "waiting", message });

export function failed(outcome: AttemptEnd["outcome"], message: string): ExternalState {
  return { kind: "failed", outcome, message };
}
