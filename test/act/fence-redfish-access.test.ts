// How a Redfish service is reached: settings, TLS, logins, and which system is meant. Against the lab BMC.
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startBmc } from "../../lab/bmc/redfish-bmc.ts";
import { createCertificateAuthority } from "../../lab/control-plane/certificate-authority.ts";
import type { FenceDevice } from "../../src/act/fence/fence-device.ts";
import type { RedfishAccess } from "../../src/act/fence/redfish-access.ts";
import {
  certificate,
  PASSWORD,
  SECRETS,
  type RedfishRig,
  startRedfishRig,
  TestMachine,
  USERNAME,
} from "./fence-redfish-rig.ts";

const CALL = { deadlineMs: 5_000 };
let rig: RedfishRig;
beforeEach(async () => {
  rig = await startRedfishRig();
});
afterEach(async () => {
  await rig.stop();
});

async function failureOf(device: FenceDevice): Promise<string> {
  const reading = await device.readPower(CALL);
  return reading.ok ? "none" : `${reading.kind}: ${reading.message}`;
}

describe("settings", () => {
  it.each<[string, Partial<RedfishAccess>, RegExp]>([
    ["no URL", { address: "10.0.0.7" }, /^misconfigured: address is not a URL/],
    ["plain HTTP", { address: "http://10.0.0.7" }, /^misconfigured: address must begin with https/],
    ["credentials in the address", { address: "https://a:b@10.0.0.7" }, /must not hold credentials/],
    [
      "a path in the address",
      { address: "https://10.0.0.7/redfish/v1/Systems/1" },
      /name the system by systemId/,
    ],
    [
      "both names of the system",
      { systemId: "1", systemPath: "/redfish/v1/Systems/1" },
      /exclude each other/,
    ],
    ["a relative system path", { systemPath: "Systems/1" }, /systemPath must begin with/],
    ["no password", { password: "" }, /must not be empty/],
  ])("with %s are misconfigured, and nothing is sent", async (_, change, expected) => {
    const device = rig.deviceWith(change);
    expect(await failureOf(device)).toMatch(expected);
    expect(await device.requestOff(CALL)).toMatchObject({ kind: "misconfigured" });
    expect(rig.bmc.requests).toHaveLength(0);
  });

  it("may give the address with or without the service's root", async () => {
    for (const suffix of ["/", "/redfish", "/redfish/v1", "/redfish/v1/"]) {
      const device = rig.deviceWith({ address: rig.bmc.address + suffix });
      expect(await device.readPower(CALL)).toMatchObject({ ok: true });
    }
  });
});

describe("the service's object", () => {
  it("shows no secret when it is printed or made JSON, before and after use", async () => {
    const pictures = () => inspect([rig.service, rig.device], { depth: 9, showHidden: true, getters: true });
    const before = pictures() + JSON.stringify([rig.service, rig.device]);
    await rig.device.readPower(CALL);
    const shown = before + pictures() + JSON.stringify([rig.service, rig.device]);
    expect(SECRETS.filter((secret) => shown.includes(secret))).toEqual([]);
  });
});

describe("TLS", () => {
  it("trusts the authority that the settings name", async () => {
    expect(await rig.device.readPower(CALL)).toMatchObject({ ok: true, state: "On" });
  });

  it("refuses a certificate of another authority, before any password is sent", async () => {
    const device = rig.deviceWith({ caPem: createCertificateAuthority("somebody else").certPem });
    expect(await failureOf(device)).toMatch(/^untrusted: TLS: /);
    expect(await device.requestOff(CALL)).toMatchObject({ kind: "untrusted" });
    expect(rig.bmc.requests).toHaveLength(0);
  });

  it("refuses an unknown authority where none is named", async () => {
    const { caPem: _, ...access } = { caPem: undefined, address: rig.bmc.address };
    const { RedfishService } = await import("../../src/act/fence/redfish.ts");
    const service = new RedfishService(
      { ...access, username: USERNAME, password: PASSWORD },
      { clock: rig.clock },
    );
    expect(await failureOf(service.open())).toMatch(/^untrusted/);
  });

  it("accepts any certificate only where the settings say so", async () => {
    const wrong = createCertificateAuthority("somebody else").certPem;
    const device = rig.deviceWith({ caPem: wrong, insecureSkipVerify: true });
    expect(await device.readPower(CALL)).toMatchObject({ ok: true });
  });

  it("refuses a certificate for another host", async () => {
    const device = rig.deviceWith({ address: rig.bmc.address.replace("127.0.0.1", "localhost") });
    expect(await failureOf(device)).toMatch(/^untrusted: .*ERR_TLS_CERT_ALTNAME_INVALID/);
  });

  it("refuses an authority that is no certificate", async () => {
    expect(await failureOf(rig.deviceWith({ caPem: "not a certificate" }))).toMatch(/^untrusted/);
  });
});

