import { describe, expect, it } from "vitest";
import type { DeviceAccess } from "../../src/act/device-access.ts";
import { addressDigests } from "../../src/act/device-addresses.ts";

const redfish = (address: string): DeviceAccess => ({
  method: "Redfish",
  redfish: { address, username: "admin", password: "s3cret" },
});
const agent = (name: string, parameters: object, secretParameters: object = {}): DeviceAccess => ({
  method: "FenceAgent",
  fenceAgent: { agent: name, parameters: { ...parameters }, secretParameters: { ...secretParameters } },
});

describe("the address of a device", () => {
  it.each<[string, DeviceAccess, DeviceAccess]>([
    [
      "another protocol and port",
      redfish("https://BMC-1.example.com:8443"),
      agent("fence_ipmilan", { ip: "bmc-1.example.com" }),
    ],
    [
      "another outlet",
      agent("fence_apc_snmp", { ip: "10.0.0.9", plug: "1" }),
      agent("fence_apc", { ipaddr: "10.0.0.9", port: "2" }),
    ],
    ["its address in a Secret", redfish("https://[fd00::7]"), agent("fence_ipmilan", {}, { ip: "fd00::7" })],
    ["an agent that needs none", agent("fence_aws", { region: "a" }), agent("fence_aws", { region: "b" })],
  ])("is the same over %s", (_what, one, other) => {
    expect(addressDigests(one)).toEqual(addressDigests(other));
  });

  it("is another's where it is another, and each device of several has its own", () => {
    const one = addressDigests(redfish("https://10.0.0.1"));
    const both = addressDigests({
      method: "AllOf",
      devices: [
        {
          name: "a",
          method: "FenceAgent",
          fenceAgent: { agent: "fence_apc", parameters: { ip: "10.0.0.1" }, secretParameters: {} },
        },
        {
          name: "b",
          method: "FenceAgent",
          fenceAgent: { agent: "fence_apc", parameters: { ip: "10.0.0.2" }, secretParameters: {} },
        },
      ],
    });
    expect(both).toHaveLength(2);
    expect(both).toContain(one[0]);
    expect(addressDigests(redfish("https://10.0.0.3"))).not.toEqual(one);
  });

  it("is not told", () => {
    expect(addressDigests(redfish("https://10.0.0.1")).join()).toMatch(/^[0-9a-f]{12}$/);
  });
});
