// The lab's time and chance: the machine's own, unless a simulation has put its own in their place. What runs in the lab
// (nodes, guests, KubeVirt's stand-in, storage) takes both from here, so that the same code lives in virtual time.
import { randomUUID } from "node:crypto";

export interface LabTime {
  /** Milliseconds since the epoch, never stepping back, with fractions: for ages, and the oracle's clock. */
  nowMs(): number;
  /** What a wall clock shows; for timestamps that others read. */
  wallMs(): number;
  /** Calls `wake` once after `delayMs`. `idle`: a wait for this alone does not keep the process alive. */
  after(delayMs: number, wake: () => void, idle?: "idle"): () => void;
  random(): number;
  uuid(): string;
}

const machineTime: LabTime = {
  nowMs: () => performance.timeOrigin + performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, wake, idle) => {
    const timer = setTimeout(wake, delayMs);
    if (idle !== undefined) timer.unref();
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
  uuid: () => randomUUID(),
};

let current: LabTime = machineTime;

/** Time as everything in the lab sees it. */
export const labTime: LabTime = {
  nowMs: () => current.nowMs(),
  wallMs: () => current.wallMs(),
  after: (delayMs, wake, idle) => current.after(delayMs, wake, idle),
  random: () => current.random(),
  uuid: () => current.uuid(),
};

/** Puts a simulation's time in the place of the machine's; undefined puts the machine's back. One at a time. */
export function useLabTime(time: LabTime | undefined): void {
  current = time ?? machineTime;
}

/** Waits in the lab's time. */
export function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    labTime.after(delayMs, resolve);
  });
}
