// Which change of a status deserves an Event: only what a person has to do something about. That a VM has come back is in
// its status; an Event for each would be one more write per VM of a lost node.
import type { EventNote } from "../model/plan.ts";
import type { ProtectionStatus } from "../model/protection.ts";
import { vmEvents } from "./event.ts";
import type { Subject } from "./subject.ts";

/** Events for what the new status says and the standing one does not. */
export function statusEvents({ turn, protection }: Subject, next: ProtectionStatus): readonly EventNote[] {
  const { failover, evacuation } = protection.status;
  if (next.failover?.phase === "Blocked" && failover?.phase !== "Blocked") {
    const { message } = next.failover;
    return vmEvents(turn, protection.vmKey, { type: "Warning", reason: "FailoverBlocked", message });
  }
  if (next.evacuation?.phase === "Refused" && evacuation?.phase !== "Refused") {
    const { message } = next.evacuation;
    return vmEvents(turn, protection.vmKey, { type: "Warning", reason: "EvacuationRefused", message });
  }
  return [];
}
