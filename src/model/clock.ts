// Time as the rest of the house sees it. Only the composition root makes a real clock; tests make virtual ones.

/** One reading of both clocks, taken together. Decisions compare `monotonicMs` only; `wallMs` is for people. */
export interface Instant {
  /** Milliseconds on a clock that never jumps; its zero has no meaning and differs between processes. */
  readonly monotonicMs: number;
  /** Milliseconds since the Unix epoch; may jump. Never used to judge an age. */
  readonly wallMs: number;
}

/** Cancels what it was returned for; calling it twice does nothing more. */
export type Cancel = () => void;

/** The only source of time and timers outside `main.ts`. */
export interface Clock {
  now(): Instant;
  /** Calls `wake` once after `delayMs` (at least 0). A timer never keeps the process alive by itself. */
  schedule(delayMs: number, wake: () => void): Cancel;
}

/** A number in [0, 1). Injected, so that a run can be replayed from its seed. */
export type Random = () => number;
