// A controller's work queue: each key is processed by one worker at a time, important ones first, failures later again.

import { labTime } from "../lab-time.ts";
/** First and longest pause after a failure; client-go's default rate limiter, with a lower ceiling for tests. */
const FIRST_RETRY_MS = 5;
const MAX_RETRY_MS = 30_000;

export interface WorkQueueOptions {
  readonly workers: number;
  /** Throws to be called again after a pause that doubles. */
  readonly process: (key: string) => Promise<void>;
  readonly onFailure: (key: string, error: unknown) => void;
}

export class WorkQueue {
  readonly #options: WorkQueueOptions;
  /** Waiting keys and their priority; insertion order is arrival order. */
  readonly #waiting = new Map<string, number>();
  readonly #busy = new Set<string>();
  /** Marked while busy: to be processed once more. */
  readonly #again = new Map<string, number>();
  readonly #failures = new Map<string, number>();
  readonly #timers = new Set<() => void>();
  #stopped = false;
  #running = new Set<Promise<void>>();

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /** Has `key` processed as soon as a worker is free; of several priorities the highest counts. */
  add(key: string, priority = 0): void {
    if (this.#stopped) return;
    const list = this.#busy.has(key) ? this.#again : this.#waiting;
    list.set(key, Math.max(priority, list.get(key) ?? Number.NEGATIVE_INFINITY));
    this.#dispatch();
  }

  addAfter(key: string, delayMs: number, priority = 0): void {
    const cancel = labTime.after(
      delayMs,
      () => {
        this.#timers.delete(cancel);
        this.add(key, priority);
      },
      "idle",
    );
    this.#timers.add(cancel);
  }

  /** Starts nothing new and waits for what is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const cancel of this.#timers) cancel();
    this.#waiting.clear();
    await Promise.all(this.#running);
  }

  #dispatch(): void {
    while (!this.#stopped && this.#busy.size < this.#options.workers) {
      const next = this.#takeMostImportant();
      if (!next) return;
      this.#busy.add(next.key);
      const run = this.#run(next.key, next.priority);
      this.#running.add(run);
      void run.then(() => this.#running.delete(run));
    }
  }

  #takeMostImportant(): { key: string; priority: number } | undefined {
    let best: { key: string; priority: number } | undefined;
    for (const [key, priority] of this.#waiting)
      if (!best || priority > best.priority) best = { key, priority };
    if (best) this.#waiting.delete(best.key);
    return best;
  }

  async #run(key: string, priority: number): Promise<void> {
    try {
      await this.#options.process(key);
      this.#failures.delete(key);
    } catch (error) {
      const failures = this.#failures.get(key) ?? 0;
      this.#failures.set(key, failures + 1);
      this.#options.onFailure(key, error);
      this.addAfter(key, Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** failures), priority);
    }
    this.#busy.delete(key);
    const again = this.#again.get(key);
    this.#again.delete(key);
    if (again !== undefined) this.#waiting.set(key, again);
    this.#dispatch();
  }
}
