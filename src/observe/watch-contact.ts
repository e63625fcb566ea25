// What we know about the source itself: when it last spoke, since when without a break, how often it failed.

/** Totals since the start; they only grow. */
export interface ReflectorCounters {
  /** Full lists taken. */
  readonly lists: number;
  /** Watches opened. */
  readonly watches: number;
  /** Events heard, bookmarks not counted. */
  readonly events: number;
  /** Failed requests and broken watches. */
  readonly errors: number;
  /** Times an object could not be read. */
  readonly skipped: number;
  readonly lastError: string | undefined;
}

/** Ages of one source. All times are monotonic milliseconds. */
export class WatchContact {
  /** The source showed us its state as of this moment; undefined before the first list. */
  asOfMs: number | undefined;
  /** When the current unbroken time of listening began; undefined while it is broken. */
  continuousSinceMs: number | undefined;
  lists = 0;
  watches = 0;
  events = 0;
  errors = 0;
  lastError: string | undefined;
  /** Reads of single objects that are younger than `asOfMs`. */
  #readAtMs = new Map<string, number>();
  #onContact: (() => void) | undefined;

  constructor(onContact: (() => void) | undefined) {
    this.#onContact = onContact;
  }

  /** The server answered, which says nothing yet about the collection's state. */
  spoke(): void {
    this.#onContact?.();
  }

  /** The server showed the collection's state as of `asOfMs`. */
  showed(asOfMs: number): void {
    this.asOfMs = Math.max(asOfMs, this.asOfMs ?? asOfMs);
    for (const [key, readAtMs] of this.#readAtMs) if (readAtMs <= this.asOfMs) this.#readAtMs.delete(key);
    this.#onContact?.();
  }

  /** The server showed one object's state as of `askedAtMs`. */
  showedObject(key: string, askedAtMs: number): void {
    if (askedAtMs > (this.objectAsOfMs(key) ?? Number.NEGATIVE_INFINITY)) this.#readAtMs.set(key, askedAtMs);
    this.#onContact?.();
  }

  objectAsOfMs(key: string): number | undefined {
    return this.#readAtMs.get(key) ?? this.asOfMs;
  }

  /** A watch stands. */
  opened(nowMs: number): void {
    this.watches++;
    this.continuousSinceMs ??= nowMs;
    this.#onContact?.();
  }

  /** Listening was interrupted; `error` says by what, unless we did it ourselves. */
  broke(error?: string): void {
    this.continuousSinceMs = undefined;
    if (error === undefined) return;
    this.errors++;
    this.lastError = error;
  }
}
