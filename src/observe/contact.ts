// Our contact with the API server over all connections together: since when it is unbroken, and when we last heard it. One
// that answers and stores nothing is as good as away: no kubelet can renew a Lease then.
import type { Clock } from "../model/clock.ts";
import type { ContactState } from "../model/snapshot.ts";

/**
 * Silence longer than this between two answers is a gap. The leader renews its Lease every 2 s and a standby reads it as
 * often, so contact that lasts is heard at least that often. And kubelets come back later than the server does: one whose
 * renewal failed tries again after 0.2, 0.6, 1.4, 3.0, 6.2 and only then after 12.6 s (client-go's lease controller), so that
 * a longer outage could make a healthy node look lost.
 */
export const CONTACT_GAP_MS = 6_000;

/** Hears every answer of the server, whoever asked. */
export class Contact {
  readonly #clock: Clock;
  #lastOkMs: number | undefined;
  #unbrokenSinceMs: number | undefined;
  #brokenSinceMs: number | undefined;
  /** When it was last seen to store something, whoever wrote it. */
  #lastStoredMs: number | undefined;
  /** Since when it has refused to store what we wrote, without fault of ours. */
  #refusedSinceMs: number | undefined;
  readonly #onGap: (lengthMs: number) => void;

  /** `onGap` is told at the end of each gap how long it was. */
  constructor(clock: Clock, onGap: (lengthMs: number) => void = () => {}) {
    this.#clock = clock;
    this.#onGap = onGap;
  }

  /** The server has just answered. */
  heard(): void {
    const nowMs = this.#clock.now().monotonicMs;
    const silentMs = this.#lastOkMs === undefined ? undefined : nowMs - this.#lastOkMs;
    if (silentMs === undefined || silentMs > CONTACT_GAP_MS) {
      this.#brokenSinceMs = this.#lastOkMs;
      this.#unbrokenSinceMs = nowMs;
    }
    this.#lastOkMs = nowMs;
    if (silentMs !== undefined && silentMs > CONTACT_GAP_MS) this.#onGap(silentMs);
  }

  /**
   * The server was just seen to store something, or has refused to for a reason of its own. It may have refused everybody
   * since it was last seen to store: who does not lead writes nothing, and notices late.
   */
  stored(isStored: boolean): void {
    const nowMs = this.#clock.now().monotonicMs;
    if (!isStored) {
      this.#refusedSinceMs ??= nowMs;
      return;
    }
    const sinceMs = this.#refusedSinceMs;
    const doubtfulSinceMs = this.#doubtfulSinceMs();
    this.#lastStoredMs = nowMs;
    this.#refusedSinceMs = undefined;
    if (sinceMs === undefined || nowMs - (doubtfulSinceMs ?? nowMs) <= CONTACT_GAP_MS) return;
    this.#brokenSinceMs = sinceMs;
    this.#unbrokenSinceMs = nowMs;
    this.#onGap(nowMs - sinceMs);
  }

  /** Since when it may have stored nothing for anybody, where it refuses; undefined where it does not. */
  #doubtfulSinceMs(): number | undefined {
    const sinceMs = this.#refusedSinceMs;
    return sinceMs === undefined ? undefined : Math.min(sinceMs, this.#lastStoredMs ?? sinceMs);
  }

  /** As of now; a gap that is still open counts from its end, which is not yet known, so nothing is judged silent in it. */
  state(): ContactState {
    const nowMs = this.#clock.now().monotonicMs;
    const lastOkMs = this.#lastOkMs ?? nowMs;
    const open = nowMs - Math.min(lastOkMs, this.#doubtfulSinceMs() ?? lastOkMs) > CONTACT_GAP_MS;
    const wellUntilMs = Math.min(lastOkMs, this.#refusedSinceMs ?? lastOkMs);
    const brokenSinceMs = open ? wellUntilMs : this.#brokenSinceMs;
    return {
      lastOkMs,
      unbrokenSinceMs: open ? nowMs : (this.#unbrokenSinceMs ?? nowMs),
      ...(brokenSinceMs === undefined ? {} : { brokenSinceMs }),
    };
  }
}
