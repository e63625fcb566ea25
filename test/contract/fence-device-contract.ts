// What every fencing method must do, as tests: a new method is fit for use once a rig for it passes this suite.
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type {
  DeviceAnswer,
  DeviceAnswerKind,
  DeviceFailureKind,
  FenceDevice,
  PowerReading,
} from "../../src/act/fence/fence-device.ts";
import { powerOff } from "../../src/act/fence/power-off.ts";
import type { Clock } from "../../src/model/clock.ts";

/** A device on a machine that can be looked at from behind, with the troubles its method can have. */
export interface ContractRig {
  readonly device: FenceDevice;
  readonly clock: Clock;
  readonly machine: { read(): "On" | "Off"; set(state: "On" | "Off"): void | Promise<void> };
  /** Texts that must never be seen. */
  readonly secrets: readonly string[];
  /** Each makes one trouble; a method that cannot have it leaves it out, and its tests are skipped. */
  readonly troubles: {
    /** Connections are taken, nothing is ever answered. */
    readonly silence?: () => Promise<void>;
    /** Nobody is there. */
    readonly absence?: () => Promise<void>;
    readonly wrongPassword?: () => Promise<void>;
    /** Requests are acknowledged and not carried out. */
    readonly stuck?: () => Promise<void>;
    /** Requests are carried out, their answers lost. */
    readonly lostReply?: () => Promise<void>;
    /** Requests are carried out and never answered. */
    readonly noReply?: () => Promise<void>;
    readonly refusal?: () => Promise<void>;
    readonly busy?: () => Promise<void>;
    /** Answers make no sense. */
    readonly nonsense?: () => Promise<void>;
  };
  /** What this method answers in a trouble, where it cannot tell it from others. */
  readonly says?: {
    readonly absence?: DeviceFailureKind & DeviceAnswerKind;
    readonly wrongPassword?: DeviceFailureKind & DeviceAnswerKind;
    readonly lostReply?: DeviceAnswerKind;
    readonly stuck?: DeviceAnswerKind;
  };
  /** Longest single call that is meant to succeed, where the method is slower than most. */
  readonly callDeadlineMs?: number;
  heal(): Promise<void>;
  /** Sessions and the like held at the device. */
  heldResources(): number;
  stop(): Promise<void>;
}

/** Deadline of calls that are meant to succeed, unless the method is slower. */
const CALL_DEADLINE_MS = 5_000;
/** Deadline of calls that are meant to run into it. */
const SHORT_MS = 250;
/** What a call may be late by: a busy machine, which also has a program to end. Far less than what would hang. */
const LATE_MS = 5_000;

async function timed<T>(work: Promise<T>): Promise<{ value: T; lastedMs: number }> {
  const startedMs = performance.now();
  const value = await work;
  return { value, lastedMs: performance.now() - startedMs };
}

