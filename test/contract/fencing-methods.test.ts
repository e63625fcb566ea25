// Every fencing method that reads a power state, held to one contract: Redfish against the lab BMC, fence agents against a
// program of our own, and several devices as one. Real agents pass it in test/integration/fence-agents.test.ts.
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { AllOfDevice } from "../../src/act/fence/all-of.ts";
import { FenceAgentCatalog } from "../../src/act/fence/fence-agent-catalog.ts";
import { FenceAgentDevice } from "../../src/act/fence/fence-agent.ts";
import { createRealClock } from "../../src/run/real-clock.ts";
import { SECRETS, startRedfishRig } from "../act/fence-redfish-rig.ts";
import { type AgentTrouble, ScriptedAgent } from "../act/scripted-agent.ts";
import { bmcTroubles } from "./bmc-troubles.ts";
import { describeFenceDevice } from "./fence-device-contract.ts";

for (const auth of ["Auto", "Basic"] as const) {
  describeFenceDevice(`Redfish, auth ${auth}`, async () => {
    const rig = await startRedfishRig({ access: { auth } });
    return {
      device: rig.device,
      clock: rig.clock,
      machine: rig.machine,
      secrets: SECRETS,
      troubles: bmcTroubles(rig.bmc),
      heal: () => rig.bmc.faults.clear(),
      heldResources: () => rig.bmc.sessionCount(),
      stop: rig.stop,
    };
  });
}

describeFenceDevice("FenceAgent", async () => {
  const agent = new ScriptedAgent();
  const password = "correct horse battery staple";
  const clock = createRealClock();
  const access = {
    agent: agent.agent,
    parameters: { ip: "127.0.0.1", plug: "7" },
    secretParameters: { username: "fence-operator", password },
    caPem: "-----BEGIN CERTIFICATE-----",
  };
  const make = (name: AgentTrouble) => async () => agent.trouble(name);
  const caFiles = () => agent.environment.flatMap((line) => line.split("REQUESTS_CA_BUNDLE=")[1] ?? []);
  return {
    device: new FenceAgentDevice(access, { catalog: new FenceAgentCatalog(agent.directory), clock }),
    clock,
    machine: agent,
    secrets: [password, "fence-operator"],
    troubles: {
      silence: make("silence"),
      absence: make("absence"),
      wrongPassword: make("wrongPassword"),
      stuck: make("stuck"),
      lostReply: make("lostReply"),
      noReply: make("noReply"),
      nonsense: make("nonsense"),
    },
    // To an agent's caller every failure is exit code 1.
    says: { absence: "faulty", wrongPassword: "faulty", lostReply: "faulty" },
    heal: async () => agent.heal(),
    heldResources: () => caFiles().filter((file) => existsSync(dirname(file))).length,
    stop: async () => agent.remove(),
  };
});

describeFenceDevice("AllOf, two power supplies", async () => {
  const rigs = await Promise.all([startRedfishRig(), startRedfishRig()]);
  const devices = rigs.map((rig, index) => ({ name: `psu-${index + 1}`, device: rig.device }));
  return {
    device: new AllOfDevice(devices),
    clock: createRealClock(),
    machine: {
      read: () => (rigs.some((rig) => rig.machine.read() === "On") ? "On" : "Off"),
      set: (state) => rigs.forEach((rig) => rig.machine.set(state)),
    },
    secrets: SECRETS,
    troubles: bmcTroubles(...rigs.map(({ bmc }) => bmc)),
    heal: async () => {
      for (const rig of rigs) await rig.bmc.faults.clear();
    },
    heldResources: () => rigs.reduce((sum, rig) => sum + rig.bmc.sessionCount(), 0),
    stop: async () => {
      await Promise.all(rigs.map((rig) => rig.stop()));
    },
  };
});
