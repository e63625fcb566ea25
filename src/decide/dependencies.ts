// Restart dependencies between HAVirtualMachines: only what is wrong with them; release.ts waits for them.
import type { ProtectionFact } from "../model/protection.ts";
import type { Snapshot } from "../model/snapshot.ts";

/** Dependencies followed at most when looking for a cycle. */
const MAX_VISITED = 1_000;

/** Whether the HAVirtualMachine waits for itself through others. Such waiting is ignored, and said in its status. */
export function isInCycle(snapshot: Snapshot, protection: ProtectionFact): boolean {
  const visited = new Set<string>();
  const open = protection.dependsOn.map((dependency) => `${protection.namespace}/${dependency.name}`);
  for (let key = open.pop(); key !== undefined && visited.size < MAX_VISITED; key = open.pop()) {
    if (key === protection.key) return true;
    if (visited.has(key)) continue;
    visited.add(key);
    for (const dependency of snapshot.protections.get(key)?.dependsOn ?? []) {
      open.push(`${protection.namespace}/${dependency.name}`);
    }
  }
  return false;
}

/** Names in `dependsOn` that no HAVirtualMachine of the namespace has. */
export function missingDependencies(snapshot: Snapshot, protection: ProtectionFact): readonly string[] {
  return protection.dependsOn
    .map((dependency) => dependency.name)
    .filter((name) => !snapshot.protections.has(`${protection.namespace}/${name}`));
}
