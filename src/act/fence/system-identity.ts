// Tells whether the machine a fence device speaks of is the one Kubernetes speaks of. Knows no device and no node.
import type { SystemIdentity } from "./fence-device.ts";

/**
 * Compares a device's system UUID with a node's `status.nodeInfo.systemUUID`. SMBIOS stores the first three groups in
 * little-endian order and firmwares disagree on whether to swap them, so both orders count as the same. `unknown` where
 * either is missing, malformed or a placeholder (all zeros, all ones), as cheap boards have it.
 */
export function compareSystemUUID(
  one: string | undefined,
  other: string | undefined,
): "same" | "different" | "unknown" {
  const left = hexOf(one);
  const right = hexOf(other);
  if (left === undefined || right === undefined) return "unknown";
  return left === right || swapped(left) === right ? "same" : "different";
}

/**
 * Says how two answers of one device contradict each other as to which machine they speak of; undefined where they do
 * not. Fields that either leaves out say nothing.
 */
export function contradiction(before: SystemIdentity, now: SystemIdentity): string | undefined {
  if (compareSystemUUID(before.uuid, now.uuid) === "different")
    return `UUID ${before.uuid}, then ${now.uuid}`;
  if (before.serialNumber && now.serialNumber && before.serialNumber !== now.serialNumber) {
    return `serial number ${before.serialNumber}, then ${now.serialNumber}`;
  }
  return before.path === now.path ? undefined : `${before.path}, then ${now.path}`;
}

function hexOf(uuid: string | undefined): string | undefined {
  const hex = uuid?.toLowerCase().replaceAll(/[^0-9a-f]/g, "");
  return hex?.length !== 32 || /^(0+|f+)$/.test(hex) ? undefined : hex;
}

function swapped(hex: string): string {
  const reversed = (start: number, end: number) =>
    (hex.slice(start, end).match(/../g) ?? []).reverse().join("");
  return reversed(0, 8) + reversed(8, 12) + reversed(12, 16) + hex.slice(16);
}
