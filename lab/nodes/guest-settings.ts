// What one VM may say about its simulated guest, by annotation on the VM's template; everything else is the lab's default.
import type { NodeDelays } from "./delays.ts";

const PREFIX = "lab.holdfast.dev/";

/** Delays of one guest. */
export type GuestDelays = Pick<NodeDelays, "guestBootMs" | "guestShutdownMs" | "preCopyMs">;

const ANNOTATIONS = {
  guestBootMs: `${PREFIX}guest-boot-ms`,
  guestShutdownMs: `${PREFIX}guest-shutdown-ms`,
  preCopyMs: `${PREFIX}pre-copy-ms`,
} as const;

/** Reads `lab.holdfast.dev/guest-boot-ms`, `…/guest-shutdown-ms` and `…/pre-copy-ms`; a missing or senseless value means the default. */
export function guestDelays(
  annotations: Readonly<Record<string, string>> | undefined,
  defaults: GuestDelays,
): GuestDelays {
  const read = (name: keyof GuestDelays): number => {
    const value = Number(annotations?.[ANNOTATIONS[name]]);
    return Number.isFinite(value) && value >= 0 ? value : defaults[name];
  };
  return {
    guestBootMs: read("guestBootMs"),
    guestShutdownMs: read("guestShutdownMs"),
    preCopyMs: read("preCopyMs"),
  };
}
