// Keeps a step from being repeated faster than the world can show its effect: read-own-writes by expectation, not by sleep.
import type { Clock } from "../model/clock.ts";

/** How a step ended, as far as pacing cares. */
export interface StepEnd {
  readonly outcome: "done" | "unchanged" | "conflict" | "retry" | "refused" | "stale";
  readonly retryAfterMs?: number;
}

/** A step that took effect is not repeated until the watch has surely shown it, or clearly never will. */
const AFTER_DONE_MS = 2_000;
/** Nothing was to be done, so nothing is missed by waiting; a power state that is only read in a storm is read this often. */
const AFTER_UNCHANGED_MS = 5_000;
/** A conflict means that our facts are old: the watch brings newer ones within this time. */
const AFTER_CONFLICT_MS = 150;
/** Nothing but a person or another controller changes a refusal. */
const AFTER_REFUSAL_MS = 15_000;
const MIN_RETRY_MS = 250;
const MAX_RETRY_MS = 30_000;
/** How long after its pause a step is remembered: one that fails again within that time waits longer than before. */
const FORGOTTEN_AFTER_MS = 60_000;
/** Steps remembered at most; the oldest go first. */
const MAX_REMEMBERED = 50_000;

interface Remembered {
  readonly notBeforeMs: number;
  readonly failures: number;
}

/** Remembers, per identity of a step, when it may be tried again. */
export class StepPacing {
  readonly #clock: Clock;
  readonly #steps = new Map<string, Remembered>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Monotonic time before which the step is not to be tried again; undefined when it may go at once. */
  notBeforeMs(identity: string): number | undefined {
    const remembered = this.#steps.get(identity);
    return remembered !== undefined && remembered.notBeforeMs > this.#clock.now().monotonicMs
      ? remembered.notBeforeMs
      : undefined;
  }

  /** Notes how the step ended. */
  ended(identity: string, end: StepEnd): void {
    const failures = end.outcome === "retry" ? (this.#steps.get(identity)?.failures ?? 0) + 1 : 0;
    this.#steps.delete(identity);
    this.#steps.set(identity, {
      notBeforeMs: this.#clock.now().monotonicMs + pauseMs(end, failures),
      failures,
    });
    this.#forgetOldest();
  }

  /** As many as may have come: those that hold nothing back any more, and any beyond the limit. */
  #forgetOldest(): void {
    const longAgoMs = this.#clock.now().monotonicMs - FORGOTTEN_AFTER_MS;
    for (let i = 0; i < 2; i++) {
      const oldest = this.#steps.entries().next();
      if (oldest.done === true) return;
      const [identity, { notBeforeMs }] = oldest.value;
      if (this.#steps.size <= MAX_REMEMBERED && notBeforeMs > longAgoMs) return;
      this.#steps.delete(identity);
    }
  }
}

function pauseMs(end: StepEnd, failures: number): number {
  switch (end.outcome) {
    case "done":
      return AFTER_DONE_MS;
    case "unchanged":
      return AFTER_UNCHANGED_MS;
    case "conflict":
      return AFTER_CONFLICT_MS;
    case "refused":
      return AFTER_REFUSAL_MS;
    case "stale":
      return 0;
    case "retry":
      return Math.min(
        MAX_RETRY_MS,
        Math.max(end.retryAfterMs ?? 0, MIN_RETRY_MS * 2 ** Math.min(failures - 1, 10)),
      );
  }
}
