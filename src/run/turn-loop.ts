// Runs turns at our own pace: changes only mark the world dirty; a turn takes a snapshot, decides, and offers the steps.
import type { Cancel, Clock, Instant } from "../model/clock.ts";
import type { Plan, Step } from "../model/plan.ts";
import type { Conclusions, Snapshot } from "../model/snapshot.ts";

export interface TurnLoopOptions {
  readonly clock: Clock;
  readonly snapshot: (last: Conclusions | undefined) => Snapshot;
  readonly decide: (snapshot: Snapshot, now: Instant) => Plan;
  /** Takes the plan's steps; returns the monotonic time at which a step held back may be offered again. */
  readonly submit: (steps: readonly Step[]) => number | undefined;
  /** Told of every plan: for metrics, logs, and which nodes to attend to. */
  readonly onPlan: (plan: Plan, tookMs: number) => void;
  /** The changes a snapshot carried were not looked at. */
  readonly onNotJudged: () => void;
}

/** Changes come in bursts; a turn waits this long for the rest of one. */
const COALESCE_MS = 5;
/** While nothing can be judged, look again this often. */
const NOT_JUDGED_RETRY_MS = 250;
/** A turn at least this often while leading, as a floor under every lookAgainAt. */
const MAX_QUIET_MS = 30_000;

/**
 * Guarantees: one turn at a time; never more often than turns take; a turn after every change and at every
 * `lookAgainAtMs`. Runs only between `start` and `stop`, that is, while this replica leads.
 */
export class TurnLoop {
  readonly #options: TurnLoopOptions;
  #running = false;
  #last: Conclusions | undefined;
  #timer: Cancel | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #earliestMs = 0;
  #lastTurnAtMs: number | undefined;

  constructor(options: TurnLoopOptions) {
    this.#options = options;
  }

  /** Monotonic time of the last finished turn; for the liveness check. */
  get lastTurnAtMs(): number | undefined {
    return this.#lastTurnAtMs;
  }

  /** Begins; the first turn looks at everything. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#last = undefined;
    this.#options.onNotJudged();
    this.#planTurn(this.#nowMs());
  }

  /** Ends; no turn begins afterwards. */
  stop(): void {
    this.#running = false;
    this.#timer?.();
    this.#timer = undefined;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
  }

  /** The world may have changed. Cheap; call it as often as you like. */
  wake(): void {
    if (this.#running) this.#planTurn(this.#nowMs() + COALESCE_MS);
  }

  #nowMs(): number {
    return this.#options.clock.now().monotonicMs;
  }

  #planTurn(atMs: number): void {
    const dueMs = Math.max(atMs, this.#earliestMs);
    if (dueMs >= this.#timerAtMs) return;
    this.#timer?.();
    this.#timerAtMs = dueMs;
    this.#timer = this.#options.clock.schedule(Math.max(0, dueMs - this.#nowMs()), () => this.#turn());
  }

  #turn(): void {
    this.#timer = undefined;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    if (!this.#running) return;
    const startedMs = this.#nowMs();
    const plan = this.#options.decide(this.#options.snapshot(this.#last), this.#options.clock.now());
    if (plan.notJudged === undefined) this.#last = plan.conclusions;
    else this.#options.onNotJudged();
    const endedMs = this.#nowMs();
    this.#lastTurnAtMs = endedMs;
    // As long a pause as the turn took: at most half of the processor is ours.
    this.#earliestMs = endedMs + Math.max(COALESCE_MS, endedMs - startedMs);
    const retryAtMs = this.#options.submit(plan.steps);
    this.#options.onPlan(plan, endedMs - startedMs);
    const quietMs = plan.notJudged === undefined ? MAX_QUIET_MS : NOT_JUDGED_RETRY_MS;
    this.#planTurn(
      Math.min(
        endedMs + quietMs,
        plan.lookAgainAtMs ?? Number.POSITIVE_INFINITY,
        retryAtMs ?? Number.POSITIVE_INFINITY,
      ),
    );
  }
}
