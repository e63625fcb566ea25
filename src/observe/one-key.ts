// A set of one string in a tenth of the room: of the groups of pods and promises by VM almost every one is such.

/** Never changes; where another key comes, a real Set takes its place. */
export class OneKey implements ReadonlySet<string> {
  readonly key: string;

  constructor(key: string) {
    this.key = key;
  }

  get size(): number {
    return 1;
  }

  has(key: string): boolean {
    return key === this.key;
  }

  forEach(tell: (value: string, key: string, set: ReadonlySet<string>) => void): void {
    tell(this.key, this.key, this);
  }

  *values(): SetIterator<string> {
    yield this.key;
  }

  keys(): SetIterator<string> {
    return this.values();
  }

  *entries(): SetIterator<[string, string]> {
    yield [this.key, this.key];
  }

  [Symbol.iterator](): SetIterator<string> {
    return this.values();
  }
}
