import { describe, expect, it } from "vitest";
import type { DeviceFailureKind } from "../../src/act/fence/fence-device.ts";
import type { NotOffResult, OffResult } from "../../src/act/fence/power-off-result.ts";
import { type AnswerStep, play, type Played, type ReadStep, THIS_SYSTEM } from "./fence-scripted-device.ts";

function offResult(played: Played): OffResult {
  if (played.result.outcome !== "off") throw new Error(`not off: ${JSON.stringify(played.result)}`);
  return played.result;
}

function notOffResult(played: Played): NotOffResult {
  if (played.result.outcome !== "notOff") throw new Error("off, though it must not be");
  return played.result;
}

describe("a node that goes down", () => {
  it("is off after a request and two readings of Off, the second over a new connection", async () => {
    const played = await play({ reads: ["On", "Off", "Off"] });
    const result = offResult(played);
    expect(result).toMatchObject({ how: "PoweredOff", requests: 1, firstRequestAfterMs: 10 });
    expect(result.readings.map((reading) => reading.fresh)).toEqual([false, true]);
    expect(result.provenAfterMs).toBe(10 + 10 + 10 + 250 + 10);
    expect(played.device.seen.map((seen) => seen.call)).toEqual(["read", "requestOff", "read", "read"]);
  });

  it("is polled at growing intervals while it goes down slowly", async () => {
    const played = await play({ reads: [...Array<ReadStep>(12).fill("On"), "Off"] });
    expect(offResult(played).how).toBe("PoweredOff");
    const reads = played.device.seen.filter((seen) => seen.call === "read").map((seen) => seen.atMs);
    const pauses = reads.slice(2).map((atMs, index) => atMs - (reads[index + 1] ?? 0) - 10);
    expect(pauses.slice(0, 9).map(Math.round)).toEqual([250, 375, 563, 844, 1266, 1898, 2000, 2000, 2000]);
    expect(pauses.at(-1)).toBe(250);
  });

  it("is cut even when something else is already powering it off, since a shutdown may hang", async () => {
    const played = await play({ reads: ["PoweringOff", "PoweringOff", "Off"] });
    expect(offResult(played)).toMatchObject({ how: "PoweredOff", requests: 1 });
  });

  it.each<ReadStep>(["Unknown", "PoweringOn"])("is cut when its state reads %s", async (state) => {
    expect(offResult(await play({ reads: [state, "Off"] })).requests).toBe(1);
  });
});

describe("a node that is off already", () => {
  it("is proven off without a request, by a second reading a second later over a new connection", async () => {
    const played = await play({ reads: ["Off"] });
    const result = offResult(played);
    expect(result).toMatchObject({ how: "AlreadyOff", requests: 0, firstRequestAfterMs: undefined });
    expect(result.readings[1].at.monotonicMs - result.readings[0].at.monotonicMs).toBe(1_010);
    expect(result.readings[1].fresh).toBe(true);
    expect(played.asked).toEqual([]);
  });

  it("is not believed off by a device that says so once and then says On", async () => {
    const played = await play({ reads: ["Off", "On", "Off", "Off"] });
    expect(offResult(played)).toMatchObject({ how: "PoweredOff", requests: 1 });
    expect(played.device.seen.map((seen) => seen.call)).toEqual([
      "read",
      "read",
      "requestOff",
      "read",
      "read",
    ]);
  });

  it("is proven off when a reading fails between the two that say Off", async () => {
    expect(offResult(await play({ reads: ["Off", "timeout", "Off"] })).how).toBe("AlreadyOff");
  });

  it("is not proven off by one reading when the confirming ones fail", async () => {
    const result = notOffResult(await play({ reads: ["Off", "unreachable"] }));
    expect(result).toMatchObject({ kind: "unreachable", lastState: "Off", requests: 0, mayHaveActed: false });
  });

  it("is proven off when the device refuses the request because it is off", async () => {
    const played = await play({ reads: ["On", "Off"], answers: ["refused"] });
    expect(offResult(played)).toMatchObject({ how: "AlreadyOff", requests: 1 });
  });
});

