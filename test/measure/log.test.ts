import { beforeEach, describe, expect, it } from "vitest";
import { createLog, type Log, type LogOptions, roomLog, turnLog } from "../../src/measure/log.ts";

let lines: string[];

beforeEach(() => {
  lines = [];
});

function logOf(overrides: Partial<LogOptions> = {}): Log {
  return createLog({ level: "info", format: "json", write: (line) => lines.push(line), ...overrides });
}

function last(): Record<string, unknown> {
  return JSON.parse(lines.at(-1) ?? "{}") as Record<string, unknown>;
}

describe("a line", () => {
  it("is one JSON object with time, level, room, turn and fields", () => {
    const log = turnLog(roomLog(logOf({ fields: { identity: "holdfast-0_a1" } }), "decide"), 42);
    log.warn({ node: "worker-1", leaseAgeMs: 12_500 }, "node is suspect");
    expect(lines).toHaveLength(1);
    expect(last()).toEqual({
      level: "warn",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      identity: "holdfast-0_a1",
      room: "decide",
      turn: 42,
      node: "worker-1",
      leaseAgeMs: 12_500,
      msg: "node is suspect",
    });
  });

  it("below the level is not written", () => {
    logOf().debug({}, "unseen");
    expect(lines).toEqual([]);
  });

  it("carries an error with type, message, stack and cause", () => {
    logOf().error({ err: new Error("outer", { cause: new TypeError("inner") }) }, "it broke");
    expect(last()).toMatchObject({
      msg: "it broke",
      err: {
        type: "Error",
        message: expect.stringContaining("outer"),
        stack: expect.stringContaining("inner"),
      },
    });
  });

  it("for people has time, level, room and message in columns, and an error's stack below", () => {
    const log = roomLog(logOf({ format: "text" }), "act");
    log.info({ node: "worker-1", reason: "two words", turn: 3 }, "fencing began");
    expect(lines[0]).toMatch(
      /^\d\d:\d\d:\d\d\.\d{3} INFO {2}act {6}fencing began node=worker-1 reason=two words turn=3\n$/,
    );
    log.error({ err: new Error("boom") }, "it broke");
    expect(lines[1]).toMatch(/ERROR act {6}it broke\nError: boom\n {4}at /);
  });
});

describe("secrets", () => {
  it("are masked by key at any depth and in any spelling, and their neighbours are not", () => {
    const fields = {
      password: "p1",
      bmc: { BMC_PASSWORD: "p2", address: "10.0.0.1" },
      list: [{ accessToken: "p3", secretName: "bmc-worker-1" }],
      headers: { Authorization: "p4", "X-Auth-Token": "p5", "set-cookie": ["p6"] },
      credentials: { user: "p7" },
      tokens: 5,
    };
    logOf().info(fields, "connected");
    expect(lines[0]).not.toMatch(/p\d"/);
    expect(last()).toMatchObject({
      password: "[redacted]",
      bmc: { BMC_PASSWORD: "[redacted]", address: "10.0.0.1" },
      list: [{ accessToken: "[redacted]", secretName: "bmc-worker-1" }],
      tokens: 5,
    });
  });

  it("are masked in children's fields and in errors", () => {
    const log = logOf({ fields: { token: "p1" } }).with({ clientSecret: "p2" });
    log.error({ err: Object.assign(new Error("x"), { request: { headers: { authorization: "p3" } } }) }, "x");
    expect(lines[0]).not.toMatch(/p\d"/);
    expect(lines[0]).toContain("[redacted]");
  });

  it("are blanked inside texts: HTTP credentials and the user information of URLs", () => {
    logOf().info(
      { url: "https://admin:hunter2@bmc.example/redfish" },
      "sent Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6",
    );
    expect(lines[0]).not.toContain("hunter2");
    expect(lines[0]).not.toContain("eyJhbGci");
    expect(last()).toMatchObject({
      url: "https://admin:[redacted]@bmc.example/redfish",
      msg: "sent Bearer [redacted]",
    });
  });

  it("a circle or an endless depth does not stop the log", () => {
    const circle: Record<string, unknown> = { password: "p1" };
    circle["self"] = circle;
    logOf().info({ circle }, "round");
    expect(last()["msg"]).toBe("round");
    expect(lines[0]).not.toContain("p1");
    expect(lines[0]).toContain("[too deep]");
  });
});
