// Lets effects that go out side by side leave in the order in which they were started. Knows nothing of what they do.
import type { Clock } from "../model/clock.ts";

/** What left before is at the API server by then, as a rule; a hundred in a row are out within little more than a second. */
const HEAD_START_MS = 12;
/** One that does not get ready to leave holds up the others no longer than this. */
const PATIENCE_MS = 250;

/**
 * Guarantees: each begins when the one before has ended, or has left a head start ago; none waits for one that is stuck
 * longer than `PATIENCE_MS`. An order of beginning and no more: the network may still overtake.
 */
export class InOrder {
  readonly #clock: Clock;
  #before: Promise<void> = Promise.resolve();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes the next place at once, and runs `act` in its time; `act` tells when its effect leaves. */
  async run<T>(act: (leaves: () => void) => Promise<T>): Promise<T> {
    const before = this.#before;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#before = promise;
    await before;
    const cancels = [this.#clock.schedule(PATIENCE_MS, resolve)];
    try {
      return await act(() => cancels.push(this.#clock.schedule(HEAD_START_MS, resolve)));
    } finally {
      for (const cancel of cancels) cancel();
      resolve();
    }
  }
}
