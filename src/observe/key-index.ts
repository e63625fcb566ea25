// An index from a group (a node, a VM, …) to the keys of the facts in it, kept up to date change by change.

/** Groups keys. A group without keys is dropped, so memory follows what is there. */
export class KeyIndex {
  readonly #groups = new Map<string, Set<string>>();

  get groups(): ReadonlyMap<string, ReadonlySet<string>> {
    return this.#groups;
  }

  /** Moves `key` from one group to another; either may be undefined. */
  move(key: string, from: string | undefined, to: string | undefined): void {
    if (from === to) return;
    if (from !== undefined) this.#remove(key, from);
    if (to === undefined) return;
    const group = this.#groups.get(to);
    if (group === undefined) this.#groups.set(to, new Set([key]));
    else group.add(key);
  }

  #remove(key: string, from: string): void {
    const group = this.#groups.get(from);
    group?.delete(key);
    if (group?.size === 0) this.#groups.delete(from);
  }
}
