// Oddities of real Redfish services: redirects, tasks, broken documents, half-finished standards. Real TLS, fixed answers.
import { afterEach, describe, expect, it } from "vitest";
import type { FenceDevice } from "../../src/act/fence/fence-device.ts";
import { RedfishService } from "../../src/act/fence/redfish.ts";
import type { RedfishAccess } from "../../src/act/fence/redfish-access.ts";
import { MAX_BODY_BYTES } from "../../src/act/fence/redfish-http.ts";
import { createRealClock } from "../../src/run/real-clock.ts";
import { authority, PASSWORD, USERNAME } from "./fence-redfish-rig.ts";
import {
  type RawAnswer,
  type RawService,
  RESET_PATH,
  type Routes,
  startRawService,
  SYSTEM_PATH,
  systemBody,
} from "./fence-raw-service.ts";

const CALL = { deadlineMs: 5_000 };
const SYSTEM = `GET ${SYSTEM_PATH}`;
const RESET = `POST ${RESET_PATH}`;
const THE_ONE = { systemId: "1" };
const open: { service: RawService; device: FenceDevice }[] = [];

async function serve(
  routes: Routes,
  access: Partial<RedfishAccess> = THE_ONE,
  tls: Parameters<typeof startRawService>[1] = {},
): Promise<{ device: FenceDevice; seen: string[]; address: string }> {
  const service = await startRawService(routes, tls);
  const settings: RedfishAccess = {
    address: service.address,
    auth: "Basic",
    username: USERNAME,
    password: PASSWORD,
    caPem: authority.certPem,
    ...access,
  };
  const device = new RedfishService(settings, { clock: createRealClock() }).open();
  open.push({ service, device });
  return { device, seen: service.seen, address: service.address };
}

afterEach(async () => {
  for (const { service, device } of open.splice(0)) {
    await device.close();
    await service.stop();
  }
});

describe("redirects", () => {
  it("to the system's canonical path are followed, and the reset goes where the document says", async () => {
    const { device, seen } = await serve(
      {
        "GET /redfish/v1/Systems/node-1": { status: 307, headers: { location: SYSTEM_PATH } },
        [SYSTEM]: { body: systemBody() },
        [RESET]: { status: 204 },
      },
      { systemId: "node-1" },
    );
    expect(await device.readPower(CALL)).toMatchObject({ ok: true, identity: { path: SYSTEM_PATH } });
    expect((await device.requestOff(CALL)).kind).toBe("accepted");
    expect(seen).toEqual(["GET /redfish/v1/Systems/node-1 Basic", `${SYSTEM} Basic`, `${RESET} Basic`]);
  });

  it("of a reset are followed only where it stays the same request", async () => {
    const followed = await serve({
      [SYSTEM]: { body: systemBody() },
      [RESET]: { status: 308, headers: { location: `${RESET_PATH}/` } },
      [`${RESET}/`]: { status: 204 },
    });
    expect((await followed.device.requestOff(CALL)).kind).toBe("accepted");
    const turned = await serve({
      [SYSTEM]: { body: systemBody() },
      [RESET]: { status: 302, headers: { location: "/login.html" } },
    });
    expect((await turned.device.requestOff(CALL)).kind).toBe("refused");
  });

  it("to another origin are not followed: credentials stay at home", async () => {
    const other = await serve({ [SYSTEM]: { body: systemBody() } });
    const { device } = await serve({
      [SYSTEM]: { status: 307, headers: { location: other.address + SYSTEM_PATH } },
    });
    const reading = await device.readPower(CALL);
    expect(reading).toMatchObject({ ok: false, kind: "misconfigured" });
    expect(other.seen).toEqual([]);
  });

  it("in a circle end", async () => {
    const { device, seen } = await serve({ [SYSTEM]: { status: 307, headers: { location: SYSTEM_PATH } } });
    expect(await device.readPower(CALL)).toMatchObject({ ok: false, kind: "misconfigured" });
    expect(seen.length).toBeLessThan(6);
  });
});

describe("answers to a reset", () => {
  const ilo400 = {
    error: {
      code: "iLO.0.10.ExtendedInfo",
      message: "See @Message.ExtendedInfo for more information.",
      "@Message.ExtendedInfo": [
        { MessageArgs: ["Power is off"], MessageId: "iLO.0.10.InvalidOperationForSystemState" },
      ],
    },
  };
  it.each<[string, RawAnswer, string, RegExp]>([
    ["204", { status: 204 }, "accepted", /^HTTP 204$/],
    [
      "200 with a message",
      { status: 200, body: { error: { code: "Base.1.0.Success" } } },
      "accepted",
      /Success/,
    ],
    ["202 with a task", { status: 202, headers: { location: "/tasks/7" } }, "accepted", /task \/tasks\/7/],
    [
      "400 as iLO has it",
      { status: 400, body: ilo400 },
      "refused",
      /InvalidOperationForSystemState \(Power is off\)/,
    ],
    ["403", { status: 403 }, "denied", /^HTTP 403$/],
    ["404", { status: 404, body: "<html>gone</html>" }, "refused", /^HTTP 404$/],
    ["409", { status: 409 }, "refused", /^HTTP 409$/],
    ["429", { status: 429, headers: { "retry-after": "7" } }, "busy", /^HTTP 429$/],
    ["500", { status: 500, body: "Traceback (most recent call last)" }, "faulty", /^HTTP 500$/],
    ["501", { status: 501 }, "refused", /^HTTP 501$/],
  ])("%s", async (_, answer, kind, message) => {
    const { device } = await serve({ [SYSTEM]: { body: systemBody() }, [RESET]: answer });
    const said = await device.requestOff(CALL);
    expect(said.kind).toBe(kind);
    expect(said.message).toMatch(message);
    expect(said.retryAfterMs).toBe(kind === "busy" ? 7_000 : undefined);
  });
});

