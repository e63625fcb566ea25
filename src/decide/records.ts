// What a status remembers of one VM while something is under way, and where it belongs.
import type { DisplacedFrom, ProtectionStatus } from "../model/protection.ts";
import { nextEvacuation } from "./evacuation-record.ts";
import { nextFailover } from "./failover-record.ts";
import type { Subject } from "./subject.ts";

export type Records = Pick<ProtectionStatus, "failover" | "evacuation" | "displacedFrom" | "outages">;

/** The records as they should stand now. */
export function nextRecords(subject: Subject): Records {
  const failover = nextFailover(subject);
  const evacuation =
    failover.failover === undefined ? nextEvacuation(subject) : { record: undefined, left: undefined };
  const displacedFrom = nextDisplacement(subject, failover.left ?? evacuation.left);
  return {
    outages: failover.outages,
    ...(failover.failover === undefined ? {} : { failover: failover.failover }),
    ...(evacuation.record === undefined ? {} : { evacuation: evacuation.record }),
    ...(displacedFrom === undefined ? {} : { displacedFrom }),
  };
}

function nextDisplacement(subject: Subject, left: DisplacedFrom | undefined): DisplacedFrom | undefined {
  const { protection } = subject;
  if (protection.failback.policy === "Never") return undefined;
  // Of several moves the first counts: that is where it was when nothing was wrong.
  const displaced = protection.status.displacedFrom ?? left;
  return displaced !== undefined && isHome(subject, displaced) ? undefined : displaced;
}

function isHome({ turn, protection, vmi }: Subject, displaced: DisplacedFrom): boolean {
  const { failover, evacuation } = protection.status;
  if (vmi?.nodeName === undefined || failover !== undefined || evacuation !== undefined) return false;
  const labels = Object.entries(protection.failback.nodeSelector);
  if (labels.length === 0) return vmi.nodeName === displaced.node;
  const node = turn.snapshot.nodes.get(vmi.nodeName);
  return node !== undefined && labels.every(([key, value]) => node.placement.labels[key] === value);
}
