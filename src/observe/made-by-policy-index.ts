// How many HAVirtualMachines each policy had made, counted change by change: fifty thousand are not counted every turn.
import type { ProtectionFact } from "../model/protection.ts";
import type { MadeCount } from "../model/snapshot.ts";

/** A policy that had none made is not in it. */
export class MadeByPolicyIndex {
  readonly #counts = new Map<string, MadeCount>();

  get counts(): ReadonlyMap<string, MadeCount> {
    return this.#counts;
  }

  changed(before: ProtectionFact | undefined, after: ProtectionFact | undefined): void {
    if (before !== undefined) this.#add(before, -1);
    if (after !== undefined) this.#add(after, 1);
  }

  #add(protection: ProtectionFact, sign: 1 | -1): void {
    const policy = protection.madeByPolicy;
    if (policy === undefined) return;
    const count = this.#counts.get(policy) ?? { selected: 0, protectedVMs: 0 };
    const selected = count.selected + sign;
    const protectedVMs = count.protectedVMs + (isProtected(protection) ? sign : 0);
    if (selected === 0) this.#counts.delete(policy);
    else this.#counts.set(policy, { selected, protectedVMs });
  }
}

function isProtected({ status }: ProtectionFact): boolean {
  return status.conditions.some((one) => one.type === "Protected" && one.status === "True");
}
