import { describe, expect, it } from "vitest";
import { LEVEL, SECRET_PATH } from "./act-fixture.ts";
import { IDENTITY } from "./fake-device.ts";
import { INTERVAL_MS, ReadinessScene } from "./readiness-scene.ts";

const denied = { ok: false, kind: "denied", message: "the device answers 401" } as const;
const unreachable = { ok: false, kind: "unreachable", message: "connection refused" } as const;

describe("the pace of readiness checks", () => {
  it("checks every node at once at first, a few at a time, and then once in each interval", async () => {
    const scene = new ReadinessScene(40);
    scene.maxConcurrent = 5;
    scene.rounds();
    await scene.pass(30_000);
    expect(scene.busiest).toBe(5);
    expect([...scene.devices.keys()].map((name) => scene.reads(name))).toEqual(Array(40).fill(1));
    await scene.pass(3 * INTERVAL_MS);
    for (const name of scene.devices.keys()) {
      expect(scene.reads(name)).toBeGreaterThanOrEqual(3);
      expect(scene.reads(name)).toBeLessThanOrEqual(5);
    }
  });

  it("drifts apart, a tenth of the interval either way, so that devices behind one gateway are not asked in step", async () => {
    const scene = new ReadinessScene(3);
    const draws = [0, 0.5, 1];
    let drawn = 0;
    scene.random = () => draws[drawn++ % draws.length] ?? 0;
    scene.rounds();
    await scene.pass(10_000);
    const begun = () => [...scene.devices.keys()].map((name) => scene.reads(name) > 1);
    await scene.pass(0.9 * INTERVAL_MS - 12_000);
    expect(begun()).toEqual([false, false, false]);
    const seen: number[] = [];
    for (let passedMs = 0; passedMs < 0.2 * INTERVAL_MS + 12_000; passedMs += 1_000) {
      await scene.pass(1_000);
      seen.push(begun().filter(Boolean).length);
    }
    expect(new Set(seen)).toEqual(new Set([0, 1, 2, 3]));
    for (const count of [1, 2]) expect(seen.filter((one) => one === count).length).toBeGreaterThan(20);
  });

  it("writes each node once, and nothing more while the meaning stays, however often it checks", async () => {
    const scene = new ReadinessScene(3);
    scene.rounds();
    await scene.pass(5 * INTERVAL_MS);
    expect(scene.statusWrites).toHaveLength(3);
    expect(scene.events).toEqual([]);
    expect(scene.secretReads).toBeLessThanOrEqual(3);
  });

  it("is taken over by a new leader without a burst", async () => {
    const scene = new ReadinessScene(100);
    const first = scene.rounds();
    await scene.pass(60_000);
    first.stop();
    const before = [...scene.devices.keys()].map((name) => scene.reads(name));
    let drawn = 0;
    scene.random = () => (drawn++ % 100) / 100;
    scene.rounds(8);
    await scene.pass(INTERVAL_MS / 10);
    const checked = [...scene.devices.keys()].filter((name, i) => scene.reads(name) > (before[i] ?? 0));
    expect(checked.length).toBeGreaterThan(2);
    expect(checked.length).toBeLessThan(25);
  });

  it("checks at once what is new: a node, and all nodes of a topology that changed", async () => {
    const scene = new ReadinessScene(2);
    scene.rounds();
    await scene.pass(20_000);
    scene.addNode("node-3");
    await scene.pass(3_000);
    expect(scene.reads("node-3")).toBe(1);
    expect(scene.reads("node-1")).toBe(1);
    scene.generation = 2;
    await scene.pass(3_000);
    expect([1, 2, 3].map((i) => scene.reads(`node-${i}`))).toEqual([2, 2, 2]);
  });

  it("asks nothing of a node that is no target any more, and gives up what is under way", async () => {
    const scene = new ReadinessScene(1);
    const device = scene.device("node-1");
    device.after = () => new Promise(() => {});
    scene.rounds();
    await scene.pass(2_000);
    scene.targets.clear();
    await scene.pass(2 * INTERVAL_MS);
    expect(scene.reads("node-1")).toBe(1);
    expect(scene.statusWrites).toEqual([]);
  });

  it("uses a rotated Secret at once, and reads it only when it was changed", async () => {
    const scene = new ReadinessScene(2);
    const rounds = scene.rounds();
    await scene.pass(2 * INTERVAL_MS);
    const readsBefore = scene.secretReads;
    const data = { username: btoa("admin"), password: btoa("rotated") };
    scene.scene.api.objects.change(SECRET_PATH, (secret) => (secret["data"] = data));
    rounds.secretChanged("holdfast-system", "bmc");
    await scene.pass(3_000);
    expect(scene.passwords.slice(-2)).toEqual(["rotated", "rotated"]);
    expect(new Set(scene.passwords)).toEqual(new Set(["s3cret", "rotated"]));
    expect(scene.secretReads - readsBefore).toBeLessThanOrEqual(2);
  });
});

