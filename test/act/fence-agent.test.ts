// The fence-agent method against a real program: what it is told, what is refused before it is run, what is left of it.
import { statSync, utimesSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FenceAgentCatalog } from "../../src/act/fence/fence-agent-catalog.ts";
import { FenceAgentDevice } from "../../src/act/fence/fence-agent.ts";
import type { FenceAgentAccess } from "../../src/act/fence/fence-agent-access.ts";
import { powerOff } from "../../src/act/fence/power-off.ts";
import { createRealClock } from "../../src/run/real-clock.ts";
import { isRunning } from "../lab/running-process.ts";
import { ScriptedAgent } from "./scripted-agent.ts";

const CALL = { deadlineMs: 10_000 };
const PASSWORD = "correct horse=battery #staple";
const clock = createRealClock();
let agent: ScriptedAgent;
let catalog: FenceAgentCatalog;

function device(change: Partial<FenceAgentAccess> = {}): FenceAgentDevice {
  const access: FenceAgentAccess = {
    agent: agent.agent,
    parameters: { ip: "127.0.0.1", plug: "7", lanplus: "1" },
    secretParameters: { username: "admin", password: PASSWORD },
    ...change,
  };
  return new FenceAgentDevice(access, { catalog, clock });
}

/** Why the device cannot be asked, for settings that a person must change. */
async function refused(change: Partial<FenceAgentAccess>): Promise<string> {
  const reading = await device(change).readPower(CALL);
  expect(reading).toMatchObject({ ok: false, kind: "misconfigured" });
  expect((await device(change).requestOff(CALL)).kind).toBe("misconfigured");
  expect(agent.actions).toEqual([]);
  return reading.ok ? "" : reading.message;
}

beforeEach(() => {
  agent = new ScriptedAgent();
  catalog = new FenceAgentCatalog(agent.directory);
});
afterEach(() => agent.remove());

