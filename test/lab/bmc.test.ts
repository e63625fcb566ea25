// The lab BMC as any Redfish client meets it; the client here is undici alone, so that no shared mistake hides.
import { connect as connectTcp, type Socket } from "node:net";
import { Agent, request } from "undici";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { PowerSwitch } from "../../lab/bmc/power-switch.ts";
import { type Bmc, startBmc } from "../../lab/bmc/redfish-bmc.ts";
import { createCertificateAuthority } from "../../lab/control-plane/certificate-authority.ts";

const authority = createCertificateAuthority("Holdfast test BMC CA");
const certificate = authority.issue({ commonName: "bmc", hosts: ["127.0.0.1"], usages: ["serverAuth"] });
const BASIC = { authorization: `Basic ${Buffer.from("admin:s3cret").toString("base64")}` };

let power: PowerSwitch & { state: "On" | "Off" };
let bmc: Bmc;
let agent: Agent;

beforeEach(async () => {
  power = {
    state: "On",
    read() {
      return this.state;
    },
    async off() {
      this.state = "Off";
    },
    async on() {
      this.state = "On";
    },
  };
  bmc = await startBmc({ power, node: "node-1", username: "admin", password: "s3cret", certificate });
  agent = new Agent({ connect: { ca: authority.certPem, timeout: 500 } });
});
afterEach(async () => {
  await agent.destroy();
  await bmc.stop();
});

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Record<string, unknown>;
}

async function call(
  method: "GET" | "POST" | "DELETE" | "PATCH",
  path: string,
  options: { headers?: Record<string, string>; body?: object; timeoutMs?: number } = {},
): Promise<Answer> {
  const response = await request(bmc.address + path, {
    method,
    dispatcher: agent,
    headers: { "content-type": "application/json", ...(options.headers ?? BASIC) },
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    signal: AbortSignal.timeout(options.timeoutMs ?? 5_000),
  });
  const text = await response.body.text();
  const body = text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
  return { status: response.statusCode, headers: response.headers, body };
}

const reset = (type: string) =>
  call("POST", `${bmc.systemPath}/Actions/ComputerSystem.Reset`, { body: { ResetType: type } });
const powerState = async () => (await call("GET", bmc.systemPath)).body["PowerState"];

function messageIdOf(answer: Answer): string {
  const { error } = answer.body as { error: { "@Message.ExtendedInfo": { MessageId: string }[] } };
  return error["@Message.ExtendedInfo"][0]?.MessageId ?? "";
}

