// Real fence agents held to the contract of all methods: fence_redfish in front of the lab BMC, fence_ipmilan in front of
// OpenIPMI's simulator. The machine behind each is a real process.
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { existsSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { startBmc } from "../../lab/bmc/redfish-bmc.ts";
import { checkAgentKind } from "../../src/act/fence/fence-agent-access.ts";
import { readAgentMetadata } from "../../src/act/fence/fence-agent-metadata.ts";
import type { FenceAgentAccess } from "../../src/act/fence/fence-agent-access.ts";
import { authority, certificate } from "../act/fence-redfish-rig.ts";
import { bmcTroubles } from "../contract/bmc-troubles.ts";
import { describeFenceDevice } from "../contract/fence-device-contract.ts";
import { isRunning } from "../lab/running-process.ts";
import { providePrograms } from "./debian-packages.ts";
import { IpmiSim } from "./ipmi-sim.ts";
import { AGENT_TIMINGS, clock, cut, openAgent, runByHand } from "./real-agent.ts";
import { Victim } from "./victim.ts";

const agents = await providePrograms(
  ["/usr/sbin/fence_redfish", "/usr/sbin/fence_ipmilan", "/usr/bin/ipmi_sim", "/usr/bin/ipmitool"],
  [
    ["fence-agents", "openipmi", "ipmitool"],
    ["fence-agents-redfish", "fence-agents-ipmilan", "openipmi", "ipmitool"],
  ],
);
if (!agents.ok) console.warn(`\n!!! SKIPPED: real fence agents were NOT tested: ${agents.reason}\n`);

const CA_DIRECTORY = "holdfast-fence-ca-";
const caDirectories = (): readonly string[] =>
  readdirSync(tmpdir()).filter((name) => name.startsWith(CA_DIRECTORY));

if (agents.ok) {
  describeFenceDevice("the real fence_redfish", async () => {
    const [username, password] = ["fence-operator", "s3cret redfish=1"];
    const victim = new Victim();
    const bmc = await startBmc({ power: victim, node: "node-1", username, password, certificate });
    const others = new Set(caDirectories());
    const { silence, absence, wrongPassword, stuck, lostReply, noReply, nonsense } = bmcTroubles(bmc);
    return {
      device: openAgent({
        agent: "fence_redfish",
        parameters: {
          ip: "127.0.0.1",
          ipport: new URL(bmc.address).port,
          systems_uri: bmc.systemPath,
          power_timeout: "1",
        },
        secretParameters: { username, password },
        caPem: authority.certPem,
      }),
      clock,
      machine: victim,
      secrets: [password, username],
      // To an agent's caller a refusal and a busy device are failures like any other.
      troubles: { silence, absence, wrongPassword, stuck, lostReply, noReply, nonsense },
      says: { absence: "faulty", wrongPassword: "faulty", lostReply: "faulty", stuck: "faulty" },
      callDeadlineMs: 20_000,
      heal: () => bmc.faults.clear(),
      heldResources: () => caDirectories().filter((name) => !others.has(name)).length,
      stop: async () => {
        await bmc.stop();
        await victim.stop();
      },
    };
  });

  describeFenceDevice("the real fence_ipmilan", async () => {
    const sim = await IpmiSim.start();
    return {
      device: openAgent(ipmi(sim)),
      clock,
      machine: sim,
      secrets: [sim.password],
      troubles: {
        silence: async () => sim.freeze(),
        absence: () => sim.halt(),
        stuck: async () => sim.trouble("stuck"),
      },
      says: { absence: "faulty", stuck: "faulty" },
      callDeadlineMs: 25_000,
      heal: async () => {
        sim.heal();
        await sim.run();
      },
      // A session of its own for every request, which ipmitool closes.
      heldResources: () => 0,
      stop: () => sim.stop(),
    };
  });
}

function ipmi(sim: IpmiSim, change: Record<string, string> = { cipher: "3" }): FenceAgentAccess {
  return {
    agent: "fence_ipmilan",
    parameters: {
      ip: "127.0.0.1",
      ipport: String(sim.port),
      lanplus: "1",
      power_timeout: "2",
      power_wait: "0",
      ...change,
    },
    secretParameters: { username: sim.username, password: sim.password },
  };
}

describe.skipIf(!agents.ok)("the installed fence agents", () => {
  it("all say of themselves what they can do in words that we read, or are refused", async () => {
    const names = readdirSync("/usr/sbin").filter((name) => name.startsWith("fence_"));
    const verdicts = new Map<string, string>();
    const waiting = [...names];
    const ask = async (): Promise<void> => {
      const name = waiting.pop();
      if (name === undefined) return;
      const { code, output } = await runByHand(name, ["action=metadata"]);
      const xml = output.slice(Math.max(0, output.indexOf("<?xml")));
      const reading = readAgentMetadata(xml.slice(0, xml.indexOf("</resource-agent>") + 17));
      const fit = reading.ok ? checkAgentKind(reading.metadata) : reading;
      verdicts.set(name, fit.ok ? "fit" : fit.message);
      if (code === 0) expect(reading, name).toMatchObject({ ok: true });
      return ask();
    };
    await Promise.all([ask(), ask()]);
    for (const name of ["fence_redfish", "fence_ipmilan"]) expect(verdicts.get(name)).toBe("fit");
    if (existsSync("/usr/sbin/fence_scsi")) expect(verdicts.get("fence_scsi")).toContain("not power");
    const fit = [...verdicts.values()].filter((verdict) => verdict === "fit").length;
    console.log(`${fit} of ${names.length} installed agents can cut power and tell the state`);
  });
});

describe.skipIf(!agents.ok)("the real fence_ipmilan", () => {
  let sim: IpmiSim;
  beforeAll(async () => {
    sim = await IpmiSim.start();
  });
  afterEach(async () => {
    sim.heal();
    await sim.set("On");
  });
  afterAll(() => sim?.stop());

  it("works: it stops a real process over IPMI, and the state read back proves it", async () => {
    const { pid } = sim;
    const result = await cut(openAgent(ipmi(sim)));
    expect(result).toMatchObject({ outcome: "off", how: "PoweredOff", requests: 1 });
    expect(isRunning(pid)).toBe(false);
    if (result.outcome === "off") {
      console.log(`fence_ipmilan, intent to proof: ${Math.round(result.provenAfterMs)} ms`);
    }
  });

  it("finding 3: takes longer than the agent waits; the node that dies later is proven dead", async () => {
    sim.trouble("slow", 8);
    const result = await cut(openAgent(ipmi(sim)));
    expect(result).toMatchObject({ outcome: "off", how: "PoweredOff" });
    expect(sim.read()).toBe("Off");
  });

  it("finding 10: needs many seconds for one status without a cipher; a reading may take that long", async () => {
    const quick = await openAgent(ipmi(sim)).readPower({ deadlineMs: AGENT_TIMINGS.readDeadlineMs ?? 0 });
    expect(quick).toMatchObject({ ok: true, state: "On" });
    const startedMs = performance.now();
    const slow = await openAgent(ipmi(sim, { power_timeout: "30" })).readPower({
      deadlineMs: AGENT_TIMINGS.readDeadlineMs ?? 0,
    });
    expect(slow).toMatchObject({ ok: true, state: "On" });
    expect(performance.now() - startedMs).toBeGreaterThan(5_000);
  });
});
