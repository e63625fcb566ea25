// Which change of a status deserves an Event: only what a person has to do something about. That a VM has come back is in
// its status; an Event for each would be one more write per VM of a lost node.
import type { EventNote } from "../model/plan.ts";
import type { ProtectionFact, ProtectionStatus } from "../model/protection.ts";
import { protectionEvents } from "./event.ts";

/** Events for what the new status says and the standing one does not. */
export function statusEvents(protection: ProtectionFact, next: ProtectionStatus): readonly EventNote[] {
  const { failover, evacuation } = protection.status;
  if (next.failover?.phase === "Blocked" && failover?.phase !== "Blocked") {
    return protectionEvents(protection, "FailoverBlocked", next.failover.message);
  }
  if (next.evacuation?.phase === "Refused" && evacuation?.phase !== "Refused") {
    return protectionEvents(protection, "EvacuationRefused", next.evacuation.message);
  }
  return [];
}