describe("leave to shoot", () => {
  it("is asked right before the request, with the newest reading and the attempt's number", async () => {
    const told: string[] = [];
    const played = await play(
      { reads: ["unreachable", "On", "Off"] },
      {
        beforeRequest: async (reading, attempt) => {
          told.push(`${attempt} ${reading.state} ${reading.identity.uuid}`);
          return true;
        },
      },
    );
    expect(told).toEqual([`1 On ${THIS_SYSTEM.uuid}`]);
    expect(offResult(played).requests).toBe(1);
  });

  it("withheld means that nothing is sent", async () => {
    const played = await play({ reads: ["On"] }, { beforeRequest: async () => false });
    expect(notOffResult(played)).toMatchObject({ kind: "abandoned", requests: 0, mayHaveActed: false });
    expect(played.device.requests).toBe(0);
  });

  it("that comes after the deadline means that nothing is sent", async () => {
    const played = await play(
      { reads: ["On"] },
      { deadlineMs: 3_000, beforeRequest: () => new Promise(() => undefined) },
    );
    expect(notOffResult(played)).toMatchObject({ kind: "timeout", lastState: "On", requests: 0 });
    expect(played.device.requests).toBe(0);
    expect(played.lastedMs).toBeLessThanOrEqual(3_005);
  });

  it("that cannot be obtained because the caller fails is the caller's error", async () => {
    const broken = play(
      { reads: ["On"] },
      { beforeRequest: () => Promise.reject(new Error("no API server")) },
    );
    await expect(broken).rejects.toThrow("no API server");
  });

  it("is asked anew before every repeated request", async () => {
    const played = await play(
      { reads: ["On", "On", "On", "Off"], answers: ["busy", "busy", "accepted"] },
      { beforeRequest: async (_, attempt) => attempt < 3 },
    );
    expect(notOffResult(played)).toMatchObject({ kind: "abandoned", requests: 2 });
    expect(played.asked).toEqual([1, 2, 3]);
  });
});

describe("a device that says no", () => {
  it("has refused only after a reading that still says On", async () => {
    const played = await play({ reads: ["On"], answers: ["refused"] });
    expect(notOffResult(played)).toMatchObject({ kind: "refused", lastState: "On", mayHaveActed: false });
    expect(played.device.seen.map((seen) => seen.call)).toEqual(["read", "requestOff", "read"]);
  });

  it("is waited for when the node is on its way down all the same", async () => {
    const played = await play({
      reads: ["On", "PoweringOff", "PoweringOff", "Off"],
      answers: ["refused"],
    });
    expect(offResult(played).how).toBe("AlreadyOff");
  });

  it("has refused when the node never gets down in time", async () => {
    const played = await play({ reads: ["On", "PoweringOff"], answers: ["refused"] }, { deadlineMs: 5_000 });
    expect(notOffResult(played)).toMatchObject({ kind: "refused", lastState: "PoweringOff" });
  });

  it("is not asked again with a password it has rejected, lest the account be locked", async () => {
    const played = await play({ reads: ["denied"] });
    expect(notOffResult(played).kind).toBe("denied");
    expect(played.device.seen).toHaveLength(1);
  });

  it.each<AnswerStep>(["denied", "misconfigured", "untrusted"])(
    "ends at once when a request is %s",
    async (kind) => {
      const played = await play({ reads: ["On"], answers: [kind] });
      expect(notOffResult(played)).toMatchObject({
        kind: kind === "denied" ? "denied" : "misconfigured",
        mayHaveActed: false,
      });
      expect(played.lastedMs).toBeLessThan(100);
    },
  );

  it.each<DeviceFailureKind>(["misconfigured", "untrusted"])(
    "ends as misconfigured when a reading is %s",
    async (kind) => {
      const played = await play({ reads: [kind] });
      expect(notOffResult(played)).toMatchObject({
        kind: "misconfigured",
        message: `scripted ${kind}`,
      });
      expect(played.device.seen).toHaveLength(1);
    },
  );

  it("that cannot cut power is misconfigured before leave is asked", async () => {
    const played = await play({ reads: [{ state: "On", obstacle: "offers only GracefulShutdown" }] });
    expect(notOffResult(played)).toMatchObject({
      kind: "misconfigured",
      message: "offers only GracefulShutdown",
    });
    expect(played.asked).toEqual([]);
  });

  it("that cannot cut power can still prove that the node is off", async () => {
    expect(offResult(await play({ reads: [{ state: "Off", obstacle: "none" }] })).how).toBe("AlreadyOff");
  });
});

