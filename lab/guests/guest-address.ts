// Where a simulated guest lives: an address of its own on this machine's loopback. Pure.
import type { GuestExecution } from "../oracle/witness.ts";

/** Where a guest is to be found on the pod network. */
export type GuestAddress = (guest: GuestExecution) => string;

/** The ports on which every guest answers. */
export const GUEST_PORTS = { udpEcho: 7007, http: 8080 } as const;

/** What a guest serves for a transfer: as many bytes as anybody wants, with ranges. */
export const TRANSFER_PATH = "/transfer";

/**
 * An address out of 127.64.0.0/10, following from the VMI's UID alone: it stays through a live migration, as on a layer 2
 * network, and is another one after a restart. Two of a thousand guests meet once in ten runs or so; a lab has a hundred.
 */
export const loopbackAddress: GuestAddress = ({ vmiUid }) => {
  let hash = 2_166_136_261;
  for (const character of vmiUid) hash = Math.imul(hash ^ character.charCodeAt(0), 16_777_619) >>> 0;
  const host = (hash ^ (hash >>> 10)) & 0x3f_ff_ff;
  return `127.${64 + (host >>> 16)}.${(host >>> 8) & 255}.${host & 255}`;
};
