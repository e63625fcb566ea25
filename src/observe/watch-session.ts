// One open watch, from its first line to its end: takes what it tells into the store. Decides nothing about what comes next.
import type { Clock } from "../model/clock.ts";
import type { WatchCollection } from "./watch-collection.ts";
import type { WatchContact } from "./watch-contact.ts";
import { compareResourceVersions, readWatchLine } from "./watch-event.ts";
import { readCurrentVersion } from "./watch-read.ts";
import type { WatchStore } from "./watch-store.ts";
import type { WatchStream } from "./watch-stream.ts";

/** A watch that ends without a word sooner than this counts as a failure, or a proxy that only closes would spin us. */
const MIN_HEALTHY_MS = 1_000;
/** Silence on a new watch after which it is primed; see `readCurrentVersion`. */
const PRIME_AFTER_MS = 10_000;

/**
 * How a watch ended. `resumable`: in good order, or by us. `broken`: by a fault, nothing is missed if it is resumed.
 * `expired`: it cannot be resumed, only a list helps. `worked`: it had told us something, or stood for a while.
 */
export interface SessionEnd {
  readonly kind: "resumable" | "broken" | "expired";
  readonly worked: boolean;
}

/** What a session works on. */
export interface SessionParts<F> {
  readonly clock: Clock;
  readonly collection: WatchCollection;
  readonly store: WatchStore<F>;
  readonly contact: WatchContact;
}

/** Runs once. Leaves neither the stream nor a timer behind. */
export class WatchSession<F> {
  readonly stream: WatchStream;
  #parts: SessionParts<F>;
  /** Ends the priming read when the attempt is given up. */
  #signal: AbortSignal;
  #wentBack = false;

  constructor(parts: SessionParts<F>, stream: WatchStream, signal: AbortSignal) {
    this.#parts = parts;
    this.stream = stream;
    this.#signal = signal;
  }

  async run(): Promise<SessionEnd> {
    const { stream } = this;
    const cancelPriming = this.#parts.clock.schedule(PRIME_AFTER_MS, () => {
      if (stream.heard === 0) void this.#prime();
    });
    try {
      for (let told = 0; ; told++) {
        const heard = await stream.next();
        if (heard.kind === "end") return this.#ended(heard.end, heard.message);
        const fault = this.#take(heard.line);
        if (fault !== undefined) return { kind: fault, worked: told > 0 };
      }
    } finally {
      cancelPriming();
      stream.close();
    }
  }

  /** Takes one line into the store; answers with the fault if it tells of one. */
  #take(line: unknown): "broken" | "expired" | undefined {
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
        return event.code === 410 ? "expired" : "broken";
    }
    contact.showed(nowMs);
    return undefined;
  }

  #ended(end: "clean" | "broken" | "idle" | "closed", message: string): SessionEnd {
    const { stream } = this;
    const livedMs = this.#parts.clock.now().monotonicMs - stream.openedAtMs;
    const worked = stream.heard > 0 || livedMs >= MIN_HEALTHY_MS;
    if (this.#wentBack) return { kind: "expired", worked };
    // Servers end every watch sooner or later; nothing is missed, for the next one resumes where this one stood.
    if (end === "closed" || (end === "clean" && worked)) return { kind: "resumable", worked };
    this.#parts.contact.broke(`watch: ${message}`);
    return { kind: "broken", worked };
  }

  /** Not repeated on failure: the idle limit judges this watch, and the next one is primed anew. */
  async #prime(): Promise<void> {
    const { collection, contact, clock, store } = this.#parts;
    const askedAtMs = clock.now().monotonicMs;
    const current = await readCurrentVersion(collection, this.#signal);
    if (current === undefined || this.#signal.aborted) return;
    const order = compareResourceVersions(current, store.progress ?? "");
    if (order === 0) return contact.showed(askedAtMs);
    contact.spoke();
    if (order === undefined || order > 0) return;
    // A watch from the future stays silent for ever, and looks healthy.
    contact.broke(`watch: the server is at ${current}, before ${store.progress}, which we have seen`);
    this.#wentBack = true;
    this.stream.close();
  }
}
