// How long to wait before trying again. Knows nothing of what is tried.
import type { Clock, Random } from "../model/clock.ts";

/** The delay after the second failure in a row; each further one doubles it. */
const FIRST_DELAY_MS = 100;
/** Longest delay, whatever the server asks for: a blind operator must look again soon. */
export const MAX_DELAY_MS = 5_000;

/**
 * Counts failures in a row. The first is retried at once, since most are a connection that merely ended; jitter keeps
 * replicas and collections from returning in step. Never gives up.
 */
export class Backoff {
  #failures = 0;
  #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  succeeded(): void {
    this.#failures = 0;
  }

  /** Notes a failure and says how long to wait, in milliseconds. `askedMs` is the server's `Retry-After`. */
  failed(askedMs = 0): number {
    this.#failures++;
    if (this.#failures === 1) return Math.min(askedMs, MAX_DELAY_MS);
    const fullMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(this.#failures - 2, 30));
    const delayMs = fullMs * (0.5 + 0.5 * this.#random());
    return Math.min(MAX_DELAY_MS, Math.max(delayMs, askedMs));
  }
}

/** A wait that can be cut short. */
export class Pause {
  #clock: Clock;
  #end: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  begin(delayMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#clock.schedule(delayMs, resolve);
    this.#end = () => {
      cancel();
      resolve();
    };
    return promise;
  }

  /** Ends the wait under way, if any. */
  end(): void {
    this.#end?.();
    this.#end = undefined;
  }
}
