// Time that stands still until a test moves it. Several candidates can each see it through their own skewed view.
import type { Cancel, Clock, Instant } from "../../src/model/clock.ts";

interface Timer {
  readonly dueMs: number;
  readonly sequence: number;
  readonly wake: () => void;
}

/** How another machine's clock differs from the true one. */
export interface Skew {
  /** Its seconds per true second; 1 unless said. */
  readonly rate?: number;
  /** What its monotonic clock shows at true time 0. */
  readonly monotonicOffsetMs?: number;
  /** How far its wall clock is off, in milliseconds. */
  readonly wallOffsetMs?: number;
}

/**
 * A deterministic Clock: timers fire in order of due time, then of scheduling, and promises settle between two timers
 * (a turn of the real event loop each), so that a run depends on nothing but its inputs.
 */
export class VirtualClock implements Clock {
  #nowMs = 0;
  #sequence = 0;
  #timers: Timer[] = [];
  readonly #startWallMs: number;

  constructor(options: { readonly startWallMs?: number } = {}) {
    this.#startWallMs = options.startWallMs ?? Date.UTC(2026, 10, 22);
  }

  now(): Instant {
    return { monotonicMs: this.#nowMs, wallMs: this.#startWallMs + this.#nowMs };
  }

  schedule(delayMs: number, wake: () => void): Cancel {
    const timer = { dueMs: this.#nowMs + Math.max(0, delayMs), sequence: this.#sequence++, wake };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** This clock as a machine with wrong clocks sees it: its timers run by its own rate. */
  skewed(skew: Skew): Clock {
    const rate = skew.rate ?? 1;
    return {
      now: () => ({
        monotonicMs: (skew.monotonicOffsetMs ?? 0) + this.#nowMs * rate,
        wallMs: this.#startWallMs + (skew.wallOffsetMs ?? 0) + this.#nowMs * rate,
      }),
      schedule: (delayMs, wake) => this.schedule(delayMs / rate, wake),
    };
  }

  /** Timers not yet fired. */
  get pending(): number {
    return this.#timers.length;
  }

  /** Moves time on, firing everything that falls due. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    await this.settle();
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      const due = next;
      this.#timers = this.#timers.filter((other) => other !== due);
      this.#nowMs = Math.max(this.#nowMs, due.dueMs);
      due.wake();
      await this.settle();
    }
    this.#nowMs = untilMs;
  }

  /** Lets every promise that can settle do so, without moving time. */
  async settle(): Promise<void> {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }

  #next(untilMs: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs > untilMs) continue;
      if (
        first === undefined ||
        timer.dueMs < first.dueMs ||
        (timer.dueMs === first.dueMs && timer.sequence < first.sequence)
      )
        first = timer;
    }
    return first;
  }
}
