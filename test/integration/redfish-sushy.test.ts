// The Redfish method against somebody else's Redfish: sushy-tools' emulator, unmodified, with its random delays of up to
// eleven seconds, its Basic-only logins, its TLS 1.2 and its lazy state.
import { Agent, request } from "undici";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { FenceDevice } from "../../src/act/fence/fence-device.ts";
import { powerOff } from "../../src/act/fence/power-off.ts";
import type { PowerOffOptions, PowerOffResult } from "../../src/act/fence/power-off-result.ts";
import { RedfishService } from "../../src/act/fence/redfish.ts";
import type { RedfishAccess } from "../../src/act/fence/redfish-access.ts";
import { compareSystemUUID } from "../../src/act/fence/system-identity.ts";
import { createRealClock } from "../../src/run/real-clock.ts";
import { installSushy, startSushy, type SushyEmulator } from "./redfish-sushy-emulator.ts";

const say = (line: string): void => console.log(`sushy-tools: ${line}`);
const installed = await installSushy(say);
if (!installed.ok) {
  console.warn(`\n!!! SKIPPED: fencing against sushy-tools was NOT tested: ${installed.reason}\n`);
}
const python = installed.ok ? installed.python : "";

const CALL = { deadlineMs: 10_000 };
const clock = createRealClock();
const open: FenceDevice[] = [];
let sushy: SushyEmulator;

function device(access: Partial<RedfishAccess> = {}, emulator = sushy): FenceDevice {
  const { address, username, password, caPem } = emulator;
  const opened = new RedfishService({ address, username, password, caPem, ...access }, { clock }).open();
  open.push(opened);
  return opened;
}

/** The id of a system that no other test touches. */
const idOf = (number: number): string => sushy.systems[number - 1]?.uuid ?? "";

function cut(target: FenceDevice, options: Partial<PowerOffOptions> = {}): Promise<PowerOffResult> {
  return powerOff(target, { clock, deadlineMs: 30_000, beforeRequest: async () => true, ...options });
}

/** The state as a client that shares nothing with ours sees it. */
async function stateSeenByOthers(id: string): Promise<unknown> {
  const agent = new Agent({ connect: { ca: sushy.caPem } });
  const credentials = Buffer.from(`${sushy.username}:${sushy.password}`).toString("base64");
  const response = await request(`${sushy.address}/redfish/v1/Systems/${id}`, {
    dispatcher: agent,
    headers: { authorization: `Basic ${credentials}` },
  });
  const body = (await response.body.json()) as { PowerState?: unknown };
  await agent.destroy();
  return body.PowerState;
}

describe.skipIf(!installed.ok)("Redfish fencing against sushy-tools", () => {
  beforeAll(async () => {
    sushy = await startSushy(python, { systems: 9 });
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((opened) => opened.close()));
  });
  afterAll(async () => {
    await sushy?.stop();
  });

  it("proves a node off with one request, however long the emulator takes, and leaves the others alone", async () => {
    const target = device({ systemId: idOf(1) });
    const result = await cut(target, {
      wrongSystem: ({ uuid }) => (compareSystemUUID(uuid, idOf(1)) === "same" ? undefined : `it is ${uuid}`),
    });
    expect(result).toMatchObject({ outcome: "off", how: "PoweredOff", requests: 1 });
    expect(await stateSeenByOthers(idOf(1))).toBe("Off");
    expect(await stateSeenByOthers(idOf(2))).toBe("On");
    const again = await cut(target);
    expect(again).toMatchObject({ outcome: "off", how: "AlreadyOff", requests: 0 });
  });

  it("restores power", async () => {
    const target = device({ systemId: idOf(3) });
    expect((await cut(target)).outcome).toBe("off");
    expect((await target.requestOn(CALL)).kind).toBe("accepted");
    const state = async () => {
      const reading = await target.readPower(CALL);
      return reading.ok ? reading.state : reading.kind;
    };
    await expect.poll(state, { timeout: 20_000, interval: 250 }).toBe("On");
  });

  it("follows a system's name to its canonical path", async () => {
    const reading = await device({ systemId: "node-4" }).readPower(CALL);
    expect(reading).toMatchObject({ ok: true, state: "On" });
    expect(reading.ok && compareSystemUUID(reading.identity.uuid, idOf(4))).toBe("same");
    expect(await cut(device({ systemId: "node-4" }))).toMatchObject({ outcome: "off", requests: 1 });
    expect(await stateSeenByOthers(idOf(4))).toBe("Off");
  });

  it("cuts several nodes at once", async () => {
    const results = await Promise.all([5, 6, 7].map((number) => cut(device({ systemId: idOf(number) }))));
    expect(results.map((result) => result.outcome)).toEqual(["off", "off", "off"]);
  });

  it("never guesses among several systems", async () => {
    const reading = await device().readPower(CALL);
    expect(reading).toMatchObject({ ok: false, kind: "misconfigured" });
    expect(!reading.ok && reading.message).toContain("the service has 9 systems");
  });

  it("names what there is where the system does not exist", async () => {
    const reading = await device({ systemId: "node-99" }).readPower(CALL);
    expect(reading).toMatchObject({ ok: false, kind: "misconfigured" });
    expect(!reading.ok && reading.message).toContain(`/redfish/v1/Systems/${idOf(1)}`);
  });

  it("tells a wrong password, a wrong authority and a service without sessions apart", async () => {
    const systemId = idOf(8);
    expect(await device({ systemId, password: "wrong" }).readPower(CALL)).toMatchObject({ kind: "denied" });
    const { caPem: _, ...rest } = sushy;
    const unknown = new RedfishService({ ...rest, systemId }, { clock }).open();
    open.push(unknown);
    expect(await unknown.readPower(CALL)).toMatchObject({ kind: "untrusted" });
    expect(await device({ systemId, auth: "Session" }).readPower(CALL)).toMatchObject({
      kind: "misconfigured",
    });
    expect(await device({ systemId, insecureSkipVerify: true }).readPower(CALL)).toMatchObject({ ok: true });
  });

  it("is refused, not fooled, where the emulator is told not to power off", async () => {
    const stubborn = await startSushy(python, {
      systems: 1,
      settings: ["SUSHY_EMULATOR_DISABLE_POWER_OFF = True"],
    });
    const result = await cut(device({}, stubborn));
    expect(result).toMatchObject({
      outcome: "notOff",
      kind: "refused",
      lastState: "On",
      mayHaveActed: false,
    });
    await stubborn.stop();
  });

  it("ends by its deadline when the emulator freezes, and does its work after it thaws", async () => {
    const target = device({ systemId: idOf(9) });
    sushy.freeze();
    const startedMs = performance.now();
    const frozen = await cut(target, { deadlineMs: 2_000 });
    const lastedMs = performance.now() - startedMs;
    sushy.thaw();
    expect(frozen).toMatchObject({ outcome: "notOff", kind: "timeout", requests: 0 });
    // Far below what a client without deadlines would wait: it would wait for ever.
    expect(lastedMs).toBeLessThan(20_000);
    expect((await cut(target)).outcome).toBe("off");
  });

  it("may have acted where the emulator dies after the request, and says so", async () => {
    const dying = await startSushy(python, { systems: 1 });
    const result = await cut(device({}, dying), {
      deadlineMs: 3_000,
      onProgress: (step) => {
        if (step.step === "answered") void dying.kill();
      },
    });
    expect(result).toMatchObject({ outcome: "notOff", kind: "unreachable", mayHaveActed: true });
    await dying.stop();
  });
});