describe("a busy device", () => {
  it("is asked again after the pause it names", async () => {
    const played = await play({
      reads: ["On", "On", "Off"],
      answers: [{ kind: "busy", retryAfterMs: 3_000 }, "accepted"],
    });
    expect(offResult(played)).toMatchObject({ how: "PoweredOff", requests: 2 });
    const requests = played.device.seen.filter((seen) => seen.call === "requestOff");
    expect((requests[1]?.atMs ?? 0) - (requests[0]?.atMs ?? 0)).toBe(3_000 + 10 + 10);
  });

  it("is not waited for beyond the deadline: another level may be quicker", async () => {
    const played = await play({
      reads: ["On"],
      answers: [{ kind: "busy", retryAfterMs: 60_000 }],
    });
    expect(notOffResult(played).kind).toBe("timeout");
    expect(played.lastedMs).toBeLessThan(100);
  });

  it("that is busy for readings is read again", async () => {
    const reads: ReadStep[] = Array.from({ length: 5 }, () => ({ fails: "busy", retryAfterMs: 2_000 }));
    expect(offResult(await play({ reads: [...reads, "On", "Off"] })).provenAfterMs).toBeGreaterThan(10_000);
  });

  it("is not asked for ever", async () => {
    const played = await play({ reads: ["On"], answers: ["busy"] }, { deadlineMs: 600_000 });
    expect(notOffResult(played)).toMatchObject({ kind: "timeout", requests: 10, mayHaveActed: false });
  });
});

describe("a request whose fate is unknown", () => {
  it.each<AnswerStep>(["noAnswer", "faulty"])(
    "is settled by the state that is read: %s, then Off",
    async (kind) => {
      const played = await play({ reads: ["On", "On", "Off"], answers: [kind] });
      expect(offResult(played)).toMatchObject({ how: "PoweredOff", requests: 1 });
    },
  );

  it.each<AnswerStep>(["noAnswer", "faulty"])("is made again when the node stays On: %s", async (kind) => {
    const played = await play({
      reads: [...Array<ReadStep>(9).fill("On"), "Off"],
      answers: [kind, "accepted"],
    });
    expect(offResult(played).requests).toBe(2);
    const requests = played.device.seen.filter((seen) => seen.call === "requestOff");
    expect((requests[1]?.atMs ?? 0) - (requests[0]?.atMs ?? 0)).toBeGreaterThanOrEqual(5_000);
  });

  it("is not made again while the node is going down", async () => {
    const played = await play({
      reads: ["On", ...Array<ReadStep>(9).fill("PoweringOff"), "Off"],
      answers: ["noAnswer"],
    });
    expect(offResult(played).requests).toBe(1);
  });

  it("that was accepted is not repeated: the device knows its job, or is stuck", async () => {
    const played = await play({ reads: ["On"] }, { deadlineMs: 20_000 });
    expect(notOffResult(played)).toMatchObject({
      kind: "stillOn",
      lastState: "On",
      requests: 1,
      mayHaveActed: true,
    });
    expect(played.lastedMs).toBeLessThanOrEqual(20_005);
  });

  it("does not keep the state from being read while the answer is missing", async () => {
    const played = await play({ reads: ["On", "Off"], answers: ["hang"] });
    const result = offResult(played);
    expect(result).toMatchObject({ how: "PoweredOff", requests: 1 });
    expect(result.provenAfterMs).toBeLessThan(1_500);
    expect(played.device.signalsAborted).toBeGreaterThan(0);
  });

  it("is refused when the late answer says so and the node is On", async () => {
    const played = await play({ reads: ["On"], answers: [{ kind: "refused", lastsMs: 4_000 }] });
    expect(notOffResult(played)).toMatchObject({ kind: "refused", mayHaveActed: false });
  });

  it("is repeated when its answer never comes and the node stays On", async () => {
    const played = await play(
      { reads: [...Array<ReadStep>(15).fill("On"), "Off"], answers: ["hang", "accepted"] },
      { deadlineMs: 60_000 },
    );
    expect(offResult(played).requests).toBe(2);
  });
});

