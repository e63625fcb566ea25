// Tests that need all of 127.0.0.0/8, on which only Linux answers without being told to.
import { describe } from "vitest";

if (process.platform !== "linux")
  console.warn(`!!! SKIPPED: guests and probes on 127.64.0.0/10 are NOT tested on ${process.platform}`);

/** `describe` where it can be tried. */
export const onLinux = describe.skipIf(process.platform !== "linux");
