// By which address a level's devices are asked, so that two levels that lead to one device can be told: they are one
// opinion, not two. Knows settings only; asks nobody.
import { createHash } from "node:crypto";
import type { DeviceAccess } from "./device-access.ts";
import type { FenceAgentAccess } from "./fence/fence-agent-access.ts";

const DIGEST_DIGITS = 12;
/** What agents call the address of their device, now and formerly. */
const ADDRESS_PARAMETERS = ["ip", "ipaddr"];

/**
 * One digest for each address, whatever protocol, port, system or outlet is asked there: a device that is wrong about a
 * machine is so over each of its protocols. Digests, since an address may come from a Secret. An agent without an address
 * asks one service for all its machines, so its name counts.
 */
export function addressDigests(access: DeviceAccess): readonly string[] {
  const devices = access.method === "AllOf" ? access.devices : [access];
  const addresses = devices.map((device) =>
    device.method === "Redfish" ? hostOf(device.redfish.address) : agentAddress(device.fenceAgent),
  );
  return [...new Set(addresses.map(digest))].sort();
}

function hostOf(address: string): string {
  return URL.canParse(address) ? new URL(address).hostname : address;
}

function agentAddress({ agent, parameters, secretParameters }: FenceAgentAccess): string {
  const all = { ...parameters, ...secretParameters };
  return ADDRESS_PARAMETERS.flatMap((name) => all[name] ?? [])[0] ?? agent;
}

/** However it is spelt; a name and its address are two all the same, for nothing is looked up here. */
function digest(address: string): string {
  const plain = address
    .toLowerCase()
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "");
  return createHash("sha256").update(plain).digest("hex").slice(0, DIGEST_DIGITS);
}
