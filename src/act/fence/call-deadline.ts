// Deadlines and pauses on the injected clock, so that fencing can be run in virtual time. Knows no device.
import type { Cancel, Clock } from "../../model/clock.ts";

/** One deadline with its signal; also aborts when the caller's signal does. Call `end` when the work is over. */
export class CallDeadline {
  readonly deadlineMs: number;
  #clock: Clock;
  #endsAtMs: number;
  #controller = new AbortController();
  #cancelTimer: Cancel;
  #parent: AbortSignal | undefined;
  #expired = false;
  #onParentAbort = () => this.#controller.abort();

  constructor(clock: Clock, call: { readonly deadlineMs: number; readonly signal?: AbortSignal }) {
    this.#clock = clock;
    this.deadlineMs = Math.max(0, call.deadlineMs);
    this.#endsAtMs = clock.now().monotonicMs + this.deadlineMs;
    this.#parent = call.signal;
    this.#cancelTimer = clock.schedule(this.deadlineMs, () => {
      this.#expired = true;
      this.#controller.abort();
    });
    if (call.signal?.aborted === true) this.#controller.abort();
    call.signal?.addEventListener("abort", this.#onParentAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether time ran out, as opposed to the caller giving up or `end`. */
  get expired(): boolean {
    return this.#expired;
  }

  /** Whole or fractional milliseconds left; never below 0. */
  remainingMs(): number {
    return Math.max(0, this.#endsAtMs - this.#clock.now().monotonicMs);
  }

  /** Stops the timer and aborts what still hangs on the signal; calling it twice does nothing more. */
  end(): void {
    this.#cancelTimer();
    this.#parent?.removeEventListener("abort", this.#onParentAbort);
    this.#controller.abort();
  }
}

/** Waits `delayMs`, or less when the signal aborts; never throws. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const finish = () => {
      cancel();
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const cancel = clock.schedule(delayMs, finish);
    signal.addEventListener("abort", finish, { once: true });
  });
}

/** The work's value, or `otherwise` as soon as the signal aborts: a device that ignores its deadline holds nobody up. */
export function unlessAborted<T, U>(work: Promise<T>, signal: AbortSignal, otherwise: U): Promise<T | U> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) resolve(otherwise);
    const onAbort = () => resolve(otherwise);
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
