// What one candidate writes into the Lease: its claims, and at the end their release. Knows its own name; decides nothing.
import type { Clock } from "../model/clock.ts";
import type { LeaseAnswer, LeaseClient } from "./lease-client.ts";
import {
  claimPatch,
  type LeaseClaim,
  type LeaseRecord,
  leaseToCreate,
  microTime,
  releasePatch,
} from "./lease-record.ts";

/** Tries to release: a renewal that was under way when we stopped may land in between, and once more. */
const MAX_RELEASE_TRIES = 4;

interface LeaseClaimsOptions {
  readonly client: LeaseClient;
  readonly clock: Clock;
  readonly namespace: string;
  readonly leaseName: string;
  readonly identity: string;
  readonly leaseDurationMs: number;
  /** What the leader remembers of gaps in the watch; not called for the claim by which it takes the Lease. */
  readonly unobserved: () => string | undefined;
}

/** Which leadership a claim is for. */
export type Term = Pick<LeaseClaim, "epoch" | "acquireTime">;

export class LeaseClaims {
  readonly #options: LeaseClaimsOptions;
  /** What we last tried to write, successfully or not: the server may have done it without our hearing so. */
  #last: LeaseClaim | undefined;

  constructor(options: LeaseClaimsOptions) {
    this.#options = options;
  }

  /** A new term, beginning now. */
  newTerm(epoch: number): Term {
    return { epoch, acquireTime: this.#timestamp() };
  }

  /** Writes the term over that version of the Lease, or into a new Lease where there was none. */
  write(
    before: LeaseRecord | undefined,
    term: Term,
    withinMs?: number,
    leading = false,
  ): Promise<LeaseAnswer> {
    const { client, identity, leaseDurationMs, leaseName, namespace } = this.#options;
    const { epoch, acquireTime } = term;
    const claim: LeaseClaim = {
      holder: identity,
      epoch,
      acquireTime,
      renewTime: this.#timestamp(),
      durationMs: leaseDurationMs,
      unobserved: leading ? this.#options.unobserved() : undefined,
    };
    this.#last = claim;
    return before
      ? client.patch(claimPatch(before.resourceVersion, claim), withinMs)
      : client.create(leaseToCreate(leaseName, namespace, claim), withinMs);
  }

  /** Gives a missing Lease a version that everybody can wait on. */
  createUnheld(unheldAfterEpoch: number): Promise<LeaseAnswer> {
    const { client, leaseName, namespace } = this.#options;
    return client.create(leaseToCreate(leaseName, namespace, { unheldAfterEpoch }));
  }

  /** Compares epoch and time of acquisition, too: another process might have been given the same identity. */
  isOurs(record: LeaseRecord, term: Term): boolean {
    const { holder, epoch, acquireTime } = record;
    return holder === this.#options.identity && epoch === term.epoch && acquireTime === term.acquireTime;
  }

  /** Lets the Lease go if it is ours. A call that fails ends the attempt: the Lease then runs out by itself. */
  async release(): Promise<void> {
    const { client } = this.#options;
    const term = this.#last;
    if (!term) return;
    for (let tries = 0; tries < MAX_RELEASE_TRIES; tries += 1) {
      const seen = await client.read();
      if (seen.kind !== "record" || !this.isOurs(seen.record, term)) return;
      const patch = releasePatch(seen.record.resourceVersion, term.epoch, this.#timestamp());
      if ((await client.patch(patch)).kind !== "conflict") return;
    }
  }

  #timestamp(): string {
    return microTime(this.#options.clock.now().wallMs);
  }
}
