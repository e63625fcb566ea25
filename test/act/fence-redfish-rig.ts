// A lab BMC with a machine behind it and the Redfish method in front of it, over real TLS.
import { type Bmc, type BmcOptions, startBmc } from "../../lab/bmc/redfish-bmc.ts";
import { createCertificateAuthority } from "../../lab/control-plane/certificate-authority.ts";
import type { PowerSwitch } from "../../lab/bmc/power-switch.ts";
import type { FenceDevice } from "../../src/act/fence/fence-device.ts";
import { RedfishService } from "../../src/act/fence/redfish.ts";
import type { RedfishAccess } from "../../src/act/fence/redfish-access.ts";
import type { Clock } from "../../src/model/clock.ts";
import { createRealClock } from "../../src/run/real-clock.ts";

export const USERNAME = "fence-operator";
export const PASSWORD = 'p"ss w&rd/äß-7f3a9';
/** The forms in which the password could slip out. */
export const SECRETS: readonly string[] = [
  PASSWORD,
  JSON.stringify(PASSWORD).slice(1, -1),
  encodeURIComponent(PASSWORD),
  Buffer.from(PASSWORD).toString("base64"),
  Buffer.from(`${USERNAME}:${PASSWORD}`).toString("base64"),
  "7f3a9",
];

export const authority = createCertificateAuthority("Holdfast test BMC CA");
export const certificate = authority.issue({
  commonName: "bmc",
  hosts: ["127.0.0.1"],
  usages: ["serverAuth"],
});

/** A machine that obeys its switch at once and remembers when. */
export class TestMachine implements PowerSwitch {
  #state: "On" | "Off" = "On";
  offAtMs: number | undefined;

  read(): "On" | "Off" {
    return this.#state;
  }

  set(state: "On" | "Off"): void {
    this.#state = state;
    if (state === "Off") this.offAtMs = performance.now();
  }

  async off(): Promise<void> {
    this.set("Off");
  }

  async on(): Promise<void> {
    this.set("On");
  }
}

export interface RedfishRig {
  readonly bmc: Bmc;
  readonly machine: TestMachine;
  readonly clock: Clock;
  readonly service: RedfishService;
  readonly device: FenceDevice;
  /** Another device at the same BMC, with other settings. */
  readonly deviceWith: (access: Partial<RedfishAccess>) => FenceDevice;
  readonly stop: () => Promise<void>;
}

export async function startRedfishRig(
  options: { readonly bmc?: Partial<BmcOptions>; readonly access?: Partial<RedfishAccess> } = {},
): Promise<RedfishRig> {
  const machine = new TestMachine();
  const bmc = await startBmc({
    power: machine,
    node: "node-1",
    username: USERNAME,
    password: PASSWORD,
    certificate,
    ...options.bmc,
  });
  const clock = createRealClock();
  const access: RedfishAccess = {
    address: bmc.address,
    username: USERNAME,
    password: PASSWORD,
    caPem: authority.certPem,
    ...options.access,
  };
  const service = new RedfishService(access, { clock });
  const devices: FenceDevice[] = [];
  const keep = (device: FenceDevice): FenceDevice => {
    devices.push(device);
    return device;
  };
  return {
    bmc,
    machine,
    clock,
    service,
    device: keep(service.open()),
    deviceWith: (changed) => keep(new RedfishService({ ...access, ...changed }, { clock }).open()),
    stop: async () => {
      await Promise.all(devices.map((device) => device.close()));
      await bmc.stop();
    },
  };
}
