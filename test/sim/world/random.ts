// Chance from one seed: the same seed gives the same numbers on every machine. Knows nothing of what they decide.
import type { Random } from "../../../src/model/clock.ts";

/** A stream of chance. Streams of different names do not disturb each other, so that one more draw here changes nothing there. */
export class Chance {
  readonly #seed: number;
  #state: number;

  constructor(seed: number, name = "") {
    this.#seed = mixed(seed, name);
    this.#state = this.#seed;
  }

  /** A stream of its own that follows from this one's seed and the name alone. */
  stream(name: string): Chance {
    return new Chance(this.#seed, name);
  }

  /** In [0, 1); mulberry32. */
  readonly next: Random = () => {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };

  /** In [from, to). */
  between(from: number, to: number): number {
    return from + (to - from) * this.next();
  }

  /** A whole number in [from, to]. */
  whole(from: number, to: number): number {
    return Math.floor(this.between(from, to + 1));
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  /** One of the list, which must not be empty. */
  pick<T>(list: readonly T[]): T {
    const picked = list[this.whole(0, list.length - 1)];
    if (picked === undefined) throw new Error("nothing to pick from");
    return picked;
  }

  /** Letters and digits as in generated names. */
  letters(count: number): string {
    let text = "";
    for (let at = 0; at < count; at++) text += "bcdfghjklmnpqrstvwxz2456789"[this.whole(0, 26)];
    return text;
  }

  /** In the shape of a UUID. */
  uuid(): string {
    const hex = (digits: number) =>
      Math.floor(this.next() * 16 ** digits)
        .toString(16)
        .padStart(digits, "0");
    return `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(6)}${hex(6)}`;
  }
}

function mixed(seed: number, name: string): number {
  let hash = seed | 0;
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return hash ^ (hash >>> 13);
}
