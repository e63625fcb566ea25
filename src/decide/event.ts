// Events on the objects where an administrator looks first: the node, or the VM.
import type { FencingFact } from "../model/fencing.ts";
import type { NodeFact } from "../model/node.ts";
import type { EventNote } from "../model/plan.ts";
import type { ProtectionFact } from "../model/protection.ts";
import { API_VERSION } from "../api/kind.ts";
import type { EventReason } from "../api/reasons.ts";
import type { Turn } from "./turn.ts";

/** An Event on the node. */
export function nodeEvent(
  node: NodeFact,
  type: EventNote["type"],
  reason: EventReason,
  message: string,
): EventNote {
  return {
    about: { apiVersion: "v1", kind: "Node", namespace: undefined, name: node.name, uid: node.uid },
    type,
    reason,
    message,
  };
}

/** An Event on the ledger itself. */
export function fencingEvent(
  fencing: FencingFact,
  type: EventNote["type"],
  reason: EventReason,
  message: string,
): EventNote {
  const { name, uid } = fencing;
  const about = { apiVersion: API_VERSION, kind: "NodeFencing", namespace: undefined, name, uid };
  return { about, type, reason, message };
}

/** An Event on the HAVirtualMachine, as the list that a step takes. */
export function protectionEvents(
  protection: ProtectionFact,
  reason: EventReason,
  message: string,
): readonly EventNote[] {
  const { namespace, name, uid } = protection;
  const about = { apiVersion: API_VERSION, kind: "HAVirtualMachine", namespace, name, uid };
  return [{ about, type: "Warning", reason, message }];
}

/** An Event on the VirtualMachine, as the list that a step takes; none where there is no such VM. */
export function vmEvents(
  turn: Turn,
  vmKey: string,
  event: { readonly type: EventNote["type"]; readonly reason: EventReason; readonly message: string },
): readonly EventNote[] {
  const vm = turn.snapshot.vms.get(vmKey);
  if (vm === undefined) return [];
  const { namespace, name, uid } = vm;
  const about = { apiVersion: "kubevirt.io/v1", kind: "VirtualMachine", namespace, name, uid };
  return [{ about, ...event }];
}
