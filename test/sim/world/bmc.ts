// A node's BMC, or an outlet of a PDU, behind the operator's FenceDevice port: a power switch, its delays and its bad days. The
// protocols are tested elsewhere; here it is behaviour that counts.
import type { DeviceAccess } from "../../../src/act/device-access.ts";
import { AllOfDevice } from "../../../src/act/fence/all-of.ts";
import type { OpenDevice } from "../../../src/act/open-device.ts";
import type {
  DeviceAnswer,
  DeviceCall,
  DeviceFailure,
  FenceDevice,
  PowerReading,
  PowerState,
  ReadCall,
} from "../../../src/act/fence/fence-device.ts";
import type { PowerSwitch } from "../../../lab/bmc/power-switch.ts";
import type { Chance } from "./random.ts";
import type { SimTime } from "./sim-time.ts";
import type { BmcFault } from "./world-plan.ts";

const SWITCH_MS = 400;
const LATE_SWITCH_MS = 45_000;
const RESTORE_POWER_MS = 7_000;
const SLOW_MS = { from: 2_000, to: 40_000 } as const;
const ROUND_TRIP_MS = { from: 5, to: 60 } as const;

export interface SimBmcParts {
  /** What it switches: its node's power, unless the cables were crossed. */
  readonly power: PowerSwitch;
  /** Which machine it says it speaks of; undefined: it does not say, as cheap boards do. */
  readonly uuid: string | undefined;
  /** Whether it has power of its own, and a network; always, where it is left out. */
  readonly isThere?: () => boolean;
  readonly time: SimTime;
  readonly chance: Chance;
}

export class SimBmc {
  readonly node: string;
  /** SMBIOS UUID of the machine behind it. */
  readonly uuid: string | undefined;
  fault: BmcFault | undefined;
  /** Told of every request to cut power that takes effect. */
  onCut: () => void = () => undefined;
  readonly #power: PowerSwitch;
  readonly #isThere: () => boolean;
  readonly #time: SimTime;
  readonly #chance: Chance;
  #asked = false;
  #saidOff = false;
  #epoch = 0;

  constructor(node: string, parts: SimBmcParts) {
    this.node = node;
    this.uuid = parts.uuid;
    this.#power = parts.power;
    this.#isThere = parts.isThere ?? (() => true);
    this.#time = parts.time;
    this.#chance = parts.chance;
  }

  get isReachable(): boolean {
    return this.fault !== "unreachable" && this.#isThere();
  }

  roundTripMs(): number {
    const { from, to } = this.fault === "slow" ? SLOW_MS : ROUND_TRIP_MS;
    return this.#chance.between(from, to);
  }

  state(): PowerState {
    if (this.fault === "unknownState") return "Unknown";
    if (this.fault === "saysOff") return "Off";
    const state = this.#power.read();
    if (this.fault === "saysOffOnce" && this.#asked && state === "On" && !this.#saidOff) {
      this.#saidOff = true;
      return "Off";
    }
    return state;
  }

  off(): DeviceAnswer {
    switch (this.fault) {
      case "refusing":
        return { kind: "refused", message: "409 Conflict: not now" };
      case "deaf":
      case "saysOff":
        return { kind: "accepted", message: "204" };
      case "saysOffOnce":
        this.#asked = true;
        this.#saidOff = false;
        return { kind: "accepted", message: "204" };
      case "lateOff":
        this.#cutLater(LATE_SWITCH_MS);
        return { kind: "accepted", message: "204" };
      case "erringButActing":
        this.#cutLater(SWITCH_MS);
        return { kind: "faulty", message: "500 Internal Server Error" };
      default:
        this.#cutLater(SWITCH_MS);
        return { kind: "accepted", message: "204" };
    }
  }

  on(): DeviceAnswer {
    if (this.fault === "refusing") return { kind: "refused", message: "409 Conflict: not now" };
    if (this.fault !== "deaf" && this.fault !== "saysOff")
      this.#time.schedule(SWITCH_MS, () => void this.#power.on());
    return { kind: "accepted", message: "204" };
  }

  /** Forgets what it still meant to do. */
  heal(): void {
    this.fault = undefined;
    this.#asked = false;
    this.#saidOff = false;
    this.#epoch += 1;
  }

  #cutLater(delayMs: number): void {
    const epoch = this.#epoch;
    this.#time.schedule(delayMs, () => {
      // A late switch of a BMC that was mended meanwhile does not happen any more.
      if (delayMs === LATE_SWITCH_MS && epoch !== this.#epoch) return;
      if (this.#power.read() === "On") this.onCut();
      void this.#power.off();
      if (this.fault === "restoresPower") this.#time.schedule(RESTORE_POWER_MS, () => void this.#power.on());
    });
  }
}

