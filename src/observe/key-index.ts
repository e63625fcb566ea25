// An index from a group (a node, a VM, …) to the keys of the facts in it, kept up to date change by change.
import { OneKey } from "./one-key.ts";

/** Groups keys. A group without keys is dropped, so memory follows what is there. */
export class KeyIndex {
  readonly #groups = new Map<string, Set<string> | OneKey>();

  get groups(): ReadonlyMap<string, ReadonlySet<string>> {
    return this.#groups;
  }

  /** Moves `key` from one group to another; either may be undefined. */
  move(key: string, from: string | undefined, to: string | undefined): void {
    if (from === to) return;
    if (from !== undefined) this.#remove(key, from);
    if (to === undefined) return;
    const group = this.#groups.get(to);
    if (group === undefined) this.#groups.set(to, new OneKey(key));
    else if (group instanceof Set) group.add(key);
    else if (!group.has(key)) this.#groups.set(to, new Set([group.key, key]));
  }

  #remove(key: string, from: string): void {
    const group = this.#groups.get(from);
    if (group instanceof Set) group.delete(key);
    if (group?.size === 0 || (group instanceof OneKey && group.has(key))) this.#groups.delete(from);
  }
}
