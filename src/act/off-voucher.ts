// Whether a device that says Off of a node, and has not been heard to say On just now, may be believed. Knows records and
// identities; asks no device. See ADR 9.
import type { FencingAttempt, FencingLevel } from "../model/fencing.ts";
import type { FenceStep } from "../model/plan.ts";
import type { FenceDevice, SystemIdentity } from "./fence/fence-device.ts";
import { compareSystemUUID } from "./fence/system-identity.ts";
import type { FreshNode } from "./fresh-nodes.ts";
import { deviceFingerprint } from "./readiness/level-check.ts";

/** Between the two readings of Off of a device that no check has seen say On of this node, in milliseconds. */
const UNVOUCHED_CONFIRM_MS = 10_000;

export interface OffWord {
  readonly step: FenceStep;
  readonly device: Pick<FenceDevice, "label">;
  readonly node: FreshNode;
  /** Where the device is asked; see `addressDigests`. */
  readonly addresses: readonly string[];
}

/**
 * Why the word is not believed; undefined where it is. The node was alive a moment ago, and many devices say Off of an
 * outlet that does not exist. So one of these must hold: a readiness check last read On of the living node by this very
 * device; an earlier attempt of this ledger heard On; the device tells by its system UUID, all parts of it where there
 * are several, that it speaks of this very machine; or a second level agrees whose devices are asked at other addresses. A
 * device that said Off of the living node is never believed by its own word.
 */
export function whyDoubted(identity: SystemIdentity, word: OffWord): string | undefined {
  const { step, device, node } = word;
  const seen = seenOf(node, step.level.name);
  const isSame = seen?.device === deviceFingerprint(device.label, identity);
  if (isSame && seen?.state === "Off")
    return `the device says Off, but it said so too while ${node.name} was alive: another level has to prove it`;
  if (isSame && seen?.state === "On") return undefined;
  const { attempts } = step.fencing.status;
  if (attempts.some((attempt) => attempt.level === step.level.name && attempt.seenOn === true))
    return undefined;
  const isNamed = identity.isPartial !== true && compareSystemUUID(identity.uuid, node.systemUUID) === "same";
  if (isNamed || attempts.some((attempt) => agrees(attempt, word))) return undefined;
  return `the device says Off already, but it was never read On while ${node.name} was alive, and no system UUID shows that it speaks of this machine: a second level at another address has to agree`;
}

/** How long Off must last before it is read again; undefined where the usual time will do. */
export function confirmAfterMs(node: FreshNode, level: FencingLevel): number | undefined {
  return seenOf(node, level.name)?.state === "On"
    ? undefined
    : Math.min(UNVOUCHED_CONFIRM_MS, level.timeoutMs / 3);
}

/** Another level read Off too, from other devices, and is not known to have said so of the living node. */
function agrees({ level, outcome, addresses: theirs }: FencingAttempt, word: OffWord): boolean {
  const { node, step, addresses } = word;
  if (outcome !== "Doubted" || level === step.level.name || seenOf(node, level)?.state === "Off")
    return false;
  return theirs !== undefined && !theirs.some((address) => addresses.includes(address));
}

function seenOf(node: FreshNode, level: string) {
  return node.fencing.find((one) => one.level === level)?.seen;
}