/** Name of an outlet among the devices, by its node and its place. */
export function outletName(node: string, at: number): string {
  return `${node}/outlet-${at}`;
}

/** What stands between a replica and the BMCs. */
export interface BmcWay {
  readonly time: SimTime;
  readonly bmcs: ReadonlyMap<string, SimBmc>;
  readonly isCut: () => boolean;
  /** A request to cut power leaves the replica. */
  readonly onShot: (node: string) => void;
  /** Holds the replica's reaction while its process does not run; never settles once it has died. */
  readonly alive: () => Promise<void>;
  readonly isDead: () => boolean;
}

/** Opens BMCs at `https://bmc-NODE.example`, and outlets by their PDU `pdu-PLACE.example` with the node as plug. */
export function openSimDevice(way: BmcWay): OpenDevice {
  const open = (access: DeviceAccess): FenceDevice => {
    if (access.method === "AllOf")
      return new AllOfDevice(access.devices.map((one) => ({ name: one.name, device: open(one) })));
    const name = nameOf(access);
    const bmc = way.bmcs.get(name);
    if (bmc === undefined) throw new Error(`no device ${name}`);
    return new SimDevice(bmc, way);
  };
  return open;
}

function nameOf(access: Exclude<DeviceAccess, { readonly method: "AllOf" }>): string {
  if (access.method === "Redfish")
    return /^https:\/\/bmc-([^.]+)\./.exec(access.redfish.address)?.[1] ?? access.redfish.address;
  const { ip = "", plug = "" } = access.fenceAgent.parameters;
  return outletName(plug, Number(/^pdu-(\d+)\./.exec(ip)?.[1]));
}

class SimDevice implements FenceDevice {
  readonly label: string;
  readonly #bmc: SimBmc;
  readonly #way: BmcWay;

  constructor(bmc: SimBmc, way: BmcWay) {
    this.#bmc = bmc;
    this.#way = way;
    this.label = `Redfish https://bmc-${bmc.node}.example`;
  }

  readPower(call: ReadCall): Promise<PowerReading> {
    const read = (): PowerReading => ({
      ok: true,
      state: this.#bmc.state(),
      identity: {
        path: "/redfish/v1/Systems/1",
        ...(this.#bmc.uuid === undefined ? {} : { uuid: this.#bmc.uuid }),
      },
    });
    return this.#ask<PowerReading>(call, read, (kind, message) => ({ ok: false, kind, message }));
  }

  requestOff(call: DeviceCall): Promise<DeviceAnswer> {
    if (!this.#way.isDead()) this.#way.onShot(this.#bmc.node);
    return this.#request(call, () => this.#bmc.off());
  }

  requestOn(call: DeviceCall): Promise<DeviceAnswer> {
    return this.#request(call, () => this.#bmc.on());
  }

  async close(): Promise<void> {}

  #request(call: DeviceCall, act: () => DeviceAnswer): Promise<DeviceAnswer> {
    return this.#ask<DeviceAnswer>(call, act, (kind, message) => ({
      kind: kind === "unreachable" || kind === "denied" ? kind : "noAnswer",
      message,
    }));
  }

  async #ask<R>(
    call: DeviceCall,
    serve: () => R,
    fail: (kind: DeviceFailure["kind"], message: string) => R,
  ): Promise<R> {
    const { time, isCut, isDead, alive } = this.#way;
    if (isDead()) return new Promise(() => undefined);
    const answer = await new Promise<R>((resolve) => {
      const cancel = time.schedule(call.deadlineMs, () => resolve(fail("timeout", "no answer in time")));
      const onAbort = () => {
        cancel();
        resolve(fail("aborted", "the call was given up"));
      };
      if (call.signal?.aborted === true) return onAbort();
      call.signal?.addEventListener("abort", onAbort, { once: true });
      if (isCut() || !this.#bmc.isReachable) {
        time.schedule(3_000, () => {
          cancel();
          resolve(fail("unreachable", "no route to host"));
        });
        return;
      }
      const half = this.#bmc.roundTripMs() / 2;
      time.schedule(half, () => {
        const result = this.#bmc.fault === "denied" ? fail("denied", "401 Unauthorized") : serve();
        time.schedule(half, () => {
          cancel();
          call.signal?.removeEventListener("abort", onAbort);
          if (!isCut()) resolve(result);
          else resolve(fail("timeout", "no answer in time"));
        });
      });
    });
    await alive();
    return answer;
  }
}
