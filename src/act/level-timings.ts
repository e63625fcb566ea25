// How long single readings and requests of a level may take: programs and old BMCs need longer than a Redfish service.
import type { PowerMethod } from "../model/fencing.ts";
import type { PowerOffTimings } from "./fence/power-off-result.ts";

/**
 * An agent's `status` was seen to take 14 s where `ipmitool` tries cipher after cipher, and its `off` 30 s, since it waits
 * for the machine.
 */
const AGENT_TIMINGS: Partial<PowerOffTimings> = { readDeadlineMs: 20_000, requestDeadlineMs: 45_000 };

export function timingsOf(level: PowerMethod): Partial<PowerOffTimings> {
  const methods = level.method === "AllOf" ? level.devices.map(({ method }) => method) : [level.method];
  return methods.includes("FenceAgent") ? AGENT_TIMINGS : {};
}
