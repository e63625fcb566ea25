// Which HAVirtualMachines wait for which others, the other way round than `dependsOn` tells it.
import type { ProtectionFact } from "../model/protection.ts";
import { KeyIndex } from "./key-index.ts";

/** Empty for all but those that depend on something, so that a cluster without dependencies pays nothing. */
export class DependentIndex {
  readonly #dependentsOf = new KeyIndex();
  readonly #vmKeyOf = new Map<string, string>();

  /** Takes a change; returns the VMs of those that wait for it, directly or through others, where the change concerns them. */
  changed(
    key: string,
    before: ProtectionFact | undefined,
    after: ProtectionFact | undefined,
  ): ReadonlySet<string> {
    const old = dependenciesOf(before);
    const now = dependenciesOf(after);
    const sameEdges = old.size === now.size && [...now].every((name) => old.has(name));
    if (sameEdges && (before === undefined) === (after === undefined)) return NONE;
    for (const name of old) if (!now.has(name)) this.#dependentsOf.move(key, name, undefined);
    for (const name of now) if (!old.has(name)) this.#dependentsOf.move(key, undefined, name);
    if (after === undefined || now.size === 0) this.#vmKeyOf.delete(key);
    else this.#vmKeyOf.set(key, after.vmKey);
    return this.#waitingFor(key);
  }

  #waitingFor(key: string): ReadonlySet<string> {
    const direct = this.#dependentsOf.groups.get(key);
    if (direct === undefined) return NONE;
    const visited = new Set<string>();
    const open = [...direct];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (visited.has(next)) continue;
      visited.add(next);
      open.push(...(this.#dependentsOf.groups.get(next) ?? []));
    }
    const vmKeys = new Set<string>();
    for (const dependent of visited) {
      const vmKey = this.#vmKeyOf.get(dependent);
      if (vmKey !== undefined) vmKeys.add(vmKey);
    }
    return vmKeys;
  }
}

const NONE: ReadonlySet<string> = new Set();

function dependenciesOf(protection: ProtectionFact | undefined): ReadonlySet<string> {
  if (protection === undefined || protection.dependsOn.length === 0) return NONE;
  return new Set(protection.dependsOn.map((dependency) => `${protection.namespace}/${dependency.name}`));
}
