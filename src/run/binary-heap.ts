// A binary heap: the least element first. Knows an order and nothing else.

/** `before` must be a strict order; elements equal in it come out in any order. */
export class BinaryHeap<T> {
  readonly #before: (a: T, b: T) => boolean;
  #items: T[] = [];

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  peek(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    const items = this.#items;
    let hole = items.length;
    items.push(item);
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      const above = items[parent];
      if (above === undefined || !this.#before(item, above)) break;
      items[hole] = above;
      hole = parent;
    }
    items[hole] = item;
  }

  pop(): T | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (last !== undefined && items.length > 0) this.#sink(last);
    return first;
  }

  /** Keeps only what passes, in linear time. */
  retain(keep: (item: T) => boolean): void {
    const kept = this.#items.filter(keep);
    this.#items = [];
    for (const item of kept) this.push(item);
  }

  /** Lets an item fall from the root to where it belongs. */
  #sink(item: T): void {
    const items = this.#items;
    let hole = 0;
    for (;;) {
      const left = 2 * hole + 1;
      let child = items[left];
      let index = left;
      const right = items[left + 1];
      if (child !== undefined && right !== undefined && this.#before(right, child)) {
        child = right;
        index = left + 1;
      }
      if (child === undefined || !this.#before(child, item)) break;
      items[hole] = child;
      hole = index;
    }
    items[hole] = item;
  }
}
