// The real fence_apc_snmp over real SNMP: a node with its two power supplies on two outlets, each outlet a real process, and
// an agent that calls an outlet off which does not exist.
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { FenceAgentAccess } from "../../src/act/fence/fence-agent-access.ts";
import { AllOfDevice } from "../../src/act/fence/all-of.ts";
import { providePrograms } from "./debian-packages.ts";
import { cut, openAgent, runByHand } from "./real-agent.ts";
import { SnmpPdu } from "./snmp-pdu.ts";
import { Victim } from "./victim.ts";

const agents = await providePrograms(
  ["/usr/sbin/fence_apc_snmp", "/usr/bin/snmpget", "/usr/bin/snmpset"],
  [
    ["fence-agents", "snmp"],
    ["fence-agents-apc-snmp", "snmp"],
  ],
);
if (!agents.ok) console.warn(`\n!!! SKIPPED: the real fence_apc_snmp was NOT tested: ${agents.reason}\n`);

describe.skipIf(!agents.ok)("the real fence_apc_snmp", () => {
  let supplies: readonly [Victim, Victim];
  let pdu: SnmpPdu;
  beforeAll(async () => {
    supplies = [new Victim(), new Victim()];
    pdu = await SnmpPdu.start(new Map(supplies.map((supply, index) => [index + 1, supply])));
  });
  afterEach(async () => {
    for (const supply of supplies) await supply.on();
  });
  afterAll(async () => {
    await pdu?.stop();
    for (const supply of supplies ?? []) await supply.stop();
  });

  const outlet = (plug: number): FenceAgentAccess => ({
    agent: "fence_apc_snmp",
    parameters: { ip: "127.0.0.1", ipport: String(pdu.port), snmp_version: "2c", plug: String(plug) },
    secretParameters: { community: "private-7f3a" },
  });
  const both = (plugs: readonly [number, number]) =>
    new AllOfDevice([
      { name: "psu-a", device: openAgent(outlet(plugs[0])) },
      { name: "psu-b", device: openAgent(outlet(plugs[1])) },
    ]);
  const states = () => supplies.map((supply) => supply.read());

  it("works: it switches one outlet off and leaves the other alone", async () => {
    expect(await cut(openAgent(outlet(1)))).toMatchObject({ outcome: "off", how: "PoweredOff", requests: 1 });
    expect(states()).toEqual(["Off", "On"]);
  });

  it("finding 2: says success of an outlet that does not exist; we do not believe it", async () => {
    const { parameters, secretParameters } = outlet(17);
    const told = Object.entries({ ...parameters, ...secretParameters }).map(
      ([name, value]) => `${name}=${value}`,
    );
    const raw = await runByHand("fence_apc_snmp", [...told, "action=off"]);
    expect(raw).toMatchObject({ code: 0, output: expect.stringContaining("Success: Already OFF") });
    expect(states()).toEqual(["On", "On"]);
    expect(await cut(openAgent(outlet(17)))).toMatchObject({
      outcome: "notOff",
      kind: "doubted",
      requests: 0,
    });
  });

  it("cuts a node with two power supplies: both processes are gone before it counts", async () => {
    const result = await cut(both([1, 2]));
    expect(result).toMatchObject({ outcome: "off", how: "PoweredOff", seenOn: true });
    expect(states()).toEqual(["Off", "Off"]);
    if (result.outcome === "off") {
      console.log(`two outlets by fence_apc_snmp, intent to proof: ${Math.round(result.provenAfterMs)} ms`);
    }
  });

  it("is not taken for proof where one of the two outlets does not exist, though all say Off in the end", async () => {
    expect(await cut(both([1, 17]))).toMatchObject({ outcome: "notOff", kind: "doubted", seenOn: false });
    expect(states()).toEqual(["Off", "On"]);
  });
});
