// One HAVirtualMachine with what it is about: what its records and conditions are judged from.
import type { ProtectionFact } from "../model/protection.ts";
import type { VMFact, VMIFact } from "../model/virtual-machine.ts";
import { protectionOf, type Turn } from "./turn.ts";

export interface Subject {
  readonly turn: Turn;
  readonly protection: ProtectionFact;
  readonly vm: VMFact | undefined;
  readonly vmi: VMIFact | undefined;
}

/** The HAVirtualMachine with its VM and VMI, where there are any. */
export function subjectOf(turn: Turn, protection: ProtectionFact): Subject {
  const vm = turn.snapshot.vms.get(protection.vmKey);
  const vmi = turn.snapshot.vmis.get(protection.vmKey);
  return { turn, protection, vm, vmi };
}

/** Whether it is the one in charge of its VM, and not a second one that only says so. */
export function isInCharge({ turn, protection }: Subject): boolean {
  return protectionOf(turn.snapshot, protection.vmKey) === protection;
}
