// Opens the fence device that a level leads to. Nothing is sent before the device is asked something.
import type { Clock } from "../model/clock.ts";
import type { DeviceAccess } from "./device-access.ts";
import { AllOfDevice } from "./fence/all-of.ts";
import { FenceAgentCatalog } from "./fence/fence-agent-catalog.ts";
import { FenceAgentDevice } from "./fence/fence-agent.ts";
import type { FenceDevice } from "./fence/fence-device.ts";
import { RedfishServices } from "./fence/redfish-services.ts";

export type OpenDevice = (access: DeviceAccess, clock: Clock) => FenceDevice;

/** Opens real devices. What devices and agents say of themselves is remembered from one opening to the next. */
export function createDeviceOpener(options: { readonly fenceAgentsDirectory?: string } = {}): OpenDevice {
  const services = new RedfishServices();
  const catalog = new FenceAgentCatalog(options.fenceAgentsDirectory);
  const open: OpenDevice = (access, clock) => {
    switch (access.method) {
      case "Redfish":
        return services.of(access.redfish, clock).open();
      case "FenceAgent":
        return new FenceAgentDevice(access.fenceAgent, { catalog, clock });
      case "AllOf":
        return new AllOfDevice(
          access.devices.map(({ name, ...device }) => ({ name, device: open(device, clock) })),
        );
    }
  };
  return open;
}