describe("documents", () => {
  it("lead from the root to the system and its reset action", async () => {
    const root = await call("GET", "/redfish/v1/", { headers: {} });
    const systems = (root.body["Systems"] as { "@odata.id": string })["@odata.id"];
    const members = (await call("GET", systems)).body["Members"];
    expect(members).toEqual([{ "@odata.id": bmc.systemPath }]);
    expect((await call("GET", bmc.systemPath)).body).toMatchObject({
      "@odata.type": expect.stringMatching(/^#ComputerSystem\./),
      PowerState: "On",
      HostName: "node-1",
      UUID: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
      Actions: {
        "#ComputerSystem.Reset": {
          "ResetType@Redfish.AllowableValues": expect.arrayContaining(["ForceOff"]),
        },
      },
    });
  });

  it("carry an ETag that changes with them and spares an unchanged answer", async () => {
    const first = await call("GET", bmc.systemPath);
    const etag = String(first.headers["etag"]);
    const again = await call("GET", bmc.systemPath, { headers: { ...BASIC, "if-none-match": etag } });
    expect(again.status).toBe(304);
    power.state = "Off";
    expect((await call("GET", bmc.systemPath)).headers["etag"]).not.toBe(etag);
  });

  it("that do not exist, or cannot be changed, are errors in Redfish form", async () => {
    const missing = await call("GET", "/redfish/v1/Chassis/9");
    expect([missing.status, messageIdOf(missing)]).toEqual([404, "Base.1.18.ResourceMissingAtURI"]);
    const patched = await call("PATCH", bmc.systemPath, { body: {} });
    expect([patched.status, messageIdOf(patched)]).toEqual([405, "Base.1.18.OperationNotAllowed"]);
  });
});

describe("who may ask", () => {
  it("is told only the root without credentials", async () => {
    expect((await call("GET", "/redfish/v1", { headers: {} })).status).toBe(200);
    const refused = await call("GET", bmc.systemPath, { headers: {} });
    expect(refused.status).toBe(401);
    expect(refused.headers["www-authenticate"]).toContain("Basic");
    const wrong = { authorization: `Basic ${Buffer.from("admin:wrong").toString("base64")}` };
    expect((await call("GET", bmc.systemPath, { headers: wrong })).status).toBe(401);
  });

  it("may log in for a session, use its token, and log out", async () => {
    const sessions = "/redfish/v1/SessionService/Sessions";
    const login = { UserName: "admin", Password: "s3cret" };
    const created = await call("POST", sessions, { headers: {}, body: login });
    expect(created.status).toBe(201);
    const token = { "x-auth-token": String(created.headers["x-auth-token"]) };
    const location = String(created.headers["location"]);
    expect((await call("GET", bmc.systemPath, { headers: token })).status).toBe(200);
    expect(bmc.sessionCount()).toBe(1);
    expect((await call("DELETE", location, { headers: token })).status).toBe(204);
    expect((await call("GET", bmc.systemPath, { headers: token })).status).toBe(401);
    const rejected = await call("POST", sessions, { headers: {}, body: { ...login, Password: "wrong" } });
    expect(rejected.status).toBe(401);
  });

  it("finds no more than eight sessions, and none after they have expired", async () => {
    const login = { UserName: "admin", Password: "s3cret" };
    const open = () => call("POST", "/redfish/v1/SessionService/Sessions", { headers: {}, body: login });
    for (let count = 0; count < 8; count++) expect((await open()).status).toBe(201);
    expect((await open()).status).toBe(503);
    bmc.expireSessions();
    expect((await open()).status).toBe(201);
  });
});

describe("resets", () => {
  it.each([
    ["ForceOff", "On", 204, "Off"],
    ["ForceOff", "Off", 409, "Off"],
    ["GracefulShutdown", "On", 204, "Off"],
    ["On", "Off", 204, "On"],
    ["On", "On", 409, "On"],
    ["ForceOn", "Off", 204, "On"],
    ["ForceRestart", "On", 204, "On"],
    ["ForceRestart", "Off", 409, "Off"],
    ["Nonsense", "On", 400, "On"],
  ] as const)(
    "%s of a machine that is %s answers %i and leaves it %s",
    async (type, before, status, after) => {
      power.state = before;
      expect((await reset(type)).status).toBe(status);
      expect([power.state, await powerState()]).toEqual([after, after]);
    },
  );

  it("move LastResetTime", async () => {
    const before = (await call("GET", bmc.systemPath)).body["LastResetTime"];
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
    await reset("ForceOff");
    expect((await call("GET", bmc.systemPath)).body["LastResetTime"]).not.toBe(before);
  });

  it("that the power switch fails are a 500, and the BMC lives on", async () => {
    power.off = () => Promise.reject(new Error("relay welded"));
    expect((await reset("ForceOff")).status).toBe(500);
    expect(await powerState()).toBe("On");
  });
});

describe("faults", () => {
  const tcp = (): Promise<Socket | string> =>
    new Promise((resolve) => {
      const { hostname, port } = new URL(bmc.address);
      const socket = connectTcp(Number(port), hostname, () => resolve(socket));
      socket.once("error", (error) => resolve("code" in error ? String(error.code) : "error"));
    });
  const outcome = (answer: Promise<Answer>): Promise<string> =>
    answer.then(
      ({ status }) => `HTTP ${status}`,
      (error: Error) => error.name,
    );

  it("down: connections are refused, open ones break, and the same port serves again afterwards", async () => {
    const { address } = bmc;
    expect(await powerState()).toBe("On");
    await bmc.faults.set({ down: true });
    expect(await tcp()).toBe("ECONNREFUSED");
    await bmc.faults.clear();
    expect(bmc.address).toBe(address);
    expect(await powerState()).toBe("On");
  });

  it("silent: TCP connects, and then nothing, on old connections and new", async () => {
    expect(await powerState()).toBe("On");
    await bmc.faults.set({ silent: true });
    const socket = await tcp();
    expect(typeof socket).toBe("object");
    if (typeof socket === "object") socket.destroy();
    expect(await outcome(call("GET", bmc.systemPath, { timeoutMs: 200 }))).toMatch(/TimeoutError$/);
  });

  it("dead with its host: silent while the machine is off, whoever switched it off", async () => {
    await bmc.faults.set({ deadWithHost: true });
    expect(await powerState()).toBe("On");
    power.state = "Off";
    expect(await outcome(call("GET", bmc.systemPath, { timeoutMs: 200 }))).toMatch(/TimeoutError$/);
    power.state = "On";
    expect(await powerState()).toBe("On");
  });

  it("loseReply and noReply act all the same", async () => {
    await bmc.faults.set({ loseReply: true });
    expect(await outcome(reset("ForceOff"))).toBe("SocketError");
    expect(power.state).toBe("Off");
    power.state = "On";
    await bmc.faults.set({ loseReply: false, noReply: true });
    const waiting = call("POST", `${bmc.systemPath}/Actions/ComputerSystem.Reset`, {
      body: { ResetType: "ForceOff" },
      timeoutMs: 200,
    });
    expect(await outcome(waiting)).toBe("TimeoutError");
    expect(power.state).toBe("Off");
  });

  it("slowOff acts after its answer, and not any more once the BMC is stopped", async () => {
    await bmc.faults.set({ slowOffMs: 50 });
    expect((await reset("ForceOff")).status).toBe(204);
    expect(power.state).toBe("On");
    await expect.poll(() => power.state).toBe("Off");
    power.state = "On";
    await reset("ForceOff");
    await bmc.stop();
    await new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
    expect(power.state).toBe("On");
  });

  it("busy names a pause; counted faults wear off", async () => {
    await bmc.faults.set({ busyResets: 1, retryAfterS: 7, hangNext: 0 });
    const busy = await reset("ForceOff");
    expect([busy.status, busy.headers["retry-after"]]).toEqual([503, "7"]);
    expect((await reset("ForceOff")).status).toBe(204);
    power.state = "On";
    await bmc.faults.set({ lieOff: 2 });
    expect([await powerState(), await powerState(), await powerState()]).toEqual(["Off", "Off", "On"]);
  });

  it("are told as they stand, and heal together", async () => {
    await bmc.faults.set({ ignore: true, delayMs: 5 });
    expect(bmc.faults.current()).toMatchObject({ ignore: true, delayMs: 5, down: false });
    expect((await reset("ForceOff")).status).toBe(204);
    expect(power.state).toBe("On");
    await bmc.faults.clear();
    expect(bmc.faults.current()).toMatchObject({ ignore: false, delayMs: 0 });
  });
});

describe("the log", () => {
  it("has every request with its time, connection, admission and status", async () => {
    const startedMs = performance.now();
    await call("GET", bmc.systemPath, { headers: {} });
    await reset("ForceOff");
    const [first, second] = bmc.requests;
    expect(first).toMatchObject({ method: "GET", path: bmc.systemPath, admitted: false, status: 401 });
    expect(second).toMatchObject({ method: "POST", resetType: "ForceOff", admitted: true, status: 204 });
    expect(first?.atMs).toBeGreaterThanOrEqual(startedMs);
    expect(second?.atMs).toBeGreaterThan(first?.atMs ?? 0);
  });
});

describe("many BMCs", () => {
  it("live in one process, each on its own port with its own machine", async () => {
    const switches = Array.from({ length: 50 }, () => {
      let state: "On" | "Off" = "On";
      return {
        read: () => state,
        off: async () => {
          state = "Off";
        },
        on: async () => {
          state = "On";
        },
      };
    });
    const many = await Promise.all(
      switches.map((power, index) =>
        startBmc({ power, node: `node-${index}`, username: "admin", password: "s3cret", certificate }),
      ),
    );
    expect(new Set(many.map(({ address }) => address)).size).toBe(50);
    const seventh = many[7];
    const response = await request(`${seventh?.address}${seventh?.systemPath}/Actions/ComputerSystem.Reset`, {
      method: "POST",
      dispatcher: agent,
      headers: BASIC,
      body: JSON.stringify({ ResetType: "ForceOff" }),
    });
    expect(response.statusCode).toBe(204);
    expect(switches.map((power) => power.read()).filter((state) => state === "Off")).toHaveLength(1);
    await Promise.all(many.map((one) => one.stop()));
  });
});