describe("a device that cannot be read", () => {
  it.each<[ReadStep, string]>([
    ["unreachable", "unreachable"],
    ["faulty", "unreachable"],
    ["throw", "unreachable"],
    ["timeout", "timeout"],
  ])("is given up after three tries, so that the next level has its turn: %s", async (step, kind) => {
    const played = await play({ reads: [step] });
    expect(notOffResult(played)).toMatchObject({ kind, requests: 0, lastState: undefined });
    expect(played.device.seen).toHaveLength(3);
    expect(played.lastedMs).toBeLessThan(1_000);
  });

  it("is not given up for one failure", async () => {
    expect(offResult(await play({ reads: ["unreachable", "On", "Off"] })).requests).toBe(1);
  });

  it("is not given up for failures with good readings between them", async () => {
    const reads: ReadStep[] = ["unreachable", "unreachable", "Off", "unreachable", "unreachable", "Off"];
    expect(offResult(await play({ reads })).how).toBe("AlreadyOff");
  });

  it("says nothing of what a broken method threw but the kind of it", async () => {
    const read = notOffResult(await play({ reads: ["throw"] }));
    const request = notOffResult(await play({ reads: ["On"], answers: ["throw"] }, { deadlineMs: 3_000 }));
    expect(read.message).toContain("TypeError");
    expect(JSON.stringify([read, request])).not.toContain("s3cret");
  });

  it("is read until the deadline once a request was made, and may yet have acted", async () => {
    const played = await play({ reads: ["On", "unreachable"] }, { deadlineMs: 20_000 });
    expect(notOffResult(played)).toMatchObject({ kind: "unreachable", lastState: "On", mayHaveActed: true });
    expect(played.lastedMs).toBeGreaterThan(19_000);
  });

  it("proves the node off when it comes back after a request", async () => {
    const reads: ReadStep[] = ["On", "unreachable", "timeout", "faulty", "busy", "Off"];
    expect(offResult(await play({ reads })).how).toBe("PoweredOff");
  });

  it("that rejects the password after the request ends it without more logins", async () => {
    const played = await play({ reads: ["On", "denied"] });
    expect(notOffResult(played)).toMatchObject({ kind: "denied", mayHaveActed: true });
  });

  it("holds nobody up when it ignores its deadlines", async () => {
    const played = await play({ reads: ["hang"] }, { deadlineMs: 5_000 });
    expect(notOffResult(played).kind).toBe("timeout");
    expect(played.lastedMs).toBeLessThanOrEqual(5_005);
  });

  it("is given each reading's own deadline, never more than what is left", async () => {
    const played = await play({ reads: ["hang", "On", "Off"] }, { deadlineMs: 10_000 });
    expect(offResult(played).requests).toBe(1);
    expect(played.device.seen[0]?.deadlineMs).toBe(8_000);
    expect(played.device.seen[1]?.deadlineMs).toBeLessThanOrEqual(2_000);
  });

  it("is not called unreachable because our own deadline cut a short reading off", async () => {
    const reads: ReadStep[] = ["On", { state: "On", lastsMs: 990 }];
    expect(notOffResult(await play({ reads }, { deadlineMs: 4_000 })).kind).toBe("stillOn");
  });
});

describe("which machine answers", () => {
  const other = { path: "/systems/1", uuid: "11111111-2222-3333-4444-555555555555" };

  it("must be the one meant, even when it is off", async () => {
    const wrongSystem = () => "UUID is not that of node-1";
    for (const state of ["On", "Off"] as const) {
      const played = await play({ reads: [state] }, { wrongSystem });
      expect(notOffResult(played)).toMatchObject({
        kind: "misconfigured",
        message: "UUID is not that of node-1",
      });
      expect(played.asked).toEqual([]);
    }
  });

  it("must not change between the readings that prove it off", async () => {
    const played = await play({ reads: ["On", "Off", { state: "Off", identity: other }] });
    const result = notOffResult(played);
    expect(result).toMatchObject({ kind: "misconfigured", mayHaveActed: true });
    expect(result.message).toContain(other.uuid);
  });
});

describe("the procedure", () => {
  it("ends at once when the caller gives up, and takes the request under way with it", async () => {
    const caller = new AbortController();
    const played = await play(
      { reads: ["On", "On"], answers: ["hang"] },
      {
        signal: caller.signal,
        beforeRequest: async () => {
          setImmediate(() => caller.abort());
          return true;
        },
      },
    );
    expect(notOffResult(played)).toMatchObject({ kind: "abandoned", mayHaveActed: true });
    expect(played.lastedMs).toBeLessThan(1_100);
    expect(played.device.signalsAborted).toBeGreaterThan(0);
  });

  it("does nothing for a caller that has given up before", async () => {
    const played = await play({ reads: ["On"] }, { signal: AbortSignal.abort() });
    expect(notOffResult(played)).toMatchObject({ kind: "abandoned", requests: 0 });
    expect(played.device.seen).toEqual([]);
  });

  it("leaves no timer behind", async () => {
    for (const reads of [["On", "Off"], ["Off"], ["unreachable"], ["On"]] as ReadStep[][]) {
      const played = await play({ reads }, { deadlineMs: 5_000 });
      expect(played.clock.pending).toBe(0);
    }
  });

  it("tells what it does while it does it", async () => {
    const played = await play({ reads: ["On", "timeout", "Off"], answers: ["hang"] });
    expect(played.progress.map((step) => step.step)).toEqual([
      "read",
      "requesting",
      "notAnsweredYet",
      "readFailed",
      "read",
      "read",
    ]);
    const times = played.progress.map((step) => step.afterMs);
    expect(times).toEqual([...times].sort((one, next) => one - next));
  });
});
