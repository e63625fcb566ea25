// The state machine behind a reflector: list, then watch, then resume or list again. Knows connections and pauses; the
// store decides what each word from the server means.
import type { ApiFailure } from "../kube/transport.ts";
import type { Random } from "../model/clock.ts";
import { Backoff, Pause } from "./watch-backoff.ts";
import { type Listing, newListing, type WatchLister } from "./watch-lister.ts";
import { type SessionParts, WatchSession } from "./watch-session.ts";
import { WatchStream } from "./watch-stream.ts";

/** Bounds of a watch's `timeoutSeconds`; spread, so that replicas and collections do not all return at once. */
const WATCH_TIMEOUT_SECONDS = { min: 240, max: 480 } as const;

/**
 * `empty`: there is nothing to resume from. `listing`: a page is to be asked for. `listed`: a watch can be opened from the
 * store's progress. `watching`: one is open.
 */
type WatchState<F> =
  | { readonly kind: "empty" }
  | { readonly kind: "listing"; readonly listing: Listing }
  | { readonly kind: "listed" }
  | { readonly kind: "watching"; readonly session: WatchSession<F> };

/** Which state a loop is in; for people. */
export type WatchPhase = WatchState<unknown>["kind"];

interface Step<F> {
  readonly next: WatchState<F>;
  readonly pauseMs: number;
}

/** What a loop works on. */
export interface WatchLoopParts<F> extends SessionParts<F> {
  readonly random: Random;
  readonly idleLimitMs: number;
  readonly lister: WatchLister<F>;
}

/** Keeps a store up to date until it is stopped; no failure ends it. */
export class WatchLoop<F> {
  #parts: WatchLoopParts<F>;
  #state: WatchState<F> = { kind: "empty" };
  #stopped = false;
  /** Failures of single requests in a row. */
  #requests: Backoff;
  /** Watches in a row that broke without having told anything. */
  #watches: Backoff;
  /** Lists in a row that no watch could go on from: a list that works must not excuse a watch that never does. */
  #relists: Backoff;
  #attempt = new AbortController();
  #session: WatchSession<F> | undefined;
  #pause: Pause;

  constructor(parts: WatchLoopParts<F>) {
    this.#parts = parts;
    this.#pause = new Pause(parts.clock);
    this.#requests = new Backoff(parts.random);
    this.#watches = new Backoff(parts.random);
    this.#relists = new Backoff(parts.random);
  }

  get phase(): WatchPhase {
    return this.#state.kind;
  }

  /** Rejects only on a bug of our own, such as a listener that throws. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      const { next, pauseMs } = await this.#step(this.#state);
      this.#state = next;
      if (pauseMs > 0 && !this.#stopped) await this.#pause.begin(pauseMs);
    }
    this.#session?.stream.close();
  }

  stop(): void {
    this.#stopped = true;
    this.#interrupt();
  }

  /** Drops what is under way and goes on at once from where the store is. */
  redial(): void {
    this.#requests.succeeded();
    this.#forgive();
    this.#interrupt();
  }

  #interrupt(): void {
    this.#parts.contact.broke();
    this.#attempt.abort();
    this.#session?.stream.close();
    this.#pause.end();
  }

  #step(state: WatchState<F>): Promise<Step<F>> | Step<F> {
    switch (state.kind) {
      case "empty":
        return goOn({ kind: "listing", listing: newListing() });
      case "listing":
        return this.#list(state.listing);
      case "listed":
        return this.#open();
      case "watching":
        return this.#watch(state.session);
    }
  }

  async #list(listing: Listing): Promise<Step<F>> {
    const signal = this.#newAttempt();
    const step = await this.#parts.lister.step(listing, signal);
    switch (step.kind) {
      case "page":
        this.#requests.succeeded();
        this.#parts.contact.spoke();
        return goOn({ kind: "listing", listing: step.listing });
      case "done":
        this.#requests.succeeded();
        this.#parts.contact.lists++;
        this.#parts.contact.showed(step.startedAtMs);
        return goOn({ kind: "listed" });
      case "failed": {
        const next: WatchState<F> = { kind: "listing", listing: step.listing };
        if (signal.aborted) return goOn(next);
        this.#parts.contact.broke(`list: ${step.failure.message}`);
        const { retryAfterMs } = step.failure;
        return { next, pauseMs: (step.expired ? this.#relists : this.#requests).failed(retryAfterMs) };
      }
    }
  }

  async #open(): Promise<Step<F>> {
    const { clock, random, collection, contact, store, idleLimitMs } = this.#parts;
    const { min, max } = WATCH_TIMEOUT_SECONDS;
    const timeoutSeconds = Math.floor(min + (max - min + 1) * random());
    const signal = this.#newAttempt();
    const outcome = await collection.watch({ resourceVersion: store.progress ?? "", timeoutSeconds }, signal);
    if (!outcome.ok) return signal.aborted ? goOn({ kind: "listed" }) : this.#notOpened(outcome);
    if (signal.aborted) {
      outcome.value.close();
      return goOn({ kind: "listed" });
    }
    this.#requests.succeeded();
    contact.opened(clock.now().monotonicMs);
    const stream = new WatchStream(outcome.value, clock, idleLimitMs);
    const session = new WatchSession<F>(this.#parts, stream, signal);
    this.#session = session;
    return goOn({ kind: "watching", session });
  }

  #notOpened(failure: ApiFailure): Step<F> {
    this.#parts.contact.broke(`watch: ${failure.message}`);
    switch (failure.kind) {
      // The collection, or our place in it, is not what we think: only a list can tell.
      case "gone":
      case "invalid":
      case "notFound":
        return { next: { kind: "empty" }, pauseMs: this.#relists.failed(failure.retryAfterMs) };
      default:
        return { next: { kind: "listed" }, pauseMs: this.#requests.failed(failure.retryAfterMs) };
    }
  }

  async #watch(session: WatchSession<F>): Promise<Step<F>> {
    const { kind, worked } = await session.run();
    this.#session = undefined;
    if (worked) this.#forgive();
    switch (kind) {
      case "resumable":
        return goOn({ kind: "listed" });
      case "broken":
        return { next: { kind: "listed" }, pauseMs: this.#watches.failed() };
      case "expired":
        return { next: { kind: "empty" }, pauseMs: this.#relists.failed() };
    }
  }

  /** A watch has proved to work. */
  #forgive(): void {
    this.#watches.succeeded();
    this.#relists.succeeded();
  }

  #newAttempt(): AbortSignal {
    this.#attempt = new AbortController();
    return this.#attempt.signal;
  }
}

function goOn<F>(next: WatchState<F>): Step<F> {
  return { next, pauseMs: 0 };
}