describe("a connection", () => {
  it("on which an answer is overdue is given up, so that a healed service answers at once", async () => {
    const device = rig.deviceWith({ auth: "Basic", systemId: "1" });
    await rig.bmc.faults.set({ silent: true });
    expect(await device.readPower({ deadlineMs: 200 })).toMatchObject({ ok: false, kind: "timeout" });
    await rig.bmc.faults.clear();
    expect(await device.readPower({ deadlineMs: 2_000 })).toMatchObject({ ok: true, state: "On" });
  });
});

describe("login", () => {
  it("uses a session where the service offers one, and only one for many readings", async () => {
    for (let reads = 0; reads < 4; reads++) await rig.device.readPower({ ...CALL, fresh: reads % 2 === 1 });
    expect(rig.bmc.sessionCount()).toBe(1);
    expect(rig.bmc.requests.filter(({ method }) => method === "POST")).toHaveLength(1);
  });

  it("makes one session for concurrent calls", async () => {
    await Promise.all([rig.device.readPower(CALL), rig.device.readPower(CALL), rig.device.readPower(CALL)]);
    expect(rig.bmc.sessionCount()).toBe(1);
  });

  it("uses Basic and no session where the settings say Basic", async () => {
    expect(await rig.deviceWith({ auth: "Basic" }).readPower(CALL)).toMatchObject({ ok: true });
    expect(rig.bmc.sessionCount()).toBe(0);
  });

  it("falls back to Basic where all sessions are taken, as when other clients left theirs behind", async () => {
    const others = Array.from({ length: 8 }, () => rig.deviceWith({}));
    await Promise.all(others.map((device) => device.readPower(CALL)));
    expect(rig.bmc.sessionCount()).toBe(8);
    expect(await rig.device.readPower(CALL)).toMatchObject({ ok: true });
    expect(rig.bmc.sessionCount()).toBe(8);
  });

  it("is misconfigured where a session is demanded and none is offered", async () => {
    await rig.bmc.faults.set({ noSessions: true });
    expect(await failureOf(rig.deviceWith({ auth: "Session" }))).toMatch(/^misconfigured: .*no sessions/);
  });

  it("is renewed once when the session has expired", async () => {
    await rig.device.readPower(CALL);
    rig.bmc.expireSessions();
    expect(await rig.device.readPower(CALL)).toMatchObject({ ok: true });
    expect(rig.bmc.requests.filter(({ method }) => method === "POST")).toHaveLength(2);
  });

  it("is denied where the password was changed while the session lived", async () => {
    await rig.device.readPower(CALL);
    await rig.bmc.faults.set({ wrongPassword: true });
    expect(await failureOf(rig.device)).toMatch(/^denied/);
  });

  it.each(["Auto", "Session", "Basic"] as const)("is denied for a wrong password: %s", async (auth) => {
    expect(await failureOf(rig.deviceWith({ auth, password: "wrong" }))).toMatch(/^denied: .*HTTP 401/);
  });

  it("that outlives an impatient reading serves the next one, and is given back at the end", async () => {
    await rig.bmc.faults.set({ delayMs: 150 });
    expect(await rig.device.readPower({ deadlineMs: 200 })).toMatchObject({ ok: false, kind: "timeout" });
    expect(await rig.device.readPower(CALL)).toMatchObject({ ok: true });
    expect(rig.bmc.requests.filter(({ method }) => method === "POST")).toHaveLength(1);
    await rig.device.close();
    expect(rig.bmc.sessionCount()).toBe(0);
  });
});

