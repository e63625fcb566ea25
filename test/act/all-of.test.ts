// Several devices that only together cut a node: what is made of answers and readings that differ.
import { describe, expect, it } from "vitest";
import { AllOfDevice } from "../../src/act/fence/all-of.ts";
import type { DeviceAnswerKind, PowerState, SystemIdentity } from "../../src/act/fence/fence-device.ts";
import { powerOff } from "../../src/act/fence/power-off.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { FakeDevice, IDENTITY } from "./fake-device.ts";

const CALL = { deadlineMs: 1_000 };
const ANONYMOUS: SystemIdentity = { path: "plug 7" };

class Supplies {
  readonly clock = new VirtualClock();
  readonly devices: readonly [FakeDevice, FakeDevice];
  readonly all: AllOfDevice;

  constructor(one: PowerState = "On", other: PowerState = "On") {
    this.devices = [new FakeDevice(this.clock, one), new FakeDevice(this.clock, other)];
    const [a, b] = this.devices;
    this.all = new AllOfDevice([
      { name: "psu-a", device: a },
      { name: "psu-b", device: b },
    ]);
  }

  async finish<T>(work: Promise<T>): Promise<T> {
    const end = { reached: false };
    const watched = work.finally(() => (end.reached = true));
    while (!end.reached) await this.clock.advance(50);
    return watched;
  }

  read() {
    return this.finish(this.all.readPower(CALL));
  }

  cut(vouched = true) {
    return this.finish(
      powerOff(this.all, {
        clock: this.clock,
        deadlineMs: 20_000,
        beforeRequest: async () => true,
        vouchesForOff: () => vouched,
      }),
    );
  }
}

describe("the state of several devices", () => {
  it.each<[PowerState, PowerState, PowerState]>([
    ["Off", "Off", "Off"],
    ["On", "On", "On"],
    ["Off", "On", "On"],
    ["On", "PoweringOff", "On"],
    ["Off", "PoweringOn", "PoweringOn"],
    ["Off", "Unknown", "Unknown"],
    ["Off", "PoweringOff", "PoweringOff"],
  ])("%s and %s is %s", async (one, other, state) => {
    const mixed = one === other ? {} : { mixed: `psu-a ${one}, psu-b ${other}` };
    const reading = await new Supplies(one, other).read();
    expect(reading).toMatchObject({ ok: true, state, ...mixed });
    expect("mixed" in reading).toBe(one !== other);
  });

  it("is not known where one of them cannot be read, whatever the other says", async () => {
    const supplies = new Supplies("Off", "Off");
    supplies.devices[1].misread = () => ({ ok: false, kind: "unreachable", message: "no route" });
    expect(await supplies.read()).toEqual({ ok: false, kind: "unreachable", message: "psu-b: no route" });
  });

  it("names the machine that those speak of who know it, and says that it is only a part", async () => {
    const supplies = new Supplies();
    supplies.devices[1].identity = ANONYMOUS;
    expect(await supplies.read()).toMatchObject({ identity: { uuid: IDENTITY.uuid, isPartial: true } });
    supplies.devices[0].identity = ANONYMOUS;
    expect(await supplies.read()).toMatchObject({
      identity: { path: "psu-a: plug 7 and psu-b: plug 7", isPartial: true },
    });
  });

  it("is a wrong setting where they speak of two machines", async () => {
    const supplies = new Supplies();
    supplies.devices[1].identity = { ...IDENTITY, uuid: "11111111-2222-3333-4444-555555555555" };
    expect(await supplies.read()).toMatchObject({ ok: false, kind: "misconfigured" });
  });
});

describe("the answers of several devices", () => {
  it.each<[DeviceAnswerKind, DeviceAnswerKind, DeviceAnswerKind]>([
    ["accepted", "accepted", "accepted"],
    ["accepted", "refused", "accepted"],
    ["accepted", "unreachable", "noAnswer"],
    ["accepted", "busy", "noAnswer"],
    ["noAnswer", "accepted", "noAnswer"],
    ["faulty", "denied", "faulty"],
    ["refused", "busy", "busy"],
    ["unreachable", "denied", "denied"],
    ["refused", "refused", "refused"],
  ])("%s and %s is %s", async (one, other, kind) => {
    const supplies = new Supplies();
    supplies.devices[0].answer = { kind: one, message: "x" };
    supplies.devices[1].answer = { kind: other, message: "y" };
    const answer = await supplies.finish(supplies.all.requestOff(CALL));
    expect(answer).toMatchObject({ kind, message: `psu-a: ${one}: x; psu-b: ${other}: y` });
  });
});

describe("a node with two power supplies", () => {
  it("is proven off once both are, and both are asked at once", async () => {
    const supplies = new Supplies();
    expect(await supplies.cut()).toMatchObject({
      outcome: "off",
      how: "PoweredOff",
      requests: 1,
      seenOn: true,
    });
    expect(supplies.devices.map(({ requests }) => requests)).toEqual([["off"], ["off"]]);
  });

  it("is not off while one of them is on, however often the other says Off", async () => {
    const supplies = new Supplies();
    supplies.devices[1].answer = { kind: "refused", message: "no" };
    expect(await supplies.cut()).toMatchObject({
      outcome: "notOff",
      kind: "stillOn",
      lastState: "On",
      lastMixed: "psu-a Off, psu-b On",
      mayHaveActed: true,
    });
  });

  it("is not proven by one that went off and another that never said On: its outlet may be another's", async () => {
    const supplies = new Supplies("On", "Off");
    for (const device of supplies.devices) device.identity = ANONYMOUS;
    expect(await supplies.cut(false)).toMatchObject({ outcome: "notOff", kind: "doubted", seenOn: false });
  });

  it("is not proven where one comes back on between the two readings", async () => {
    const supplies = new Supplies("Off", "Off");
    supplies.devices[0].after = () => {
      const reads = supplies.devices[0].seen.filter(({ call }) => call === "read").length;
      supplies.devices[0].state = reads === 1 ? "On" : "Off";
    };
    expect(await supplies.cut()).toMatchObject({ outcome: "off", how: "PoweredOff" });
  });
});