describe("documents", () => {
  it.each<[string, unknown, string]>([
    ["null", null, "Unknown"],
    ["absent", undefined, "Unknown"],
    ["Paused", "Paused", "Unknown"],
    ["a number", 1, "Unknown"],
    ["PoweringOff", "PoweringOff", "PoweringOff"],
    ["off in small letters", "off", "Unknown"],
  ])("with a PowerState of %s never read as Off by mistake", async (_, told, state) => {
    const { device } = await serve({ [SYSTEM]: { body: systemBody({ PowerState: told }) } });
    expect(await device.readPower(CALL)).toMatchObject({ ok: true, state });
  });

  it.each<[string, RawAnswer]>([
    ["a web page", { body: "<html>Please log in</html>" }],
    ["nothing", { status: 204 }],
    ["an endless one", { body: systemBody({ Description: "x".repeat(MAX_BODY_BYTES) }) }],
    ["an error of its own", { status: 500, body: "oops" }],
  ])("that are %s are faulty, not a state", async (_, answer) => {
    const { device } = await serve({ [SYSTEM]: answer });
    expect(await device.readPower(CALL)).toMatchObject({ ok: false, kind: "faulty" });
  });

  it("of a service that is still starting are not called a wrong setting", async () => {
    const empty = { body: { Members: [] } };
    const { device } = await serve({ "GET /redfish/v1/": { body: {} }, "GET /redfish/v1/Systems": empty });
    expect(await device.readPower(CALL)).toMatchObject({ ok: false, kind: "faulty" });
    const blank = await serve({});
    expect(await blank.device.readPower(CALL)).toMatchObject({ ok: false, kind: "faulty" });
    const unnamed = await serve({ "GET /redfish/v1/": { body: {} }, "GET /redfish/v1/Systems": empty }, {});
    expect(await unnamed.device.readPower(CALL)).toMatchObject({ ok: false, kind: "faulty" });
  });

  it("without any reset action are an obstacle", async () => {
    const { device } = await serve({ [SYSTEM]: { body: systemBody({ Actions: {} }) } });
    expect(await device.readPower(CALL)).toMatchObject({
      ok: true,
      obstacle: "the system offers no reset action",
    });
    expect((await device.requestOff(CALL)).kind).toBe("misconfigured");
  });

  it("that advertise no reset types get the standard's ForceOff", async () => {
    const Actions = { "#ComputerSystem.Reset": { target: RESET_PATH } };
    const { device } = await serve({ [SYSTEM]: { body: systemBody({ Actions }) }, [RESET]: { status: 204 } });
    expect((await device.requestOff(CALL)).kind).toBe("accepted");
  });

  it("whose reset action leads elsewhere get no credentials sent there", async () => {
    const other = await serve({ [RESET]: { status: 204 } });
    const Actions = { "#ComputerSystem.Reset": { target: other.address + RESET_PATH } };
    const { device } = await serve({ [SYSTEM]: { body: systemBody({ Actions }) } });
    expect((await device.requestOff(CALL)).kind).toBe("misconfigured");
    expect(other.seen).toEqual([]);
  });

  it("may give links as whole addresses of the same origin", async () => {
    const routes: Record<string, RawAnswer> = { [RESET]: { status: 204 } };
    const { device, address } = await serve(routes);
    const Actions = { "#ComputerSystem.Reset": { target: address + RESET_PATH } };
    routes[SYSTEM] = { body: systemBody({ Actions }) };
    expect((await device.requestOff(CALL)).kind).toBe("accepted");
  });
});

