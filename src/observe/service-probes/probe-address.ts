// Which addresses may be asked. A VMI's address is what its guest agent says: who owns a VM must not be able to point our
// packets at the operator's own machine.
import { BlockList, isIP } from "node:net";

const forbidden = new BlockList();
for (const [network, bits] of [
  ["0.0.0.0", 8],
  ["169.254.0.0", 16],
  ["224.0.0.0", 3],
] as const)
  forbidden.addSubnet(network, bits, "ipv4");
for (const [network, bits] of [
  ["::", 128],
  ["fe80::", 10],
  ["ff00::", 8],
] as const)
  forbidden.addSubnet(network, bits, "ipv6");

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** Guests of the lab live on this part of loopback, which nothing else uses. */
const labGuests = new BlockList();
labGuests.addSubnet("127.64.0.0", 10, "ipv4");

/** Whether an address may be that of a guest: not link-local (metadata services), not multicast, and no loopback but the lab's. */
export function mayBeGuest(address: string): boolean {
  const version = isIP(address);
  if (version === 0) return false;
  const family = version === 4 ? "ipv4" : "ipv6";
  if (forbidden.check(address, family)) return false;
  return !loopback.check(address, family) || labGuests.check(address, family);
}