describe("what an agent is told", () => {
  it("comes on its standard input: every parameter, the secret ones too, and always the action", async () => {
    await device().requestOff(CALL);
    expect(agent.told.slice(1)).toEqual([
      "ip=127.0.0.1",
      "plug=7",
      "lanplus=1",
      "username=admin",
      `password=${PASSWORD}`,
      "action=off",
    ]);
    expect(agent.commandLine).toBe(`/bin/sh ${join(agent.directory, agent.agent)}`);
  });

  it("is off, on or status, and never reboot, which is what agents do when told nothing", async () => {
    const target = device();
    await target.readPower(CALL);
    await target.requestOff(CALL);
    await target.requestOn(CALL);
    expect(agent.actions).toEqual(["status", "off", "on"]);
  });

  it("leaves out a flag that is set to 0, for agents differ in what they call false", async () => {
    await device({ parameters: { ip: "127.0.0.1", plug: "7", lanplus: "0" } }).readPower(CALL);
    expect(agent.told.filter((line) => line.startsWith("lanplus"))).toEqual([]);
  });

  it("comes with an environment of a few variables, none of them ours", async () => {
    process.env["PCMK_service"] = "pacemaker-fenced";
    process.env["HOLDFAST_TEST_SECRET"] = "do not inherit";
    try {
      await device().readPower(CALL);
    } finally {
      delete process.env["PCMK_service"];
      delete process.env["HOLDFAST_TEST_SECRET"];
    }
    const names = agent.environment.map((line) => line.split("=")[0] ?? "");
    // PWD, OLDPWD, SHLVL and _ are the shell's own.
    const ours = names.filter((name) => !["PWD", "OLDPWD", "SHLVL", "_"].includes(name));
    expect(ours.sort()).toEqual(["HOME", "LANG", "LC_ALL", "PATH", "PYTHONDONTWRITEBYTECODE"]);
  });

  it("includes the certificate authority as a file, which is gone once the device is closed", async () => {
    const target = device({ caPem: "-----BEGIN CERTIFICATE-----\n" });
    await target.readPower(CALL);
    const [file = ""] = agent.environment.flatMap((line) => line.split("REQUESTS_CA_BUNDLE=")[1] ?? []);
    expect(file.startsWith(join(tmpdir(), "holdfast-fence-ca-"))).toBe(true);
    expect(await readFile(file, "utf8")).toContain("BEGIN CERTIFICATE");
    await target.close();
    await expect(readdir(join(file, ".."))).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("is asked for only once what it says of itself, and again when its program has changed", async () => {
    await device().readPower(CALL);
    await device().readPower(CALL);
    expect(agent.timesDescribed).toBe(1);
    const program = join(agent.directory, agent.agent);
    const later = new Date(statSync(program).mtimeMs + 60_000);
    utimesSync(program, later, later);
    await device().readPower(CALL);
    expect(agent.timesDescribed).toBe(2);
  });
});

describe("settings are refused before the agent is run", () => {
  const base = { ip: "127.0.0.1", plug: "7" };
  it.each<[string, Partial<FenceAgentAccess>, string]>([
    ["an agent with a path", { agent: "../../bin/fence_x" }, "is not the name of a fence agent"],
    ["an agent that is not installed", { agent: "fence_nothing" }, "fence_nothing is not installed"],
    ["a parameter that the agent does not know", { parameters: { ...base, ipp: "1" } }, "no parameter ipp"],
    ["a missing parameter", { parameters: { plug: "7" } }, "the agent needs ip"],
    ["an empty value", { parameters: { ...base, plug: "" } }, "parameter plug is empty"],
    [
      "a flag that is neither on nor off",
      { parameters: { ...base, lanplus: "2" } },
      "lanplus must be 1 or 0",
    ],
    [
      "seconds that are no number",
      { parameters: { ...base, power_wait: "5s" } },
      "power_wait must be a whole",
    ],
    ["a choice that is none", { parameters: { ...base, auth: "sha" } }, "auth must be one of md5, none"],
    ["an action", { parameters: { ...base, action: "on" } }, "parameter action must not be set"],
    ["a parameter that prints secrets", { parameters: { ...base, verbose: "1" } }, "verbose must not be set"],
    [
      "a parameter that calls what is missing off",
      { parameters: { ...base, missing_as_off: "1" } },
      "missing_as_off must not be set",
    ],
    [
      "a second parameter smuggled in by a line break, as an annotation may hold one",
      { parameters: { ...base, plug: "7\naction=on" } },
      "parameter plug holds a line break",
    ],
    ["a value in quotation marks", { parameters: { ...base, plug: '"7"' } }, "is in quotation marks"],
    [
      "one parameter under its two names",
      { parameters: { ...base, port: "8" } },
      "parameter port is set twice (also as plug)",
    ],
    [
      "a parameter in the Secret that the agent does not know",
      { secretParameters: { token: "s3cret" } },
      "no parameter token",
    ],
  ])("%s", async (_what, change, says) => {
    expect(await refused(change)).toContain(says);
  });

  it("names the parameter and never its value", async () => {
    expect(await refused({ secretParameters: { password: "s3cret\nx" } })).not.toContain("s3cret");
  });

  it("outdated names of parameters count as the parameters they were", async () => {
    const target = device({
      parameters: { ipaddr: "127.0.0.1", port: "7" },
      secretParameters: { passwd: "x" },
    });
    expect(await target.readPower(CALL)).toMatchObject({ ok: true, state: "On" });
  });

  const replaced = (from: string, to: string) => ScriptedAgent.metadata.replace(from, to);
  it.each<[string, string, string]>([
    ["has no status", replaced('<action name="status" />', ""), "no action status"],
    ["has no off", replaced('<action name="off" />', ""), "no action off"],
    [
      "cuts access to storage only",
      replaced('automatic="0"', 'automatic="1"'),
      "does not prove that a node stopped",
    ],
    ["is no XML", "Usage: fence_scripted [options]", "not XML: no element"],
    ["is cut off", replaced("</resource-agent>", ""), "not XML: <resource-agent> is not closed"],
    ["is another document", "<html><body/></html>", "begins with <html>"],
  ])("an agent whose metadata %s", async (_what, metadata, says) => {
    agent.describe(metadata);
    expect(await refused({})).toContain(says);
  });
});

describe("an agent in trouble", () => {
  it("that hangs is killed at the deadline with everything it has started", async () => {
    agent.trouble("silence");
    expect(await device().readPower({ deadlineMs: 500 })).toMatchObject({ ok: false, kind: "timeout" });
    const processes = await processesUnder(agent.directory);
    expect(processes).toEqual([]);
  });

  it("leaves no process behind even where it ends by itself", async () => {
    agent.trouble("orphan");
    expect(await device().readPower(CALL)).toMatchObject({ ok: true, state: "On" });
    await expect.poll(() => isRunning(agent.orphan)).toBe(false);
  });

  it("that never stops talking is read, and dropped beyond a limit", async () => {
    agent.trouble("flood");
    expect(await device().readPower({ deadlineMs: 700 })).toMatchObject({ ok: false, kind: "timeout" });
  });

  it("that says the password shows none of it", async () => {
    agent.trouble("leak");
    const reading = await device().readPower(CALL);
    const answer = await device().requestOff(CALL);
    expect(JSON.stringify([reading, answer])).not.toContain("staple");
    expect(reading).toMatchObject({ kind: "faulty", message: expect.stringContaining("password=***") });
  });

  it("whose words contradict its exit code has told no state", async () => {
    agent.trouble("contradiction");
    expect(await device().readPower(CALL)).toMatchObject({ ok: false, kind: "faulty" });
  });

  it("fails with exit code 1, and the machine is off all the same: nothing is called failed, the state tells", async () => {
    agent.trouble("lostReply");
    const target = device();
    expect((await target.requestOff(CALL)).kind).toBe("faulty");
    expect(await target.readPower(CALL)).toMatchObject({ ok: true, state: "Off" });
  });

  it("that calls the machine off already is not believed where it never said On", async () => {
    agent.trouble("liar");
    const result = await powerOff(device(), {
      clock,
      deadlineMs: 20_000,
      beforeRequest: async () => true,
      vouchesForOff: () => false,
    });
    expect(result).toMatchObject({ outcome: "notOff", kind: "doubted", lastState: "Off", requests: 0 });
    expect(agent.read()).toBe("On");
  });
});

/** Command lines of processes that were started from this folder, or by those. */
async function processesUnder(directory: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const line = await readFile(join("/proc", pid, "cmdline"), "utf8").catch(() => "");
    if (line.includes(directory)) found.push(line);
  }
  return found;
}
