// One leadership from its beginning to its end. Knows the renew deadline; knows nothing of the Lease behind it.
import type { Cancel, Clock } from "../model/clock.ts";

/** Why a leadership ended. */
export type LostReason =
  /** We stopped by ourselves and let the Lease go. */
  | "released"
  /** No renewal was known to have succeeded within the renew deadline. */
  | "renewDeadlinePassed"
  /** The Lease names another holder or epoch, or was edited so that it no longer names us. */
  | "takenOver";

/** The right to act. What is started under it ends with its signal and carries its epoch into every write. */
export interface Leadership {
  /** The Lease's transitions: higher than that of any leadership before. */
  readonly epoch: number;
  /**
   * True while the Lease is surely ours: the renew deadline, counted on our monotonic clock from before the last
   * successful renewal was sent, has not passed. Once false it stays false.
   */
  valid(): boolean;
  /** Aborts at the moment leadership ends, however it ends. */
  readonly signal: AbortSignal;
}

/** The elector's own view of a leadership: it alone extends and ends it. */
export class HeldLeadership implements Leadership {
  readonly epoch: number;
  readonly acquireTime: string;
  readonly #clock: Clock;
  readonly #renewDeadlineMs: number;
  readonly #onEnd: (why: LostReason) => void;
  readonly #controller = new AbortController();
  #validUntilMs: number;
  #cancelTimer: Cancel;

  constructor(options: {
    readonly epoch: number;
    readonly acquireTime: string;
    readonly clock: Clock;
    readonly renewDeadlineMs: number;
    /** When the acquiring write was sent. */
    readonly sentAtMs: number;
    readonly onEnd: (why: LostReason) => void;
  }) {
    this.epoch = options.epoch;
    this.acquireTime = options.acquireTime;
    this.#clock = options.clock;
    this.#renewDeadlineMs = options.renewDeadlineMs;
    this.#onEnd = options.onEnd;
    this.#validUntilMs = options.sentAtMs + options.renewDeadlineMs;
    this.#cancelTimer = this.#arm();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** How long it stays valid without another renewal; at least 0. */
  get leftMs(): number {
    if (this.#controller.signal.aborted) return 0;
    return Math.max(0, this.#validUntilMs - this.#clock.now().monotonicMs);
  }

  valid(): boolean {
    return this.leftMs > 0;
  }

  /** Counts a renewal sent at that time. One whose success is heard of too late revives nothing: the end has come. */
  extend(sentAtMs: number): void {
    if (!this.valid()) return this.end("renewDeadlinePassed");
    this.#validUntilMs = sentAtMs + this.#renewDeadlineMs;
    this.#cancelTimer();
    this.#cancelTimer = this.#arm();
  }

  end(why: LostReason): void {
    if (this.#controller.signal.aborted) return;
    this.#cancelTimer();
    this.#controller.abort(new Error(`leadership of epoch ${this.epoch} ended: ${why}`));
    this.#onEnd(why);
  }

  /** The loop that renews may be stuck in a call, so the end has a timer of its own. */
  #arm(): Cancel {
    return this.#clock.schedule(Math.ceil(this.leftMs), () => {
      if (this.valid()) this.#cancelTimer = this.#arm();
      else this.end("renewDeadlinePassed");
    });
  }
}
