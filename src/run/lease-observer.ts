// What one candidate has seen of the Lease, and from when on it may take it. The safety of the election is in this file.
import type { Clock } from "../model/clock.ts";
import { type ElectionTimings, MAX_LEASE_DURATION_MS } from "./election-timings.ts";
import type { LeaseRecord } from "./lease-record.ts";

/** One version of the Lease and since when we have seen no other: the only measure of a foreign leader's life. */
export interface Observation {
  readonly sinceMs: number;
  /** Undefined where there is no Lease. */
  readonly record: LeaseRecord | undefined;
}

export class LeaseObserver {
  readonly #clock: Clock;
  readonly #timings: ElectionTimings;
  #observation: Observation | undefined;
  #highestEpoch = 0;
  /** How long the holder of the observed epoch asks others to wait. */
  #askedMs = 0;
  /** resourceVersion of our own last write that we know to have succeeded. */
  #ownVersion: string | undefined;

  constructor(clock: Clock, timings: ElectionTimings) {
    this.#clock = clock;
    this.#timings = timings;
  }

  get record(): LeaseRecord | undefined {
    return this.#observation?.record;
  }

  get highestEpoch(): number {
    return this.#highestEpoch;
  }

  /**
   * Takes in what an answer showed. A change counts from now, after the answer, which is later than the change itself:
   * the holder's deadline, counted from before it sent, has then always passed first.
   */
  observe(record: LeaseRecord | undefined): Observation {
    const before = this.#observation;
    if (before && before.record?.resourceVersion === record?.resourceVersion) return before;
    if (record) {
      // An edit must not shorten what the holder of this epoch was promised.
      const sameEpoch = before?.record?.epoch === record.epoch;
      this.#askedMs = Math.max(record.durationMs, sameEpoch ? this.#askedMs : 0);
      this.#highestEpoch = Math.max(this.#highestEpoch, record.epoch);
    }
    const observation = { sinceMs: this.#clock.now().monotonicMs, record };
    this.#observation = observation;
    return observation;
  }

  /** Takes in the answer to our own successful write. */
  observeOwn(record: LeaseRecord): void {
    this.#ownVersion = record.resourceVersion;
    this.observe(record);
  }

  /**
   * When the observed Lease may be taken, on our monotonic clock. At once: what was released by its holder, and our own
   * last write that nobody has touched since. Anything else, a Lease without a holder included, must have stayed as it
   * is for a lease duration (ours or the holder's, whichever is longer): a leader may be behind it. A missing Lease can
   * never be taken, however long it has been missing: it has no version, so that between two looks another leader's may
   * have come and gone unseen.
   */
  freeAtMs({ record, sinceMs }: Observation): number {
    if (!record) return Number.POSITIVE_INFINITY;
    if (record.released || record.resourceVersion === this.#ownVersion) return sinceMs;
    const waitMs = Math.max(this.#timings.leaseDurationMs, this.#askedMs);
    return sinceMs + Math.min(waitMs, MAX_LEASE_DURATION_MS);
  }
}