describe("which system is meant", () => {
  it("is the only one where the service has one", async () => {
    const reading = await rig.device.readPower(CALL);
    expect(reading.ok && reading.identity).toEqual({
      path: rig.bmc.systemPath,
      uuid: expect.stringMatching(/^[0-9a-f]{8}-/),
      serialNumber: "LAB-node-1",
      hostName: "node-1",
      model: "Simulated node",
    });
  });

  it("is never guessed where the service has several: the error names them", async () => {
    const bmc = await startBmc({
      power: new TestMachine(),
      node: "node-1",
      username: USERNAME,
      password: PASSWORD,
      certificate,
      otherSystems: ["/redfish/v1/Systems/2", "/redfish/v1/Systems/3"],
    });
    const failure = await failureOf(rig.deviceWith({ address: bmc.address }));
    expect(failure).toMatch(/^misconfigured: the service has 3 systems, so systemId must name one/);
    expect(failure).toContain("/redfish/v1/Systems/1, /redfish/v1/Systems/2, /redfish/v1/Systems/3");
    const named = rig.deviceWith({ address: bmc.address, systemId: "1" });
    expect(await named.readPower(CALL)).toMatchObject({ ok: true, state: "On" });
    await bmc.stop();
  });

  it("is named by id or by path", async () => {
    expect(await rig.deviceWith({ systemId: "1" }).readPower(CALL)).toMatchObject({ ok: true });
    expect(await rig.deviceWith({ systemPath: rig.bmc.systemPath }).readPower(CALL)).toMatchObject({
      ok: true,
    });
  });

  it("that does not exist is misconfigured, and the error names those that do", async () => {
    const failure = await failureOf(rig.deviceWith({ systemId: "node-1" }));
    expect(failure).toBe(
      "misconfigured: the service has no system /redfish/v1/Systems/node-1; it has /redfish/v1/Systems/1",
    );
  });

  it("that is no ComputerSystem is misconfigured", async () => {
    const failure = await failureOf(rig.deviceWith({ systemPath: "/redfish/v1/Systems" }));
    expect(failure).toMatch(/^misconfigured: .*ComputerSystemCollection, not a ComputerSystem/);
  });
});

describe("reset types", () => {
  it.each(["Action", "ActionInfo"] as const)("are read from the %s", async (resetTypesIn) => {
    const own = await startRedfishRig({ bmc: { resetTypesIn, resetTypes: ["ForceOn", "ForceOff"] } });
    expect((await own.device.requestOff(CALL)).kind).toBe("accepted");
    expect((await own.device.requestOn(CALL)).kind).toBe("accepted");
    expect(own.bmc.requests.map(({ resetType }) => resetType).filter(Boolean)).toEqual([
      "ForceOff",
      "ForceOn",
    ]);
    await own.stop();
  });

  it.each(["Action", "ActionInfo"] as const)(
    "without ForceOff are an obstacle that a harmless reading tells already (%s)",
    async (resetTypesIn) => {
      const resetTypes = ["On", "GracefulShutdown", "PushPowerButton"];
      const own = await startRedfishRig({ bmc: { resetTypesIn, resetTypes } });
      const reading = await own.device.readPower(CALL);
      expect(reading).toMatchObject({ ok: true, state: "On" });
      expect(reading.ok && reading.obstacle).toContain("it offers On, GracefulShutdown, PushPowerButton");
      expect((await own.device.requestOff(CALL)).kind).toBe("misconfigured");
      expect(own.bmc.requests.some(({ method, path }) => method === "POST" && path.includes("Reset"))).toBe(
        false,
      );
      await own.stop();
    },
  );
});