/** Defines the suite for one method; `start` sets up one device with its machine anew for each test. */
export function describeFenceDevice(method: string, start: () => Promise<ContractRig>): void {
  describe(`the fence device contract: ${method}`, () => {
    let rig: ContractRig;
    let usual = { deadlineMs: CALL_DEADLINE_MS };
    beforeEach(async () => {
      rig = await start();
      usual = { deadlineMs: rig.callDeadlineMs ?? CALL_DEADLINE_MS };
    });
    afterEach(async () => {
      await rig.device.close();
      await rig.stop();
    });
    const trouble = async (
      name: keyof ContractRig["troubles"],
      skip: (why: string) => void,
    ): Promise<void> => {
      const make = rig.troubles[name];
      if (make === undefined) {
        console.warn(`SKIPPED: ${method} is not tried with the trouble ${name}, which it cannot have`);
        skip(`it cannot have the trouble ${name}`);
      }
      await make?.();
    };

    it("reads the state that the machine is really in", async () => {
      expect(await rig.device.readPower(usual)).toMatchObject({ ok: true, state: "On" });
      await rig.machine.set("Off");
      expect(await rig.device.readPower(usual)).toMatchObject({ ok: true, state: "Off" });
      expect(await rig.device.readPower({ ...usual, fresh: true })).toMatchObject({ ok: true, state: "Off" });
    });

    it("reading changes nothing", async () => {
      for (let reads = 0; reads < 5; reads++) await rig.device.readPower(usual);
      expect(rig.machine.read()).toBe("On");
    });

    it("cuts power, restores it, and names one and the same machine throughout", async () => {
      const before = await rig.device.readPower(usual);
      expect((await rig.device.requestOff(usual)).kind).toBe("accepted");
      await expect.poll(() => rig.machine.read(), { timeout: usual.deadlineMs }).toBe("Off");
      const off = await rig.device.readPower(usual);
      expect((await rig.device.requestOn(usual)).kind).toBe("accepted");
      await expect.poll(() => rig.machine.read(), { timeout: usual.deadlineMs }).toBe("On");
      expect(off).toEqual({ ...before, state: "Off" });
    });

    it("a request without a reading before it works too", async () => {
      expect((await rig.device.requestOff(usual)).kind).toBe("accepted");
      await expect.poll(() => rig.machine.read(), { timeout: usual.deadlineMs }).toBe("Off");
    });

    it("cutting what is off leaves it off, whether the device calls that fine or a conflict", async () => {
      await rig.machine.set("Off");
      expect(["accepted", "refused"]).toContain((await rig.device.requestOff(usual)).kind);
      expect(rig.machine.read()).toBe("Off");
    });

    it("a reading of a silent device ends by its deadline", async ({ skip }) => {
      await trouble("silence", skip);
      const { value, lastedMs } = await timed(rig.device.readPower({ deadlineMs: SHORT_MS }));
      expect(value).toMatchObject({ ok: false });
      expect(["timeout", "unreachable"]).toContain(value.ok ? "" : value.kind);
      expect(lastedMs).toBeLessThan(SHORT_MS + LATE_MS);
    });

    it("a request to a silent device ends by its deadline and is not called accepted", async ({ skip }) => {
      await rig.device.readPower(usual);
      await trouble("silence", skip);
      const { value, lastedMs } = await timed(rig.device.requestOff({ deadlineMs: SHORT_MS }));
      expect(["noAnswer", "unreachable"]).toContain(value.kind);
      expect(lastedMs).toBeLessThan(SHORT_MS + LATE_MS);
    });

    it("every call ends at once when its signal aborts", async ({ skip }) => {
      await trouble("silence", skip);
      for (const act of ["readPower", "requestOff", "requestOn"] as const) {
        const caller = new AbortController();
        setTimeout(() => caller.abort(), 50);
        const call = { deadlineMs: 60_000, signal: caller.signal };
        expect((await timed<PowerReading | DeviceAnswer>(rig.device[act](call))).lastedMs).toBeLessThan(
          50 + LATE_MS,
        );
      }
    });

    it("a signal that has aborted already means that nothing is done", async () => {
      const aborted = { ...usual, signal: AbortSignal.abort() };
      expect(await rig.device.readPower(aborted)).toMatchObject({ ok: false });
      expect((await rig.device.requestOff(aborted)).kind).not.toBe("accepted");
      expect(rig.machine.read()).toBe("On");
    });

    it("a device that is not there is told as such, and works again once it is back", async ({ skip }) => {
      await trouble("absence", skip);
      const kind = rig.says?.absence ?? "unreachable";
      expect(await rig.device.readPower(usual)).toMatchObject({ ok: false, kind });
      expect((await rig.device.requestOff(usual)).kind).toBe(kind);
      await rig.heal();
      expect(await rig.device.readPower(usual)).toMatchObject({ ok: true, state: "On" });
    });

    it("wrong credentials are a failure, for reading and for requests, and nothing is cut", async ({
      skip,
    }) => {
      await trouble("wrongPassword", skip);
      const kind = rig.says?.wrongPassword ?? "denied";
      expect(await rig.device.readPower(usual)).toMatchObject({ ok: false, kind });
      expect((await rig.device.requestOff(usual)).kind).toBe(kind);
      expect(rig.machine.read()).toBe("On");
    });

    it("a request that is not carried out leaves the state On, whatever was answered", async ({ skip }) => {
      await trouble("stuck", skip);
      expect((await rig.device.requestOff(usual)).kind).toBe(rig.says?.stuck ?? "accepted");
      expect(await rig.device.readPower(usual)).toMatchObject({ ok: true, state: "On" });
    });

    it("a request whose answer is lost is not called refused: the machine is off", async ({ skip }) => {
      await rig.device.readPower(usual);
      await trouble("lostReply", skip);
      expect((await rig.device.requestOff(usual)).kind).toBe(rig.says?.lostReply ?? "noAnswer");
      expect(await rig.device.readPower(usual)).toMatchObject({ ok: true, state: "Off" });
    });

    it("the state can be read while a request is still unanswered", async ({ skip }) => {
      await rig.device.readPower(usual);
      await trouble("noReply", skip);
      const underWay = { answered: false };
      const request = rig.device
        .requestOff({ deadlineMs: Math.min(8_000, usual.deadlineMs * 0.8) })
        .finally(() => (underWay.answered = true));
      await expect.poll(() => rig.machine.read(), { timeout: usual.deadlineMs }).toBe("Off");
      expect(await rig.device.readPower(usual)).toMatchObject({ ok: true, state: "Off" });
      expect(underWay.answered).toBe(false);
      expect((await request).kind).toBe("noAnswer");
    });

    it("a refusal is a refusal", async ({ skip }) => {
      await trouble("refusal", skip);
      expect((await rig.device.requestOff(usual)).kind).toBe("refused");
      expect(rig.machine.read()).toBe("On");
    });

    it("a busy device is busy", async ({ skip }) => {
      await rig.device.readPower(usual);
      await trouble("busy", skip);
      expect((await rig.device.requestOff(usual)).kind).toBe("busy");
      expect(rig.machine.read()).toBe("On");
    });

    it("nonsense is never a state", async ({ skip }) => {
      await trouble("nonsense", skip);
      expect(await rig.device.readPower(usual)).toMatchObject({ ok: false, kind: "faulty" });
    });

    it("closing gives back what was held, may be repeated, and leaves the device usable", async () => {
      await rig.device.readPower(usual);
      await rig.device.close();
      await rig.device.close();
      expect(rig.heldResources()).toBe(0);
      expect(await rig.device.readPower(usual)).toMatchObject({ ok: true, state: "On" });
    });

    it("closing ends soon even when the device has fallen silent", async ({ skip }) => {
      await rig.device.readPower(usual);
      await trouble("silence", skip);
      expect((await timed(rig.device.close())).lastedMs).toBeLessThan(3_000);
    });

    it("shows no secret in any answer, message, or picture of itself, in any trouble", async () => {
      const said: unknown[] = [];
      for (const make of [async () => {}, ...Object.values(rig.troubles)]) {
        await make();
        said.push(await rig.device.readPower({ deadlineMs: SHORT_MS }));
        said.push(await rig.device.requestOff({ deadlineMs: SHORT_MS }));
        await rig.heal();
        await rig.machine.set("On");
      }
      said.push(inspect(rig.device, { depth: 9, showHidden: true, getters: true }), rig.device);
      const everything = `${JSON.stringify(said)} ${inspect(said, { depth: 9 })}`;
      expect(rig.secrets.filter((secret) => everything.includes(secret))).toEqual([]);
    });

    it("cuts a node through the whole procedure, with proof", async () => {
      const result = await powerOff(rig.device, {
        clock: rig.clock,
        deadlineMs: 3 * usual.deadlineMs,
        beforeRequest: async () => rig.machine.read() === "On",
      });
      expect(result).toMatchObject({ outcome: "off", how: "PoweredOff", requests: 1 });
      expect(rig.machine.read()).toBe("Off");
    });
  });
}
