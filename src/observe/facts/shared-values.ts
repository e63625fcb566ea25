// Equal values as one object. Fifty thousand promises are mostly made of the same rules and the same conditions; held once
// each they are a few, and comparing them is a look at identities.

/** Values kept of each generation; when so many are new, those that nobody asked for again are let go. */
const MAX_PER_GENERATION = 50_000;

/** Guarantees: what is answered equals what was given. Assumption: neither is ever changed afterwards. */
export class SharedValues {
  #young = new Map<string, unknown>();
  #old = new Map<string, unknown>();

  /** The first of all equal values; plain data only (what JSON can say). */
  share<T>(value: T): T {
    const key = JSON.stringify(value);
    const known = this.#young.get(key) ?? this.#old.get(key);
    if (known === undefined) return this.#keep(key, value);
    if (!this.#young.has(key)) this.#keep(key, known);
    return known as T;
  }

  #keep<T>(key: string, value: T): T {
    if (this.#young.size >= MAX_PER_GENERATION) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
    return value;
  }
}
