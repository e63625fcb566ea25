// Runs effects: one at a time per key, the most important first, never more at once than allowed. Knows nothing of what they do.
import type { Cancel, Clock } from "../model/clock.ts";
import { BinaryHeap } from "./binary-heap.ts";

export interface WorkItem<T> {
  /** What must not be worked on twice at once, for instance `node/worker-1`. */
  readonly key: string;
  /** Tells one step from another under the same key; equal steps have equal identities. */
  readonly identity: string;
  readonly payload: T;
  /** Lower runs first; 0 unless said. Equal ones run in the order in which their keys came. */
  readonly priority?: number;
  /** Not to be started before this monotonic time. */
  readonly notBeforeMs?: number;
}

/**
 * What became of an offer. `queued`: new. `replaced`: the key was waiting with another step, which is forgotten.
 * `unchanged`: this step is waiting already. `running`: this very step is being performed, so nothing was added (and an
 * older follow-up of the key was forgotten). `follows`: another step of the key is running; this one comes next.
 */
export type OfferOutcome =
  | { readonly ok: true; readonly how: "queued" | "replaced" | "unchanged" | "running" | "follows" }
  | { readonly ok: false; readonly why: "full" | "closed" };

export interface WorkDone<T, R> {
  readonly item: WorkItem<T>;
  readonly outcome: R;
  readonly waitedMs: number;
  readonly ranMs: number;
}

export interface WorkQueueOptions<T, R> {
  readonly clock: Clock;
  /** At most this many keys are worked on at once. */
  readonly maxConcurrent: number;
  /** At most this many keys wait; more are refused. */
  readonly maxWaiting: number;
  /** Expected failures are outcomes. The signal aborts when the queue closes early. */
  readonly perform: (payload: T, signal: AbortSignal) => Promise<R>;
  readonly onDone: (done: WorkDone<T, R>) => void;
  /** `perform` threw, which is our own bug. */
  readonly onBug: (error: unknown, item: WorkItem<T>) => void;
  /** Told whenever one of the two numbers may have changed. */
  readonly onDepth?: (waiting: number, running: number) => void;
  /** Ends the queue at once: waiting work is forgotten, running work is told by its signal. */
  readonly signal?: AbortSignal;
}

interface Waiting<T> {
  readonly item: WorkItem<T>;
  readonly sequence: number;
  readonly offeredAtMs: number;
  readonly priority: number;
  readonly notBeforeMs: number;
}

/** Heap entries that were replaced stay until they surface; beyond this many, and twice the living, they are swept. */
const MAX_STALE_ENTRIES = 64;

/**
 * Guarantees: one run per key at a time; the newest step offered for a key is the one that runs next; of what may start,
 * the lowest priority number starts first, whatever the order of the offers made in one go; nothing starts after close.
 */