describe("sessions", () => {
  const root = { body: { SessionService: { "@odata.id": "/redfish/v1/SessionService" } } };
  const login = "POST /redfish/v1/SessionService/Sessions";
  const token = { "x-auth-token": "tok-5e55" };

  it("are found without the root's link to them, and deleted where the answer or its body says", async () => {
    for (const created of [
      { status: 201, headers: { ...token, location: "/redfish/v1/SessionService/Sessions/9" } },
      { status: 201, headers: token, body: { "@odata.id": "/redfish/v1/SessionService/Sessions/9" } },
    ]) {
      const gone = "DELETE /redfish/v1/SessionService/Sessions/9";
      const { device, seen } = await serve(
        {
          "GET /redfish/v1/": root,
          [login]: created,
          [SYSTEM]: { body: systemBody() },
          [gone]: { status: 204 },
        },
        { ...THE_ONE, auth: "Auto" },
      );
      expect(await device.readPower(CALL)).toMatchObject({ ok: true });
      await device.close();
      expect(seen.slice(-2)).toEqual([`${SYSTEM} tok-5e55`, `${gone} tok-5e55`]);
    }
  });

  it.each<[string, RawAnswer]>([
    ["creates one without a token", { status: 201 }],
    ["knows no such path", { status: 404 }],
    ["fails at it", { status: 500 }],
  ])("are done without where the service %s", async (_, answer) => {
    const { device, seen } = await serve(
      { "GET /redfish/v1/": root, [login]: answer, [SYSTEM]: { body: systemBody() } },
      { ...THE_ONE, auth: "Auto" },
    );
    expect(await device.readPower(CALL)).toMatchObject({ ok: true });
    expect(seen.at(-1)).toBe(`${SYSTEM} Basic`);
  });

  it("are not tried with Basic as well where the password is wrong, lest the account be locked", async () => {
    const denied = {
      error: { "@Message.ExtendedInfo": [{ MessageId: "iLO.2.14.UnauthorizedLoginAttempt" }] },
    };
    for (const answer of [{ status: 401 }, { status: 400, body: denied }]) {
      const { device, seen } = await serve(
        { "GET /redfish/v1/": root, [login]: answer },
        { ...THE_ONE, auth: "Auto" },
      );
      expect(await device.readPower(CALL)).toMatchObject({ ok: false, kind: "denied" });
      expect(seen).toEqual(["GET /redfish/v1/", login]);
    }
  });

  it("are where the standard has them when the root itself wants a login", async () => {
    const created = { status: 201, headers: token };
    const { device } = await serve(
      { "GET /redfish/v1/": { status: 401 }, [login]: created, [SYSTEM]: { body: systemBody() } },
      { ...THE_ONE, auth: "Session" },
    );
    expect(await device.readPower(CALL)).toMatchObject({ ok: true });
  });

  it("never show their token, even where the service puts it into an error", async () => {
    const body = { error: { message: "token tok-5e55 of fence-operator may not reset" } };
    const { device } = await serve(
      {
        "GET /redfish/v1/": root,
        [login]: { status: 201, headers: token },
        [SYSTEM]: { body: systemBody() },
        [RESET]: { status: 403, body },
      },
      { ...THE_ONE, auth: "Auto" },
    );
    const answer = await device.requestOff(CALL);
    expect(answer.message).toBe("HTTP 403: token *** of fence-operator may not reset");
  });
});

describe("connections", () => {
  it("that the service closes after each answer are made anew", async () => {
    const { device } = await serve({ [SYSTEM]: { body: systemBody(), headers: { connection: "close" } } });
    for (let reads = 0; reads < 3; reads++) expect(await device.readPower(CALL)).toMatchObject({ ok: true });
  });

  it("that turn out to be dead when they are used again cost a reading nothing", async () => {
    let readings = 0;
    const { device } = await serve({
      [SYSTEM]: ({ socket }) => {
        if (++readings === 2) socket.destroy();
        return { body: systemBody() };
      },
    });
    expect(await device.readPower(CALL)).toMatchObject({ ok: true });
    expect(await device.readPower(CALL)).toMatchObject({ ok: true });
    expect(readings).toBe(3);
  });

  it("that die under a reset are not tried again: it may have been carried out", async () => {
    let resets = 0;
    const { device } = await serve({
      [SYSTEM]: { body: systemBody() },
      [RESET]: ({ socket }) => {
        resets++;
        socket.destroy();
        return {};
      },
    });
    expect((await device.requestOff(CALL)).kind).toBe("noAnswer");
    expect(resets).toBe(1);
  });

  it("may be TLS 1.2, as older BMCs have no other", async () => {
    const { device } = await serve({ [SYSTEM]: { body: systemBody() } }, THE_ONE, { maxVersion: "TLSv1.2" });
    expect(await device.readPower(CALL)).toMatchObject({ ok: true });
  });

  it("below TLS 1.2 are refused as untrusted", async () => {
    const { device } = await serve({ [SYSTEM]: { body: systemBody() } }, THE_ONE, {
      minVersion: "TLSv1",
      maxVersion: "TLSv1.1",
      ciphers: "ALL:@SECLEVEL=0",
    });
    expect(await device.readPower(CALL)).toMatchObject({ ok: false, kind: "untrusted" });
  });

  it("to a name that does not exist are unreachable", async () => {
    const { device } = await serve({}, { address: "https://bmc.invalid" });
    expect(await device.readPower(CALL)).toMatchObject({ ok: false, kind: "unreachable" });
  });
});
