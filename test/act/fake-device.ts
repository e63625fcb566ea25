// A fence device with a machine behind it: requests change its power after a while, readings tell it.
import type {
  DeviceAnswer,
  DeviceCall,
  FenceDevice,
  PowerReading,
  PowerState,
  ReadCall,
  SystemIdentity,
} from "../../src/act/fence/fence-device.ts";
import type { VirtualClock } from "../support/virtual-clock.ts";

export const IDENTITY: SystemIdentity = {
  path: "/redfish/v1/Systems/1",
  uuid: "4c4c4544-0042-3510-8052-b4c04f4d3232",
  hostName: "worker-1",
};

/** From an accepted request to the new state. */
const SWITCH_MS = 300;
/** How long one round trip takes. */
const ROUND_TRIP_MS = 10;

export interface DeviceCallSeen {
  readonly call: "read" | "off" | "on" | "close";
  readonly state: PowerState;
}

export class FakeDevice implements FenceDevice {
  readonly label = "Redfish https://bmc-worker-1.example.com";
  readonly seen: DeviceCallSeen[] = [];
  state: PowerState;
  identity: SystemIdentity = IDENTITY;
  answer: DeviceAnswer = { kind: "accepted", message: "204" };
  /** Replaces a reading where it returns one. */
  misread: () => PowerReading | undefined = () => undefined;
  /** Runs before every call, for whatever else happens meanwhile. */
  before: (call: DeviceCallSeen["call"]) => Promise<void> | void = () => {};
  /** Runs after every call's effect and before its answer. */
  after: (call: DeviceCallSeen["call"]) => Promise<void> | void = () => {};
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock, state: PowerState = "On") {
    this.#clock = clock;
    this.state = state;
  }

  /** Requests that reached the device. */
  get requests(): readonly string[] {
    return this.seen.flatMap(({ call }) => (call === "off" || call === "on" ? [call] : []));
  }

  async readPower(_call: ReadCall): Promise<PowerReading> {
    await this.#arrive("read");
    await this.after("read");
    return this.misread() ?? { ok: true, state: this.state, identity: this.identity };
  }

  async requestOff(_call: DeviceCall): Promise<DeviceAnswer> {
    await this.#arrive("off");
    if (this.answer.kind === "accepted") this.#switchTo("Off");
    await this.after("off");
    return this.answer;
  }

  async requestOn(_call: DeviceCall): Promise<DeviceAnswer> {
    await this.#arrive("on");
    if (this.answer.kind === "accepted") this.#switchTo("On");
    await this.after("on");
    return this.answer;
  }

  async close(): Promise<void> {
    this.seen.push({ call: "close", state: this.state });
  }

  async #arrive(call: DeviceCallSeen["call"]): Promise<void> {
    await this.before(call);
    await new Promise<void>((resolve) => {
      this.#clock.schedule(ROUND_TRIP_MS, resolve);
    });
    this.seen.push({ call, state: this.state });
  }

  #switchTo(state: PowerState): void {
    this.#clock.schedule(SWITCH_MS, () => {
      this.state = state;
    });
  }
}