describe("what a check comes to", () => {
  it("is ready where it logs in, reads On of the machine meant, and could cut it; it leaves what vouches for that", async () => {
    const scene = new ReadinessScene(1);
    scene.rounds();
    await scene.pass(2_000);
    expect(scene.standing("node-1")).toMatchObject([
      { level: "bmc", ready: true, reason: "DeviceReady", seen: { state: "On" } },
    ]);
  });

  it("is told at once where a device denies, with an Event; and again when it is well", async () => {
    const scene = new ReadinessScene(1);
    scene.device("node-1").misread = () => denied;
    const rounds = scene.rounds();
    await scene.pass(2_000);
    expect(scene.standing("node-1")).toMatchObject([
      { ready: false, reason: "DeviceDenied", seen: undefined },
    ]);
    scene.device("node-1").misread = () => undefined;
    rounds.secretChanged("holdfast-system", "bmc");
    await scene.pass(2_000);
    expect(scene.standing("node-1")).toMatchObject([{ ready: true }]);
    expect(scene.events.map(({ reason, message }) => `${reason}: ${message}`)).toEqual([
      expect.stringMatching(/^FencingNotReady: node-1 could not be fenced now by level bmc, because .*401/),
      "FencingReady: node-1 can be fenced again by level bmc",
    ]);
  });

  it("takes no readiness away for one passing failure, and does for two in a row, keeping what the device was read as", async () => {
    const scene = new ReadinessScene(1);
    const rounds = scene.rounds();
    await scene.pass(5_000);
    let failures = 1;
    scene.device("node-1").misread = () => (failures-- > 0 ? unreachable : undefined);
    rounds.secretChanged("holdfast-system", "bmc");
    await scene.pass(60_000);
    expect(scene.standing("node-1")).toMatchObject([{ ready: true }]);
    failures = 2;
    rounds.secretChanged("holdfast-system", "bmc");
    await scene.pass(30_000);
    expect(scene.standing("node-1")).toMatchObject([
      {
        ready: false,
        reason: "DeviceUnreachable",
        message: expect.stringContaining("; last ready 2026-11-22T"),
        seen: { state: "On" },
      },
    ]);
  });

  it.each([
    [
      "another machine answers",
      { identity: { ...IDENTITY, uuid: "11111111-2222-4333-8444-555555555555" } },
      "WrongMachine",
    ],
    ["power could not be cut", { obstacle: "no ForceOff" }, "CannotPowerOff"],
    ["one of several devices says Off", { mixed: "a On, b Off" }, "PowerStateMixed"],
    ["it tells no state", { state: "Unknown" as const }, "PowerStateUnknown"],
  ])("is not ready where %s", async (_what, change, reason) => {
    const scene = new ReadinessScene(1);
    scene.device("node-1").misread = () => ({ ok: true, state: "On", identity: IDENTITY, ...change });
    scene.rounds();
    await scene.pass(40_000);
    expect(scene.standing("node-1")).toMatchObject([{ ready: false, reason }]);
  });

  it("holds Off against a device only once the node has lived on", async () => {
    const scene = new ReadinessScene(1);
    scene.rounds();
    await scene.pass(5_000);
    scene.device("node-1").state = "Off";
    scene.livedUntilMs.set("node-1", 5_000);
    await scene.pass(INTERVAL_MS + 100_000);
    expect(scene.standing("node-1")).toMatchObject([{ ready: true, seen: { state: "On" } }]);
    scene.livedUntilMs.delete("node-1");
    await scene.pass(60_000);
    expect(scene.standing("node-1")).toMatchObject([
      { ready: false, reason: "PowerStateContradicted", seen: { state: "Off" } },
    ]);
    expect(scene.events.at(-1)?.message).toContain("says Off of node-1, which is alive");
  });

  it("is told of settings that lead nowhere, by the field", async () => {
    const scene = new ReadinessScene(1);
    scene.levels[0] = { ...LEVEL, redfish: { ...LEVEL.redfish, systemId: "${node.labels['slot']}" } };
    scene.rounds();
    await scene.pass(3_000);
    expect(scene.standing("node-1")).toMatchObject([
      { ready: false, reason: "Misconfigured", message: expect.stringContaining("systemId needs") },
    ]);
  });

  it("goes from the node with the level it was about", async () => {
    const scene = new ReadinessScene(1);
    scene.levels.push({ ...LEVEL, name: "second" });
    scene.rounds();
    await scene.pass(3_000);
    expect(scene.standing("node-1").map(({ level }) => level)).toEqual(["bmc", "second"]);
    scene.levels.pop();
    scene.generation = 2;
    await scene.pass(3_000);
    expect(scene.standing("node-1").map(({ level }) => level)).toEqual(["bmc"]);
  });

  it("is not written by a leader that was replaced meanwhile", async () => {
    const scene = new ReadinessScene(1);
    scene.device("node-1").after = () => {
      scene.scene.leading = false;
    };
    scene.rounds();
    await scene.pass(30_000);
    expect(scene.statusWrites).toEqual([]);
  });
});
