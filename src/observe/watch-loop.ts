// The state machine behind a reflector: list, then watch, then resume or list again. Knows connections and pauses; the
// store decides what each word from the server means.
import type { ApiFailure } from "../kube/transport.ts";
import type { Clock, Random } from "../model/clock.ts";
import { Backoff, Pause } from "./watch-backoff.ts";
import type { WatchCollection } from "./watch-collection.ts";
import type { WatchContact } from "./watch-contact.ts";
import { readWatchLine } from "./watch-event.ts";
import { type Listing, newListing, type WatchLister } from "./watch-lister.ts";
import { readCurrentVersion } from "./watch-read.ts";
import type { WatchStore } from "./watch-store.ts";
import { type StreamEnd, WatchStream } from "./watch-stream.ts";

/** Bounds of a watch's `timeoutSeconds`; spread, so that replicas and collections do not all return at once. */
const WATCH_TIMEOUT_SECONDS = { min: 240, max: 480 } as const;
/** A watch that ends without a word sooner than this counts as a failure, or a proxy that only closes would spin us. */
const MIN_HEALTHY_MS = 1_000;
/** Silence on a new watch after which it is primed; see `readCurrentVersion`. */
const PRIME_AFTER_MS = 10_000;

/**
 * `empty`: there is nothing to resume from. `listing`: a page is to be asked for. `listed`: a watch can be opened from the
 * store's progress. `watching`: one is open.
 */
export type WatchState =
  | { readonly kind: "empty" }
  | { readonly kind: "listing"; readonly listing: Listing }
  | { readonly kind: "listed" }
  | { readonly kind: "watching"; readonly stream: WatchStream };

interface Step {
  readonly next: WatchState;
  readonly pauseMs: number;
}

/** What a loop works on. */
export interface WatchLoopParts<F> {
  readonly clock: Clock;
  readonly random: Random;
  readonly idleLimitMs: number;
  readonly collection: WatchCollection;
  readonly lister: WatchLister<F>;
  readonly store: WatchStore<F>;
  readonly contact: WatchContact;
}

/** Keeps a store up to date until it is stopped; no failure ends it. */
export class WatchLoop<F> {
  #parts: WatchLoopParts<F>;
  #state: WatchState = { kind: "empty" };
  #stopped = false;
  /** Failures of single requests in a row. */
  #requests: Backoff;
  /** Watches in a row that broke without having told anything. */
  #watches: Backoff;
  /** Lists in a row that no watch could go on from: a list that works must not excuse a watch that never does. */
  #relists: Backoff;
  #attempt = new AbortController();
  #stream: WatchStream | undefined;
  #pause: Pause;

  constructor(parts: WatchLoopParts<F>) {
    this.#parts = parts;
    this.#pause = new Pause(parts.clock);
    this.#requests = new Backoff(parts.random);
    this.#watches = new Backoff(parts.random);
    this.#relists = new Backoff(parts.random);
  }

  get phase(): WatchState["kind"] {
    return this.#state.kind;
  }

  /** Rejects only on a bug of our own, such as a listener that throws. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      const { next, pauseMs } = await this.#step(this.#state);
      this.#state = next;
      if (pauseMs > 0 && !this.#stopped) await this.#pause.begin(pauseMs);
    }
    this.#stream?.close();
  }

  stop(): void {
    this.#stopped = true;
    this.#interrupt();
  }

  /** Drops what is under way and goes on at once from where the store is. */
  redial(): void {
    this.#requests.succeeded();
    this.#watched();
    this.#interrupt();
  }

  #interrupt(): void {
    this.#parts.contact.broke();
    this.#attempt.abort();
    this.#stream?.close();
    this.#pause.end();
  }

  #step(state: WatchState): Promise<Step> | Step {
    switch (state.kind) {
      case "empty":
        return goOn({ kind: "listing", listing: newListing() });
      case "listing":
        return this.#list(state.listing);
      case "listed":
        return this.#open();
      case "watching":
        return this.#watch(state.stream);
    }
  }

  async #list(listing: Listing): Promise<Step> {
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
        const next: WatchState = { kind: "listing", listing: step.listing };
        if (signal.aborted) return goOn(next);
        this.#parts.contact.broke(`list: ${step.failure.message}`);
        const { retryAfterMs } = step.failure;
        return { next, pauseMs: (step.expired ? this.#relists : this.#requests).failed(retryAfterMs) };
      }
    }
  }

  async #open(): Promise<Step> {
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
    this.#stream = stream;
    return goOn({ kind: "watching", stream });
  }

  #notOpened(failure: ApiFailure): Step {
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

  async #watch(stream: WatchStream): Promise<Step> {
    const { signal } = this.#attempt;
    const cancelPriming = this.#parts.clock.schedule(PRIME_AFTER_MS, () => {
      if (stream.heard === 0) void this.#prime(signal);
    });
    try {
      for (;;) {
        const heard = await stream.next();
        if (heard.kind === "end") return this.#ended(stream, heard.end, heard.message);
        const broken = this.#take(heard.line);
        if (broken !== undefined) return broken;
      }
    } finally {
      cancelPriming();
      stream.close();
      this.#stream = undefined;
    }
  }

  /** Takes one line into the store; answers where to go if the line ends the watch. */
  #take(line: unknown): Step | undefined {
    const { store, contact, clock } = this.#parts;
    const event = readWatchLine(line);
    const nowMs = clock.now().monotonicMs;
    switch (event.kind) {
      case "changed":
        contact.events++;
        store.put(event.raw, "event", nowMs);
        store.advanceTo(event.raw);
        break;
      case "deleted":
        contact.events++;
        store.delete(event.raw);
        store.advanceTo(event.raw);
        break;
      case "bookmark":
        store.advance(event.resourceVersion);
        break;
      case "failure":
      case "unreadable":
        contact.broke(`watch: ${event.message}`);
        return event.code === 410
          ? { next: { kind: "empty" }, pauseMs: this.#relists.failed() }
          : { next: { kind: "listed" }, pauseMs: this.#watches.failed() };
    }
    this.#watched();
    contact.showed(nowMs);
    return undefined;
  }

  #ended(stream: WatchStream, end: StreamEnd, message: string): Step {
    const next: WatchState = { kind: "listed" };
    if (end === "closed") return goOn(next);
    const livedMs = this.#parts.clock.now().monotonicMs - stream.openedAtMs;
    if (livedMs >= MIN_HEALTHY_MS) this.#watched();
    // Servers end every watch sooner or later; nothing is missed, for the next one resumes where this one stood.
    if (end === "clean" && (livedMs >= MIN_HEALTHY_MS || stream.heard > 0)) return goOn(next);
    this.#parts.contact.broke(`watch: ${message}`);
    return { next, pauseMs: this.#watches.failed() };
  }

  async #prime(signal: AbortSignal): Promise<void> {
    const { collection, contact, clock, store } = this.#parts;
    const askedAtMs = clock.now().monotonicMs;
    const current = await readCurrentVersion(collection, signal);
    // Not repeated on failure: the idle limit judges this watch, and the next one is primed anew.
    if (current === undefined || signal.aborted) return;
    if (store.covers(current)) contact.showed(askedAtMs);
    else contact.spoke();
  }

  /** A watch has proved to work. */
  #watched(): void {
    this.#watches.succeeded();
    this.#relists.succeeded();
  }

  #newAttempt(): AbortSignal {
    this.#attempt = new AbortController();
    return this.#attempt.signal;
  }
}

function goOn(next: WatchState): Step {
  return { next, pauseMs: 0 };
}
