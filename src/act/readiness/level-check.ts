// The harmless half of a level's method on one node: log in, read the state and what could be asked for, compare the
// machine. Knows what an answer means for readiness; knows neither pace nor where the verdict stands.
import { createHash } from "node:crypto";
import type { Clock } from "../../model/clock.ts";
import { type FencingLevel, isExternal } from "../../model/fencing.ts";
import { type AccessSource, readAccess, wrongSystem } from "../device-access.ts";
import type { DeviceFailureKind, ReadPower, SystemIdentity } from "../fence/fence-device.ts";
import type { FreshNode } from "../fresh-nodes.ts";
import type { OpenDevice } from "../open-device.ts";
import type { CheckResult } from "./check-result.ts";
import { checkExternal } from "./external-check.ts";

/** Longest check of one device, login included; slow BMCs need seconds for each request. */
const CHECK_DEADLINE_MS = 20_000;
const FINGERPRINT_DIGITS = 12;

export interface CheckSource extends AccessSource {
  readonly clock: Clock;
  readonly openDevice: OpenDevice;
}

/**
 * Checks one level on one node; undefined where nothing came of it that the device is to blame for (the API server did
 * not answer, or `signal` aborted). Methods that have no power state to read get a branch of their own here.
 */
export async function checkLevel(
  source: CheckSource,
  level: FencingLevel,
  target: { readonly nodeName: string; readonly signal: AbortSignal },
): Promise<CheckResult | undefined> {
  if (isExternal(level)) return checkExternal(source, level, target.nodeName);
  const readied = await readAccess(source, level, target.nodeName);
  if (!readied.ok) {
    if (readied.end.outcome !== "Misconfigured") return undefined;
    return { kind: "broken", reason: "Misconfigured", message: readied.end.answer, device: undefined };
  }
  const device = source.openDevice(readied.access, source.clock);
  try {
    const reading = await device.readPower({ deadlineMs: CHECK_DEADLINE_MS, signal: target.signal });
    if (target.signal.aborted) return undefined;
    if (reading.ok) return judgeReading(reading, { label: device.label, node: readied.node });
    const { kind, message } = reading;
    if (kind === "aborted") return undefined;
    return { ...FAILURES[kind], message: `${device.label}: ${message}`, device: undefined };
  } finally {
    await device.close();
  }
}

/** Names a device and the machine behind it, so that the same can be known again however the settings spell it. */
export function deviceFingerprint(label: string, { path, uuid, serialNumber }: SystemIdentity): string {
  const text = JSON.stringify([label, path, uuid ?? "", serialNumber ?? ""]);
  return createHash("sha256").update(text).digest("hex").slice(0, FINGERPRINT_DIGITS);
}

const FAILURES: Readonly<
  Record<Exclude<DeviceFailureKind, "aborted">, Pick<CheckResult, "kind" | "reason">>
> = {
  timeout: { kind: "passing", reason: "DeviceTimeout" },
  unreachable: { kind: "passing", reason: "DeviceUnreachable" },
  busy: { kind: "passing", reason: "DeviceBusy" },
  faulty: { kind: "passing", reason: "DeviceFaulty" },
  untrusted: { kind: "broken", reason: "DeviceUntrusted" },
  denied: { kind: "broken", reason: "DeviceDenied" },
  misconfigured: { kind: "broken", reason: "Misconfigured" },
};

function judgeReading(
  reading: ReadPower,
  { label, node }: { readonly label: string; readonly node: FreshNode },
): CheckResult {
  const { state, identity, obstacle, mixed } = reading;
  const wrong = wrongSystem(identity, node);
  if (wrong !== undefined)
    return { kind: "broken", reason: "WrongMachine", message: `${label}: ${wrong}`, device: undefined };
  const device = deviceFingerprint(label, identity);
  if (state === "Off") {
    const message = `${label} says Off of ${node.name}, which is alive: the address, system or outlet is another machine's, or the device does not tell the truth`;
    return { kind: "off", reason: "PowerStateContradicted", message, device };
  }
  if (state !== "On") {
    const message = `${label} says ${state} of ${node.name}, which is alive`;
    return { kind: "passing", reason: "PowerStateUnknown", message, device: undefined };
  }
  if (mixed !== undefined) {
    const message = `${label}: of ${node.name}, which is alive, not every device says On: ${mixed}; one of them may not feed it`;
    return { kind: "passing", reason: "PowerStateMixed", message, device: undefined };
  }
  if (obstacle !== undefined)
    return { kind: "broken", reason: "CannotPowerOff", message: `${label}: ${obstacle}`, device };
  return { kind: "ready", reason: "DeviceReady", message: `${label} says On`, device };
}
