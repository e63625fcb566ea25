// What the real fence_redfish was seen to do that no fencing can rest on, each shown on the agent itself,
// and Holdfast not fooled by it. The machine behind each BMC is a real process.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Bmc, startBmc } from "../../lab/bmc/redfish-bmc.ts";
import type { FenceAgentAccess } from "../../src/act/fence/fence-agent-access.ts";
import { authority, certificate } from "../act/fence-redfish-rig.ts";
import { isRunning } from "../lab/running-process.ts";
import { providePrograms } from "./debian-packages.ts";
import { AGENT_TIMINGS, cut, openAgent, runByHand } from "./real-agent.ts";
import { installSushy, startSushy } from "./redfish-sushy-emulator.ts";
import { Victim } from "./victim.ts";

const agents = await providePrograms(
  ["/usr/sbin/fence_redfish"],
  [["fence-agents"], ["fence-agents-redfish"]],
);
if (!agents.ok) console.warn(`\n!!! SKIPPED: the real fence_redfish was NOT tested: ${agents.reason}\n`);
const sushy = agents.ok ? await installSushy((line) => console.log(`sushy-tools: ${line}`)) : agents;
if (agents.ok && !sushy.ok)
  console.warn(`\n!!! SKIPPED: the wrong node, with sushy-tools: ${sushy.reason}\n`);

const USERNAME = "fence-operator";
const PASSWORD = "s3cret redfish=1";
const SYSTEM = "/redfish/v1/Systems/1";
/** Longest time in which an agent by itself is watched doing nothing. */
const WATCHED_MS = 7_000;

let directory: string;
let caFile: string;
let victim: Victim;
let bmc: Bmc;

function access(change: Record<string, string> = {}): FenceAgentAccess {
  return {
    agent: "fence_redfish",
    parameters: {
      ip: "127.0.0.1",
      ipport: new URL(bmc.address).port,
      systems_uri: SYSTEM,
      ...change,
    },
    secretParameters: { username: USERNAME, password: PASSWORD },
    caPem: authority.certPem,
  };
}

/** The agent by itself, with the lines that any user of it would write. */
function byHand(
  lines: readonly string[],
  options: { readonly deadlineMs?: number; readonly environment?: Readonly<Record<string, string>> } = {},
) {
  const { parameters, secretParameters } = access();
  const told = Object.entries({ ...parameters, ...secretParameters }).map(
    ([name, value]) => `${name}=${value}`,
  );
  return runByHand("fence_redfish", [...told, ...lines], {
    ...options,
    environment: { REQUESTS_CA_BUNDLE: caFile, ...options.environment },
  });
}

