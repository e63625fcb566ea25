// The machine's clocks and timers. The only file of the operator that touches them; everything else is given a Clock.
import type { Cancel, Clock, Instant, Random } from "../model/clock.ts";

/** Longest delay of one Node timer; a longer one would fire at once, so it is walked in pieces. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** How often the timer of `keepProcessAlive` does nothing. */
const KEEP_ALIVE_MS = 60_000;

/**
 * A Clock on `performance.now` (CLOCK_MONOTONIC), which does not count while the whole machine is paused: whoever relies
 * on an age must also hold a compare-and-swap for that case. Timers never fire early on this clock.
 */
export function createRealClock(): Clock {
  const now = (): Instant => ({ monotonicMs: performance.now(), wallMs: Date.now() });
  return {
    now,
    schedule(delayMs: number, wake: () => void): Cancel {
      const dueMs = performance.now() + Math.max(0, delayMs);
      let timer: NodeJS.Timeout;
      const arm = (): void => {
        const leftMs = dueMs - performance.now();
        // Node rounds down and may fire up to a millisecond early; a deadline must not.
        if (leftMs <= 0) return wake();
        timer = setTimeout(arm, Math.min(Math.ceil(leftMs), MAX_TIMER_MS)).unref();
      };
      timer = setTimeout(arm, Math.min(Math.ceil(Math.max(0, delayMs)), MAX_TIMER_MS)).unref();
      return () => clearTimeout(timer);
    },
  };
}

/** Chance, for jitter only; nothing secret may come from it. */
export const realRandom: Random = () => Math.random();

/** Keeps the process alive until cancelled: timers of the Clock do not, so a shutdown that waits needs this. */
export function keepProcessAlive(): Cancel {
  const timer = setInterval(() => {}, KEEP_ALIVE_MS);
  return () => clearInterval(timer);
}
