// A shared bottleneck: calls pass one after the other and each holds it for a while, so that many at once queue up.
import { labTime, sleep } from "../lab-time.ts";

/** Lets calls through one by one. With cost 0 it does nothing. */
export class Pace {
  readonly #costMs: number;
  #freeAtMs = 0;

  constructor(costMs: number) {
    this.#costMs = costMs;
  }

  /** Resolves when it is this caller's turn. */
  async turn(): Promise<void> {
    if (this.#costMs === 0) return;
    const nowMs = labTime.nowMs();
    const startMs = Math.max(nowMs, this.#freeAtMs);
    this.#freeAtMs = startMs + this.#costMs;
    if (startMs > nowMs) await sleep(startMs - nowMs);
  }
}
