// Whether a device that says Off of a node, and has not been heard to say On just now, may be believed. Knows records and
// identities; asks no device.
import type { FenceStep } from "../model/plan.ts";
import type { SystemIdentity } from "./fence/fence-device.ts";
import { compareSystemUUID } from "./fence/system-identity.ts";
import type { FreshNode } from "./fresh-nodes.ts";

/**
 * The node was alive a moment ago, and many devices say Off of an outlet that does not exist. So one of these must hold:
 * an earlier attempt of this ledger heard the level's device say On of this incarnation; or the device tells by its system
 * UUID, all parts of it where there are several, that it speaks of this very machine.
 */
export function vouchesForOff(
  identity: SystemIdentity,
  about: { readonly step: FenceStep; readonly node: FreshNode },
): boolean {
  const { fencing, level } = about.step;
  const wasSeenOn = fencing.status.attempts.some(
    (attempt) => attempt.level === level.name && attempt.seenOn === true,
  );
  if (wasSeenOn) return true;
  return identity.isPartial !== true && compareSystemUUID(identity.uuid, about.node.systemUUID) === "same";
}
