// Runs one task per key at a time, again whenever the key was marked meanwhile. Knows nothing of what the keys mean.

/** A work queue without duplicates: a key marked ten times while it runs, runs once more. */
export class KeyedQueue {
  readonly #run: (key: string) => Promise<void>;
  readonly #busy = new Set<string>();
  readonly #again = new Set<string>();

  constructor(run: (key: string) => Promise<void>) {
    this.#run = run;
  }

  mark(key: string): void {
    if (this.#busy.has(key)) {
      this.#again.add(key);
      return;
    }
    this.#busy.add(key);
    void this.#work(key);
  }

  async #work(key: string): Promise<void> {
    do {
      this.#again.delete(key);
      await this.#run(key);
    } while (this.#again.has(key));
    this.#busy.delete(key);
  }
}
