// Equal strings as one object: fifty thousand VMs are named by a dozen facts and indexes each.

/** Strings kept of each generation; when so many are new, those that nobody asked for again are let go. */
const MAX_PER_GENERATION = 200_000;

/** Guarantees: what is answered equals what was given, and holds no more of the document that it was read from. */
export class Interner {
  readonly #limit: number;
  #young = new Map<string, string>();
  #old = new Map<string, string>();

  constructor(limit = MAX_PER_GENERATION) {
    this.#limit = limit;
  }

  intern(text: string): string {
    const young = this.#young.get(text);
    if (young !== undefined) return young;
    // A slice of a parsed document would keep the whole document alive, a concatenation its parts.
    const own = this.#old.get(text) ?? Buffer.from(text).toString();
    if (this.#young.size >= this.#limit) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(own, own);
    return own;
  }
}
