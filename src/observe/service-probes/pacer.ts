// When the next question is due. Knows a rate and a clock, and nothing of what is asked.
import type { Cancel, Clock } from "../../model/clock.ts";

/**
 * How late a timer may fire before this process counts as held up, and how late a question may be sent where its period
 * is shorter: timers fire no finer on a busy machine, and a burst must stay small.
 */
const LATE_ALLOWED_MS = 20;

export interface PacerOptions {
  readonly clock: Clock;
  readonly periodMs: number;
  /** One question is due now. */
  readonly onDue: () => void;
  /** So many were due while this process was held up, and are not asked any more. */
  readonly onSkipped: (count: number) => void;
  /** This process did nothing for so long, not even listen. Told before anything else of that moment. */
  readonly onHeldUp: (heldUpMs: number) => void;
}

/** Guarantees: never more questions than periods have begun; what was missed is skipped, not made up for. */
export class Pacer {
  readonly #options: PacerOptions;
  readonly #startedAtMs: number;
  #next = 0;
  #timer: Cancel = () => {};
  #stopped = false;

  constructor(options: PacerOptions) {
    this.#options = options;
    this.#startedAtMs = options.clock.now().monotonicMs;
  }

  /** Asks the first question at once. */
  start(): void {
    this.#tick();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer();
  }

  #tick(): void {
    const { clock, periodMs, onDue, onSkipped, onHeldUp } = this.#options;
    const elapsedMs = clock.now().monotonicMs - this.#startedAtMs;
    const lateMs = elapsedMs - this.#next * periodMs;
    if (lateMs > LATE_ALLOWED_MS) onHeldUp(lateMs);
    const allowedMs = Math.max(periodMs, LATE_ALLOWED_MS);
    const oldest = Math.ceil((elapsedMs - allowedMs) / periodMs);
    if (this.#next < oldest) {
      onSkipped(oldest - this.#next);
      this.#next = oldest;
    }
    for (; !this.#stopped && this.#next * periodMs <= elapsedMs; this.#next++) onDue();
    if (this.#stopped) return;
    this.#timer = clock.schedule(this.#next * periodMs - elapsedMs, () => this.#tick());
  }
}
