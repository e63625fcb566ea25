// Keeps a store of facts equal to one collection on the API server, and says how far it can be trusted.
// Knows no kind of object; what an object means is `parse`'s business.
import type { ApiOutcome, ApiTransport } from "../kube/transport.ts";
import type { Clock, Random } from "../model/clock.ts";
import { type CollectionScope, WatchCollection } from "./watch-collection.ts";
import { type ReflectorCounters, WatchContact } from "./watch-contact.ts";
import { WatchLister } from "./watch-lister.ts";
import { WatchLoop, type WatchPhase } from "./watch-loop.ts";
import { readObject } from "./watch-read.ts";
import { type ChangeListener, type HeldVersion, type ParseObject, WatchStore } from "./watch-store.ts";

export type { ReflectorCounters } from "./watch-contact.ts";
export type { ChangeListener, HeldVersion, ParseObject, ParseResult } from "./watch-store.ts";

/**
 * Silence after which a watch is given up: API servers send bookmarks every 60 s (59.3 to 60.7 s measured on v1.37.2).
 */
export const DEFAULT_IDLE_LIMIT_MS = 75_000;

export interface ReflectorOptions<F> extends CollectionScope {
  /** For people, for instance `nodes`. */
  readonly name: string;
  readonly transport: ApiTransport;
  readonly clock: Clock;
  readonly random: Random;
  readonly parse: ParseObject<F>;
  readonly onChange?: ChangeListener<F>;
  /** Told each time the server is heard on this collection. */
  readonly onContact?: () => void;
  /** `DEFAULT_IDLE_LIMIT_MS` unless said. */
  readonly idleLimitMs?: number;
}

/**
 * One collection, mirrored. Guarantees: no object's resourceVersion ever falls, no deletion is lost, a recreated object
 * is told as removal then addition, and `onChange` replayed from the start gives the store. Every failure is retried: at
 * once the first time, then with growing pauses up to 5 s, without end.
 * Assumptions: the transport keeps its deadlines.
 * Caveats: the watch of a server that has itself lost touch with etcd looks alive; before an act that cannot be taken
 * back, `refresh` what it rests on.
 */
export class Reflector<F> {
  readonly name: string;
  #clock: Clock;
  #collection: WatchCollection;
  #store: WatchStore<F>;
  #contact: WatchContact;
  #loop: WatchLoop<F>;
  #reads = new Set<AbortController>();
  #life: "new" | "running" | "stopped" = "new";

  constructor(options: ReflectorOptions<F>) {
    const { transport, clock, random, parse, onChange, onContact } = options;
    this.name = options.name;
    this.#clock = clock;
    this.#collection = new WatchCollection(transport, options);
    this.#store = new WatchStore(parse, onChange);
    this.#contact = new WatchContact(onContact);
    this.#loop = new WatchLoop({
      clock,
      random,
      idleLimitMs: options.idleLimitMs ?? DEFAULT_IDLE_LIMIT_MS,
      collection: this.#collection,
      lister: new WatchLister(this.#collection, this.#store, clock),
      store: this.#store,
      contact: this.#contact,
    });
  }

  /** Facts by `namespace/name` or `name`. Live: it changes between two of your steps. */
  get store(): ReadonlyMap<string, F> {
    return this.#store.facts;
  }

  /** Objects that could not be read, with the reason. The fact last read of such an object stays in `store`. */
  get skipped(): ReadonlyMap<string, string> {
    return this.#store.skipped;
  }

  get phase(): WatchPhase {
    return this.#loop.phase;
  }

  /** A full list has been taken. Nothing is judged before. */
  get synced(): boolean {
    return this.#contact.lists > 0;
  }

  /** Monotonic time of the last word: an event, a bookmark, or the moment at which the last list was asked for. */
  get asOfMs(): number | undefined {
    return this.#contact.asOfMs;
  }

  /** Since when a watch has stood without a break, monotonic; undefined while there is none. */
  get continuousSinceMs(): number | undefined {
    return this.#contact.continuousSinceMs;
  }

  get counters(): ReflectorCounters {
    const { lists, watches, events, errors, lastError } = this.#contact;
    return { lists, watches, events, errors, skipped: this.#store.skips, lastError };
  }

  /** As `asOfMs`, or the moment at which `refresh` last asked for this object, whichever is later. */
  objectAsOfMs(key: string): number | undefined {
    return this.#contact.objectAsOfMs(key);
  }

  /** Which state of an object is held; for preconditions. */
  versionOf(key: string): HeldVersion | undefined {
    return this.#store.versionOf(key);
  }

  /** Begins; once only. */
  start(): void {
    if (this.#life !== "new") throw new Error(`reflector ${this.name}: start() comes once, before stop()`);
    this.#life = "running";
    // It rejects only on a bug of our own, for instance a listener that throws; unhandled, that ends the process.
    void this.#loop.run();
  }

  /** Ends for good: closes the watch, gives up the calls under way, cancels the timers. The store stays as it is. */
  stop(): void {
    this.#life = "stopped";
    this.#loop.stop();
    for (const read of this.#reads) read.abort();
  }

  /** Drops the connection in use, which somebody knows to be dead, and goes on at once over a fresh one. */
  redial(): void {
    if (this.#life === "running") this.#loop.redial();
  }

  /**
   * Takes the server's answer to our own write of an object that matches the selectors, so that it is visible at once.
   * An answer that the watch has overtaken is ignored.
   */
  applyOwnWrite(raw: unknown): void {
    this.#store.put(raw, "read", this.#clock.now().monotonicMs);
  }

  /**
   * Takes our own delete. Only where the object is gone, not where it waits for finalizers or a grace period: what the
   * watch still says of this UID is not believed any more, until a list begun later shows it.
   */
  applyOwnDelete(key: string, uid: string): void {
    this.#store.bury(key, uid);
  }

  /**
   * Reads one object with quorum into the store and answers with the store's fact, which may be younger still; undefined
   * where there is no such object. Errors: as the transport's; `unexpected` where the object cannot be read.
   */
  async refresh(key: string): Promise<ApiOutcome<F | undefined>> {
    const askedAtMs = this.#clock.now().monotonicMs;
    const read = new AbortController();
    this.#reads.add(read);
    const outcome = await readObject(this.#collection, key, read.signal);
    this.#reads.delete(read);
    if (!outcome.ok) return outcome;
    const { status, value } = outcome;
    if (value.kind === "absent") this.#store.absent(key, value.resourceVersion);
    else this.#store.put(value.raw, "read", this.#clock.now().monotonicMs);
    const unreadable = this.#store.skipped.get(key);
    if (unreadable !== undefined) return { ok: false, kind: "unexpected", status, message: unreadable };
    this.#contact.showedObject(key, askedAtMs);
    return { ok: true, status, value: this.#store.facts.get(key) };
  }
}