describe.skipIf(!agents.ok)("the real fence_redfish", () => {
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "holdfast-findings-"));
    caFile = join(directory, "ca.crt");
    writeFileSync(caFile, authority.certPem);
    victim = new Victim();
    bmc = await startBmc({
      power: victim,
      node: "node-1",
      username: USERNAME,
      password: PASSWORD,
      certificate,
    });
  });
  afterEach(async () => {
    await bmc.faults.clear();
    victim.boots = true;
    await victim.on();
  });
  afterAll(async () => {
    await bmc?.stop();
    await victim?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it("works: it stops a real process, and the state read back by another run proves it", async () => {
    const { pid } = victim;
    const result = await cut(openAgent(access()));
    expect(result).toMatchObject({ outcome: "off", how: "PoweredOff", requests: 1 });
    expect(isRunning(pid)).toBe(false);
    if (result.outcome === "off") {
      console.log(`fence_redfish, intent to proof: ${Math.round(result.provenAfterMs)} ms`);
    }
  });

  it("finding 1: hangs for ever at a BMC that does not answer; we end at our own deadline and kill it", async () => {
    await bmc.faults.set({ silent: true });
    const timeouts = ["shell_timeout=2", "login_timeout=2", "power_timeout=2"];
    const raw = byHand(["action=off", ...timeouts], { deadlineMs: WATCHED_MS });
    const result = await cut(openAgent(access()), {
      deadlineMs: 4_000,
      timings: { ...AGENT_TIMINGS, readDeadlineMs: 1_500 },
    });
    expect(result).toMatchObject({ outcome: "notOff", kind: "timeout", requests: 0 });
    expect((await raw).code, "it has ended by itself").toBeUndefined();
    expect(victim.read()).toBe("On");
  });

  it("finding 1: hangs while the node is long dead; its state is read beside it", async () => {
    await bmc.faults.set({ noReply: true });
    const result = await cut(openAgent(access()));
    expect(result).toMatchObject({ outcome: "off", how: "PoweredOff" });
    expect(victim.read()).toBe("Off");
  });

  it("finding 2: says success of a node that runs, where the BMC wrongly says Off; we do not believe an Off nobody vouches for", async () => {
    await bmc.faults.set({ lieOff: true });
    const raw = await byHand(["action=off"]);
    expect(raw).toMatchObject({ code: 0, output: expect.stringContaining("Success: Already OFF") });
    expect(victim.read()).toBe("On");
    expect(await cut(openAgent(access()))).toMatchObject({ outcome: "notOff", kind: "doubted" });
  });

  it("finding 2: says success of an action that the BMC refused (diag); we ask for off, on and status only", async () => {
    const raw = await byHand(["action=diag"]);
    expect(raw).toMatchObject({ code: 0, output: expect.stringContaining("Success") });
    const refusal = bmc.requests.findLast(({ method }) => method === "POST");
    expect(refusal?.status).toBeGreaterThanOrEqual(400);
  });

  it("finding 3: says failure of a node that it has killed; we read the state again", async () => {
    await bmc.faults.set({ loseReply: true });
    const raw = await byHand(["action=off"]);
    expect(raw.code).toBe(1);
    expect(victim.read()).toBe("Off");
    await bmc.faults.clear();
    await victim.on();
    await bmc.faults.set({ loseReply: true });
    expect(await cut(openAgent(access()))).toMatchObject({ outcome: "off", how: "PoweredOff" });
  });

  it("finding 3: gives up on a node that dies later; we go on reading", async () => {
    await bmc.faults.set({ slowOffMs: 5_000 });
    const result = await cut(openAgent(access({ power_timeout: "1" })));
    expect(result).toMatchObject({ outcome: "off", how: "PoweredOff", requests: 1 });
  });

  it("finding 5: ends with 1 whatever went wrong, and with 2 for Off; no failure of ours is a state", async () => {
    const troubles = [{ wrongPassword: true }, { busy: true }, { down: true }, { garbage: true }];
    for (const trouble of troubles) {
      await bmc.faults.set(trouble);
      expect((await byHand(["action=status"])).code).toBe(1);
      expect(await openAgent(access()).readPower({ deadlineMs: 20_000 })).toMatchObject({
        ok: false,
        kind: "faulty",
        message: expect.stringContaining("exit code 1"),
      });
      await bmc.faults.clear();
    }
    await victim.off();
    expect((await byHand(["action=status"])).code).toBe(2);
    expect(await openAgent(access()).readPower({ deadlineMs: 20_000 })).toMatchObject({ state: "Off" });
  });

  it("finding 6: reboots where it is told no action; we always tell one", async () => {
    const before = victim.pid;
    expect((await byHand([])).output).toContain("Success: Rebooted");
    expect(victim.pid).not.toBe(before);
    const after = victim.pid;
    const device = openAgent(access());
    await device.readPower({ deadlineMs: 20_000 });
    await device.requestOn({ deadlineMs: 20_000 });
    expect(victim.pid).toBe(after);
  });

  it("finding 7: says success of a reboot after which the node is off; we never reboot, and read On back", async () => {
    victim.boots = false;
    const raw = await byHand(["action=reboot", "power_timeout=1", "retry_on=1"]);
    expect(raw).toMatchObject({ code: 0, output: expect.stringContaining("Success: Rebooted") });
    expect(victim.read()).toBe("Off");
    const device = openAgent(access({ power_timeout: "1", retry_on: "1" }));
    expect((await device.requestOn({ deadlineMs: 20_000 })).kind).toBe("faulty");
    expect(await device.readPower({ deadlineMs: 20_000 })).toMatchObject({ state: "Off" });
  });

  it("finding 8: counts polls and not seconds; our deadline is a clock's", async () => {
    await bmc.faults.set({ ignore: true, delayMs: 800 });
    const raw = await byHand(["action=off", "power_timeout=3"]);
    expect(raw.code).toBe(1);
    expect(raw.lastedMs).toBeGreaterThan(4_500);
    const startedMs = performance.now();
    const answer = await openAgent(access({ power_timeout: "600" })).requestOff({ deadlineMs: 3_000 });
    expect(answer.kind).toBe("noAnswer");
    expect(performance.now() - startedMs).toBeLessThan(30_000);
  });

  it("finding 9: waits without limit where the environment says that Pacemaker runs it; ours says nothing", async () => {
    await bmc.faults.set({ ignore: true });
    const environment = { PCMK_service: "pacemaker-fenced" };
    const raw = await byHand(["action=off", "power_timeout=1"], { environment, deadlineMs: 6_000 });
    expect(raw.code, "it has ended by itself").toBeUndefined();
    process.env["PCMK_service"] = "pacemaker-fenced";
    try {
      const answer = await openAgent(access({ power_timeout: "1" })).requestOff({ deadlineMs: 30_000 });
      expect(answer).toMatchObject({ kind: "faulty", message: expect.stringContaining("exit code 1") });
    } finally {
      delete process.env["PCMK_service"];
    }
  });

  it("finding 11: a wedged machine takes 12 s to die; one request is enough, and we wait", async () => {
    await bmc.faults.set({ slowOffMs: 12_000 });
    const result = await cut(openAgent(access()));
    expect(result).toMatchObject({ outcome: "off", how: "PoweredOff", requests: 1 });
  });

  it.skipIf(!sushy.ok)(
    "finding 4: cuts the last system of several, and ignores the plug it was told; we do not run it so",
    async () => {
      const service = await startSushy(sushy.ok && "python" in sushy ? sushy.python : "", { systems: 3 });
      try {
        const ca = join(directory, "sushy-ca.crt");
        writeFileSync(ca, service.caPem);
        const ipport = new URL(service.address).port;
        const credentials = { username: service.username, password: service.password };
        const told = Object.entries({ ip: "127.0.0.1", ipport, ...credentials }).map(
          ([key, value]) => `${key}=${value}`,
        );
        const raw = await runByHand("fence_redfish", [...told, "plug=node-1", "action=off"], {
          environment: { REQUESTS_CA_BUNDLE: ca },
        });
        expect(raw.code).toBe(0);
        const states = service.systems.map(({ uuid }) =>
          openAgent({
            agent: "fence_redfish",
            parameters: { ip: "127.0.0.1", ipport, systems_uri: `/redfish/v1/Systems/${uuid}` },
            secretParameters: credentials,
            caPem: service.caPem,
          }).readPower({ deadlineMs: 20_000 }),
        );
        expect((await Promise.all(states)).map((reading) => reading.ok && reading.state)).toEqual([
          "On",
          "On",
          "Off",
        ]);
        const settings = { agent: "fence_redfish", secretParameters: credentials, caPem: service.caPem };
        const unnamed = openAgent({ ...settings, parameters: { ip: "127.0.0.1", ipport } });
        expect(await cut(unnamed)).toMatchObject({
          kind: "misconfigured",
          message: expect.stringContaining("systems_uri"),
        });
        const plugged = openAgent({ ...settings, parameters: { ip: "127.0.0.1", ipport, plug: "node-1" } });
        expect(await cut(plugged)).toMatchObject({
          kind: "misconfigured",
          message: expect.stringContaining("ignores parameter plug"),
        });
      } finally {
        await service.stop();
      }
    },
  );
});