export class WorkQueue<T, R> {
  readonly #options: WorkQueueOptions<T, R>;
  readonly #waiting = new Map<string, Waiting<T>>();
  readonly #running = new Map<string, WorkItem<T>>();
  readonly #ready = new BinaryHeap<Waiting<T>>(
    (a, b) => a.priority < b.priority || (a.priority === b.priority && a.sequence < b.sequence),
  );
  readonly #delayed = new BinaryHeap<Waiting<T>>((a, b) => a.notBeforeMs < b.notBeforeMs);
  readonly #aborted = new AbortController();
  #sequence = 0;
  #closed = false;
  #pumpPlanned = false;
  #cancelTimer: Cancel = () => {};
  #whenIdle: (() => void)[] = [];

  constructor(options: WorkQueueOptions<T, R>) {
    this.#options = options;
    if (options.signal?.aborted) this.#abort(options.signal.reason);
    else options.signal?.addEventListener("abort", () => this.#abort(options.signal?.reason), { once: true });
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  get running(): number {
    return this.#running.size;
  }

  /** What is being performed now. */
  get underWay(): Iterable<WorkItem<T>> {
    return this.#running.values();
  }

  offer(item: WorkItem<T>): OfferOutcome {
    if (this.#closed) return { ok: false, why: "closed" };
    const { key, identity } = item;
    const before = this.#waiting.get(key);
    const inFlight = this.#running.get(key);
    if (inFlight?.identity === identity) {
      if (before) this.forget(key);
      return { ok: true, how: "running" };
    }
    if (!before && this.#waiting.size >= this.#options.maxWaiting) return { ok: false, why: "full" };
    const same = before?.item.identity === identity;
    const priority = item.priority ?? 0;
    const notBeforeMs = item.notBeforeMs ?? Number.NEGATIVE_INFINITY;
    const entry: Waiting<T> = {
      item,
      // A key that is offered again and again keeps its place.
      sequence: before?.sequence ?? this.#sequence++,
      offeredAtMs: before?.offeredAtMs ?? this.#nowMs(),
      priority: same ? Math.min(before.priority, priority) : priority,
      notBeforeMs: same ? Math.min(before.notBeforeMs, notBeforeMs) : notBeforeMs,
    };
    this.#waiting.set(key, entry);
    if (inFlight === undefined) this.#enqueue(entry);
    this.#changed();
    return { ok: true, how: this.#howOf(before, same, inFlight !== undefined) };
  }

  /** Forgets waiting work that is no longer wanted; what runs, runs on. Returns how many were forgotten. */
  retain(isWanted: (item: WorkItem<T>) => boolean): number {
    const unwanted = [...this.#waiting.values()].filter(({ item }) => !isWanted(item));
    for (const { item } of unwanted) this.#waiting.delete(item.key);
    if (unwanted.length > 0) this.#changed();
    return unwanted.length;
  }

  /** Forgets what waits under a key; what runs, runs on. From within `onDone` before it could start. */
  forget(key: string): void {
    if (this.#waiting.delete(key)) this.#changed();
  }

  /** Takes no more, starts no more, and waits for what runs; at the deadline aborts it. Returns the keys left running. */
  async drain(deadlineMs: number): Promise<readonly string[]> {
    this.#close();
    if (this.#running.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#whenIdle.push(resolve);
      const cancel = this.#options.clock.schedule(deadlineMs, resolve);
      await promise;
      cancel();
    }
    const left = [...this.#running.keys()];
    if (left.length > 0) this.#aborted.abort(new Error("the work queue was drained past its deadline"));
    return left;
  }

  #howOf(
    before: Waiting<T> | undefined,
    same: boolean,
    busy: boolean,
  ): "queued" | "replaced" | "unchanged" | "follows" {
    if (before) return same ? "unchanged" : "replaced";
    return busy ? "follows" : "queued";
  }

  #enqueue(entry: Waiting<T>): void {
    const heap = entry.notBeforeMs > this.#nowMs() ? this.#delayed : this.#ready;
    heap.push(entry);
    if (heap.size > MAX_STALE_ENTRIES + 2 * this.#waiting.size) heap.retain((other) => this.#isLive(other));
  }

  #isLive(entry: Waiting<T>): boolean {
    return this.#waiting.get(entry.item.key) === entry;
  }

  /** Starting waits for the end of the current go, so that its offers compete by priority and not by order. */
  #changed(): void {
    this.#options.onDepth?.(this.#waiting.size, this.#running.size);
    if (this.#pumpPlanned) return;
    this.#pumpPlanned = true;
    queueMicrotask(() => {
      this.#pumpPlanned = false;
      this.#pump();
    });
  }

  #pump(): void {
    const nowMs = this.#nowMs();
    for (let next = this.#delayed.peek(); next && next.notBeforeMs <= nowMs; next = this.#delayed.peek()) {
      this.#delayed.pop();
      if (this.#isLive(next)) this.#ready.push(next);
    }
    while (!this.#closed && this.#running.size < this.#options.maxConcurrent) {
      const entry = this.#ready.pop();
      if (!entry) break;
      if (this.#isLive(entry) && !this.#running.has(entry.item.key)) this.#start(entry);
    }
    this.#cancelTimer();
    const next = this.#delayed.peek();
    if (next && !this.#closed)
      this.#cancelTimer = this.#options.clock.schedule(next.notBeforeMs - nowMs, () => this.#pump());
  }

  #start(entry: Waiting<T>): void {
    const { item } = entry;
    this.#waiting.delete(item.key);
    this.#running.set(item.key, item);
    this.#options.onDepth?.(this.#waiting.size, this.#running.size);
    void this.#run(entry);
  }

  async #run({ item, offeredAtMs }: Waiting<T>): Promise<void> {
    const startedMs = this.#nowMs();
    try {
      const outcome = await this.#options.perform(item.payload, this.#aborted.signal);
      this.#finish(item.key);
      const ranMs = this.#nowMs() - startedMs;
      this.#options.onDone({ item, outcome, waitedMs: startedMs - offeredAtMs, ranMs });
    } catch (error) {
      this.#finish(item.key);
      this.#options.onBug(error, item);
    }
  }

  #finish(key: string): void {
    this.#running.delete(key);
    const follower = this.#waiting.get(key);
    if (follower) this.#enqueue(follower);
    this.#changed();
    if (this.#running.size > 0) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  #close(): void {
    this.#closed = true;
    this.#waiting.clear();
    this.#ready.retain(() => false);
    this.#delayed.retain(() => false);
    this.#cancelTimer();
    this.#options.onDepth?.(0, this.#running.size);
  }

  #abort(reason: unknown): void {
    this.#close();
    this.#aborted.abort(reason);
  }

  #nowMs(): number {
    return this.#options.clock.now().monotonicMs;
  }
}
